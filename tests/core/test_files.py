"""Files through the C interface: read as in Python, or refused with one sentence."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import ase
import numpy as np
import pytest

from c_interface import CORE, ROOT, WATER, RefusalError, all_pairs, needs
from models import random_model
from reann.potential import Ensemble, Potential, load

FILES = ROOT / "tests" / "golden" / "files"
EQUIVARIANT = sorted(FILES.glob("*-equivariant-*.reann"))
GOLDEN = [*sorted(FILES.glob("version-1-*.reann")), *EQUIVARIANT]
N_FILES = 500


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_member_of_a_golden_file_is_read_as_in_python(library, path):
    potential, model = load(path), library.open(path)
    atoms = ase.Atoms("OH2", WATER)
    assert model.cutoff == potential.cutoff
    known = potential.elements
    index = [known.index(symbol) if symbol in known else -1 for symbol in "HCON"]
    assert model.elements(np.array([1, 6, 8, 7, 0, -1])).tolist() == [*index, -1, -1]
    members = potential.members if isinstance(potential, Ensemble) else [potential]
    assert model.n_members == len(members)
    for i, member in enumerate(members):
        expected = member.predict(atoms, ["energies", "forces"])
        element = model.elements(atoms.numbers)
        energies, forces = model.evaluate(element, atoms.positions, *all_pairs(3), member=i)
        np.testing.assert_allclose(energies, expected["energies"], rtol=1e-6)
        rounding = 2e-6 * np.abs(expected["forces"]).max()
        np.testing.assert_allclose(forces, expected["forces"], rtol=0, atol=rounding)


# --- hostile files ----------------------------------------------------------------------------


def mended(content: bytes) -> bytes:
    """Return the bytes with the checksum that belongs to them, where there is place for one."""
    key = b'"sha256":"'
    at = content.find(key) + len(key)
    blank = content[:at] + b"0" * 64 + content[at + 64 :]
    return content[:at] + hashlib.sha256(blank).hexdigest().encode() + content[at + 64 :]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return the bytes with some of header or tensors changed, added or lost."""
    data, n_header = bytearray(content), 8 + int.from_bytes(content[:8], "little")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(*rng.choice([(8, n_header), (n_header, len(content))])) % len(data)
        length = rng.choice([1, 2, 8, 64])
        kind = rng.choice(["bit", "digit", "junk", "insert", "delete", "truncate"])
        if kind == "bit":
            data[at] ^= 1 << rng.randrange(8)
        elif kind == "digit":  # a number of the header becomes another
            digits = [i for i in range(min(n_header, len(data))) if chr(data[i]).isdigit()]
            data[rng.choice(digits or [at])] = rng.choice(b"0123456789")
        elif kind == "junk":
            data[at : at + length] = rng.randbytes(length)
        elif kind == "insert":
            data[at:at] = rng.randbytes(length)
        elif kind == "delete":
            del data[at : at + length]
        elif len(data) > at + 1:
            del data[at + 1 :]
    return bytes(data)


@pytest.mark.parametrize("mend", [False, True], ids=["damage", "lies"])
def test_hostile_files_are_refused_or_answered_but_never_crash(compiled, tmp_path, mend):
    rng = random.Random(2026)  # noqa: S311
    originals = [path.read_bytes() for path in GOLDEN]
    for i in range(N_FILES):
        content = damaged(original := originals[i % len(originals)], rng)
        if content == original:
            content = content[:-1]
        (tmp_path / f"{i:03}").write_bytes(mended(content) if mend else content)
    script = ROOT / "tests" / "hostile_files.py"
    done = subprocess.run(
        [sys.executable, script, compiled, tmp_path], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == N_FILES
    refused = [answer["refused"] for answer in answers if "refused" in answer]
    assert all(len(message) < 500 and message.isprintable() for message in refused)
    if not mend:
        assert len(refused) == N_FILES
        return
    # Changed weights are answered; the others get past the checksum, and not further.
    reasons = Counter(re.search(r"checksum|JSON|tensor|array|header", m) for m in refused)
    assert len(refused) < N_FILES - 20
    assert len(reasons) > 3


def test_files_of_other_kinds_are_told_apart(library, tmp_path):
    def refusal(content: bytes) -> str:
        (tmp_path / "a.reann").write_bytes(content)
        with pytest.raises(RefusalError) as info:
            library.open(tmp_path / "a.reann")
        return str(info.value)

    original = GOLDEN[0].read_bytes()
    assert "empty" in refusal(b"")
    assert "pickle" in refusal(b"PK\x03\x04" + bytes(100))
    assert "another format" in refusal(b"3\nProperties=species:S:1\n")
    assert "truncated" in refusal(original[:1000])
    assert "checksum" in refusal(original[:-1])
    assert "install --upgrade" in refusal(changed(original, r"\"format\": 1", r"\"format\": 9"))
    checkpoint = changed(original, r"\"potential\"", r"\"checkpoint\"")
    assert "does not contain a potential" in refusal(checkpoint)
    assert "not of type" in refusal(changed(original, '"dtype":"F64"', '"dtype":"I64"'))
    with pytest.raises(RefusalError, match="cannot be read"):
        library.open(tmp_path)


@pytest.mark.parametrize("use", ["open", "size"])
@pytest.mark.parametrize("case", ["another format", "not one of reann", "it has 1024 GiB"])
def test_huge_files_are_refused_without_reading_them(library, tmp_path, use, case):
    path, content = tmp_path / "huge.reann", GOLDEN[0].read_bytes()
    if case == "another format":
        content = b"9\nLattice=\n"
    elif case == "not one of reann":
        text = b'{"x": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}}'
        content = len(text).to_bytes(8, "little") + text
    path.write_bytes(content)
    os.truncate(path, 1 << 40)  # a sparse file of 1 TiB
    with pytest.raises(RefusalError, match=case):
        getattr(library, use)(path)


def test_the_size_of_a_file_of_reann_is_reported(library, tmp_path):
    assert library.size(GOLDEN[0]) == GOLDEN[0].stat().st_size
    with pytest.raises(RefusalError, match="no such file"):
        library.size(tmp_path / "absent.reann")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (r"\"l_max\": 1", r"\"l_max\": 5", "model.l_max"),
        (r"\"l_max\": 1", r"\"l_max\": 1.5", "model.l_max"),
        (r"\"l_max\": 1", r"\"l_max\": true", "model.l_max"),
        (r"\"l_max\": 1", r"\"l_maximum\": 1", "model.l_max is missing"),
        (r"\"l_max\": 1", r"\"new\": 0, \"l_max\": 1", "model has an unknown field"),
        (r"\"n_radial\": 2", r"\"n_radial\": 100000", "model.n_radial"),
        (r"\"n_radial\": 2, ", r"\"n_radial\": 400, ", "model.n_radial"),
        (r"\"n_radial\": 2, \"n_rec", r"\"n_radial\": 300, \"n_rec", "shape"),
        (r"2, \"n_recursions\": 2", r"300, \"n_recursions\": 1000", "model.n_radial"),
        (r"\"n_radial\": 2", r"\"n_radial\": 3", "shape"),
        (r"\"n_recursions\": 2", r"\"n_recursions\": 3", "missing"),
        (r"\"cutoff\": 3.0", r"\"cutoff\": NaN", "model.cutoff"),
        (r"\"angular\": \"unit\"", r"\"angular\": \"tin\"", "model.angular"),
        (r"\"l_max\": 1", r"\"l_max\": 1, \"repulsion\": 1", "model.repulsion"),
        (r"\"l_max\": 1", r"\"l_max\": 1, \"repulsion\": true", "repulsion.start is missing"),
        (r"\"hidden\": [4, 4]", r"\"hidden\": []", "model.readout.hidden"),
        (r"\"hidden\": [4, 4]", r"\"hidden\": [4, 5]", "model.readout.hidden"),
        (r"\"eV\"", r"\"Hartree\"", "units.energy"),
        (r"[\"H\", \"C\", \"O\"]", r"[\"H\", \"C\", \"C\"]", "header.elements"),
        (r"[\"H\", \"C\", \"O\"]", r"[\"H\", \"C\", \"X\"]", "header.elements"),
        (r"\"float32\"", r"\"float16\"", "header.precision"),
    ],
)
def test_a_header_that_lies_is_told_where(library, tmp_path, old, new, said):
    (tmp_path / "a.reann").write_bytes(changed(GOLDEN[0].read_bytes(), old, new))
    with pytest.raises(RefusalError, match=re.escape(said)):
        library.open(tmp_path / "a.reann")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (r"\"l_max\": 3", r"\"l_max\": 0", "model.l_max"),
        (r"\"l_max\": 3", r"\"l_max\": 4", "model.l_max"),
        (r"\"l_max\": 3", r"\"l_max\": 2", "moment_scale has the shape"),
        (r"\"n_radial\": 2", r"\"n_radial\": 3", "radial has the shape"),
        (r"\"n_radial\": 2", r"\"n_radial\": 65", "model.n_radial"),
        (r"\"channels\": 3", r"\"channels\": 0", "model.channels"),
        (r"\"channels\": 3", r"\"channels\": 4", "density_min has the shape"),
        (r"\"channels\": 3", r"\"channels\": 100000", "model.channels"),
        (r"\"channels\": 3", r"\"channels\": 1e300", "model.channels"),
        (r"\"channels\": 3, ", "", "density_min has the shape"),
        (r"\"n_recursions\": 1", r"\"n_recursions\": 0", "density_min has the shape"),
        (r"\"n_recursions\": 1", r"\"n_recursions\": 100000", "density_min has the shape"),
        (r"\"messages\": \"equivariant\"", r"\"messages\": \"tin\"", "model.messages"),
        (r"\"messages\": \"equivariant\"", r"\"messages\": \"scalar\"", "is missing"),
        (r"\"bessel\"", r"\"tin\"", "model.radial_basis"),
        (r"\"hidden\": [4]", r"\"hidden\": [5]", "gates.first.weight has the shape"),
        (r"\"repulsion\": false", r"\"repulsion\": true", "repulsion.start is missing"),
        ('"shape":[2,13,3]', '"shape":[2,3,13]', "has the shape"),
        ("mixing.3", "mixing.4", "mixing.3 is missing"),
    ],
)
def test_an_equivariant_header_that_lies_is_told_where(library, tmp_path, old, new, said):
    (tmp_path / "a.reann").write_bytes(changed(EQUIVARIANT[0].read_bytes(), old, new))
    with pytest.raises(RefusalError, match=re.escape(said)):
        library.open(tmp_path / "a.reann")


OUTPUTS = [{"weights": "output_heads.charges.scalars", "l": 0}]
OUTPUTS += [{"weights": "output_heads.dipole.vectors", "l": 1}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"l": 3}, "state_outputs.l has no possible value"),
        ({"l": 0.5}, "state_outputs.l has no possible value"),
        ({"l": None}, "state_outputs.l has no possible value"),
        ({"weights": 7}, "state_outputs has no possible value"),
        ({"weights": OUTPUTS[0]["weights"]}, "state_outputs has no possible value"),
        ({"weights": "\x1b[2J"}, "state_outputs has no possible value"),
        ({"weights": "a" * 201}, "state_outputs has no possible value"),
        ({"weights": "output_heads.dipole.matrices"}, "matrices is missing"),
        ({"weights": "recursion.embedding"}, "embedding has the shape"),
        ({"more": 1}, "unknown field"),
    ],
)
def test_outputs_that_lie_are_told_where(library, tmp_path, change, said):
    fields = {"messages": "equivariant", "l_max": 2, "n_recursions": 1, "outputs": ["dipole"]}
    Potential(random_model(**fields)).save(tmp_path / "right.reann")
    assert library.open(tmp_path / "right.reann").n_outputs == 4
    content = (tmp_path / "right.reann").read_bytes()
    quoted = [json.dumps(json.dumps(x))[1:-1] for x in (OUTPUTS[1], OUTPUTS[1] | change)]
    (tmp_path / "a.reann").write_bytes(changed(content, *quoted))
    with pytest.raises(RefusalError, match=re.escape(said)):
        library.open(tmp_path / "a.reann")


def test_files_that_do_not_say_what_is_read_off_states_have_energies(library, tmp_path):
    """As those of an earlier program."""
    fields = {"messages": "equivariant", "n_recursions": 1, "outputs": ["dipole"]}
    Potential(random_model(**fields)).save(tmp_path / "right.reann")
    quoted = json.dumps(json.dumps({"state_outputs": OUTPUTS})[1:-1])[1:-1]
    content = (tmp_path / "right.reann").read_bytes()
    (tmp_path / "a.reann").write_bytes(changed(content, ", " + quoted, ""))
    model, right = (library.open(tmp_path / name) for name in ("a.reann", "right.reann"))
    assert (model.n_outputs, right.n_outputs) == (0, 4)
    element = model.elements(np.array([8, 1, 1]))
    found, expected = (m.evaluate(element, WATER, *all_pairs(3)) for m in (model, right))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("path", EQUIVARIANT, ids=lambda path: path.stem)
def test_every_array_of_an_equivariant_file_must_be_there_and_fit(library, tmp_path, path):
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    del header["__metadata__"]
    for name, array in header.items():
        (tmp_path / "a.reann").write_bytes(changed(content, f'"{name}":', f'"x{name}":'))
        with pytest.raises(RefusalError, match=f"array {re.escape(name)} is missing"):
            library.open(tmp_path / "a.reann")
        here = f'"{name}":{{"dtype":"{array["dtype"]}","shape":'
        of_one = json.dumps([1, *array["shape"]], separators=(",", ":"))
        flat = json.dumps(array["shape"], separators=(",", ":"))
        (tmp_path / "a.reann").write_bytes(changed(content, here + flat, here + of_one))
        with pytest.raises(RefusalError, match=f"array {re.escape(name)} has the shape"):
            library.open(tmp_path / "a.reann")


def changed(content: bytes, old: str, new: str) -> bytes:
    """Return a file with another header and a checksum that is right."""
    n_header = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + n_header].decode()
    assert old in text
    header = text.replace(old, new).encode()
    return mended(len(header).to_bytes(8, "little") + header + content[8 + n_header :])


# --- parts of the reader ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> ctypes.CDLL:
    """Parts of the reader that the C interface does not show."""
    needs("g++")
    target = tmp_path_factory.mktemp("parts") / "parts.so"
    sources = [Path(__file__).parent / "parts.cpp", CORE / "json.cpp", CORE / "sha256.cpp"]
    flags = ["-std=c++17", "-O1", "-fPIC", "-shared", f"-I{CORE}"]
    subprocess.run([shutil.which("g++") or "g++", *flags, *sources, "-o", target], check=True)
    return ctypes.CDLL(str(target))


def test_the_checksum_is_sha256(parts):
    digits = ctypes.create_string_buffer(65)
    for n in [*range(140), 1000, 100_003]:
        content = random.Random(n).randbytes(n)  # noqa: S311
        parts.test_sha256(content, ctypes.c_size_t(n), digits)
        assert digits.value.decode() == hashlib.sha256(content).hexdigest()


JSON = ["{}", "[ ]", " 1 ", "-0.5e-3", "null", '"\\ud83d\\ude00 \\u00e9\\n"', "[NaN, -Infinity]"]
NO_JSON = ["", "{", "[1,]", "[1 2]", "01", "1.", "+1", "-", "tru", "{}x", "{1:2}", '{"a"}']
NO_STRINGS = ['"', '"\\x"', '"\\u12"', '"\n"', "'a'"]


def test_json_is_strict(parts):
    def accepted(text: str) -> bool:
        return parts.test_json(text.encode(), ctypes.c_size_t(len(text.encode()))) == 1

    for text in JSON + NO_JSON + NO_STRINGS:
        try:
            right = json.loads(text) is not Ellipsis
        except ValueError:
            right = False
        assert accepted(text) == right == (text in JSON), text
    assert not accepted('{"a": 1, "a": 1}')
    assert not accepted("1e999")
    assert accepted("[" * 32 + "]" * 32)
    assert not accepted("[" * 33 + "]" * 33)
    assert not accepted("[" * 1_000_000)

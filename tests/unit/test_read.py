"""Structures from files of many kinds, and errors that name file, frame and line."""

from __future__ import annotations

import gzip
import lzma
import tracemalloc
from pathlib import Path

import ase
import ase.db
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from reann.data.files import extended_xyz, read
from reann.data.files.read import iter_atoms
from reann.data.files.skipped import SkippedData
from reann.errors import UserError
from reann.input_files import file_hash, find_files

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"

FRAME = """2
Properties=species:S:1:pos:R:3:forces:R:3 energy={energy} pbc="F F F"
H 0.0 0.0 0.0 0.1 0.0 0.0
H 0.0 0.0 0.8 -0.1 0.0 0.0
"""


def frames(n):
    return "".join(FRAME.format(energy=-float(i)) for i in range(n))


def labeled(energy=-1.5):
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]])
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.full((2, 3), 0.25))
    return atoms


def error_of(path, base=None):
    with pytest.raises(UserError) as info:
        list(iter_atoms(str(path), base or Path()))
    return info.value


def test_structures_come_in_order_with_their_origin(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(3))
    found = list(iter_atoms("a.xyz", tmp_path))
    assert [origin for _, origin in found] == ["a.xyz#0", "a.xyz#1", "a.xyz#2"]
    assert [atoms.calc.results["energy"] for atoms, _ in found] == [0.0, -1.0, -2.0]


@pytest.mark.parametrize(("ending", "module"), [("gz", gzip), ("xz", lzma)])
def test_compressed_files_hold_what_the_plain_file_holds(tmp_path, ending, module):
    path = tmp_path / f"ethanol.xyz.{ending}"
    with module.open(path, "wb") as stream:
        stream.write(ETHANOL.read_bytes())
    plain = [atoms for atoms, _ in iter_atoms(str(ETHANOL))]
    packed = [atoms for atoms, _ in iter_atoms(str(path))]
    assert len(packed) == 20
    assert packed == plain
    assert packed[7].calc.results["energy"] == plain[7].calc.results["energy"]


def test_own_frame_cutting_reads_what_ase_reads():
    ours = [atoms for atoms, _ in iter_atoms(str(ETHANOL))]
    theirs = ase.io.read(ETHANOL, ":")
    assert ours == theirs
    assert (ours[3].calc.results["forces"] == theirs[3].calc.results["forces"]).all()


def test_reading_streams_and_does_not_wait_for_the_end_of_the_file(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(frames(2) + "garbage\n")
    stream = iter_atoms(str(path))
    assert next(stream)[1].endswith("#0")
    assert next(stream)[1].endswith("#1")
    with pytest.raises(UserError):
        next(stream)


def test_globs_are_sorted_and_files_may_be_many(tmp_path):
    for name in ("b.xyz", "a.xyz", "c.xyz"):
        (tmp_path / name).write_text(frames(1))
    origins = [origin for _, origin in iter_atoms(["c.xyz", "[ab].xyz"], tmp_path)]
    assert origins == ["c.xyz#0", "a.xyz#0", "b.xyz#0"]


def test_an_empty_line_between_frames_hides_nothing_behind_it(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(1) + "\n\n" + frames(2))
    assert len(list(iter_atoms("a.xyz", tmp_path))) == 3


def test_plain_xyz_without_properties_is_read(tmp_path):
    (tmp_path / "a.xyz").write_text("1\nsome words\nH 0 0 0\n")
    ((atoms, _),) = iter_atoms("a.xyz", tmp_path)
    assert atoms.get_chemical_formula() == "H"


def test_trajectories_and_databases_are_read(tmp_path):
    ase.io.write(tmp_path / "a.traj", [labeled(-1.0), labeled(-2.0)])
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(labeled(-3.0), config_type="bulk", data={"REF_energy": -3.5})
    found = list(iter_atoms(["a.traj", "a.db"], tmp_path))
    assert [origin for _, origin in found] == ["a.traj#0", "a.traj#1", "a.db#0"]
    assert [atoms.calc.results["energy"] for atoms, _ in found] == [-1.0, -2.0, -3.0]
    info = found[2][0].info
    assert (info["config_type"], info["REF_energy"]) == ("bulk", -3.5)


def test_vasprun_is_read_with_both_energies(tmp_path):
    (tmp_path / "vasprun.xml").write_text(VASPRUN)
    ((atoms, _),) = iter_atoms("vasprun.xml", tmp_path)
    results = atoms.calc.results
    assert (results["energy"], results["free_energy"]) == (-1.25, -1.5)
    assert results["forces"][0, 2] == 0.5


def test_an_absent_file_is_named_with_the_one_that_was_meant(tmp_path):
    (tmp_path / "water.xyz").write_text(frames(1))
    error = error_of("watr.xyz", tmp_path)
    assert error.what == "'watr.xyz' does not exist. Did you mean 'water.xyz'?"
    assert "files in it: water.xyz" in error.where


def test_an_absent_folder_is_named(tmp_path):
    assert "there is no folder" in error_of("nowhere/a.xyz", tmp_path).what


def test_a_glob_without_a_match_is_an_error(tmp_path):
    assert error_of("*.xyz", tmp_path).what == "No file matches '*.xyz'."


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path):
    assert "is a folder" in error_of(str(tmp_path)).what


def test_no_file_at_all_is_an_error():
    with pytest.raises(UserError, match="No file of structures"):
        find_files([])


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_an_error(tmp_path, content):
    (tmp_path / "a.xyz").write_text(content)
    error = error_of("a.xyz", tmp_path)
    assert "empty" in error.what or "no structure" in error.what
    assert error.where == "a.xyz"


def test_an_empty_compressed_file_is_an_error(tmp_path):
    with gzip.open(tmp_path / "a.xyz.gz", "wb"):
        pass
    assert error_of("a.xyz.gz", tmp_path).what == "The file contains no structure."


LAST_LINE = len("H 0.0 0.0 0.8 -0.1 0.0 0.0\n")


@pytest.mark.parametrize("missing", [LAST_LINE, 2 * LAST_LINE, LAST_LINE + 40, 10, 4])
def test_a_file_that_ends_within_a_structure_gives_the_ones_before_it_and_says_so(
    tmp_path, missing, capsys
):
    (tmp_path / "a.xyz").write_text(frames(3)[:-missing])
    skipped: list[SkippedData] = []
    assert len(list(iter_atoms("a.xyz", tmp_path, skipped.append))) == 2
    ((kind, origin),) = [(item.kind, item.origin) for item in skipped]
    assert (kind, origin) == ("cut-structure", "a.xyz#2")
    assert len(list(iter_atoms("a.xyz", tmp_path))) == 2
    assert "note: a.xyz#2: The file ends within this structure, after " in capsys.readouterr().err


def test_a_number_that_is_cut_is_not_read_as_a_shorter_one(tmp_path):
    ase.io.write(tmp_path / "a.xyz", [labeled(), labeled()], format="extxyz")
    text = (tmp_path / "a.xyz").read_text().rstrip()
    for missing, whole in [(0, 2), (1, 1), (5, 1), (8, 1)]:
        (tmp_path / "a.xyz").write_text(text[: len(text) - missing])
        assert len(list(iter_atoms("a.xyz", tmp_path))) == whole


def test_a_file_that_ends_within_its_first_structure_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(1)[:-LAST_LINE])
    error = error_of("a.xyz", tmp_path)
    assert error.what == (
        "The file is truncated: it ends within its first structure, after 1 of 2 atoms."
    )
    assert error.where == "a.xyz#0, line 3"


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_truncated_archive_is_an_error_with_the_frame(tmp_path, keep):
    packed = gzip.compress(ETHANOL.read_bytes())
    (tmp_path / "a.xyz.gz").write_bytes(packed[: int(keep * len(packed))])
    error = error_of("a.xyz.gz", tmp_path)
    assert "truncated or damaged" in error.what
    assert error.where.startswith("a.xyz.gz#")


def test_a_line_that_lacks_a_column_is_an_error_with_the_line(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(2)[:-9] + "\n")
    error = error_of("a.xyz", tmp_path)
    assert "cannot be parsed" in error.what
    assert error.where == "a.xyz#1, line 8"


def test_a_binary_file_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_bytes(frames(1).encode() + b"\x00\x01\x02\n")
    error = error_of("a.xyz", tmp_path)
    assert "binary" in error.what
    assert error.where == "a.xyz#1, line 5"


def test_a_file_that_is_not_utf8_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_bytes(frames(1).replace("energy", "näme").encode("latin-1"))
    error = error_of("a.xyz", tmp_path)
    assert "not UTF-8" in error.what
    assert error.where == "a.xyz#0, line 2"


def test_a_plain_file_under_the_name_of_an_archive_is_an_error(tmp_path):
    (tmp_path / "a.xyz.gz").write_text(frames(1))
    assert "truncated or damaged" in error_of("a.xyz.gz", tmp_path).what


def test_a_wrong_header_is_an_error_with_its_line(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(1) + "H 0 0 0\n")
    error = error_of("a.xyz", tmp_path)
    assert error.what == "The number of atoms is expected here, not 'H 0 0 0'."
    assert error.where == "a.xyz#1, line 5"


def test_an_unknown_element_in_the_file_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_text("1\nwords\nQq 0 0 0\n")
    assert "unknown element" in error_of("a.xyz", tmp_path).what
    (tmp_path / "b.xyz").write_text("1\nwords\nX 0 0 0\n")
    assert error_of("b.xyz", tmp_path).what == "Atom 0 is not a chemical element."


def test_a_structure_without_atoms_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_text("0\nwords\n")
    assert error_of("a.xyz", tmp_path).what == "The structure has no atoms."


@pytest.mark.parametrize("name", ["a.traj", "a.db", "vasprun.xml", "a.nonsense"])
def test_garbage_under_any_name_is_a_user_error(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(range(256)) * 8)
    assert error_of(name, tmp_path).where == f"{name}#0"


def test_the_hash_of_a_file_follows_its_content(tmp_path):
    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).write_text(text)
    a, b, c = (file_hash(tmp_path / name) for name in "abc")
    assert a == b != c


# --- other ways to write numbers and lines ----------------------------------------------------


def read_as(tmp_path, content: bytes) -> ase.Atoms:
    (tmp_path / "a.xyz").write_bytes(content)
    ((atoms, _),) = iter_atoms("a.xyz", tmp_path)
    return atoms


@pytest.mark.parametrize("letter", ["D", "d"])
def test_exponents_of_fortran_are_numbers_in_columns_and_values(tmp_path, letter):
    text = FRAME.format(energy='-1.50D+01 stress="1.D-1 0 0 0 .2D0 0 0 0 3.0D-01" note=3d2')
    text = text.replace("-0.1 0.0 0.0", "-1.0D-01 1.25-101 0.5").replace("D", letter)
    atoms = read_as(tmp_path, text.encode())
    assert atoms.calc.results["energy"] == -15.0
    assert atoms.calc.results["stress"][:3].tolist() == [0.1, 0.2, 0.3]
    assert atoms.calc.results["forces"][1].tolist() == [-0.1, 1.25e-101, 0.5]
    assert atoms.info["note"] == "3d2"


@pytest.mark.parametrize(
    "change", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n")]
)
def test_a_byte_order_mark_and_line_ends_of_windows_change_nothing(tmp_path, change):
    plain, changed = (read_as(tmp_path, f(frames(1).encode())) for f in (bytes, change))
    assert changed == plain
    assert changed.info == plain.info
    assert changed.calc.results["energy"] == plain.calc.results["energy"]


def test_utf16_is_named_with_the_way_to_convert_it(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(1), encoding="utf-16")
    error = error_of("a.xyz", tmp_path)
    assert "UTF-16" in error.what
    assert "iconv -f UTF-16 -t UTF-8" in error.fix


@pytest.mark.parametrize(
    ("number", "line"), [(" 0.8 ", 4), ("energy=-0.0", 2), ('Lattice="5.0 0 0 0 5 0 0 0 5"', 2)]
)
def test_decimal_commas_are_named_with_their_line(tmp_path, number, line):
    text = frames(1).replace("energy", 'Lattice="5.0 0 0 0 5 0 0 0 5" energy')
    (tmp_path / "a.xyz").write_text(text.replace(number, number.replace(".", ",")))
    error = error_of("a.xyz", tmp_path)
    assert "decimal comma" in error.what
    assert error.where == f"a.xyz#0, line {line}"


def test_an_unknown_element_is_an_error_at_its_line(tmp_path):
    (tmp_path / "a.xyz").write_text("3\nwords\nH 0 0 0\nQq 0 0 1\nH 0 0 2\n")
    error = error_of("a.xyz", tmp_path)
    assert error.where == "a.xyz#0, line 4"
    assert "Qq" in error.what


# --- memory -----------------------------------------------------------------------------------


def hostile(folder: Path, kind: str) -> str:
    """Write a small file that asks for much memory; return its name."""
    if kind == "endless line":
        with (folder / "a.xyz").open("wb") as stream:
            stream.truncate(1 << 36)
        return "a.xyz"
    if kind == "sparse trajectory":
        with (folder / "a.traj").open("wb") as stream:
            stream.write(b"- of UlmASE-Trajectory  ")
            stream.truncate(1 << 36)
        return "a.traj"
    if kind == "false number of atoms":
        (folder / "a.xyz").write_text(frames(1).replace("2\n", "999999999\n", 1))
        return "a.xyz"
    if kind in ("zeros", "one line"):
        with gzip.open(folder / "a.xyz.gz", "wb", compresslevel=1) as stream:
            stream.write(b"2\n")
            for _ in range(40):
                stream.write((b"\0" if kind == "zeros" else b"x") * (1 << 20))
        return "a.xyz.gz"
    ase.io.write(folder / "a.traj", labeled())
    content = (folder / "a.traj").read_bytes()
    old, new = b'"ndarray": [[2, 3]', b'"ndarray": [[9999999999, 3]'
    at = content.index(old)
    size = content.rindex(b"{", 0, at)
    while not content[size - 8 : size].endswith(b"\0\0\0\0\0"):
        size = content.rindex(b"{", 0, size)
    length = int.from_bytes(content[size - 8 : size], "little") + len(new) - len(old)
    head = content[: size - 8] + length.to_bytes(8, "little") + content[size:at]
    (folder / "a.traj").write_bytes(head + new + content[at + len(old) :])
    return "a.traj"


@pytest.mark.parametrize(
    "kind",
    ["endless line", "sparse trajectory", "false number of atoms", "zeros", "one line", "shape"],
)
def test_a_file_that_asks_for_much_memory_is_refused_with_little(tmp_path, kind):
    name = hostile(tmp_path, kind)
    tracemalloc.start()
    try:
        error = error_of(name, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6
    assert error.where.startswith(name)


def test_a_compressed_file_that_grows_without_end_is_refused_before_it_is_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(extended_xyz, "SAMPLED", 1 << 20)
    with gzip.open(tmp_path / "vasprun.xml.gz", "wb") as stream:
        stream.write(VASPRUN.encode() + b" " * (1 << 22))
    assert "more than 200 times as large" in error_of("vasprun.xml.gz", tmp_path).what
    with gzip.open(tmp_path / "vasprun.xml.gz", "wb") as stream:
        stream.write(VASPRUN.encode())
    assert len(list(iter_atoms("vasprun.xml.gz", tmp_path))) == 1


@pytest.mark.parametrize("name", ["a.traj", "a.db"])
def test_an_array_that_no_structure_has_is_refused(tmp_path, monkeypatch, name):
    ase.io.write(tmp_path / name, labeled())
    assert len(list(iter_atoms(name, tmp_path))) == 1
    monkeypatch.setattr(read, "LARGEST", 40)
    error = error_of(name, tmp_path)
    assert "has an array of more than" in error.what
    assert error.where.startswith(name)


VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="program" type="string">vasp</i></generator>
 <kpoints>
  <varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray>
 </kpoints>
 <atominfo>
  <atoms>1</atoms><types>1</types>
  <array name="atoms"><field type="string">element</field><field type="int">atomtype</field>
   <set><rc><c>H </c><c>1</c></rc></set></array>
 </atominfo>
 <structure name="initialpos">
  <crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v></varray>
 </structure>
 <calculation>
  <structure>
   <crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
   <varray name="positions"><v>0 0 0</v></varray>
  </structure>
  <varray name="forces"><v>0 0 0.5</v></varray>
  <varray name="stress"><v>1 0 0</v><v>0 1 0</v><v>0 0 1</v></varray>
  <energy>
   <i name="e_fr_energy">-1.5</i><i name="e_wo_entrp">-1.0</i><i name="e_0_energy">-1.25</i>
  </energy>
  <scstep><energy><i name="e_fr_energy">-1.5</i><i name="e_wo_entrp">-1.0</i>
   <i name="e_0_energy">-1.25</i></energy></scstep>
 </calculation>
 <structure name="finalpos">
  <crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v></varray>
 </structure>
</modeling>
"""


@pytest.mark.parametrize("second", ["a.xyz", "./a.xyz", "*.xyz", "link.xyz", "{folder}/a.xyz"])
def test_a_file_that_is_given_twice_is_an_error(tmp_path, monkeypatch, second):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n")
    if second == "link.xyz":
        (tmp_path / second).symlink_to("a.xyz")
    with pytest.raises(UserError, match="given twice"):
        find_files(["a.xyz", second.format(folder=tmp_path)])

"""A file is read as it was written, or refused with one sentence; nothing in it is executed."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models import random_atoms, random_model
from reann import atomic_file, checkpoint, native
from reann.config import TrainingConfig
from reann.errors import UserError
from reann.model import build, restore
from reann.potential import Ensemble, Potential, load
from reann.potential_file import KIND
from reann.training import state as training_state
from reann.training.optim import Average, optimizer_for

SMALL = {"n_radial": 2, "n_recursions": 1, "readout": {"hidden": [3, 3]}, "update": {"hidden": [3]}}
CORRUPTIONS = 500


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """Write a small potential with every kind of entry in its header."""
    path = tmp_path_factory.mktemp("original") / "small.reann"
    about = {"epoch": 3, "errors": {"valid": {"energy_rmse_meV_per_atom": 1.5}}, "n_train": 16}
    Potential(random_model([1, 8], dtype=torch.float32, zbl={}, **SMALL), about).save(path)
    return path


@pytest.fixture(scope="module")
def last(tmp_path_factory) -> Path:
    """Write the checkpoint of a training after one step."""
    folder = tmp_path_factory.mktemp("run")
    _state().save(folder, {"model": "a", "data": ["b"], "split": "c"})
    return folder / training_state.FILE


def _state() -> training_state.TrainingState:
    model, config = (
        random_model([1, 8], dtype=torch.float32, **SMALL),
        TrainingConfig(learning_rate=3e-3),
    )
    optimizer = optimizer_for(model, config)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    state = training_state.TrainingState(
        model, optimizer, Average(model, 0.99), {}, training_state.Progress(epoch=1)
    )
    state.keep_best()
    return state


def refusal(path: Path) -> UserError:
    with pytest.raises(UserError) as info:
        load(path)
    assert info.value.where == str(path)
    assert info.value.fix
    return info.value


def message_of(
    original: Path, path: Path, tensors: dict[str, Any] | None = None, **changes: Any
) -> str:
    """Write a file with other entries in its header, and a valid checksum; return the refusal."""
    header, own = checkpoint.read(original, KIND)
    checkpoint.write(path, KIND, {**header, **changes}, {**own, **(tensors or {})})
    return refusal(path).what


# --- there and back ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", [{}, {"zbl": {}}, {"repulsion": True}])
def test_a_potential_comes_back_as_it_was(dtype, form, tmp_path):
    potential = Potential(random_model(dtype=dtype, **form), {"n_train": 7})
    potential.save(tmp_path / "a.reann")
    loaded = load(tmp_path / "a.reann")
    assert isinstance(loaded, Potential)
    assert loaded.metadata == {"n_train": 7}
    before, after = (dict(p.model.named_buffers()) for p in (potential, loaded))
    before |= dict(potential.model.named_parameters())
    after |= dict(loaded.model.named_parameters())
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype, name
        assert torch.equal(tensor, after[name]), name
    atoms = random_atoms(3, 5, (True, True, True))
    for name, value in potential.predict(atoms, ["energy", "forces", "stress"]).items():
        np.testing.assert_array_equal(loaded.predict(atoms, [name])[name], value)


def test_loading_draws_no_random_number(original):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load(original)
    assert torch.rand(1) == expected


def test_a_file_is_replaced_only_by_a_whole_one(original, tmp_path):
    path = tmp_path / "a.reann"
    path.write_bytes(original.read_bytes())

    def fail() -> None:
        with atomic_file.replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(28, os.strerror(28))

    with pytest.raises(UserError, match="No space left on device"):
        fail()
    assert path.read_bytes() == original.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


# --- damage -----------------------------------------------------------------------------------


def corrupted(content: bytes, rng: random.Random) -> bytes:
    """Return the bytes with one to three defects such as disks, cables and editors make."""
    data = bytearray(content)
    weights = 8 + int.from_bytes(content[:8], "little")
    for _ in range(rng.randint(1, 3)):
        size = len(data)
        in_weights = rng.random() < 0.7 and weights < size
        at = rng.randrange(weights, size) if in_weights else rng.randrange(min(weights, size))
        length = min(rng.choice([1, 2, 8, 64, 300]), size - at)
        kind = rng.choice(["flip", "truncate", "insert", "delete", "zero", "swap", "junk"])
        if kind == "flip":
            data[at] ^= 1 << rng.randrange(8)
        elif kind == "truncate":
            del data[at + 1 :]
        elif kind == "insert":
            data[at:at] = rng.randbytes(length)
        elif kind == "delete" and length < size:
            del data[at : at + length]
        elif kind == "zero":
            data[at : at + length] = bytes(length)
        elif kind == "swap":
            other = rng.randrange(size - length + 1)
            block = data[at : at + length]
            data[at : at + length] = data[other : other + length]
            data[other : other + length] = block
        elif kind == "junk":
            data[at : at + length] = rng.randbytes(length)
    return bytes(data)


def corruptions(content: bytes, number: int) -> list[bytes]:
    """Return so many different damaged copies."""
    rng, found = random.Random(2026), dict[bytes, None]()  # noqa: S311
    while len(found) < number:
        damaged = corrupted(content, rng)
        if damaged != content:
            found[damaged] = None
    return list(found)


def test_a_damaged_potential_is_never_loaded_and_never_crashes(original, tmp_path):
    path, reasons = tmp_path / "damaged.reann", Counter[str]()
    for damaged in corruptions(original.read_bytes(), CORRUPTIONS):
        path.write_bytes(damaged)
        reasons[refusal(path).what] += 1
    # Damage of every kind: to the weights only, to the header, to its length.
    assert len(reasons) >= 3
    assert reasons["The file is damaged: its checksum does not match."] > CORRUPTIONS // 4
    assert reasons["The header of the file is damaged."] > CORRUPTIONS // 4


def test_a_damaged_checkpoint_is_never_loaded_and_changes_nothing(last, tmp_path):
    state, path = _state(), tmp_path / training_state.FILE
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    for damaged in corruptions(last.read_bytes(), 100):
        path.write_bytes(damaged)
        with pytest.raises(UserError) as info:
            state.load(tmp_path)
        assert info.value.where == str(path)
    assert state.progress.epoch == 1
    assert all(torch.equal(t, before[name]) for name, t in state.model.state_dict().items())


def test_any_single_bit_of_a_file_counts(original, tmp_path):
    content, rng = original.read_bytes(), random.Random(5)  # noqa: S311
    path = tmp_path / "flipped.reann"
    for bit in rng.sample(range(8 * len(content)), 200):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        refusal(path)


def test_flipped_bytes_of_the_weights_are_told_by_the_checksum(original, tmp_path):
    content = bytearray(original.read_bytes())
    content[-5] ^= 0x10
    (tmp_path / "a.reann").write_bytes(content)
    error = refusal(tmp_path / "a.reann")
    assert error.what == "The file is damaged: its checksum does not match."
    assert "backup" in error.fix


@pytest.mark.parametrize(
    ("kept", "said"),
    [(1, "truncated"), (8, "truncated"), (200, "truncated"), (-100, "damaged"), (-1, "damaged")],
)
def test_a_truncated_file_is_refused(original, tmp_path, kept, said):
    (tmp_path / "a.reann").write_bytes(original.read_bytes()[:kept])
    assert said in refusal(tmp_path / "a.reann").what


def test_an_empty_an_absent_and_an_unreadable_file_are_told_apart(tmp_path):
    (tmp_path / "a.reann").touch()
    assert refusal(tmp_path / "a.reann").what == "The file is empty."
    assert refusal(tmp_path / "b.reann").what == "There is no such file."
    with pytest.raises(UserError, match="cannot be read"):
        checkpoint.read(tmp_path, KIND)


def test_a_large_file_of_another_kind_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "train.xyz"
    path.write_bytes(b"9\nLattice=\n")
    os.truncate(path, 1 << 40)  # a sparse file of 1 TiB
    assert "This is a file of structures" in refusal(path).what


def safetensors_head(header: dict[str, Any]) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize("beginning", ["of a potential", "with a huge tensor", "of others"])
def test_a_huge_file_with_a_whole_header_is_refused_without_reading_it(
    original, tmp_path, beginning
):
    path, huge = tmp_path / "huge.reann", 1 << 40  # a sparse file of 1 TiB
    content = original.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    tensor = {"dtype": "F64", "shape": [huge // 8], "data_offsets": [0, huge]}
    if beginning == "with a huge tensor":
        content = safetensors_head({"__metadata__": header["__metadata__"], "0.x": tensor})
    elif beginning == "of others":
        content = safetensors_head({"x": tensor})
    path.write_bytes(content)
    os.truncate(path, huge + len(content))
    said = "not written by reann" if beginning == "of others" else "its size is 1024 GiB"
    assert said in refusal(path).what


def test_a_header_of_very_many_lists_is_refused_without_parsing_it(tmp_path, monkeypatch):
    path, text = tmp_path / "a.reann", b'{"a":[' + b"[]," * 1_000_000 + b"[]]}"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    monkeypatch.setattr(checkpoint.json, "loads", None)
    assert "header" in refusal(path).what


@pytest.mark.parametrize("limit", ["LARGEST_FILE", "LARGEST_HEADER"])
def test_what_could_not_be_read_again_is_not_written(tmp_path, monkeypatch, limit):
    path = tmp_path / "a.reann"
    path.write_bytes(b"old")
    monkeypatch.setattr(checkpoint, limit, 1000)
    with pytest.raises(UserError, match="too large to be read again") as info:
        checkpoint.write(path, "potential", {"about": "x" * 900}, {"a": torch.zeros(200)})
    assert "a.reann is not written" in info.value.what
    assert path.read_bytes() == b"old"


# --- what is not executed ---------------------------------------------------------------------


class Trap:
    """A pickle that creates a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_under_the_name_of_a_potential_is_not_executed(tmp_path, protocol):
    content = pickle.dumps(Trap(tmp_path / "executed"), protocol=protocol)
    (tmp_path / "trap.reann").write_bytes(content)
    error = refusal(tmp_path / "trap.reann")
    assert "This is not a reann file" in error.what
    assert protocol < 2 or "pickle" in error.what
    assert "reann convert" in error.fix
    assert not (tmp_path / "executed").exists()
    pickle.loads(content)  # noqa: S301
    assert (tmp_path / "executed").exists()  # the trap is one


def test_a_model_saved_by_torch_is_not_executed(tmp_path):
    torch.save({"w": Trap(tmp_path / "executed")}, tmp_path / "trap.reann")
    assert "pickle or zip archive" in refusal(tmp_path / "trap.reann").what
    assert not (tmp_path / "executed").exists()


# --- lies with a valid checksum ---------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"n_radial": 10**9},
        {"n_radial": 10**30},
        {"n_radial": 3},
        {"n_recursions": 10**9},
        {"n_recursions": 0},
        {"l_max": 4},
        {"features": "orbitals"},
        {"features": "orbitals", "n_orbitals": 10**9},
        {"radial": "pair"},
        {"repulsion": True},
        {"readout": {"hidden": [10**9]}},
        {"readout": {"hidden": [3, 3], "blocks": 10**9}},
        {"readout": {"hidden": [3] * 1000}},
        {"readout": {"hidden": [3, 3], "layer_norm": True}},
        {"update": {"hidden": [3], "activation": "relu_like"}},
    ],
)
def test_a_header_that_lies_about_the_architecture_is_refused_and_costs_nothing(
    original, tmp_path, monkeypatch, change
):
    def build_without_memory(*arguments: Any, **named: Any) -> Any:
        assert torch.get_default_device().type == "meta"
        return build(*arguments, **named)

    monkeypatch.setattr(restore, "build", build_without_memory)
    model = {**checkpoint.read_header(original)["model"], **change}
    what = message_of(original, tmp_path / "a.reann", model=model)
    assert "The header does not agree with the content of the file" in what


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"elements": ["H", "Qq"]}, "not different elements: ['H', 'Qq']"),
        ({"elements": ["H", "X"]}, "not different elements"),
        ({"elements": ["H", "H"]}, "not different elements"),
        ({"elements": []}, "not different elements"),
        ({"elements": "HO"}, "not different elements"),
        ({"elements": [["H"], None]}, "not different elements"),
        ({"elements": ["H"]}, "another shape or type is expected of density_max"),
        ({"cutoff": float("nan")}, "the cutoff is None"),
        ({"cutoff": 9.0}, "the cutoff is 9.0 and 3.0 Å"),
        ({"model": {"cutoff": float("nan")}}, "model.cutoff: Input should be a valid number"),
        ({"model": {"cutoff": float("inf")}}, "model.cutoff: Input should be a valid number"),
        (
            {"model": {"cutoff": 1e-200}, "cutoff": 1e-200},
            "model.cutoff: Input should be greater than or equal to 0.1",
        ),
        ({"model": {"n_radial": "many"}}, "model.n_radial"),
        ({"model": {"new_field": 1}}, "model.new_field"),
        ({"model": None}, "model: "),
        ({"precision": "float16"}, "the precision float16 is unknown"),
        ({"precision": "load"}, "the precision load is unknown"),
        ({"precision": {}}, "the precision {} is unknown"),
        ({"precision": "float64"}, "another shape or type"),
        ({"units": {"energy": "Hartree", "length": "Ang"}}, "the units are"),
        ({"members": None}, "it has no members"),
        ({"members": [None]}, "it has no members"),
        ({"members": [{}, {}]}, "it has 2 members, the tensors are of 0"),
        ({"members": []}, "it has 0 members"),
    ],
)
def test_a_header_that_says_the_impossible_is_refused(original, tmp_path, change, said):
    what = message_of(original, tmp_path / "a.reann", **change)
    assert "The header does not agree with the content of the file" in what
    assert said in what


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_their_name(original, tmp_path, number):
    path, tensors = tmp_path / "a.reann", checkpoint.read(original, KIND)[1]
    for name, tensor in tensors.items():
        changed = tensor.clone()
        changed.view(-1)[-1] = number
        if "density_m" in name and np.isinf(number):
            continue
        assert f"not finite: {name}" in message_of(original, path, {name: changed})
        if native.available():
            with pytest.raises(ValueError, match=f"{name}' of the file has numbers .* not finite"):
                native.core().Model.open(str(path))


def test_a_range_without_end_is_no_damage(original, tmp_path):
    """It means that the training had no atom of the element, or that nobody asked."""
    path, (header, tensors) = tmp_path / "a.reann", checkpoint.read(original, KIND)
    ends = {"0.density_min": -np.inf, "0.density_max": np.inf}
    ranges = {name: torch.full_like(tensors[name], end) for name, end in ends.items()}
    checkpoint.write(path, KIND, header, {**tensors, **ranges})
    assert not load(path).model.has_range
    if native.available():
        assert native.core().Model.open(str(path)).n_members == 1


def test_a_run_folder_stands_for_its_potential(original, tmp_path):
    with pytest.raises(UserError, match=r"no model\.reann in this folder"):
        load(tmp_path)
    (tmp_path / "model.reann").write_bytes(original.read_bytes())
    assert load(tmp_path).elements == load(original).elements


@pytest.mark.parametrize("entry", ["elements", "cutoff", "model", "units", "precision", "members"])
def test_a_header_without_an_entry_is_refused(original, tmp_path, entry):
    header, tensors = checkpoint.read(original, KIND)
    del header[entry]
    checkpoint.write(tmp_path / "a.reann", KIND, header, tensors)
    verb = "has no" if entry == "members" else "lacks"
    assert f"it {verb} {entry}." in refusal(tmp_path / "a.reann").what


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("0.recursion.update.weights", torch.zeros(2, 3), "expected of recursion.update.weights"),
        ("0.recursion.update.weights", torch.zeros(4), "expected of recursion.update.weights"),
        (
            "0.recursion.update.weights",
            torch.zeros(2, 2).double(),
            "expected of recursion.update.weights",
        ),
        (
            "0.heads.energy.reference_energies",
            torch.zeros(2),
            "expected of heads.energy.reference_energies",
        ),
        (
            "0.heads.energy.readout.first.weight",
            torch.zeros(0),
            "expected of heads.energy.readout.first.weight",
        ),
        ("0.element_index", torch.zeros(119).long(), "expected of element_index"),
        ("0.more", torch.zeros(1), "expected of more"),
        ("1.recursion.update.weights", torch.zeros(2, 2), "the tensors are of 0, 1"),
        ("recursion.update.weights", torch.zeros(2, 2), "the tensors are of 0, recursion"),
    ],
)
def test_tensors_that_are_not_those_of_the_header_are_refused(
    original, tmp_path, name, tensor, said
):
    assert said in message_of(original, tmp_path / "a.reann", {name: tensor})


def test_a_missing_tensor_is_named(original, tmp_path):
    header, tensors = checkpoint.read(original, KIND)
    del tensors["0.recursion.host.radial.center"]
    checkpoint.write(tmp_path / "a.reann", KIND, header, tensors)
    assert "recursion.host.radial.center" in refusal(tmp_path / "a.reann").what


def test_a_file_of_another_kind_is_told_by_its_kind(last):
    error = refusal(last)
    assert error.what == "This file contains a training, not a potential."
    assert "reann resume" in error.fix


# --- lies about the layout --------------------------------------------------------------------


def sealed(path: Path, edit: Any, original: Path, text: str | None = None) -> UserError:
    """Rewrite the safetensors header of a file, seal it with a valid checksum, and load it."""
    content = original.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    layout, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    layout["__metadata__"]["sha256"] = checkpoint.NO_DIGEST
    if text is not None:
        layout["__metadata__"]["reann"] = text
    raw = edit(layout)
    raw = raw if isinstance(raw, bytes) else json.dumps(layout, separators=(",", ":")).encode()
    content = struct.pack("<Q", len(raw)) + raw + data
    digest = checkpoint.hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(content.replace(checkpoint.NO_DIGEST.encode(), digest, 1))
    return refusal(path)


def _first(layout: dict[str, Any], **changes: Any) -> None:
    layout[next(name for name in layout if name != "__metadata__")].update(changes)


@pytest.mark.parametrize(
    "edit",
    [
        lambda layout: _first(layout, data_offsets=[0, 10**12]),
        lambda layout: _first(layout, data_offsets=[-8, 8]),
        lambda layout: _first(layout, data_offsets=[8, 0]),
        lambda layout: _first(layout, shape=[10**9, 10**9]),
        lambda layout: _first(layout, shape=[10**30]),
        lambda layout: _first(layout, dtype="F16"),
        lambda layout: _first(layout, dtype="PICKLE"),
        lambda layout: layout.update(twin=layout[next(n for n in layout if n[0] == "0")]),
        lambda layout: layout.pop(next(n for n in layout if n[0] == "0")),
    ],
    ids=["beyond", "negative", "reversed", "huge", "huger", "dtype", "no dtype", "twice", "hole"],
)
def test_a_layout_that_lies_about_its_bytes_is_refused(original, tmp_path, edit):
    error = sealed(tmp_path / "a.reann", edit, original)
    assert "The tensors are damaged" in error.what


def test_a_sealed_file_that_tells_the_truth_is_read(original, tmp_path):
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        sealed(tmp_path / "a.reann", lambda layout: None, original)


@pytest.mark.parametrize("size", [0, 1, 10**6, 2**63, 2**64 - 1])
def test_an_impossible_size_of_the_header_is_refused(original, tmp_path, size):
    content = original.read_bytes()
    (tmp_path / "a.reann").write_bytes(struct.pack("<Q", size) + content[8:])
    assert "This is not a reann file" in refusal(tmp_path / "a.reann").what


@pytest.mark.parametrize("depth", [40, 5_000, 200_000])
def test_a_header_nested_too_deeply_is_refused(original, tmp_path, depth):
    deep = '{"kind": "potential", "format": 1, "x": ' + "[" * depth + "]" * depth + "}"
    assert "The header of the file" in sealed(tmp_path / "a", lambda _: None, original, deep).what
    raw = b'{"x": ' + b"[" * depth + b"]" * depth + b"}"
    assert "The header of the file" in sealed(tmp_path / "b", lambda _: raw, original).what


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '"potential"', '{"kind": '])
def test_a_header_that_is_no_object_is_refused(original, tmp_path, text):
    assert "The header of the file" in sealed(tmp_path / "a", lambda _: None, original, text).what


def test_safetensors_of_others_are_told_from_those_of_reann(tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "a.safetensors")
    error = refusal(tmp_path / "a.safetensors")
    assert error.what == "This safetensors file was not written by reann."
    assert "reann convert" in error.fix


# --- versions ---------------------------------------------------------------------------------


def versioned(original: Path, path: Path, version: Any) -> Path:
    header, tensors = checkpoint.read(original, KIND)
    checkpoint.write(path, KIND, {**header, "format": version}, tensors)
    return path


def test_a_newer_file_asks_for_a_newer_program(original, tmp_path):
    newer = checkpoint.FORMAT_VERSION + 1
    error = refusal(versioned(original, tmp_path / "a.reann", newer))
    assert f"The file has format {newer}, but this program reads formats up to" in error.what
    assert "pip install --upgrade reann" in error.fix


@pytest.mark.parametrize("version", [None, "1", 1.0, True, -1, 0, -(10**9), [1]])
def test_a_format_that_never_was_is_refused(original, tmp_path, version):
    what = refusal(versioned(original, tmp_path / "a.reann", version)).what
    assert what == f"The file has format {version}, which does not exist."


def test_an_older_file_is_brought_up_to_date_step_by_step(original, tmp_path, monkeypatch):
    def from_0(header: dict[str, Any]) -> dict[str, Any]:
        model = {**header["model"], "cutoff": header["rc"]}
        return {**{k: v for k, v in header.items() if k != "rc"}, "model": model}

    def from_1(header: dict[str, Any]) -> dict[str, Any]:
        assert header["format"] == 1
        return {**header, "cutoff": header["model"]["cutoff"]}

    steps = {
        0: checkpoint.Upgrade(from_0, lambda name: name.replace("e_zero", "e_one")),
        1: checkpoint.Upgrade(
            from_1, lambda name: name.replace("e_one", "heads.energy.reference_energies")
        ),
    }
    header, tensors = checkpoint.read(original, KIND)
    tensors["0.e_zero"] = tensors.pop("0.heads.energy.reference_energies")
    del header["cutoff"], header["model"]["cutoff"]
    path = tmp_path / "old.reann"
    checkpoint.write(path, KIND, {**header, "format": 0, "rc": 3.0}, tensors)
    monkeypatch.setattr(checkpoint, "UPGRADES", steps)
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    assert checkpoint.read_header(path)["format"] == 2
    atoms = random_atoms(3, 4, (True, True, True))
    atoms.numbers[:] = [1, 8, 1, 8]
    monkeypatch.undo()
    expected = load(original).predict(atoms)
    monkeypatch.setattr(checkpoint, "UPGRADES", steps)
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    assert load(path).predict(atoms)["energy"] == expected["energy"]


def test_an_ensemble_comes_back_with_all_its_members(tmp_path):
    several = Ensemble([Potential(random_model(seed=i), {"seed": i}) for i in range(3)])
    several.save(tmp_path / "a.reann")
    loaded = load(tmp_path / "a.reann")
    assert [member.metadata["seed"] for member in loaded.members] == [0, 1, 2]
    atoms = random_atoms(1, 4, (False, False, False))
    for name, value in several.predict(atoms).items():
        np.testing.assert_array_equal(loaded.predict(atoms)[name], value)

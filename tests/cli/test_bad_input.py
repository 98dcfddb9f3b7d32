"""Whatever is wrong with the input: one message that says what, where and how to fix it.

The same mistakes are tested in more detail, and closer to their cause, in the tests of the modules
that notice them; here it is what somebody at the command line sees.
"""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from models import random_model
from reann import checkpoint
from reann.backends import choice
from reann.cli import app
from reann.potential import Potential, load
from reann.potential_file import KIND
from runs import DATA, SMALL

SETTINGS = [f"{name}={value}" for name, value in SMALL.items() if name != "data.train"]
STRESS = np.array([[0.1, 0.06, 0.05], [0.06, 0.2, 0.04], [0.05, 0.04, 0.3]])
VOIGT = STRESS.ravel()[[0, 4, 8, 5, 2, 1]]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """Work in an empty folder, and leave the number of threads as it was."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.fixture
def ethanol() -> list[ase.Atoms]:
    """Six structures with energies and forces."""
    return ase.io.read(DATA, ":6")


@pytest.fixture
def model(folder) -> Path:
    """Return the file of a potential for H, C and O."""
    Potential(random_model(dtype=torch.float32, n_recursions=1)).save(folder / "model.reann")
    return folder / "model.reann"


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def message(*words: object) -> str:
    """Return what is printed for a mistake: where or how to fix it, no traceback, exit code 1."""
    result = run(*words)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    assert "\n  where: " in result.stderr or "\n  fix: " in result.stderr, result.stderr
    return result.stderr


def training(data: object, *overrides: str) -> list[object]:
    """Return the command that trains for one epoch on a file."""
    Path("small.yaml").write_text(f"data: {{train: {data}}}\n")
    return ["train", "small.yaml", *SETTINGS, "training.epochs=1", *overrides]


def write(structures: list[ase.Atoms], name: str = "data.xyz") -> str:
    ase.io.write(name, structures, format="extxyz")
    return name


def labeled(atoms: ase.Atoms, **results: Any) -> ase.Atoms:
    """Give a structure other labels."""
    atoms.calc = SinglePointCalculator(atoms, **{**atoms.calc.results, **results})
    return atoms


def evaluated(model: Path, data: str) -> dict[str, Any]:
    result = run("evaluate", model, data, "--json", "errors.json")
    assert result.exit_code == 0, result.output
    return json.loads(Path("errors.json").read_text())


# --- labels -----------------------------------------------------------------------------------


def test_a_wrong_label_key_is_told_with_the_keys_that_exist_and_how_often(ethanol):
    del ethanol[4].calc.results["forces"]
    said = message(*training(write(ethanol), "data.keys.energy=enregy"))
    assert "None of 6 structures has the key 'enregy' for the energy." in said
    assert "Did you mean 'energy'?" in said
    assert "'energy' (6)" in said
    assert "'forces' (5)" in said


def test_a_label_missing_in_some_structures_is_told_with_the_first_of_them(ethanol):
    del ethanol[3].calc.results["forces"], ethanol[4].calc.results["forces"]
    said = message(*training(write(ethanol)))
    assert "The forces ('forces') are missing in 2 of 6 structures" in said
    assert "data.xyz#3" in said
    assert "data.missing to allow" in said


def test_forces_asked_for_and_absent_are_reported(ethanol):
    for atoms in ethanol:
        del atoms.calc.results["forces"]
    said = message(*training(write(ethanol), "data.keys.forces=forces"))
    assert "None of 6 structures has the key 'forces' for the forces." in said
    assert "'energy' (6)" in said


def test_structures_without_any_label_are_reported(ethanol):
    for atoms in ethanol:
        atoms.calc, atoms.info = None, {"energie": -1.0}
    said = message(*training(write(ethanol)))
    assert "No energies, forces or stresses were found." in said
    assert "'energie' (6)" in said


def test_stress_may_be_six_or_nine_numbers_or_a_matrix(model):
    found = []
    for name, stress in {"six": VOIGT, "nine": STRESS.ravel(), "matrix": STRESS}.items():
        crystal = ase.Atoms("HO", [[0, 0, 0], [1, 1, 1]], cell=[3, 3, 3.5], pbc=True)
        crystal.info = {"energy": -1.0, "REF_stress": stress}
        found.append(evaluated(model, write([crystal], f"{name}.xyz")))
    assert found[0]["stress_rmse_meV_per_A3"] > 0
    for other in found[1:]:
        assert other["stress_rmse_meV_per_A3"] == found[0]["stress_rmse_meV_per_A3"]


def test_stress_of_any_other_shape_is_reported(model):
    crystal = ase.Atoms("HO", [[0, 0, 0], [1, 1, 1]], cell=[3, 3, 3.5], pbc=True)
    crystal.info = {"energy": -1.0, "REF_stress": np.arange(5.0)}
    said = message("evaluate", model, write([crystal]))
    assert "The shape of 'REF_stress' is (5,); expected (6,) or (9,) or (3, 3) (six in" in said
    assert "data.xyz#0" in said


def test_six_numbers_where_the_format_wants_nine_are_reported(model):
    text = '2\nLattice="3 0 0 0 3 0 0 0 3" energy=-1 stress="1 2 3 4 5 6"\nH 0 0 0\nO 1 1 1\n'
    Path("data.xyz").write_text(text)
    said = message("evaluate", model, "data.xyz")
    assert "data.xyz#0, line 2" in said
    assert "as 9 numbers, or as 6 numbers named REF_stress" in said


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_force_that_is_no_number_is_told_with_structure_and_atoms(ethanol, value):
    forces = ethanol[3].get_forces()
    forces[[2, 5], 1] = value
    labeled(ethanol[3], forces=forces)
    said = message(*training(write(ethanol)))
    assert f"The forces are {value} at atom 2, 5." in said
    assert "data.xyz#3" in said


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_energy_that_is_no_number_is_told_with_the_structure(ethanol, value):
    labeled(ethanol[5], energy=value)
    said = message(*training(write(ethanol)))
    assert f"The energy is {value}." in said
    assert "data.xyz#5" in said


# --- structures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb", [["evaluate"], ["md", "--temperature", 300, "--time", "1fs"], ["relax"]]
)
def test_an_unknown_element_is_told_with_its_atoms(model, ethanol, verb):
    ethanol[0].numbers[[2, 7]] = 16, 7
    name, *options = verb
    said = message(name, model, write(ethanol[:1]), *options)
    assert "potential supports the elements H, C, O" in said
    assert "also ha" in said
    assert "N, S." in said
    assert "2, 7" in said


def test_coincident_atoms_are_told_with_indices_and_distance(model, ethanol):
    ethanol[2].positions[4] = ethanol[2].positions[1] + [0, 0, 2e-4]
    file = write(ethanol)
    for words in (training(file), ["evaluate", model, file]):
        said = message(*words)
        assert "Atoms 1 and 4 coincide: their distance is 2.0e-04 Å." in said
        assert "data.xyz#2" in said
    md = ["md", model, write(ethanol[2:3]), "--temperature", 300, "--time", "1fs"]
    assert "Atoms 1 and 4 coincide: their distance is 2.0e-04 Å." in message(*md)


def test_periodicity_without_a_cell_is_reported(model):
    text = '1\nLattice="0 0 0 0 0 0 0 0 0" pbc="T T F" energy=-1\nH 0 0 0\n'
    Path("data.xyz").write_text(text)
    for words in (training("data.xyz"), ["evaluate", model, "data.xyz"]):
        said = message(*words)
        assert "periodic along a, b, but that lattice vector is zero" in said
        assert "data.xyz#0" in said
        assert "set pbc to F" in said


def test_a_molecule_with_a_dummy_cell_is_the_molecule(model, ethanol):
    boxed = [atoms.copy() for atoms in ethanol]
    for atoms, original in zip(boxed, ethanol, strict=True):
        atoms.calc = SinglePointCalculator(atoms, **original.calc.results)
        atoms.cell = [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    one, other = evaluated(model, write(ethanol)), evaluated(model, write(boxed, "boxed.xyz"))
    for name in ("energy_rmse_meV_per_atom", "forces_rmse_meV_per_A"):
        assert one[name] == other[name]
    assert run(*training("boxed.xyz")).exit_code == 0


def test_one_atom_is_a_structure_like_any_other(model, ethanol):
    atom = ase.Atoms("O", info={"energy": -2041.0})
    assert evaluated(model, write([atom], "atom.xyz"))["n_structures"] == 1
    md = run("md", model, "atom.xyz", "--temperature", 300, "--time", "2fs", "--ensemble", "nve")
    assert md.exit_code == 0, md.output
    done = run(*training(write([*ethanol, atom])))
    assert done.exit_code == 0, done.output


# --- files of structures ----------------------------------------------------------------------


def _broken(kind: str) -> tuple[str, str]:
    """Write a broken file; return its name and what is to be said."""
    text = DATA.read_text().replace("OH_dist", "note=naïve OH_dist")
    content, said = {
        "empty": (b"", "The file is empty."),
        "blank": (b"\n\n", "The file contains no structure."),
        "truncated": (text[:500].rsplit("\n", 1)[0].encode(), "truncated"),
        "binary": (bytes(range(256)) * 8, "is binary"),
        "latin-1": (text.encode("latin-1"), "not UTF-8 text"),
        "compressed": (gzip.compress(text.encode())[:-200], "truncated or damaged"),
    }[kind]
    name = "data.xyz.gz" if kind == "compressed" else "data.xyz"
    Path(name).write_bytes(content)
    return name, said


@pytest.mark.parametrize("kind", ["empty", "blank", "truncated", "binary", "latin-1", "compressed"])
def test_a_broken_file_is_told_with_its_name(model, kind):
    name, expected = _broken(kind)
    for words in (training(name), ["evaluate", model, name]):
        said = message(*words)
        assert expected in said
        assert name in said


@pytest.mark.parametrize(
    "words",
    [
        ["train", "small.yaml", *SETTINGS, "training.epochs=1"],
        ["evaluate", "model.reann", "data.xyz"],
        ["check", "data.xyz"],
        ["new", "new.yaml", "--from", "data.xyz"],
        ["md", "model.reann", "data.xyz", "--temperature", "300", "--time", "1fs"],
    ],
    ids=lambda words: words[0],
)
def test_a_file_that_a_killed_run_has_cut_is_used_up_to_there_and_it_is_said(model, ethanol, words):
    write(ethanol)
    Path("data.xyz").write_text(Path("data.xyz").read_text()[:-200])
    Path("small.yaml").write_text("data: {train: data.xyz}\n")
    result = run(*words)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.replace("│", " ").split())
    assert "data.xyz#5" in said
    assert "ends within" in said
    if words[0] in ("train", "check", "new"):
        assert "5 structures" in said


def test_a_lammps_dump_trains_and_evaluates_forces_alone(model, ethanol):
    with Path("run.lammpstrj").open("w") as stream:
        for step, atoms in enumerate(ethanol):
            stream.write(f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n")
            stream.write("ITEM: BOX BOUNDS ff ff ff\n" + 3 * "-20 20\n")
            stream.write("ITEM: ATOMS id type element x y z fx fy fz\n")
            numbers = np.hstack([atoms.positions, atoms.calc.results["forces"]])
            for i, row in enumerate(numbers):
                print(i + 1, 1, atoms.symbols[i], *row, file=stream)
    result = run(*training("run.lammpstrj"))
    assert result.exit_code == 0, result.output
    assert "energy –" in result.output
    assert "a LAMMPS dump has forces but no energies" in " ".join(result.output.split())
    assert set(evaluated(model, "run.lammpstrj")) & {
        "energy_rmse_meV_per_atom",
        "forces_rmse_meV_per_A",
    } == {"forces_rmse_meV_per_A"}


def test_an_absent_file_is_told_with_the_one_that_was_meant(model, ethanol):
    write(ethanol, "ethanol.xyz")
    for words in (training("ethanl.xyz"), ["evaluate", model, "ethanl.xyz"]):
        said = message(*words)
        assert "'ethanl.xyz' does not exist. Did you mean 'ethanol.xyz'?" in said


# --- settings ---------------------------------------------------------------------------------


def test_a_typo_in_the_configuration_is_told_with_its_line():
    Path("small.yaml").write_text("data:\n  train: a.xyz\nmodel:\n  cutof: 4\n  l_mx: 2\n")
    said = message("train", "small.yaml")
    assert "line 4: The section 'model' has no field 'cutof'. Did you mean 'cutoff'?" in said
    assert "line 5: The section 'model' has no field 'l_mx'. Did you mean 'l_max'?" in said
    assert "small.yaml" in said


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("training.epochs=ten", "a whole number of at least 1"),
        ("training.epochs=0", "a whole number of at least 1"),
        ("training.learning_rate=-1", "a number above 0"),
        ("model.cutoff=.inf", "a number of at least 0.1"),
        ("model.cutoff=.nan", "a number of at least 0.1"),
        ("model.features=grams", "gram"),
        ("data.valid=1.5", "above 0"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_told_with_what_is_allowed(override, allowed):
    name, _, value = override.partition("=")
    said = message(*training("a.xyz", override))
    assert name in said
    assert value.removeprefix(".") in said
    assert f"command line: {override}" in said
    assert allowed in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_absent_gpu_is_reported(model, ethanol):
    file = write(ethanol)
    assert "There is no usable GPU." in message(*training(file, "run.device=cuda"))
    assert "There is no usable GPU." in message("evaluate", model, file, "--device", "cuda")
    assert "'tpu' is not a device." in message("evaluate", model, file, "--device", "tpu")


# --- files of potentials ----------------------------------------------------------------------


def _damaged(kind: str, path: Path) -> str:
    """Damage the file of a potential; return what is to be said."""
    content = bytearray(path.read_bytes())
    header, tensors = checkpoint.read(path, KIND)
    if kind == "truncated":
        path.write_bytes(content[:100])
        return "truncated"
    if kind == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        return "its checksum does not match"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"weights": [1.0] * 100}))
        return "it looks like a pickle"
    if kind == "lie":
        header["model"]["n_radial"] = 10**9
    if kind == "newer":
        header["format"] = 99
    checkpoint.write(path, KIND, header, tensors)
    return {"lie": "does not agree with the content of the file", "newer": "format 99"}[kind]


@pytest.mark.parametrize("kind", ["truncated", "flipped", "pickle", "lie", "newer"])
def test_a_damaged_potential_is_refused_by_every_verb(model, ethanol, kind):
    expected, file = _damaged(kind, model), write(ethanol)
    for words in (
        ["info", model],
        ["evaluate", model, file],
        ["md", model, file, "--temperature", 300, "--time", "1fs"],
        ["relax", model, file],
        [*training(file), "--from", model],
    ):
        said = message(*words)
        assert expected in said
        assert "model.reann" in said


def test_data_in_the_place_of_the_potential_are_reported(model):
    said = message("evaluate", DATA, model)
    assert "This is a file of structures, not a potential" in said
    assert str(DATA) in said


# --- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("training_step", [True, False])
def test_a_gpu_without_memory_is_told_with_sizes_and_loses_nothing(
    ethanol, monkeypatch, training_step
):
    backend = choice.chosen("auto", [random_model()])
    kind = type(backend.compile(random_model()))
    evaluate, sizes = kind.evaluate, []

    def run_out(compiled: Any, graph: Any, request: Any) -> Any:
        if request.create_graph == training_step:
            sizes.append((graph.n_atoms, graph.n_edges))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return evaluate(compiled, graph, request)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "evaluate", run_out)
        patch.setattr(torch.cuda, "mem_get_info", lambda: (2**30, 80 * 2**30))
        said = message(*training(write(ethanol)))
    n_atoms, n_edges = sizes[-1]
    assert f"not have enough memory for {n_atoms} atoms with {n_edges} neighbor pairs" in said
    assert "1.0 of 80.0 GiB free" in said
    assert f"training.max_edges={max(n_edges // 4, 1000)}" in said
    # Both fail before the first checkpoint: the folder is free for a new run.
    again = run(*training("data.xyz"))
    assert again.exit_code == 0, again.output
    assert load("runs/small/model.reann").elements == ["H", "C", "O"]

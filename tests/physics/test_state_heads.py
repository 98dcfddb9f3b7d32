"""Outputs that are read off states: what physics demands of them, and that they are learned."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.spatial.transform import Rotation

from data_files import written
from models import CUTOFF, check_gradients, random_atoms, random_model
from reann import native
from reann.config import Config, LossConfig, ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.error_measures import key
from reann.errors import UserError
from reann.evaluation.evaluate import evaluate as evaluate_command
from reann.evaluation.tables import number
from reann.graph import Graph
from reann.interfaces.ase import Calculator
from reann.model import Reann
from reann.potential import Ensemble, Potential
from reann.properties import evaluate
from reann.quantities import named
from reann.training.journal import read_log
from reann.training.loss import Loss
from reann.training.run import Run, train

BOTH = ["dipole", "polarizability"]
ALL = ["charges", *BOTH, "magmoms", "shieldings", "gap"]


def model_of(**choices: Any) -> Reann:
    fields = {"messages": "equivariant", "l_max": 3, "n_recursions": 1, "outputs": BOTH}
    return random_model(**(fields | choices))


@pytest.fixture(scope="module")
def potential() -> Potential:
    return Potential(model_of(outputs=[*ALL, "transition_dipole"]))


def molecule_of(n: int, seed: int = 1) -> ase.Atoms:
    return random_atoms(seed, n, (False,) * 3)


def two_molecules() -> ase.Atoms:
    """Return three atoms and, far from them, four."""
    far = molecule_of(3, 1) + molecule_of(4, 2)
    far.positions[3:] += [40.0, 0.0, 0.0]
    return far


def moved(atoms: ase.Atoms, matrix: np.ndarray) -> ase.Atoms:
    result = atoms.copy()
    result.positions = atoms.positions @ matrix.T
    return result


@pytest.mark.parametrize("sign", [1, -1])
def test_they_turn_with_the_molecule_and_know_inversion(potential: Potential, sign: int) -> None:
    atoms = molecule_of(6)
    turn = sign * Rotation.random(rng=3).as_matrix()
    before, after = (potential.predict(a, ALL, "torch") for a in (atoms, moved(atoms, turn)))
    for name, value in before.items():
        assert np.linalg.norm(value) > 1e-3, name
        rank = named(name).rank
        turned = value if rank == 0 else turn @ value if rank == 1 else turn @ value @ turn.T
        np.testing.assert_allclose(after[name], turned, atol=1e-12, err_msg=name)
    off = before["polarizability"] - np.diag(np.diag(before["polarizability"]))
    assert abs(off).max() > 1e-6


def test_a_transition_dipole_turns_with_the_molecule_but_is_neither_odd_nor_even() -> None:
    potential, atoms = Potential(model_of(outputs=["transition_dipole"])), molecule_of(6)
    with torch.no_grad():
        potential.model.get_parameter("output_heads.transition_dipole.axial").mul_(1e4)
    turn = Rotation.random(rng=3).as_matrix()
    before, turned, inverted = (
        potential.predict(a, ["transition_dipole"], "torch")["transition_dipole"]
        for a in (atoms, moved(atoms, turn), moved(atoms, -np.eye(3)))
    )
    np.testing.assert_allclose(turned, turn @ before, atol=1e-12)
    for sign in (1, -1):
        assert np.linalg.norm(inverted + sign * before) > 1e-3 * np.linalg.norm(before)


def test_a_neutral_molecule_has_the_same_dipole_everywhere(potential: Potential) -> None:
    atoms = molecule_of(5)
    elsewhere = atoms.copy()
    elsewhere.positions += [3.0, -20.0, 7.0]
    before, after = (potential.predict(a, BOTH, "torch") for a in (atoms, elsewhere))
    for name in BOTH:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9)


@pytest.mark.parametrize("pbc", [False, True])
def test_charges_add_up_to_zero_and_are_those_of_the_dipole(
    potential: Potential, pbc: bool
) -> None:
    """Two molecules far apart, each neutral or not by itself: together they are neutral."""
    far = two_molecules()
    far.pbc, far.cell = pbc, [100.0, 20.0, 20.0]
    here = potential.predict(far, ["dipole", "charges"], "torch")
    q = here["charges"]
    assert abs(q.sum()) < 1e-12
    assert abs(q[:3].sum()) > 1e-3
    far.positions[3:] += [2.0, 0.0, 0.0]
    change = potential.predict(far, ["dipole"], "torch")["dipole"] - here["dipole"]
    np.testing.assert_allclose(change, [0.0 if pbc else 2.0 * q[3:].sum(), 0.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("pbc", [False, True])
def test_charges_of_an_ion_add_up_to_its_charge(potential: Potential, pbc: bool) -> None:
    atoms = random_atoms(3, 5, (pbc,) * 3)
    neutral = potential.predict(atoms, ["charges"], "torch")["charges"]
    atoms.info["charge"] = -2
    q = potential.predict(atoms, ["charges"], "torch")["charges"]
    assert q.sum() == pytest.approx(-2.0, abs=1e-12)
    np.testing.assert_allclose(q - neutral, -0.4, atol=1e-12)


def test_the_dipole_of_an_ion_is_that_about_its_center_of_mass(potential: Potential) -> None:
    atoms, names = molecule_of(5), ["dipole", "charges"]
    neutral = potential.predict(atoms, names, "torch")
    atoms.info["charge"] = 1.0
    ion = potential.predict(atoms, names, "torch")
    change = atoms.positions.mean(0) - atoms.get_center_of_mass()
    np.testing.assert_allclose(ion["dipole"] - neutral["dipole"], change, atol=1e-12)
    atoms.positions += [30.0, 0.0, -7.0]
    elsewhere = potential.predict(atoms, names, "torch")
    np.testing.assert_allclose(elsewhere["dipole"], ion["dipole"], atol=1e-10)


def test_a_calculator_follows_the_charge(potential: Potential) -> None:
    atoms = molecule_of(4)
    atoms.calc = Calculator(potential)
    assert atoms.get_charges().sum() == pytest.approx(0.0, abs=1e-12)
    atoms.info["charge"] = 1
    assert atoms.get_charges().sum() == pytest.approx(1.0, abs=1e-12)


def test_evaluate_reads_the_charge_of_files_without_labels(
    potential: Potential, tmp_path: Path
) -> None:
    potential.save(tmp_path / "model.reann")
    atoms = molecule_of(4)
    atoms.info["total_charge"] = -1
    ase.io.write(tmp_path / "ion.xyz", atoms, format="extxyz")
    out = tmp_path / "out.xyz"
    evaluate_command(tmp_path / "model.reann", [str(tmp_path / "ion.xyz")], None, out)
    charges = ase.io.read(out).arrays["reann_charges"]
    assert charges.sum() == pytest.approx(-1.0, abs=1e-6)


def test_what_distant_molecules_have_adds_up_or_is_their_mean(potential: Potential) -> None:
    far = two_molecules()
    parts = [potential.predict(a, ALL, "torch") for a in (far[:3], far[3:])]
    together = potential.predict(far, ALL, "torch")
    one, two = parts
    expected = {
        "polarizability": one["polarizability"] + two["polarizability"],
        "gap": (3 * one["gap"] + 4 * two["gap"]) / 7,
        **{x: np.concatenate([one[x], two[x]]) for x in ("magmoms", "shieldings")},
    }
    for name, value in expected.items():
        np.testing.assert_allclose(together[name], value, atol=1e-12, err_msg=name)


def test_gradients_of_a_training_are_slopes() -> None:
    model = model_of(outputs=ALL)
    molecules = [molecule_of(n, n) for n in (3, 5)]
    molecules[0].info["charge"] = 1.0
    graph = Graph.batch([graph_from_atoms(a, CUTOFF, inputs=model.inputs) for a in molecules])
    found = evaluate(model, graph, ALL)
    generator = torch.Generator().manual_seed(1)
    labels = {k: x + torch.randn(x.shape, generator=generator) for k, x in found.items()}
    graph = replace(graph, labels=labels | {"weight": torch.ones(2, dtype=torch.float64)})
    loss = Loss(LossConfig(), 1.0, dict.fromkeys(ALL, 0.5))
    counts = {name: float(x.numel()) for name, x in labels.items()}
    check_gradients(
        model, lambda: loss(evaluate(model, graph, ALL, create_graph=True), graph, counts)
    )


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False)])
def test_a_periodic_dipole_does_not_depend_on_the_images_of_atoms(
    potential: Potential, pbc: tuple[bool, ...]
) -> None:
    atoms = random_atoms(4, 5, pbc)
    image = atoms.copy()
    image.positions[2] += atoms.cell[0]
    before, after = (potential.predict(a, BOTH, "torch") for a in (atoms, image))
    for name in BOTH:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9)


def test_energies_and_forces_of_such_a_model_come_from_both_engines(potential: Potential) -> None:
    atoms = random_atoms(2, 6, (True,) * 3)
    native, torch_ = (
        potential.predict(atoms, ["energy", "forces"], engine) for engine in ("native", "torch")
    )
    for name in native:
        np.testing.assert_allclose(native[name], torch_[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"outputs": ["polarizability"], "l_max": 1}, "Set l_max to 2 or 3"),
        ({"outputs": ["polarisability"]}, "the model has no output"),
    ],
)
def test_what_has_no_states_has_no_such_output(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ModelConfig(**fields)


def distorted(atoms: ase.Atoms, n: int) -> list[ase.Atoms]:
    """Return molecules whose atoms were moved, in random directions of space."""
    rng, frames = np.random.default_rng(1), []
    for _ in range(n):
        other = atoms.copy()
        other.positions += rng.normal(size=other.positions.shape, scale=0.08)
        other.rotate(360 * rng.random(), rng.normal(size=3))
        frames.append(other)
    return frames


def labeled(atoms: ase.Atoms) -> ase.Atoms:
    """Give a water molecule charges and polarizable bonds."""
    bonds = atoms.positions[1:] - atoms.positions[0]
    atoms.info["dipole"] = 0.4 * bonds.sum(0)
    alpha = 0.8 * np.eye(3) + 0.5 * np.einsum("bi,bj->ij", bonds, bonds)
    atoms.info["polarizability"] = alpha.ravel()
    return atoms


def trained(
    frames: list[ase.Atoms],
    folder: Path,
    outputs: list[str] = BOTH,
    engine: str = "auto",
    **training: Any,
) -> Run:
    path = written(frames, folder)
    values = {
        "data": {"train": str(path), "valid": 0.2, "missing": "allow"},
        "model": {"channels": 4, "l_max": 2, "cutoff": 4.0, "outputs": outputs},
        "training": {"batch_size": 8} | training,
        "run": {"folder": str(folder / "run"), "threads": 1, "engine": engine},
    }
    return train(Config.model_validate(values))


@pytest.mark.skipif(not native.available(), reason="no native engine")
def test_both_engines_take_the_same_steps(tmp_path: Path) -> None:
    """With labels of energies, forces and outputs."""
    frames, rows = [labeled(atoms) for atoms in distorted(molecule("H2O"), 12)], []
    for place, atoms in enumerate(frames):
        bond = atoms.positions[1:] - atoms.positions[0]
        forces = np.vstack([bond.sum(0), -bond])
        atoms.calc = SinglePointCalculator(atoms, energy=np.sin(place), forces=forces)
    for engine in ("native", "torch"):
        (folder := tmp_path / engine).mkdir()
        run = trained(frames, folder, engine=engine, epochs=3, precision="float64")
        rows.append(read_log(run.folder / "log.csv"))
    for found, expected in zip(*rows, strict=True):
        for name in found.keys() - {"seconds"}:
            assert found[name] == pytest.approx(expected[name], rel=1e-7, nan_ok=True), name


def test_they_are_trained_without_energies(tmp_path: Path) -> None:
    frames = [labeled(atoms) for atoms in distorted(molecule("H2O"), 40)]
    errors = trained(frames, tmp_path, epochs=60).evaluations["valid"].summary()
    for name in BOTH:
        assert errors[f"{name}_rrmse_percent"] < 10.0, name
    report = (tmp_path / "run" / "report.html").read_text()
    assert f"{number(errors['dipole_rrmse_percent'])} % of the standard deviation" in report
    assert "RRMSE" in report


def test_charges_are_trained_beside_the_dipole_that_they_are_part_of(tmp_path: Path) -> None:
    frames = [labeled(atoms) for atoms in distorted(molecule("H2O"), 40)]
    for atoms in frames:
        q = 0.3 + 0.4 * (np.linalg.norm(atoms.positions[1:] - atoms.positions[0], axis=1) - 0.97)
        atoms.arrays["charges"] = np.array([-q.sum(), *q])
        del atoms.info["polarizability"]
    run = trained(frames, tmp_path, ["charges", "dipole"], epochs=40)
    errors = run.evaluations["valid"].summary()
    for name in ("charges", "dipole"):
        assert errors[f"{name}_rrmse_percent"] < 10.0, name
    atoms = frames[0]
    atoms.calc = Calculator(run.potential)
    q = atoms.get_charges()
    assert q.sum() == pytest.approx(0.0, abs=1e-9)
    assert q == pytest.approx(atoms.arrays["charges"], abs=0.02)
    np.testing.assert_allclose(atoms.get_dipole_moment(), atoms.info["dipole"], atol=0.05)


def test_a_transition_dipole_is_learned_from_labels_of_either_sign(tmp_path: Path) -> None:
    """Of a molecule without symmetry, where it has an axial part."""
    rng, frames = np.random.default_rng(2), []
    for atoms in distorted(ase.Atoms("OHF", [[0, 0, 0], [0.97, 0, 0], [-0.2, 1.42, 0]]), 40):
        h, f = atoms.positions[1:] - atoms.positions[0]
        mu = 0.5 * h + 0.3 * f + 0.4 * np.cross(h, f)
        atoms.info["transition_dipole"] = rng.choice([-1, 1]) * mu
        frames.append(atoms)
    run = trained(frames, tmp_path, ["transition_dipole"], epochs=50)
    errors = run.evaluations["valid"].summary()
    assert errors["transition_dipole_rrmse_percent"] < 10.0
    found = run.potential.predict(frames[0], ["transition_dipole"])["transition_dipole"]
    label = frames[0].info["transition_dipole"]
    assert min(np.linalg.norm(found - label), np.linalg.norm(found + label)) < 0.2


@pytest.mark.parametrize("name", ["shieldings", "gap"])
def test_constants_of_elements_are_known_from_the_start(tmp_path: Path, name: str) -> None:
    frames, of_element = [], {1: 30.0, 8: 300.0}
    for atoms in [a for f in ("H2O", "H2", "O2", "H2O2") for a in distorted(molecule(f), 3)]:
        values = np.array([of_element[z] for z in atoms.numbers])
        if name == "gap":
            atoms.info[name] = values.mean()
        else:
            atoms.arrays[name] = values
        frames.append(atoms)
    first = read_log(trained(frames, tmp_path, [name], epochs=1).folder / "log.csv")[0]
    assert first[f"valid_{key(name, 'rmse')}"] < 1e-6


def test_isotropic_polarizabilities_start_from_a_fit_for_the_elements(tmp_path: Path) -> None:
    frames = []
    for name in ["H2O", "H2", "O2", "H2O2"] * 3:
        atoms = molecule(name)
        atoms.info["dipole"] = np.zeros(3)
        n_oxygen = (atoms.numbers == 8).sum()
        alpha = 1.1 * n_oxygen + 0.3 * (len(atoms) - n_oxygen)
        atoms.info["polarizability"] = (alpha * np.eye(3)).ravel()
        frames.append(atoms)
    first = read_log(trained(frames, tmp_path, epochs=1).folder / "log.csv")[0]
    assert first["valid_polarizability_rmse_mA3_per_atom"] < 1e-6


def test_a_model_without_these_outputs_does_not_read_their_labels(tmp_path: Path) -> None:
    frames = [labeled(molecule("H2O")) for _ in range(6)]
    for i, atoms in enumerate(frames):
        atoms.positions += 0.01 * i
        atoms.info["energy_dft"] = float(i)
        if i % 2:
            del atoms.info["dipole"]  # would be a missing label
    path = written(frames, tmp_path)
    data: dict[str, Any] = {"train": str(path), "valid": 0.2, "keys": {"energy": "energy_dft"}}
    model: dict[str, Any] = {"channels": 3, "l_max": 2}
    shared = {"training": {"epochs": 1}, "run": {"folder": str(tmp_path / "run"), "threads": 1}}
    train(Config.model_validate({"data": data, "model": model, **shared}))
    model["outputs"] = ["dipole"]
    with pytest.raises(UserError, match="'dipole'\\) is missing in 3 of 6 structures"):
        train(Config.model_validate({"data": data, "model": model, **shared}), overwrite=True)
    data["keys"]["dipole"] = "mu"
    with pytest.raises(UserError, match="has the key 'mu'"):
        train(Config.model_validate({"data": data, "model": model, **shared}), overwrite=True)


@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_members_of_an_ensemble_learn_the_sign_of_a_transition_dipole_independently(
    engine: str,
) -> None:
    first = Potential(model_of(outputs=["transition_dipole"]))
    second = copy.deepcopy(first)
    with torch.no_grad():
        second.model.get_parameter("output_heads.transition_dipole.vectors").neg_()
    atoms, name = molecule_of(6), "transition_dipole"
    one, other = (p.predict(atoms, [name], engine)[name] for p in (first, second))
    np.testing.assert_allclose(one, -other)
    ensemble = Ensemble([first, second])
    np.testing.assert_allclose(ensemble.predict(atoms, [name], engine)[name], one)
    calculator = Calculator(ensemble, engine=engine)
    np.testing.assert_allclose(calculator.get_property(name, atoms), one)

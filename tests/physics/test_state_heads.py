"""Dipole moments and polarizabilities: what physics demands of them, and that they are learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
from ase.build import molecule
from scipy.spatial.transform import Rotation

from models import CUTOFF, random_atoms, random_model
from reann.config import Config, ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.model import Reann
from reann.potential import Potential
from reann.training.journal import read_log
from reann.training.run import Run, train

# The native engine leaves these outputs to PyTorch, and says so.
pytestmark = pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")

BOTH = ["dipole", "polarizability"]


def model_of(**choices: Any) -> Reann:
    fields = {"messages": "equivariant", "l_max": 3, "n_recursions": 1, "outputs": BOTH}
    return random_model(**(fields | choices))


@pytest.fixture(scope="module")
def potential() -> Potential:
    return Potential(model_of())


def molecule_of(n: int, seed: int = 1) -> ase.Atoms:
    return random_atoms(seed, n, (False,) * 3)


@pytest.mark.parametrize("sign", [1, -1])
def test_they_turn_with_the_molecule_and_know_inversion(potential: Potential, sign: int) -> None:
    atoms = molecule_of(6)
    turn = sign * Rotation.random(rng=3).as_matrix()
    turned = atoms.copy()
    turned.positions = atoms.positions @ turn.T
    before, after = (potential.predict(a, BOTH, "torch") for a in (atoms, turned))
    assert np.linalg.norm(before["dipole"]) > 1e-3
    np.testing.assert_allclose(after["dipole"], turn @ before["dipole"], atol=1e-12)
    alpha = turn @ before["polarizability"] @ turn.T
    np.testing.assert_allclose(after["polarizability"], alpha, atol=1e-12)
    off = before["polarizability"] - np.diag(np.diag(before["polarizability"]))
    assert abs(off).max() > 1e-6


def test_a_neutral_molecule_has_the_same_dipole_everywhere(potential: Potential) -> None:
    atoms = molecule_of(5)
    moved = atoms.copy()
    moved.positions += [3.0, -20.0, 7.0]
    before, after = (potential.predict(a, BOTH, "torch") for a in (atoms, moved))
    for name in BOTH:
        np.testing.assert_allclose(after[name], before[name], atol=1e-9)


def test_charges_add_up_to_zero_and_reach_beyond_the_cutoff(potential: Potential) -> None:
    """Two molecules far apart, each neutral or not by itself: together they are neutral."""
    model = potential.model
    one, two = molecule_of(3, 1), molecule_of(4, 2)
    far = one + two
    far.positions[3:] += [40.0, 0.0, 0.0]
    graph = graph_from_atoms(far, CUTOFF)
    atoms = model.neighborhood(graph, graph.edge_vectors())
    rows = model.outputs(atoms)["dipole"][atoms.rank].detach().numpy()
    q = rows[:, 0] - rows[:, 0].mean()
    expected = (q[:, None] * far.positions + rows[:, 1:]).sum(0)
    found = potential.predict(far, ["dipole"], "torch")["dipole"]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert abs(q[:3].sum()) > 1e-3


def test_polarizabilities_of_distant_molecules_add_up(potential: Potential) -> None:
    one, two = molecule_of(3, 1), molecule_of(4, 2)
    far = one + two
    far.positions[3:] += [40.0, 0.0, 0.0]
    parts = [potential.predict(a, BOTH, "torch")["polarizability"] for a in (one, two)]
    together = potential.predict(far, BOTH, "torch")["polarizability"]
    np.testing.assert_allclose(together, sum(parts), atol=1e-12)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False)])
def test_a_periodic_dipole_does_not_depend_on_the_images_of_atoms(
    potential: Potential, pbc: tuple[bool, ...]
) -> None:
    atoms = random_atoms(4, 5, pbc)
    moved = atoms.copy()
    moved.positions[2] += atoms.cell[0]
    before, after = (potential.predict(a, BOTH, "torch") for a in (atoms, moved))
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
        ({"preset": "density", "outputs": ["dipole"]}, "need equivariant messages"),
        ({"outputs": ["polarizability"], "l_max": 1}, "set l_max to 2 or 3"),
        ({"outputs": ["polarisability"]}, "is not a quantity that a head gives"),
    ],
)
def test_what_has_no_states_has_no_such_output(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ModelConfig(**fields)


def labeled(atoms: ase.Atoms) -> ase.Atoms:
    """Give a water molecule charges and polarizable bonds."""
    bonds = atoms.positions[1:] - atoms.positions[0]
    atoms.info["dipole"] = 0.4 * bonds.sum(0)
    alpha = 0.8 * np.eye(3) + 0.5 * np.einsum("bi,bj->ij", bonds, bonds)
    atoms.info["polarizability"] = alpha.ravel()
    return atoms


def trained(frames: list[ase.Atoms], folder: Path, **training: Any) -> Run:
    path = folder / "water.xyz"
    ase.io.write(path, frames, format="extxyz")
    values = {
        "data": {"train": str(path), "valid": 0.2, "missing": "allow"},
        "model": {"channels": 4, "l_max": 2, "cutoff": 4.0, "outputs": BOTH},
        "training": {"batch_size": 8} | training,
        "run": {"folder": str(folder / "run"), "threads": 1},
    }
    return train(Config.model_validate(values))


def test_they_are_trained_without_energies(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(40):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(size=(3, 3), scale=0.08)
        atoms.rotate(360 * rng.random(), rng.normal(size=3))
        frames.append(labeled(atoms))
    errors = trained(frames, tmp_path, epochs=60).evaluations["valid"].summary()
    for name, unit in (("dipole", "me_A"), ("polarizability", "mA3")):
        spread = 1e3 * np.std([atoms.info[name] for atoms in frames]) / 3  # per atom
        assert errors[f"{name}_rmse_{unit}_per_atom"] < 0.1 * spread, name


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
    for number, atoms in enumerate(frames):
        atoms.positions += 0.01 * number
        atoms.info["energy_dft"] = float(number)
        if number % 2:
            del atoms.info["dipole"]  # would be a missing label
    path = tmp_path / "water.xyz"
    ase.io.write(path, frames, format="extxyz")
    data: dict[str, Any] = {"train": str(path), "valid": 0.2, "keys": {"energy": "energy_dft"}}
    model: dict[str, Any] = {"channels": 3, "l_max": 2}
    shared = {"training": {"epochs": 1}, "run": {"folder": str(tmp_path / "run"), "threads": 1}}
    train(Config.model_validate({"data": data, "model": model, **shared}))
    model["outputs"] = ["dipole"]
    with pytest.raises(UserError, match="'dipole'\\) is missing in 3 of 6 structures"):
        train(Config.model_validate({"data": data, "model": model, **shared}), overwrite=True)
    data["keys"]["dipole"] = "mu"
    with pytest.raises(UserError, match="no key 'mu'"):
        train(Config.model_validate({"data": data, "model": model, **shared}), overwrite=True)

"""Dipoles and polarizabilities in the forms of the original: symmetry, formulas, training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule
from scipy.spatial.transform import Rotation

from models import CUTOFF, random_atoms, random_model
from reann import properties
from reann.config import Config
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.interfaces.ase import Calculator
from reann.potential import Potential, load
from reann.training.run import Run, train

# The native engine leaves these outputs to PyTorch, and says so.
pytestmark = pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")

FORMS: list[tuple[str, dict[str, str]]] = [
    ("dipole", {}),
    ("dipole", {"dipole": "neighbors"}),
    ("transition_dipole", {}),
    ("polarizability", {}),
    ("polarizability", {"polarizability": "eann"}),
]
each_form = pytest.mark.parametrize(("name", "form"), FORMS)


def potential_of(name: str, form: dict[str, str] | None = None, **choices: Any) -> Potential:
    fields = {"preset": "upstream", "n_recursions": 1, "n_orbitals": 9}
    outputs = {"outputs": [name], "output_forms": form or {}, "heads": []}
    return Potential(random_model(**(fields | outputs | choices)))


def moved(atoms: ase.Atoms, turn: np.ndarray, shift: Any = 0.0) -> ase.Atoms:
    result = atoms.copy()
    result.positions = atoms.positions @ turn.T + shift
    return result


def turned(value: np.ndarray, turn: np.ndarray) -> np.ndarray:
    return turn @ value if value.ndim == 1 else turn @ value @ turn.T


@each_form
@pytest.mark.parametrize("sign", [1, -1])
def test_they_turn_with_a_molecule_and_do_not_see_where_it_is(
    name: str, form: dict[str, str], sign: int
) -> None:
    potential, atoms = potential_of(name, form), random_atoms(1, 6, (False,) * 3)
    turn = sign * Rotation.random(rng=3).as_matrix()
    before = potential.predict(atoms, [name])[name]
    after = potential.predict(moved(atoms, turn, [3.0, -20.0, 7.0]), [name])[name]
    assert np.linalg.norm(before) > 1e-3
    wrong = np.linalg.norm(after - turned(before, turn)) / np.linalg.norm(before)
    if name == "transition_dipole" and sign == -1:
        assert wrong > 1e-6  # its cross product is an axial vector
    else:
        assert wrong < 1e-10


@each_form
def test_a_batch_and_the_order_of_atoms_change_nothing(name: str, form: dict[str, str]) -> None:
    potential = potential_of(name, form)
    structures = [random_atoms(seed, n, (False,) * 3) for seed, n in ((1, 3), (2, 1), (3, 5))]
    shuffled = [atoms[np.random.default_rng(1).permutation(len(atoms))] for atoms in structures]
    graph = Graph.batch([graph_from_atoms(atoms, CUTOFF) for atoms in structures])
    together = potential.evaluate(graph, [name])[name].numpy()
    alone = [potential.predict(atoms, [name])[name] for atoms in structures]
    others = [potential.predict(atoms, [name])[name] for atoms in shuffled]
    np.testing.assert_allclose(together, alone, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(others, alone, rtol=1e-10, atol=1e-12)


@each_form
def test_a_molecule_in_a_cell_is_the_same_whichever_side_its_atoms_lie(
    name: str, form: dict[str, str]
) -> None:
    potential, alone = potential_of(name, form), molecule("CH3OH")
    boxed = alone.copy()
    boxed.set_cell([[12.0, 0.0, 0.0], [1.0, 13.0, 0.0], [0.0, 2.0, 14.0]])
    boxed.pbc = True
    wrapped = boxed.copy()
    wrapped.positions += [-0.2, 0.1, 0.3]
    wrapped.wrap()
    assert np.ptp(wrapped.positions, axis=0).max() > 6.0
    expected = potential.predict(alone, [name])[name]
    for atoms in (boxed, wrapped):
        found = potential.predict(atoms, [name])[name]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["dipole", "transition_dipole", "polarizability"])
def test_what_is_no_molecule_has_no_position_from_its_center(name: str) -> None:
    atoms = random_atoms(4, 5, (True, True, False))
    with pytest.raises(UserError, match="over half of its periodic cell"):
        potential_of(name).predict(atoms, [name])


def test_the_dipole_of_neighbors_holds_in_periodic_structures() -> None:
    potential = potential_of("dipole", {"dipole": "neighbors"})
    atoms = random_atoms(4, 5, (True, True, False))
    image = atoms.copy()
    image.positions[2] += atoms.cell[0]
    large = atoms.repeat((2, 1, 1))
    one, same, two = (potential.predict(a, ["dipole"])["dipole"] for a in (atoms, image, large))
    assert np.linalg.norm(one) > 1e-3
    np.testing.assert_allclose(same, one, atol=1e-9)
    np.testing.assert_allclose(two, 2 * one, atol=1e-9)


def test_neighbors_beyond_the_cutoff_have_no_share_in_a_dipole() -> None:
    potential = potential_of("dipole", {"dipole": "neighbors"})
    atoms = random_atoms(2, 6, (False,) * 3)
    near, far = (graph_from_atoms(atoms, r) for r in (CUTOFF, 2 * CUTOFF))
    assert far.n_edges > near.n_edges
    one, two = (potential.evaluate(graph, ["dipole"])["dipole"] for graph in (near, far))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


def numbers(potential: Potential, name: str, atoms: ase.Atoms) -> np.ndarray:
    """Return what the networks give each atom."""
    model, graph = potential.model, graph_from_atoms(atoms, CUTOFF)
    neighbors = model.neighborhood(graph, graph.edge_vectors())
    return model.outputs(neighbors)[name][neighbors.rank].detach().numpy()


def slopes(potential: Potential, atoms: ase.Atoms, column: int, h: float = 1e-4) -> np.ndarray:
    """Return the derivative of a sum over the atoms by their positions, by central differences."""
    found = np.zeros((len(atoms), 3))
    for i, x in np.ndindex(found.shape):
        ends = []
        for step in (h, -h):
            shifted = atoms.copy()
            shifted.positions[i, x] += step
            ends.append(numbers(potential, "polarizability", shifted)[:, column].sum())
        found[i, x] = (ends[0] - ends[1]) / (2 * h)
    return found


@pytest.mark.parametrize("form", ["reann", "eann"])
def test_a_polarizability_is_made_of_the_slopes_of_sums(form: str) -> None:
    potential = potential_of("polarizability", {"polarizability": form})
    potential.model.output_heads["polarizability"].scale.fill_(1.7)
    atoms = random_atoms(1, 5, (False,) * 3)
    r = atoms.positions - atoms.get_center_of_mass()
    d0, d1 = (slopes(potential, atoms, column) for column in (0, 1))
    isotropic = numbers(potential, "polarizability", atoms)[:, 2].sum() * np.eye(3)
    if form == "reann":
        b, other = (d0 + r).T @ d1, 0.0
    else:
        b, other = r.T @ d0, d1.T @ d1
    found = potential.predict(atoms, ["polarizability"])["polarizability"]
    np.testing.assert_allclose(found, 1.7 * (b + b.T + other + isotropic), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found, found.T, atol=1e-14)


def test_a_transition_dipole_is_made_of_moments_and_their_cross_product() -> None:
    potential, atoms = potential_of("transition_dipole"), random_atoms(1, 5, (False,) * 3)
    r = atoms.positions - atoms.get_center_of_mass()
    q = numbers(potential, "transition_dipole", atoms)
    m1, m2 = (q[:, n] @ r for n in (0, 1))
    expected = m1 + m2 + q[:, 2].sum() * np.cross(m1, m2)
    found = potential.predict(atoms, ["transition_dipole"])["transition_dipole"]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@each_form
def test_gradients_of_parameters_are_slopes(name: str, form: dict[str, str]) -> None:
    potential = potential_of(name, form)
    graph = graph_from_atoms(random_atoms(1, 4, (False,) * 3), CUTOFF)
    generator = torch.Generator().manual_seed(2)
    parameters = dict(potential.model.named_parameters())
    way = {
        n: torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in parameters.items()
    }

    def value(step: float) -> torch.Tensor:
        with torch.no_grad():
            for n, p in parameters.items():
                p.add_(step * way[n])
        found = properties.evaluate(potential.model, graph, [name], create_graph=True)[name]
        with torch.no_grad():
            for n, p in parameters.items():
                p.sub_(step * way[n])
        return found.square().sum()

    found = properties.evaluate(potential.model, graph, [name], create_graph=True)[name]
    gradients = torch.autograd.grad(
        found.square().sum(), list(parameters.values()), allow_unused=True
    )
    slope = sum(
        float((g * way[n]).sum())
        for n, g in zip(parameters, gradients, strict=True)
        if g is not None
    )
    h = 1e-6
    differences = float((value(h) - value(-h)).detach() / (2 * h))
    assert abs(slope - differences) < 1e-5 * abs(slope)


@each_form
def test_the_calculator_has_them_and_no_energy(
    name: str, form: dict[str, str], tmp_path: Path
) -> None:
    potential, atoms = potential_of(name, form), molecule("H2O")
    potential.save(tmp_path / "model.reann")
    atoms.calc = Calculator(tmp_path / "model.reann")
    expected = load(tmp_path / "model.reann").predict(atoms, [name])[name]
    np.testing.assert_array_equal(atoms.calc.get_property(name, atoms), expected)
    atoms.positions[0, 0] += 0.1
    assert not np.array_equal(atoms.calc.get_property(name, atoms), expected)
    slopes = {"born_effective_charges"} if name == "dipole" else set[str]()
    assert set(atoms.calc.implemented_properties) == {name, "extrapolation"} | slopes
    with pytest.raises(NotImplementedError, match="energy"):
        atoms.get_potential_energy()


def test_energies_and_forces_stay_with_the_native_engine() -> None:
    atoms = molecule("CH3OH")
    both = potential_of("dipole", heads=["energy"])
    native, reference = (
        both.predict(atoms, ["energy", "forces"], engine) for engine in ("native", "torch")
    )
    for name in native:
        np.testing.assert_allclose(native[name], reference[name], rtol=1e-9, atol=1e-9)
    together = both.predict(atoms, ["dipole", "energy", "forces"])
    np.testing.assert_allclose(together["forces"], reference["forces"], atol=1e-12)


@pytest.mark.parametrize(
    ("model", "data", "says"),
    [
        ({"heads": []}, {}, "neither heads nor outputs"),
        ({"heads": [], "outputs": ["dipole"], "zbl": {}}, {}, "remove zbl"),
        ({"heads": [], "outputs": ["dipole"]}, {"keys": {"energy": "E"}}, "remove keys.energy"),
        (
            {"heads": [], "outputs": ["dipole"]},
            {"reference_energies": {"H": -1.0}},
            "remove reference_energies",
        ),
    ],
)
def test_a_model_without_energy_has_nothing_of_it(
    model: dict[str, Any], data: dict[str, Any], says: str
) -> None:
    values = {"model": {"preset": "upstream"} | model, "data": {"train": "a.xyz"} | data}
    with pytest.raises(ValueError, match=says):
        Config.model_validate(values)


def labeled(n: int) -> list[ase.Atoms]:
    """Water molecules whose bonds have a dipole and a polarizability each."""
    rng, frames = np.random.default_rng(1), []
    for _ in range(n):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(size=(3, 3), scale=0.08)
        atoms.rotate(360 * rng.random(), rng.normal(size=3))
        bonds = atoms.positions[1:] - atoms.positions[0]
        atoms.info["energy"] = 3.0  # is not read
        atoms.info["dipole"] = 0.4 * bonds.sum(0)
        atoms.info["transition_dipole"] = 0.3 * bonds.sum(0) * (bonds[0] @ bonds[1])
        alpha = 0.8 * np.eye(3) + 0.5 * np.einsum("bi,bj->ij", bonds, bonds)
        atoms.info["polarizability"] = alpha.ravel()
        frames.append(atoms)
    return frames


def trained(folder: Path, name: str, form: dict[str, str], **run: Any) -> Run:
    path = folder / "water.xyz"
    ase.io.write(path, labeled(40), format="extxyz")
    small = {"hidden": [16, 16]}
    model = {"preset": "upstream", "n_recursions": 1, "n_radial": 4, "n_orbitals": 12}
    values = {
        "data": {"train": str(path), "valid": 0.2},
        "model": model
        | {"cutoff": 4.0, "outputs": [name], "output_forms": form, "heads": []}
        | {"readout": small, "update": small},
        # It takes long until all molecules agree on the sign of a transition dipole.
        "training": {"batch_size": 8, "epochs": 200 if name == "transition_dipole" else 60},
        "run": {"folder": str(folder / "run"), "threads": 1},
    }
    return train(Config.model_validate(values), **run)


@pytest.mark.slow
@each_form
def test_they_are_trained_without_energies(name: str, form: dict[str, str], tmp_path: Path) -> None:
    run = trained(tmp_path, name, form)
    spread = 1e3 * np.std([atoms.info[name] for atoms in labeled(40)])
    ((key, error),) = [
        (key, error)
        for key, error in run.evaluations["valid"].summary().items()
        if key.startswith(f"{name}_rmse")
    ]
    size = 3 if key.endswith("_per_atom") else 1
    assert size * error < 0.2 * spread
    assert load(tmp_path / "run" / "model.reann").labels == [name]

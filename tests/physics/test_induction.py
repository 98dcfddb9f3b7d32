"""Polarizabilities of atoms that polarize each other."""

from __future__ import annotations

import math

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reann
from reann.config import Config, ModelConfig
from reann.config.unused import unused
from reann.data.neighbors import graph_from_atoms
from reann.electrostatics.dipoles import dipole_tensors
from reann.electrostatics.ewald import ewald_matrix
from reann.errors import UserError
from reann.model.polarizabilities import SMEARING, InteractingPolarizability, Response
from reann.quantities import named
from reann.units import COULOMB

SMALL = {"channels": 4, "l_max": 2, "cutoff": 4.0, "heads": [], "outputs": ["polarizability"]}
CELL = torch.tensor([[9.0, 0.0, 0.0], [1.0, 8.0, 0.0], [0.5, -0.3, 7.0]], dtype=torch.float64)


def positions_of(n: int, seed: int = 0, size: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(n, 3, dtype=torch.float64, generator=generator)


def head_of(*polarizabilities: float) -> InteractingPolarizability:
    """Head whose elements, from hydrogen on, have given polarizabilities in Å^3."""
    config = ModelConfig(**SMALL, induction=True)
    head = InteractingPolarizability(
        config, len(polarizabilities), 1, quantity=named("polarizability")
    )
    assert head.of_elements is not None
    head.of_elements.data = torch.tensor(polarizabilities, dtype=torch.float64)
    return head


def polarizability(head: InteractingPolarizability, atoms: ase.Atoms) -> np.ndarray:
    graph = graph_from_atoms(atoms, 2.0)
    element = graph.atomic_numbers - 1
    rows = torch.zeros(len(atoms), 6, dtype=torch.float64)
    with torch.no_grad():
        placed = head.placed(head.linear()(rows, element), graph, element, {})
    return placed.sum(0).numpy()


def of_pair(r: float, sigma: float) -> tuple[float, float]:
    """Return T along the axis of a pair and perpendicular to it."""
    x = r / (math.sqrt(2) * sigma)
    gaussian = 2 * x * math.exp(-x * x) / math.sqrt(math.pi)
    across = (gaussian - math.erf(x)) / r**3
    return -2 * across - 2 * x * x * gaussian / r**3, across


def test_two_atoms_have_the_polarizability_of_silberstein() -> None:
    a, b, r = 1.4, 0.6, 2.2
    alpha = polarizability(head_of(a, b), ase.Atoms("HHe", [[0, 0, 0], [0, 0, r]]))
    expected = [(a + b + 2 * a * b * t) / (1 - a * b * t * t) for t in of_pair(r, SMEARING)[::-1]]
    np.testing.assert_allclose(np.diag(alpha), [expected[0], *expected], rtol=1e-12)
    np.testing.assert_allclose(alpha, np.diag(np.diag(alpha)), atol=1e-14)


def test_distant_molecules_add_up() -> None:
    head, water = head_of(0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9), ase.build.molecule("H2O")
    far = water.copy()
    far.translate([0, 0, 2000.0])
    twice = polarizability(head, water + far)
    np.testing.assert_allclose(twice, 2 * polarizability(head, water), rtol=1e-8, atol=1e-14)


def test_a_cubic_crystal_obeys_clausius_and_mossotti() -> None:
    alpha, a = 1.7, 7.0
    atoms = ase.Atoms("H", cell=[a, a, a], pbc=True)
    volume = a**3
    enhanced = alpha / (1 - 4 * math.pi * alpha / (3 * volume))
    found = polarizability(head_of(alpha), atoms)
    # Nearest images do not overlap: the field of points.
    np.testing.assert_allclose(found, enhanced * np.eye(3), rtol=2e-5, atol=1e-6)
    larger = polarizability(head_of(alpha), atoms.repeat((3, 2, 4)))
    np.testing.assert_allclose(larger, 24 * found, rtol=1e-6, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 1.2))
def test_tensors_are_second_derivatives_of_the_interaction_of_charges(
    seed: int, sigma: float
) -> None:
    r = positions_of(4, seed)
    tensors = dipole_tensors(r, CELL, sigma)

    def interaction(x: torch.Tensor) -> torch.Tensor:
        return ewald_matrix(x, CELL, sigma)[0, 1] / COULOMB

    mixed = torch.autograd.functional.hessian(interaction, r)[0, :, 1]
    torch.testing.assert_close(tensors[0, :, 1], -mixed, rtol=1e-9, atol=1e-11)


def test_large_cells_are_split_exactly() -> None:
    r, sigma = positions_of(6, size=4.0), 0.6
    split = dipole_tensors(r, 3.0 * CELL, sigma)
    unsplit = -torch.stack(
        [
            torch.autograd.functional.hessian(
                lambda x, j=j: ewald_matrix(x, 3.0 * CELL, sigma)[0, j] / COULOMB, r
            )[0, :, j]
            for j in range(1, 6)
        ]
    )
    torch.testing.assert_close(split[0, :, 1:].transpose(0, 1), unsplit, rtol=0, atol=2e-6)


@pytest.mark.parametrize("cell", [None, CELL], ids=["molecule", "crystal"])
def test_the_gradient_is_that_of_the_equations(cell: torch.Tensor | None) -> None:
    generator = torch.Generator().manual_seed(1)
    alpha = torch.randn(5, 3, 3, dtype=torch.float64, generator=generator) * 0.2
    alpha = alpha @ alpha.transpose(1, 2) + 0.5 * torch.eye(3)
    skew = torch.randn(3, 3, dtype=torch.float64, generator=generator)

    def by_position(r: torch.Tensor) -> torch.Tensor:
        return (skew * Response.apply(alpha, dipole_tensors(r, cell, 0.9))).sum()

    def by_alpha(change: torch.Tensor) -> torch.Tensor:
        symmetric = alpha + change + change.transpose(1, 2)
        return (skew * Response.apply(symmetric, dipole_tensors(positions_of(5), cell, 0.9))).sum()

    assert torch.autograd.gradcheck(by_position, positions_of(5).requires_grad_())
    assert torch.autograd.gradcheck(by_alpha, torch.zeros_like(alpha).requires_grad_())


def test_polarizabilities_rotate_with_the_structure() -> None:
    from scipy.spatial.transform import Rotation

    head = head_of(0.4, 0.2, 0.2, 0.2, 0.2, 1.0)
    atoms = ase.build.molecule("CH3CH2OH")
    atoms.numbers[atoms.numbers == 8] = 6
    R = Rotation.random(random_state=3).as_matrix()
    turned = atoms.copy()
    turned.positions = atoms.positions @ R.T
    np.testing.assert_allclose(
        polarizability(head, turned), R @ polarizability(head, atoms) @ R.T, atol=1e-12
    )
    crystal = ase.Atoms("HeH", [[0, 0, 0], [1.0, 1.4, 2.0]], cell=CELL.numpy(), pbc=True)
    turned = crystal.copy()
    turned.set_cell(crystal.cell.array @ R.T)
    turned.positions = crystal.positions @ R.T
    np.testing.assert_allclose(
        polarizability(head, turned), R @ polarizability(head, crystal) @ R.T, atol=1e-7
    )


def test_slabs_are_refused() -> None:
    with pytest.raises(UserError, match="periodic"):
        polarizability(head_of(1.0), ase.Atoms("H", cell=[4, 4, 20], pbc=[True, True, False]))


def test_a_trained_model_keeps_it(tmp_path) -> None:
    """Pairs of helium atoms: one polarizability of the atom, and its induction at any distance."""
    generator = np.random.default_rng(0)
    frames = []
    for r in generator.uniform(2.5, 9.0, 24):
        atoms = ase.Atoms("He2", [[0, 0, 0], [0, 0, r]])
        along, across = of_pair(r, SMEARING)
        values = [0.4 / (1 - 0.2 * t) for t in (across, across, along)]
        atoms.info["polarizability"] = np.diag(values).ravel()
        frames.append(atoms)
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    errors = {}
    for induction in (False, True):
        config = {
            "data": {"train": str(tmp_path / "train.xyz")},
            "model": SMALL | {"cutoff": 2.2, "induction": induction},
            "training": {"epochs": 20, "batch_size": 4},
            "run": {"folder": str(tmp_path / str(induction)), "threads": 1},
        }
        reann.train(Config.model_validate(config))
        potential = reann.load(tmp_path / str(induction) / "model.reann")
        predicted = [x["polarizability"] for x in potential.predict(frames, ["polarizability"])]
        labels = [atoms.info["polarizability"].reshape(3, 3) for atoms in frames]
        errors[induction] = float(np.abs(np.array(predicted) - labels).max())
    assert errors[True] < 1e-4
    assert errors[False] > 1e-3


def test_constants_start_from_the_sum_of_a_crystal(tmp_path) -> None:
    alpha, a = 4.0, 3.5
    enhanced = alpha / (1 - 4 * math.pi * alpha / (3 * a**3))
    assert enhanced > 6.0
    frames = [ase.Atoms("Ar", cell=[a, a, a], pbc=True) for _ in range(6)]
    for i, atoms in enumerate(frames):
        atoms.info["polarizability"] = (enhanced * np.eye(3)).ravel()
        atoms.positions += 0.1 * i
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    config = {
        "data": {"train": str(tmp_path / "train.xyz")},
        "model": SMALL | {"induction": True},
        "training": {"epochs": 1, "learning_rate": 1e-12},
        "run": {"folder": str(tmp_path / "run"), "threads": 1},
    }
    reann.train(Config.model_validate(config))
    head = reann.load(tmp_path / "run" / "model.reann").model.output_heads["polarizability"]
    assert isinstance(head, InteractingPolarizability)
    assert head.of_elements is not None
    assert head.of_elements.item() == pytest.approx(alpha, rel=1e-6)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"outputs": ["dipole"]}, "outputs"),
        ({"heads": ["energy"], "outputs": ["dipole", "polarizability"], "field": True}, "field"),
        ({"preset": "density", "channels": 64}, "messages"),
    ],
)
def test_where_it_has_no_effect_it_is_refused(changed: dict, why: str) -> None:
    model = ModelConfig.model_validate(SMALL | {"induction": True} | changed)
    assert why in unused(model)["induction=true"]

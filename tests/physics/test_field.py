"""Energies in an electric field: their derivatives, their symmetries, and what no field means."""

from __future__ import annotations

from dataclasses import replace

import ase
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models import CUTOFF, random_atoms, random_model
from reann import properties
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.quantities import RESPONSES
from reann.units import COULOMB

F = torch.tensor([[0.3, -0.2, 0.4]], dtype=torch.float64)
"""V/Å."""
FREE = (False,) * 3


@pytest.fixture(scope="module", params=[(1, 0), (2, 1), (3, 1)])
def model(request: pytest.FixtureRequest) -> Reann:
    l_max, T = request.param
    fields = {"messages": "equivariant", "l_max": l_max, "n_recursions": T, "field": True}
    return random_model(**fields)


def graph_of(atoms: ase.Atoms, field: torch.Tensor | None = F) -> Graph:
    return replace(graph_from_atoms(atoms, CUTOFF), field=field)


def energy(model: Reann, atoms: ase.Atoms, field: torch.Tensor | None = F) -> float:
    return properties.evaluate(model, graph_of(atoms, field), ["energy"])["energy"].item()


@pytest.mark.parametrize("pbc", [(False,) * 3, (True,) * 3])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_responses_are_derivatives_of_the_energy(
    model: Reann, pbc: tuple[bool, ...], strength: float
) -> None:
    atoms, h = random_atoms(1, 5, pbc), 1e-4
    graph = graph_of(atoms, strength * F)
    exact = properties.evaluate(model, graph, [*RESPONSES, "forces"])
    mu, forces = [], []
    for step in h * torch.eye(3, dtype=torch.float64):
        sides = [replace(graph, field=strength * F + sign * step) for sign in (1, -1)]
        up, down = (properties.evaluate(model, s, ["energy", *RESPONSES, "forces"]) for s in sides)
        mu.append(-(up["energy"] - down["energy"]) / (2 * h))
        alpha = (up["dipole"] - down["dipole"]) / (2 * h)
        row = exact["polarizability"][:, len(mu) - 1]
        torch.testing.assert_close(COULOMB * alpha, row, rtol=1e-6, atol=1e-6)
        forces.append((up["forces"] - down["forces"]) / (2 * h))
    torch.testing.assert_close(torch.stack(mu, 1), exact["dipole"], rtol=1e-6, atol=1e-8)
    born = torch.stack(forces, 1)
    torch.testing.assert_close(born, exact["born_effective_charges"], rtol=1e-5, atol=1e-7)
    assert exact["polarizability"].abs().max() > 1e-6
    if strength or model.config.l_max != 1:
        assert born.abs().max() > 1e-6


def test_responses_are_computed_where_gradients_are_switched_off(model: Reann) -> None:
    graph = graph_of(random_atoms(1, 5, FREE), F)
    expected = properties.evaluate(model, graph, RESPONSES)
    with torch.no_grad():
        found = properties.evaluate(model, graph, RESPONSES)
    for name in RESPONSES:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)


def test_charges_obey_the_acoustic_sum_rule(model: Reann) -> None:
    graph = graph_of(random_atoms(2, 6, FREE))
    total = properties.evaluate(model, graph, RESPONSES)["born_effective_charges"].sum(0)
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_energy_stays_when_atoms_and_field_turn_together(model: Reann, sign: int) -> None:
    atoms = random_atoms(3, 5, FREE)
    turn = sign * Rotation.random(rng=3).as_matrix()
    turned = atoms.copy()
    turned.positions = atoms.positions @ turn.T
    R = torch.from_numpy(turn)
    assert energy(model, turned, F @ R.T) == pytest.approx(energy(model, atoms), abs=1e-10)
    assert abs(energy(model, turned) - energy(model, atoms)) > 1e-6
    before = properties.evaluate(model, graph_of(atoms), RESPONSES)
    after = properties.evaluate(model, graph_of(turned, F @ R.T), RESPONSES)
    torch.testing.assert_close(after["dipole"], before["dipole"] @ R.T)
    for name in ("polarizability", "born_effective_charges"):
        torch.testing.assert_close(after[name], R @ before[name] @ R.T)


def test_the_torque_is_the_moment_of_the_dipole(model: Reann) -> None:
    """dE = 0 under a joint rotation: sum r_i x f_i + mu x F = 0."""
    atoms = random_atoms(4, 6, FREE)
    found = properties.evaluate(model, graph_of(atoms), ["forces", "dipole"])
    torque = np.cross(atoms.positions, found["forces"].numpy()).sum(0)
    expected = -np.cross(found["dipole"][0].numpy(), F[0].numpy())
    np.testing.assert_allclose(-torque, expected, atol=1e-10)
    assert abs(torque).max() > 1e-6


def test_no_field_is_a_field_of_zero_and_what_other_engines_compute(model: Reann) -> None:
    atoms = random_atoms(5, 6, (True,) * 3)
    names = ["energy", "forces", "stress"]
    none, zero = (properties.evaluate(model, graph_of(atoms, f), names) for f in (None, 0.0 * F))
    for name in names:
        torch.testing.assert_close(none[name], zero[name], rtol=1e-12, atol=1e-12)


def test_a_free_atom_has_its_energy_and_a_polarizability_of_its_own(model: Reann) -> None:
    atom = ase.Atoms("O", positions=[[1.0, 2.0, 3.0]])
    e_z = model.reference_energies[model.elements.index(8)].item()
    assert energy(model, atom, None) == e_z
    found = properties.evaluate(model, graph_of(atom, 0.0 * F), ["energy", *RESPONSES])
    assert found["energy"].item() == pytest.approx(e_z, abs=1e-12)
    torch.testing.assert_close(found["dipole"], torch.zeros(1, 3, dtype=torch.float64))
    alpha = found["polarizability"][0]
    torch.testing.assert_close(alpha, alpha[0, 0] * torch.eye(3, dtype=torch.float64))
    assert abs(alpha[0, 0]) > 1e-6


def test_two_distant_molecules_do_not_see_each_other(model: Reann) -> None:
    one, two = random_atoms(1, 3, FREE), random_atoms(2, 4, FREE)
    far = one + two
    far.positions[3:] += [60.0, 0.0, 0.0]
    parts = [properties.evaluate(model, graph_of(a), RESPONSES) for a in (one, two)]
    both = properties.evaluate(model, graph_of(far), RESPONSES)
    for name in ("dipole", "polarizability"):
        torch.testing.assert_close(both[name], parts[0][name] + parts[1][name])


def test_a_batch_may_have_a_field_for_some(model: Reann) -> None:
    graphs = [graph_of(random_atoms(1, 3, FREE), None), graph_of(random_atoms(2, 4, FREE))]
    batch = Graph.batch(graphs)
    names = ["energy", *RESPONSES]
    together = properties.evaluate(model, batch, names)
    each = [properties.evaluate(model, graph, names) for graph in graphs]
    for name in names:
        torch.testing.assert_close(together[name], torch.cat([one[name] for one in each]))


def test_gradients_of_a_loss_of_responses_are_exact(model: Reann) -> None:
    graph = graph_of(random_atoms(6, 4, FREE))
    names = ["forces", *RESPONSES]
    weights = [p for n, p in model.named_parameters() if n.endswith((".field", ".scalars"))]

    def loss() -> torch.Tensor:
        found = properties.evaluate(model, graph, names, create_graph=True)
        return sum((found[name].square().sum() for name in names), torch.zeros(()))

    slopes = torch.autograd.grad(loss(), weights)
    rng = torch.Generator().manual_seed(1)
    steps = [torch.randn(w.shape, generator=rng, dtype=w.dtype) for w in weights]
    expected = sum((s * d).sum() for s, d in zip(slopes, steps, strict=True)).item()
    h, sides = 1e-5, []
    with torch.no_grad():
        for sign in (1.0, -2.0, 1.0):
            for w, d in zip(weights, steps, strict=True):
                w.add_(sign * h * d)
            with torch.enable_grad():
                sides.append(loss().item())
    assert (sides[0] - sides[1]) / (2 * h) == pytest.approx(expected, rel=1e-5)


def test_other_messages_know_no_field() -> None:
    with pytest.raises(ValueError, match="an electric field needs equivariant messages"):
        ModelConfig(preset="density", field=True)


def test_a_field_pulls_an_ion(model: Reann) -> None:
    """Forces are still derivatives of the energy, and add up to the charge times the field."""
    atoms, Q, h = random_atoms(7, 4, FREE), torch.tensor([2.0], dtype=torch.float64), 1e-5
    graph = replace(graph_of(atoms), charge=Q)
    names = ["energy", "energies", "forces", *RESPONSES]
    ion, neutral = (properties.evaluate(model, g, names) for g in (graph, graph_of(atoms)))
    torch.testing.assert_close(ion["forces"].sum(0), 2.0 * F[0])
    torch.testing.assert_close(ion["energies"].sum(), ion["energy"][0])
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(ion["born_effective_charges"].sum(0), 2.0 * eye)
    torch.testing.assert_close(ion["dipole"], neutral["dipole"])
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[1] += sign * h * np.array([0.0, 1.0, 0.0])
        there = replace(graph_of(moved), charge=Q)
        energies.append(properties.evaluate(model, there, ["energy"])["energy"].item())
    slope = (energies[0] - energies[1]) / (2 * h)
    assert -slope == pytest.approx(ion["forces"][1, 1].item(), rel=1e-6)


def test_a_charged_crystal_in_a_field_has_no_energy(model: Reann) -> None:
    graph = graph_of(random_atoms(8, 3, (True, False, False)))
    charged = replace(graph, charge=torch.ones(1, dtype=torch.float64))
    with pytest.raises(UserError, match="in an electric field is not defined"):
        properties.evaluate(model, charged, ["energy"])
    properties.evaluate(model, replace(charged, field=None), ["energy"])

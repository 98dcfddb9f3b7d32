"""The energy of latent charges: textbook numbers, derivatives, symmetries, and both engines."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk

from models import CUTOFF, each_engine, random_atoms, random_model
from reann import native, properties
from reann.backends import choice
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.electrostatics import ewald
from reann.electrostatics.ewald import ewald_potentials
from reann.electrostatics.mesh import Fineness, Mesh
from reann.electrostatics.smeared import smeared_energies
from reann.electrostatics.split import split_potentials, width_of
from reann.errors import UserError
from reann.flux import heat_flux
from reann.graph import Graph
from reann.interfaces.beyond import require_neighbors_alone
from reann.model import Reann, build
from reann.potential import Potential
from reann.units import COULOMB

FREE, PERIODIC = (False,) * 3, (True,) * 3
MADELUNG = {"rocksalt": 1.747564594633, "zincblende": 1.638055053389, "cesiumchloride": 1.762674773}
"""By the distance of the nearest neighbors."""
NEAREST = {"rocksalt": 0.5, "zincblende": math.sqrt(3) / 4, "cesiumchloride": math.sqrt(3) / 2}
"""This distance in lattice constants."""
CUBIC = -2.8372974794806
"""Of a point charge in a cubic cell with a neutralizing background."""
double = torch.float64


def ewald_energies(q: torch.Tensor, *args: Any) -> torch.Tensor:
    return 0.5 * q * ewald_potentials(q, *args)


@pytest.fixture(scope="module", params=["latent", "equilibrated"])
def model(request: pytest.FixtureRequest) -> Reann:
    long_range = {"smearing": 0.8, "charges": request.param}
    charges = {"long_range": long_range, "inputs": ["charge"]}
    return random_model(messages="equivariant", l_max=2, n_recursions=1, **charges)


def graph_of(atoms: ase.Atoms, charge: float = 0.0) -> Graph:
    atoms.info["charge"] = charge
    return graph_from_atoms(atoms, CUTOFF, inputs=["charge"])


def energy(model: Reann, graph: Graph, engine: str = "torch") -> float:
    return choice.evaluate(model, graph, ["energy"], engine=engine)["energy"].sum().item()


@pytest.mark.parametrize(("lattice", "nearest"), NEAREST.items())
def test_madelung_constants(lattice: str, nearest: float) -> None:
    a = 5.0
    atoms = bulk("NaCl", lattice, a=a)
    q = torch.tensor([1.0, -1.0], dtype=double)
    positions, cell = (torch.from_numpy(x) for x in (atoms.positions, atoms.cell.array))
    found = ewald_energies(q, positions, cell, 0.3).sum().item()
    assert -found * nearest * a / COULOMB == pytest.approx(MADELUNG[lattice], rel=1e-7)


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_a_charged_cell_has_the_energy_of_its_background(sigma: float) -> None:
    L = 20.0
    cell, at_origin = L * torch.eye(3, dtype=double), torch.zeros(1, 3, dtype=double)
    found = ewald_energies(torch.ones(1, dtype=double), at_origin, cell, sigma).item()
    expected = CUBIC / (2 * L) + math.pi * sigma**2 / L**3
    assert found == pytest.approx(COULOMB * expected, rel=1e-6)
    slopes = Mesh(at_origin, cell, sigma).slopes(torch.ones(1, dtype=double))
    pressure = -slopes.by_strain.trace().item() / (3 * L**3)
    by_volume = -CUBIC / (6 * L**4) - math.pi * sigma**2 / L**6
    assert pressure == pytest.approx(-COULOMB * by_volume, rel=1e-5)


def test_molecules_are_large_cells() -> None:
    atoms = random_atoms(1, 5, FREE)
    q = torch.linspace(-0.5, 0.5, len(atoms), dtype=double)
    atoms.positions -= atoms.positions.mean(0)
    dipole = (q.numpy()[:, None] * atoms.positions).sum(0)
    L = 40.0
    alone = graph_from_atoms(atoms, CUTOFF)
    atoms.set_cell([L] * 3)
    atoms.pbc = True
    found = [
        smeared_energies(q, g.positions, g.cell, g, 0.8).sum().item()
        for g in (alone, graph_from_atoms(atoms, CUTOFF))
    ]
    of_images = -2 * math.pi / (3 * L**3) * (dipole @ dipole) * COULOMB
    assert found[1] - found[0] == pytest.approx(of_images, rel=0.02)


def test_few_charges_in_a_large_cell_have_the_energy_of_the_ewald_sum() -> None:
    """The cell has no right angles, a molecule extends over its boundary, and it is charged."""
    draw = torch.Generator().manual_seed(2)
    q = torch.randn(8, dtype=double, generator=draw)
    r = 12.0 * torch.rand(8, 3, dtype=double, generator=draw)
    cell = torch.tensor([[20.0, 0.0, 0.0], [5.0, 22.0, 0.0], [3.0, -6.0, 25.0]], dtype=double)
    r[3] += 2.0 * cell[1] - cell[2]
    wide = width_of(cell, len(q), 1.0)
    assert wide > 1.3
    assert width_of(0.3 * cell, len(q), 1.0) == 1.0

    def slopes(potentials: Any, *widths: float) -> list[torch.Tensor]:
        leaves = [x.clone().requires_grad_() for x in (q, r, cell)]
        energy = 0.5 * (leaves[0] * potentials(*leaves, *widths)).sum()
        return [energy.detach(), *torch.autograd.grad(energy, leaves)]

    whole, split = slopes(ewald_potentials, 1.0), slopes(split_potentials, 1.0, wide)
    for a, b in zip(whole, split, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=5e-6)


def test_the_mesh_is_the_ewald_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    cell = torch.tensor([[9.0, 0, 0], [2, 8, 0], [1, -2, 10]], dtype=double)
    x = torch.rand(30, 3, generator=generator, dtype=double) @ cell
    q = torch.randn(30, generator=generator, dtype=double)
    leaves = [t.clone().requires_grad_() for t in (q, x, torch.zeros(3, 3, dtype=double))]
    r, strain = leaves[1], leaves[2]
    energies = ewald_energies(leaves[0], r + r @ strain, cell + cell @ strain, 1.0)
    exact = [energies.detach(), *torch.autograd.grad(energies.sum(), leaves)]
    for ours, expected in zip(Mesh(x, cell, 1.0).slopes(q)[:4], exact, strict=True):
        scale = expected.abs().max().item()
        torch.testing.assert_close(ours, expected, rtol=0.0, atol=5e-5 * scale)


def test_the_ewald_sum_has_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ewald, "ACCURACY", 1e-16)
    cell = 12.0 * torch.eye(3, dtype=double)
    x = torch.rand(8, 3, generator=torch.Generator().manual_seed(0), dtype=double) @ cell
    q = torch.linspace(-1.0, 1.0, 8, dtype=double)
    fine = Mesh(x, cell, 1.0, Fineness(14, 4.0)).potentials(q)
    torch.testing.assert_close(ewald_potentials(q, x, cell, 1.0), fine, rtol=1e-12, atol=1e-12)


@each_engine
@pytest.mark.parametrize(("pbc", "charge"), [(FREE, 1), (PERIODIC, 0), (PERIODIC, -1)])
def test_forces_and_virial_are_derivatives(
    model: Reann, pbc: tuple[bool, ...], charge: float, engine: str
) -> None:
    atoms, h = random_atoms(1, 5, pbc), 1e-4
    found = choice.evaluate(model, graph_of(atoms, charge), ["forces", "virial"], engine=engine)
    for change, slope in (
        (moved(2, 1, h), found["forces"][2, 1]),
        (sheared(h), found["virial"][0, 0, 1]),
    ):
        up, down = (energy(model, graph_of(change(atoms, s), charge), engine) for s in (1, -1))
        assert -(up - down) / (2 * h) == pytest.approx(slope.item(), rel=1e-5, abs=1e-6)


def moved(atom: int, axis: int, h: float):
    def change(atoms: ase.Atoms, sign: int) -> ase.Atoms:
        other = atoms.copy()
        other.positions[atom, axis] += sign * h
        return other

    return change


def sheared(h: float):
    def change(atoms: ase.Atoms, sign: int) -> ase.Atoms:
        strain, other = np.eye(3), atoms.copy()
        strain[0, 1] = strain[1, 0] = sign * h / 2
        other.positions = atoms.positions @ strain
        other.cell.array[:] = atoms.cell.array @ strain
        return other

    return change


def test_gradients_of_the_parameters_are_derivatives(model: Reann) -> None:
    graph = graph_of(random_atoms(2, 4, PERIODIC), 1)
    names = ["energy", "forces", "virial"]
    results = properties.evaluate(model, graph, names, create_graph=True)
    (head,) = model.output_heads.values()
    p = head.scalars
    (slope,) = torch.autograd.grad(sum(x.square().sum() for x in results.values()), p)
    losses = []
    with torch.no_grad():
        for sign in (1, -2, 1):
            p[0, 1, 2] += sign * 1e-5
            found = properties.evaluate(model, graph, names)
            losses.append(sum(x.square().sum() for x in found.values()).item())
    assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(slope[0, 1, 2].item(), rel=1e-5)


@each_engine
def test_a_lone_atom_has_its_reference_energy(model: Reann, engine: str) -> None:
    reference = model.heads.first.reference_energies[1].item()
    assert energy(model, graph_of(ase.Atoms("C")), engine) == pytest.approx(reference, abs=1e-12)


def test_charges_add_up_to_the_total_charge(model: Reann) -> None:
    graph = graph_of(random_atoms(3, 6, PERIODIC), -1)
    charges = properties.evaluate(model, graph, ["charges"])["charges"]
    assert charges.sum().item() == pytest.approx(-1.0, abs=1e-12)


def test_energies_are_extensive(model: Reann) -> None:
    atoms = random_atoms(4, 4, PERIODIC)
    one = energy(model, graph_of(atoms, 0.5))
    two = energy(model, graph_of(atoms * (1, 2, 1), 1.0))
    assert two == pytest.approx(2 * one, rel=1e-7)


def test_distant_ions_attract_by_coulombs_law(model: Reann) -> None:
    """Beyond all cutoffs nothing else acts: the force is that of the charges of the fragments."""
    one, other = random_atoms(5, 3, FREE), random_atoms(6, 4, FREE)
    r = 1e4
    other.positions[:, 0] += r
    both = one + other
    found = properties.evaluate(model, graph_of(both), ["forces", "charges"])
    Q = found["charges"][: len(one)].sum().item()
    force = found["forces"][: len(one)].sum(0)[0].item()
    assert force == pytest.approx(COULOMB * Q**2 / r**2, rel=0.02)


@pytest.mark.skipif(not native.available(), reason="no native engine")
def test_the_native_engine_computes_a_batch(model: Reann) -> None:
    states = [(FREE, 1), (PERIODIC, 0), (PERIODIC, -1), (FREE, 0)]
    graph = Graph.batch([graph_of(random_atoms(i, 5, p), Q) for i, (p, Q) in enumerate(states)])
    names = ["energy", "energies", "forces", "virial", "charges"]
    exact, ours = (choice.evaluate(model, graph, names, engine=e) for e in ("torch", "native"))
    for name in names:
        atol = 1e-5 * exact[name].abs().max().item()
        torch.testing.assert_close(ours[name], exact[name], rtol=0.0, atol=atol)


def test_what_is_not_computed_is_said(model: Reann) -> None:
    slab = random_atoms(7, 4, (True, True, False))
    for engine in ("torch", "native") if native.available() else ("torch",):
        with pytest.raises(UserError, match="periodic in one or two"):
            energy(model, graph_of(slab), engine)
    with pytest.raises(UserError, match="not defined"):
        properties.evaluate(model, graph_of(random_atoms(7, 4, FREE)), ["virials"])
    atoms = random_atoms(7, 4, FREE)
    atoms.set_velocities(atoms.positions)
    with pytest.raises(UserError, match="no heat flux"):
        heat_flux(Potential(model), atoms)
    with pytest.raises(UserError, match="long_range needs equivariant messages"):
        ModelConfig(preset="density", long_range={})


def test_programs_that_know_neighbors_alone_refuse_such_a_potential(model: Reann) -> None:
    config = model.config.model_copy(update={"inputs": []})
    with pytest.raises(UserError, match="a longer range than its neighbors"):
        require_neighbors_alone(build(config, model.elements, seed=0), "metatomic")


def test_a_graph_without_a_charge_is_neutral(model: Reann) -> None:
    graph = graph_of(random_atoms(8, 4, FREE), 0)
    assert energy(model, graph) == energy(model, replace(graph, charge=None))

"""Equilibrated charges: textbook cases, both solvers, derivatives, and a limit of the method."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import ase
import pytest
import torch
from ase.build import bulk

import reann
from models import CUTOFF, random_atoms, random_model
from reann import properties
from reann.data.neighbors import graph_from_atoms
from reann.electrostatics import balance
from reann.electrostatics.equilibration import equilibrated
from reann.electrostatics.ewald import ewald_matrix
from reann.electrostatics.mesh import FINE
from reann.electrostatics.smeared import smeared_potentials
from reann.errors import UserError
from reann.graph import Graph
from reann.potential import Potential, load
from reann.units import COULOMB

SIGMA = 0.9
SELF = COULOMB * math.sqrt(2 / math.pi) / SIGMA
FREE, PERIODIC = (False,) * 3, (True,) * 3
double = torch.float64


def batch() -> Graph:
    """Return an ion, a neutral molecule, and a crystal with a charge."""
    states = [(FREE, 1.0), (FREE, 0.0), (PERIODIC, -2.0)]
    graphs = []
    for i, (pbc, charge) in enumerate(states):
        atoms = random_atoms(i, 5, pbc)
        atoms.info["charge"] = charge
        graphs.append(graph_from_atoms(atoms, CUTOFF, inputs=["charge"]))
    return Graph.batch(graphs)


def random_chi(graph: Graph) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    chi = 3.0 * torch.randn(graph.n_atoms, generator=generator, dtype=double)
    return chi, 1.0 + torch.rand(graph.n_atoms, generator=generator, dtype=double)


def test_two_atoms_share_a_charge_by_their_electronegativities() -> None:
    r, chi, h = 1.7, torch.tensor([1.0, 4.0], dtype=double), torch.tensor([2.0, 3.0], dtype=double)
    graph = graph_from_atoms(ase.Atoms("HO", positions=[[0, 0, 0], [r, 0, 0]]), CUTOFF)
    between = COULOMB * math.erf(r / (math.sqrt(2) * SIGMA)) / r
    expected = 3.0 / (2 * SELF + 5.0 - 2 * between)
    found = equilibrated(chi, h, graph, SIGMA)
    torch.testing.assert_close(found, torch.tensor([expected, -expected], dtype=double))


@pytest.mark.parametrize("dense", [0, 1000])
def test_chemical_potentials_are_equal_and_total_charges_kept(
    dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "DENSE", dense)
    graph = batch()
    chi, h = random_chi(graph)
    q = equilibrated(chi, h, graph, SIGMA)
    sums = torch.zeros(3, dtype=double).index_add(0, graph.system, q)
    torch.testing.assert_close(sums, graph.charges())
    potentials = smeared_potentials(q, graph.positions, graph.cell, graph, SIGMA)
    levels = chi + (h + SELF) * q + potentials
    for system in range(3):
        own = levels[graph.system == system]
        assert (own - own[0]).abs().max() < 1e-4  # of the mesh; 1e-12 of the matrix


def test_both_solvers_give_the_same_charges(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = batch()
    chi, h = random_chi(graph)
    exact = equilibrated(chi, h, graph, SIGMA)
    monkeypatch.setattr(balance, "DENSE", 0)
    torch.testing.assert_close(equilibrated(chi, h, graph, SIGMA), exact, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("dense", [0, 1000])
def test_slopes_of_charges_are_their_differences(
    dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "DENSE", dense)
    graph = batch()
    chi, h = (x.requires_grad_() for x in random_chi(graph))
    positions = graph.positions.clone().requires_grad_()
    variables = [chi, h, positions]
    some = torch.linspace(-1.0, 1.0, graph.n_atoms, dtype=double)

    def value(chi: torch.Tensor, h: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return equilibrated(chi, h, replace(graph, positions=positions), SIGMA) @ some

    slopes = torch.autograd.grad(value(*variables), variables)
    step = 1e-4
    for k, at in ((0, (3,)), (1, (7,)), (2, (2, 1)), (2, (12, 0))):
        ends = []
        for sign in (1.0, -1.0):
            moved = [x.detach().clone() for x in variables]
            moved[k][at] += sign * step
            ends.append(value(*moved).item())
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(
            slopes[k][at].item(), rel=2e-4, abs=1e-6
        )


def test_small_gradients_are_as_exact_as_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance, "DENSE", 0)
    graph = batch()
    chi, h = random_chi(graph)
    some = torch.linspace(-1.0, 1.0, graph.n_atoms, dtype=double)
    slopes = []
    for scale in (1.0, 1e-12):
        leaf = chi.clone().requires_grad_()
        (slope,) = torch.autograd.grad(scale * (equilibrated(leaf, h, graph, SIGMA) @ some), leaf)
        slopes.append(slope / scale)
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-6, atol=1e-8)


def test_the_preconditioner_removes_long_waves_also_beside_vacuum() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True).repeat((1, 1, 8))
    atoms.center(vacuum=20.0, axis=2)
    atoms.rattle(0.1, seed=0)
    graph = graph_from_atoms(atoms, CUTOFF)
    cell, n = graph.cell[0], len(atoms)
    system = balance.Meshed(torch.full((n,), SELF + 2.0).double(), graph.positions, cell, SIGMA)
    A = ewald_matrix(graph.positions, cell, SIGMA) + torch.diag(system.diagonal)
    columns = torch.eye(n).double()[:, 1:] - 1.0 / n  # span the vectors of sum zero
    columns = torch.linalg.qr(columns).Q
    M = columns.T @ torch.stack([system.preconditioned(x) for x in columns.T], 1)
    plain = torch.linalg.eigvalsh(columns.T @ A @ columns)
    root = torch.linalg.cholesky(M)  # fails where M is not positive definite
    better = torch.linalg.eigvalsh(root.T @ columns.T @ A @ columns @ root)
    assert better[-1] / better[0] < 0.3 * plain[-1] / plain[0]


def test_parameters_are_trained_on_energies_forces_charges_and_dipoles() -> None:
    model = random_model(
        messages="equivariant",
        l_max=2,
        n_recursions=1,
        long_range={"charges": "equilibrated"},
        outputs=["charges", "dipole"],
    )
    graph = graph_from_atoms(random_atoms(2, 5, FREE), CUTOFF)
    names = ["energy", "forces", "charges", "dipole"]
    results = properties.evaluate(model, graph, names, create_graph=True)
    p = model.long_range.log_hardness
    (slope,) = torch.autograd.grad(sum(x.square().sum() for x in results.values()), p)
    losses = []
    with torch.no_grad():
        for sign in (1, -2, 1):
            p[1] += sign * 1e-4
            found = properties.evaluate(model, graph, names)
            losses.append(sum(x.square().sum() for x in found.values()).item())
    assert (losses[0] - losses[1]) / 2e-4 == pytest.approx(slope[1].item(), rel=1e-5)


def test_a_file_keeps_the_hardness(tmp_path: Path) -> None:
    model = random_model(messages="equivariant", l_max=2, long_range={"charges": "equilibrated"})
    with torch.no_grad():
        model.long_range.log_hardness[0] = 1.25
    Potential(model).save(tmp_path / "model.reann")
    atoms = random_atoms(3, 5, FREE)
    expected, found = (
        p.predict(atoms, ["energy", "charges"])
        for p in (Potential(model), load(tmp_path / "model.reann"))
    )
    assert found["energy"] == pytest.approx(expected["energy"], abs=1e-6)
    assert found["charges"] == pytest.approx(expected["charges"], abs=1e-6)


def test_distant_fragments_exchange_charge() -> None:
    """A limit of the method: only the hardness keeps charge from flowing to any distance."""
    chi, h = torch.tensor([1.0, 4.0], dtype=double), torch.tensor([2.0, 3.0], dtype=double)
    graph = graph_from_atoms(ase.Atoms("HO", positions=[[0, 0, 0], [1e6, 0, 0]]), CUTOFF)
    assert equilibrated(chi, h, graph, SIGMA)[0].item() == pytest.approx(
        3.0 / (2 * SELF + 5.0), rel=1e-5
    )


def test_charges_that_do_not_converge_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance, "DENSE", 0)
    monkeypatch.setattr(balance, "MOST_CORRECTIONS", 1)
    graph = batch()
    with pytest.raises(UserError, match="did not converge in 1 corrections"):
        equilibrated(*random_chi(graph), graph, SIGMA)


def test_lammps_has_the_limits_and_the_meshes_of_python() -> None:
    folder = Path(reann.__file__).parent / "interfaces" / "lammps"
    files = ("equilibrium.cpp", "mesh.cpp", "mesh.h", "coulomb.h")
    solution, meshes, default, units = ((folder / name).read_text() for name in files)
    names = ("converged", "coarse_residual", "most_steps", "most_corrections")
    limits = [float(re.findall(rf"\b{name} = ([\de.-]+)", solution)[0]) for name in names]
    steps = balance.MOST_STEPS, balance.MOST_CORRECTIONS
    assert limits == [balance.CONVERGED, balance.COARSE_RESIDUAL, *steps]
    coarse, wide = re.findall(r"placed\((.*?), \{(\d+), ([\d.]+)\}\)", meshes)
    assert (int(coarse[1]), float(coarse[2])) == balance.COARSE
    assert (int(wide[1]), float(wide[2])) == balance.WIDE_MESH
    assert f"wide_, {balance.WIDE} * sigma_" in wide[0]
    (fine,) = re.findall(r"fineness = \{(\d+), ([\d.]+)\}", default)
    assert (int(fine[0]), float(fine[1])) == FINE
    (coulomb,) = re.findall(r"\bcoulomb = ([\d.]+)", units)
    assert float(coulomb) == COULOMB

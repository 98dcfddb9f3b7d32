"""Training with charges by the native engine: gradients are those of PyTorch in float64."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from models import CUTOFF, random_atoms, random_model
from reann import native
from reann.backends import choice
from reann.backends.native.step import NativeStep
from reann.backends.protocol import Request
from reann.data.neighbors import graph_from_atoms
from reann.electrostatics import ewald, smeared
from reann.electrostatics.direct import Pairs
from reann.electrostatics.mesh import Fineness, Mesh
from reann.electrostatics.points import TorchPoints
from reann.electrostatics.split import width_of
from reann.graph import Graph
from reann.interfaces.ase import Calculator
from reann.model import Reann
from reann.model.reann import in_precision
from reann.potential import Potential

# Under CI tests/engines/test_native.py fails without it.
pytestmark = pytest.mark.skipif(not native.available(), reason="no native engine")

evaluate = partial(choice.evaluate, create_graph=True)
FREE, PERIODIC = (False,) * 3, (True,) * 3
BATCHES = {
    "molecules": [(FREE, 0), (FREE, 0)],
    "ions": [(FREE, 1), (FREE, -2), (FREE, 0)],
    "crystal": [(PERIODIC, 0)],
    "mixed": [(PERIODIC, -1), (FREE, 1), (PERIODIC, 0), (FREE, 0)],
}
LOSSES = {
    "energy": ["energy"],
    "forces": ["forces"],
    "stress": ["stress"],
    "all": ["energy", "energies", "forces", "virial"],
}


def batch_of(name: str, n: int = 5) -> Graph:
    graphs = []
    for i, (pbc, charge) in enumerate(BATCHES[name]):
        atoms = random_atoms(i, n + i, pbc)
        atoms.info["charge"] = charge
        graphs.append(graph_from_atoms(atoms, CUTOFF, inputs=["charge"]))
    return Graph.batch(graphs)


def large() -> Graph:
    """Return two structures in cells that are large for their few charges, of total charge 1."""
    graph = batch_of("mixed")
    cell = torch.tensor([[20.0, 0.0, 0.0], [5.0, 22.0, 0.0], [3.0, -6.0, 25.0]]).to(graph.cell)
    full = graph.pbc.all(1)[:, None, None]
    positions = graph.positions + (graph.atomic_numbers == 1)[:, None] * cell[1]
    return graph.with_values(cell=torch.where(full, cell, graph.cell), positions=positions)


def model_of(charges: str, **choices: Any) -> Reann:
    long_range = {"smearing": 0.8, "charges": charges}
    form = {"messages": "equivariant", "l_max": 2, "n_recursions": 1}
    return random_model(**{**form, "long_range": long_range, **choices})


def gradients(model: Reann, graph: Graph, names: list[str], engine: str) -> list[torch.Tensor]:
    """Return the gradients of a number that depends on every property in its own way."""
    found = evaluate(model, graph, names, engine=engine)
    finite = [torch.where(x.isfinite(), x, 0.0) for x in found.values()]  # stress of molecules
    total = torch.zeros((), dtype=torch.float64)
    for i, x in enumerate(finite):
        weights = torch.linspace(-1.0, 2.0 + i, x.numel(), dtype=torch.float64).view(x.shape)
        total = total + (weights * x).sum() + x.square().sum() / x.detach().abs().max()
    return list(torch.autograd.grad(total, list(model.parameters()), materialize_grads=True))


def assert_same(model: Reann, graph: Graph, names: list[str], tolerance: float) -> None:
    found, expected = (gradients(model, graph, names, engine) for engine in ("native", "torch"))
    size = max(x.abs().max().item() for x in expected)
    for (name, _), ours, theirs in zip(model.named_parameters(), found, expected, strict=True):
        assert (ours - theirs).abs().max().item() <= tolerance * size, name


@pytest.fixture
def fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make meshes and Ewald sums agree to ten digits."""
    monkeypatch.setattr(smeared, "FINE", Fineness(14, 4.0))
    monkeypatch.setattr(ewald, "ACCURACY", 1e-16)


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.usefixtures("fine")
def test_gradients_are_those_of_pytorch(charges: str, batch: str, loss: str) -> None:
    if loss == "stress" and not any(pbc == PERIODIC for pbc, _ in BATCHES[batch]):
        pytest.skip("no stress")
    assert_same(model_of(charges), batch_of(batch), LOSSES[loss], 1e-9)


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
@pytest.mark.parametrize(
    "options", [{}, {"inputs": ["charge"]}, {"l_max": 3, "n_recursions": 2, "moment_limit": 2.0}]
)
@pytest.mark.usefixtures("fine")
def test_gradients_of_heads_and_energies_together(charges: str, options: dict[str, Any]) -> None:
    model = model_of(charges, outputs=["charges", "dipole"], **options)
    names = ["energy", "forces", "charges", "dipole"]
    if charges == "latent":
        names.append("charge_correction")
    assert_same(model, batch_of("mixed"), names, 1e-9)


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
def test_the_usual_mesh_is_close_to_the_ewald_sum(charges: str) -> None:
    assert_same(model_of(charges), batch_of("mixed"), LOSSES["all"], 1e-4)


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
def test_gradients_of_single_precision(charges: str) -> None:
    exact = model_of(charges)
    graph, names = batch_of("mixed"), ["energy", "forces"]
    single = in_precision(model_of(charges), torch.float32)
    found, expected = (gradients(m, graph, names, "native") for m in (single, exact))
    size = max(x.abs().max().item() for x in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).abs().max().item() <= 1e-3 * size


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
def test_gradients_are_differences_of_the_loss(charges: str) -> None:
    """The mesh has no error here: the loss and its gradient are those of one mesh."""
    model, graph, names = model_of(charges), batch_of("mixed"), ["energy", "forces", "virial"]
    found = evaluate(model, graph, names, engine="native")
    parameters = dict(model.named_parameters())
    loss = torch.stack([x.square().sum() for x in found.values()]).sum()
    slopes = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
    for name, slope in zip(parameters, slopes, strict=True):
        p, at = parameters[name], int(slope.abs().argmax())
        h = 1e-5 * max(1.0, p.abs().max().item())
        ends = []
        with torch.no_grad():
            for step in (h, -2 * h, h):
                p.view(-1)[at] += step
                moved = choice.evaluate(model, graph, names, engine="native")
                ends.append(sum(x.square().sum().item() for x in moved.values()))
        expected = (ends[0] - ends[1]) / (2 * h)
        assert slope.view(-1)[at].item() == pytest.approx(expected, rel=2e-5, abs=1e-4), name


def test_losses_of_two_batches_and_of_one_batch_twice() -> None:
    model = model_of("latent")
    parameters = list(model.parameters())
    graphs = [batch_of("molecules"), batch_of("mixed")]
    losses = []
    for graph in graphs:
        found = evaluate(model, graph, ["energy", "forces"], engine="native")
        losses.append(found["energy"].square().sum() + found["forces"].square().sum())
    both = torch.autograd.grad(losses[0] + losses[1], parameters, retain_graph=True)
    each = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]
    for sum_, one, other in zip(both, *each, strict=True):
        torch.testing.assert_close(sum_, one + other, rtol=1e-10, atol=1e-10)


def test_auto_trains_such_models_without_pytorch() -> None:
    model = model_of("latent")
    assert choice.chosen("auto", [model], request=Request.of(["forces"], create_graph=True)) is (
        choice.NATIVE
    )


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
@pytest.mark.parametrize("pbc", [FREE, PERIODIC])
@pytest.mark.usefixtures("fine")
def test_the_calculator_needs_no_graph_of_the_edges(charges: str, pbc: tuple[bool, ...]) -> None:
    potential = Potential(model_of(charges, inputs=["charge"]))
    calculators = [Calculator(potential, engine=engine) for engine in ("native", "torch")]
    assert isinstance(calculators[0].compute, NativeStep)
    atoms = random_atoms(3, 7, pbc)
    names = ["energy", "forces", "charges", *(["stress"] if pbc == PERIODIC else [])]
    for charge in (1, -1, 0):
        atoms.positions += 0.01
        atoms.positions[0] += 0.02
        atoms.info["charge"] = charge
        for name in names:
            ours, expected = (c.get_property(name, atoms) for c in calculators)
            assert ours == pytest.approx(expected, rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("graph", [batch_of("mixed"), large()], ids=["mixed", "large"])
def test_rates_of_potentials_are_their_differences(graph: Graph) -> None:
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    n, h = graph.n_atoms, 1e-5
    q, by_time, velocity = draw(n), draw(n), draw(n, 3)
    strain = draw(graph.n_systems, 3, 3)
    systems = smeared._Systems(graph, 0.9)
    found = systems.rates(q, systems.slopes(q).field, by_time, velocity, strain)
    ends = []
    for step in (h, -h):
        deformation = torch.eye(3, dtype=torch.float64) + step * strain
        moved = graph.with_values(
            positions=(graph.positions[:, None] @ deformation[graph.system])[:, 0]
            + step * velocity,
            cell=graph.cell @ deformation,
        )
        ends.append(smeared._Systems(moved, 0.9).slopes(q + step * by_time).by_charge)
    expected = (ends[0] - ends[1]) / (2 * h)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * expected.abs().max().item())


def test_blocks_of_atoms_do_not_change_a_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = torch.tensor([[9.0, 0, 0], [2, 8, 0], [1, -2, 10]], dtype=torch.float64)
    x = torch.rand(30, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) @ cell
    q = torch.linspace(-1.0, 1.0, 30, dtype=torch.float64)
    monkeypatch.setattr("reann.electrostatics.mesh.points_of", TorchPoints)
    one = Mesh(x, cell, 1.0).slopes(q)
    monkeypatch.setattr("reann.electrostatics.points.BLOCK", 7 * 8**3)
    for ours, expected in zip(Mesh(x, cell, 1.0).slopes(q), one, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("fine")
def test_a_few_charges_in_a_large_cell_have_the_slopes_of_the_ewald_sum() -> None:
    graph = large()
    assert width_of(graph.cell[0], 5, 0.8) > 1.3 * 0.8
    q = torch.linspace(-1.0, 2.0, graph.n_atoms, dtype=torch.float64).requires_grad_()
    strain = torch.zeros_like(graph.cell).requires_grad_()
    positions = graph.positions.clone().requires_grad_()
    moved = positions + (positions[:, None] @ strain[graph.system])[:, 0]
    energies = smeared.smeared_energies(q, moved, graph.cell @ (torch.eye(3) + strain), graph, 0.8)
    expected = [energies, *torch.autograd.grad(energies.sum(), (q, positions, strain))]
    found = smeared.smeared_slopes(q, graph, 0.8)
    for ours, theirs in zip(found[:4], expected, strict=True):
        torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=1e-8, atol=1e-8)


def test_pairs_are_the_direct_sum() -> None:
    graph = batch_of("ions")
    q = torch.linspace(-1.0, 1.0, graph.n_atoms, dtype=torch.float64).requires_grad_()
    positions = graph.positions.clone().requires_grad_()
    energies = smeared.smeared_energies(q, positions, graph.cell, graph, 0.8)
    expected = [energies, *torch.autograd.grad(energies.sum(), (q, positions))]
    found = Pairs(graph, ~graph.pbc.all(1), 0.8).slopes(q.detach())
    for ours, theirs in zip(found[:3], expected, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-12)

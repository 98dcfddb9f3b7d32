"""Updates of node states: those of the package, and one that it did not foresee."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from models import CUTOFF, ELEMENTS, check_gradients, random_atoms
from reann import properties
from reann.backends import choice
from reann.config import ModelConfig, NetworkConfig, TrainingConfig
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.model.hosts import MomentHost, host_of
from reann.model.messages import update_of
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.nodes import Channels, NodeState, Update
from reann.model.reann import in_precision
from reann.model.roles import Role
from reann.potential import Potential
from reann.training.optim import optimizer_for


class Vectors(Update):
    """Atoms pass on vectors, too, and weigh a neighbor by the direction from which they see it.

        w_ij = w_j + sum_n (r_ij / r . v_j^n) A_n,      v_j <- v_j + B s_j(l = 1)

    Vectors have channels of their own, other ones than the moments.
    """

    NEEDS_MOMENTS = True
    ROLES: ClassVar[dict[str, Role]] = {"seen": Role(matrix=True), "sent": Role(matrix=True)}

    def __init__(self, host: Any, n_elements: int, *, n_vectors: int = 3, n_steps: int = 2) -> None:
        super().__init__()
        assert isinstance(host, MomentHost)
        n, network = host.n_weights, NetworkConfig(hidden=[8, 8])
        self.layout, self.n_recursions = (Channels(0, n), Channels(1, n_vectors)), n_steps
        self.weights = nn.Parameter(torch.randn(n_elements, n))
        self.networks = nn.ModuleList(
            Network(n_elements, host.width, n, network, bias=True) for _ in range(n_steps)
        )
        self.seen = nn.Parameter(torch.randn(n_steps + 1, n_vectors, n))
        self.sent = nn.Parameter(torch.randn(n_steps, n, n_vectors))

    def start(self, atoms: Neighborhood) -> NodeState:
        scalars = self.weights.index_select(0, atoms.element)
        return NodeState(scalars, (scalars.new_zeros(len(scalars), 3, self.layout[1].n),))

    def read_weights(self, seen: Any, state: NodeState, t: int) -> Tensor:
        unit, v = seen.angular[:, 1:4], seen.atoms.of_neighbors(state.tensors[0])
        along = torch.einsum("iaj,ijan->ijn", unit, v)
        return seen.atoms.of_neighbors(state.scalars) + along @ self.seen[t]

    def step(
        self, t: int, state: NodeState, x: Tensor, moments: Tensor | None, atoms: Neighborhood
    ) -> NodeState:
        assert moments is not None
        scalars = state.scalars + 0.3 * self.networks[t](x, atoms.counts)
        return NodeState(scalars, (state.tensors[0] + 0.1 * moments[:, 1:4] @ self.sent[t],))


@pytest.fixture(params=["density", "power_spectrum"])
def model(request: pytest.FixtureRequest) -> Reann:
    """Return a potential with vectors, every parameter off its start."""
    torch.manual_seed(1)
    fields = {"cutoff": CUTOFF, "n_radial": 4, "readout": {"hidden": [8, 8]}}
    config = ModelConfig(preset="density", host=request.param, **fields)
    host = host_of(config, len(ELEMENTS), torch.default_generator)
    update = Vectors(host, len(ELEMENTS))
    model = Reann(config, ELEMENTS, generator=torch.default_generator, host=host, update=update)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return in_precision(model, torch.float64)


def found(model: Reann, graph: Graph) -> dict[str, Tensor]:
    return properties.evaluate(model, graph, ["energies", "forces"])


def test_an_update_from_outside_turns_with_the_structure(model: Reann) -> None:
    graph = graph_from_atoms(random_atoms(2, 6, (False, False, False)), CUTOFF)
    turn = torch.from_numpy(Rotation.random(rng=np.random.default_rng(1)).as_matrix())
    before = found(model, graph)
    after = found(model, replace(graph, positions=graph.positions @ -turn.T))
    torch.testing.assert_close(after["energies"], before["energies"], rtol=0, atol=1e-12)
    torch.testing.assert_close(after["forces"], before["forces"] @ -turn.T, rtol=0, atol=1e-12)
    with torch.no_grad():
        model.recursion.update.seen.zero_()
    deaf = found(model, graph)["energies"]
    assert (deaf - before["energies"]).abs().max() > 1e-5


def test_an_update_from_outside_has_forces_and_gradients(model: Reann) -> None:
    graph = graph_from_atoms(random_atoms(3, 4, (True, True, False)), CUTOFF)
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(4, 3, generator=generator, dtype=torch.float64)

    def energy(step: float) -> float:
        moved = replace(graph, positions=graph.positions + step * direction)
        return found(model, moved)["energies"].sum().item()

    slope = (8 * (energy(1e-4) - energy(-1e-4)) - (energy(2e-4) - energy(-2e-4))) / 12e-4
    expected = (found(model, graph)["forces"] * direction).sum().item()
    assert -slope == pytest.approx(expected, rel=1e-7)

    def loss() -> Tensor:
        here = properties.evaluate(model, graph, ["energy", "forces"], create_graph=True)
        return here["energy"].sum() + here["forces"].square().sum()

    check_gradients(model, loss)


def test_a_free_atom_has_its_reference_energy_whatever_is_passed_on(model: Reann) -> None:
    atoms = random_atoms(1, 1, (False, False, False))
    for z, energy in zip(ELEMENTS, model.reference_energies.tolist(), strict=True):
        atoms.numbers[0] = z
        assert found(model, graph_from_atoms(atoms, CUTOFF))["energies"].item() == energy


def test_an_update_from_outside_is_trained(model: Reann) -> None:
    graphs = [graph_from_atoms(random_atoms(s, 5, (False, False, False)), CUTOFF) for s in range(4)]
    graph, generator = Graph.batch(graphs), torch.Generator().manual_seed(0)
    target = torch.randn(4, generator=generator, dtype=torch.float64)
    optimizer, losses = optimizer_for(model, TrainingConfig(learning_rate=0.01)), []
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(12):
        optimizer.zero_grad()
        predicted = choice.evaluate(model, graph, ["energy"], create_graph=True, engine="torch")
        losses.append((predicted["energy"] - target).square().mean())
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_what_only_the_reference_computes_is_said(model: Reann, tmp_path: Any) -> None:
    graph = graph_from_atoms(random_atoms(3, 4, (True, True, True)), CUTOFF)
    with pytest.raises(UserError, match="does not support this"):
        choice.evaluate(model, graph, ["energy"], engine="native")
    with pytest.raises(UserError, match="update of this model is Vectors"):
        Potential(model).save(tmp_path / "never.reann")


def test_an_update_that_needs_moments_refuses_a_host_without() -> None:
    config = ModelConfig(host="deep_pot", cutoff=CUTOFF)
    update = Vectors(host_of(ModelConfig(preset="density", cutoff=CUTOFF), 1), 1)
    with pytest.raises(UserError, match="DeepPot has no moments"):
        Reann(config, [1], update=update)


@pytest.mark.parametrize("messages", ["scalar", "directional", Vectors])
def test_states_have_the_layout_that_the_update_declares(messages: Any) -> None:
    config = ModelConfig(preset="density", cutoff=CUTOFF, n_radial=3, l_max=2)
    host = host_of(config, len(ELEMENTS))
    update: Any = (
        update_of(config.model_copy(update={"messages": messages}), host, len(ELEMENTS))
        if isinstance(messages, str)
        else messages(host, len(ELEMENTS))
    )
    model = Reann(config, ELEMENTS, host=host, update=update)
    graph = graph_from_atoms(random_atoms(2, 5, (True, False, False)), CUTOFF)
    atoms = model.neighborhood(graph, graph.edge_vectors().to(torch.float32))
    seen, state = host.prepare(atoms), update.start(atoms)
    for t in range(update.n_recursions):
        features, moments = host.describe(seen, state, t, update)
        state = update.step(t, state, features, moments, atoms)
    assert update.layout[0] == (0, state.scalars.shape[1])
    rest = [(l, (l + 1) * (l + 2) // 2, n) for l, n in update.layout[1:]]
    assert [(l, *x.shape[1:]) for (l, _, _), x in zip(rest, state.tensors, strict=True)] == rest

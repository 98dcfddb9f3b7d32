"""Systems and weights at the edge of what makes sense: an error or an answer, never a crash."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from models import CUTOFF, random_atoms, random_model
from reann import native, properties
from reann.backends import choice
from reann.backends.native.weights import MEMBER, snapshot
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann
from reann.native.system import Arguments, arguments
from reann.properties import PROPERTIES

evaluate = partial(choice.evaluate, engine="native")

# Under CI tests/engines/test_native.py fails without it.
pytestmark = pytest.mark.skipif(not native.available(), reason="no native engine")


def compute(model: Reann, system: Arguments) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Return energies, forces, strain derivatives, and gradients, from the extension itself."""
    core, n, packed = native.core(), system.n_atoms, snapshot(model)
    arguments = (packed.model, 0, core.Workspace(), *system, 2)
    results = [np.empty(shape) for shape in ((n,), (n, 3), (system.n_structures, 3, 3))]
    core.evaluate(*arguments, *results, None)
    gradients = {f"{MEMBER}{name}": np.zeros(p.shape) for name, p in model.named_parameters()}
    core.gradient(*arguments, *map(np.ones_like, results), gradients)
    return results, gradients


@pytest.fixture
def batch() -> Graph:
    several = [random_atoms(seed, 4, (True, True, True)) for seed in (1, 2)]
    return Graph.batch([graph_from_atoms(atoms, CUTOFF) for atoms in several])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"structure": np.array([0, 0, 0, 0, 1, 1, 1, 2], np.int32)}, "system index of atom 7"),
        ({"structure": np.array([0, 0, -1, 0, 1, 1, 1, 1], np.int32)}, "system index of atom 2"),
        ({"structure": np.zeros(7, np.int32)}, "system"),
        ({"n_structures": 0}, "systems"),
        ({"n_structures": -1}, "systems|negative"),
        ({"first": np.zeros(3, np.int64)}, "first"),
        ({"shift": np.zeros((3, 3))}, "shift"),
    ],
)
def test_an_impossible_batch_is_refused(batch, change, said):
    model = random_model()
    system = arguments(batch, model.element_index)
    compute(model, system)
    with pytest.raises(ValueError, match=said):
        compute(model, system._replace(**change))


@pytest.mark.parametrize("name", [name for name, _ in random_model(zbl={}).named_parameters()])
def test_weights_that_are_not_finite_have_an_answer(batch, name):
    system = arguments(batch, random_model().element_index)
    for number in (np.nan, np.inf, -1e300, 1e300):
        model = random_model(zbl={})
        with torch.no_grad():
            dict(model.named_parameters())[name].fill_(number)
        results, _ = compute(model, system)
        expected = properties.evaluate(model, batch, ["energies"])["energies"].numpy()
        assert [x.shape for x in results] == [(8,), (8, 3), (2, 3, 3)]
        # A NaN must not be hidden.
        assert np.isfinite(expected[np.isfinite(results[0])]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_atom_may_have_twenty_thousand_neighbors_inside_the_cutoff(dtype):
    # Images of two atoms in a cell as small as it takes; the two see nothing.
    n, edge, rng = 20_000, 0.2, np.random.default_rng(3)
    positions = np.array([[0.0, 0.0, 0.0], [0.03, 0.05, 0.1], [0.1, 0.15, 0.06]])
    cells = np.stack(np.meshgrid(*[np.arange(-15, 16)] * 3), -1).reshape(-1, 3)
    pairs = [(j, *cell) for j in (1, 2) for cell in cells]
    pairs = rng.permutation(
        [p for p in pairs if 0.3 < np.linalg.norm(positions[p[0]] + edge * np.array(p[1:])) < 2.9]
    )[:n]
    assert len(pairs) == n
    graph = Graph(
        positions=torch.tensor(positions),
        atomic_numbers=torch.tensor([8, 1, 6]),
        system=torch.zeros(3, dtype=torch.int64),
        cell=edge * torch.eye(3, dtype=torch.float64)[None],
        pbc=torch.ones(1, 3, dtype=torch.bool),
        first=torch.tensor([0, n, n, n]),
        neighbor=torch.tensor(pairs[:, 0], dtype=torch.int32),
        edge_shift=torch.tensor(pairs[:, 1:], dtype=torch.int32),
    )
    model = random_model(dtype=dtype, n_recursions=1)
    found, expected = (f(model, graph, PROPERTIES) for f in (evaluate, properties.evaluate))
    for name in ("energies", "forces", "virial"):
        size = expected[name].abs().max()
        away = (found[name] - expected[name]).abs().max()
        assert away <= (1e-11 if dtype == torch.float64 else 1e-4) * size

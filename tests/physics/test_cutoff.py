"""Pairs at the cutoff, up to a few roundings: a lattice constant may be equal to it."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch

from models import each_engine, random_model
from reann.backends import choice
from reann.data.neighbors import graph_from_atoms
from reann.flux import heat_flux
from reann.graph import Graph
from reann.model import Reann
from reann.model.hosts import HOSTS
from reann.potential import Potential
from reann.testing import distances_around

CUTOFF = 5.0
"""Å; the root of the largest number below its square rounds to it."""
SKIN = 0.5
DTYPES = [torch.float32, torch.float64]
each_cutoff_function = pytest.mark.parametrize("function", ["squared_cosine", "polynomial"])


@pytest.fixture(scope="module")
def pairs() -> list[ase.Atoms]:
    """Pairs of atoms in several directions, with a squared distance that rounds in every way."""
    directions = np.random.default_rng(1).normal(size=(6, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    return [
        ase.Atoms("CO", [[0, 0, 0], distance * direction])
        for direction in directions
        for distance in distances_around(CUTOFF)
    ]


@pytest.fixture(scope="module")
def batch(pairs: list[ase.Atoms]) -> Graph:
    return Graph.batch([graph_from_atoms(pair, CUTOFF + SKIN) for pair in pairs])


def assert_smooth(model: Reann, batch: Graph, engine: str) -> None:
    """Compare with atoms apart, and ask for finite gradients of a loss of everything."""
    names = ["energies", "forces", "virial"]
    found = choice.evaluate(model, batch, [*names, "virials"], engine=engine)
    free = model.reference_energies.detach()[model.element_index[batch.atomic_numbers]]
    torch.testing.assert_close(found["energies"], free, rtol=0, atol=1e-4)
    for name in ("forces", "virial", "virials"):
        torch.testing.assert_close(found[name], torch.zeros_like(found[name]), rtol=0, atol=1e-3)
    kept = choice.evaluate(model, batch, names, create_graph=True, engine=engine)
    loss = torch.stack([kept[name].sum() for name in names]).sum()
    for gradient in torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True):
        assert gradient.isfinite().all()


@each_engine
@each_cutoff_function
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"angular": "raw", "messages": "directional"},
        {"messages": "equivariant"},
        {"zbl": {}},
        {"repulsion": True},
    ],
)
def test_everything_is_finite_distances_around(
    batch: Graph, engine: str, function: str, dtype: torch.dtype, form: dict
) -> None:
    if "zbl" in form:  # the repulsion, too, ends at the cutoff
        form = {"zbl": {"inner": 2.0, "outer": 9.0}}
    model = random_model(
        cutoff=CUTOFF, dtype=dtype, cutoff_function=function, n_recursions=1, **form
    )
    assert_smooth(model, batch, engine)


@each_cutoff_function
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("host", HOSTS)
def test_every_host_is_finite_distances_around(
    batch: Graph, host: str, function: str, dtype: torch.dtype
) -> None:
    model = random_model(
        cutoff=CUTOFF, dtype=dtype, cutoff_function=function, n_recursions=1, host=host
    )
    assert_smooth(model, batch, "torch")


@each_engine
@each_cutoff_function
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_heat_flux_is_finite_distances_around(
    pairs: list[ase.Atoms], engine: str, function: str, dtype: torch.dtype
) -> None:
    potential = Potential(
        random_model(cutoff=CUTOFF, dtype=dtype, cutoff_function=function, n_recursions=1)
    )
    for pair in pairs[: len(distances_around(CUTOFF))]:
        pair.set_velocities([[0.1, 0.2, 0.3], [-0.1, 0.3, 0.2]])
        flux = heat_flux(potential, pair, engine).potential
        np.testing.assert_allclose(flux, 0.0, atol=1e-4)

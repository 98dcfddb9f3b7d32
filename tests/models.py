"""Models and structures that tests draw: small, random, and nowhere trivial."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from reann import native
from reann.config import ModelConfig
from reann.graph import Graph
from reann.model import Reann, build
from reann.testing import assert_gradients_are_slopes as check_gradients
from reann.testing import distances_around, with_pair_at
from reann.testing import random_structure as random_atoms

__all__ = ["check_gradients", "random_atoms"]

ELEMENTS = [1, 6, 8]
CUTOFF = 3.0

each_engine = pytest.mark.parametrize(
    "engine",
    [
        "torch",
        pytest.param(
            "native",
            # Under CI tests/engines/test_native.py fails without it.
            marks=pytest.mark.skipif(not native.available(), reason="no native engine"),
        ),
    ],
)
"""What holds for the physics holds for whatever computes it."""


either_messages = pytest.mark.parametrize("messages", ["scalar", "equivariant"])
"""What holds for a program that is given a potential holds whatever the recursion of it."""

DRAWN_FIRST = ("reference_energies", "update.weights")
"""Ends of the names of parameters, so that models are the same wherever these parameters are."""

STATISTICS = (
    "feature_mean",
    "feature_scale",
    "radial_scale",
    "moment_scale",
    "passed_scale",
    "product_mean",
    "product_scale",
    "state_scale",
)
"""Names of buffers that training structures set."""


def random_model(
    elements: list[int] = ELEMENTS,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    **choices: Any,
) -> Reann:
    """Return a model whose every parameter is off its start, the zero layers too."""
    small = {"hidden": [8, 8]}
    values = {"preset": "density", "cutoff": CUTOFF, "n_radial": 4} | choices
    values = {"readout": small, "update": small} | values
    if values.get("messages") == "equivariant":
        values = {"channels": 5} | values
    model = build(ModelConfig(**values), elements, 10.0, seed=seed, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        parameters = dict(model.named_parameters())
        first = [n for end in DRAWN_FIRST for n in parameters if n.endswith(end)]
        for name in dict.fromkeys([*first, *parameters]):
            p = parameters[name]
            scale = 2.0 if name.endswith("reference_energies") else 0.1
            p.add_(scale * torch.randn(p.shape, generator=generator, dtype=p.dtype))
        if model.repulsion is not None:
            radius = model.cutoff * (0.25 + 0.05 * torch.arange(len(elements), dtype=torch.float64))
            model.repulsion.begin_at(radius[:, None] + radius)
            model.repulsion.amplitude.mul_(0.01)
        for name, buffer in model.recursion.named_buffers():
            if name.rpartition(".")[2] not in STATISTICS:
                continue
            if name == "radial_scale":
                buffer.mul_(3.0)  # moments of about one, without a calibration
            if name.endswith("moment_scale"):
                buffer.mul_(0.3)  # close atoms have large ones, of which states are fourth powers
            buffer.add_(0.2 * torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype))
    return model


@torch.no_grad()
def set_range(model: Reann, graph: Graph, *, fixed: int | None = None) -> None:
    """Give a model a range that atoms of a graph lie outside of, for one feature of no width."""
    rho = model.embed(graph, graph.edge_vectors()).density
    least, width = rho.amin(0), rho.amax(0) - rho.amin(0)
    model.density_min.copy_((least + 0.3 * width).expand_as(model.density_min))
    model.density_max.copy_((least + 0.8 * width).expand_as(model.density_max))
    if fixed is not None:
        model.density_max[:, fixed] = model.density_min[:, fixed]


def read_off_states(model: Reann, graph: Graph, vectors: torch.Tensor) -> torch.Tensor:
    """Return what the native engine calls outputs, (atoms, numbers): rows of all heads."""
    atoms = model.neighborhood(graph, vectors)
    states = model.recursion.with_states(model.softened(atoms))[1]
    rows = [vectors.new_zeros(graph.n_atoms, 0)]
    for head in model.output_heads.values():
        for name, l in head.rows.items():
            weights = head.get_parameter(name)[:, atoms.element, None]
            h = torch.stack([of_layer[l] for of_layer in states])
            rows.append((h * weights).sum((0, 3)) / model.config.channels**0.5)
    return torch.cat(rows, 1)[atoms.rank]


masks = st.tuples(st.booleans(), st.booleans(), st.booleans())
anywhere = st.builds(random_atoms, st.integers(0, 10_000), st.integers(1, 6), masks)
distances = st.sampled_from(distances_around(CUTOFF))
structures = anywhere | st.builds(with_pair_at, anywhere, distances, st.integers(0, 1000))

networks = st.fixed_dictionaries(
    {
        "hidden": st.sampled_from([[6], [6, 6], [6, 5, 6]]),
        "activation": st.sampled_from(["silu", "relu_like", "tanh_like"]),
        "layer_norm": st.booleans(),
    }
)
of_density = st.fixed_dictionaries(
    {
        "l_max": st.integers(0, 4),
        "n_recursions": st.integers(0, 3),
        "features": st.sampled_from(["gram", "many_body", "orbitals"]),
        "messages": st.sampled_from(["scalar", "directional"]),
        "orbitals_per_l": st.booleans(),
        "orbitals_per_recursion": st.booleans(),
        "angular": st.sampled_from(["unit", "raw"]),
        "radial": st.sampled_from(["neighbor", "pair"]),
        "radial_width": st.sampled_from(["softplus", "free"]),
        "cutoff_function": st.sampled_from(["squared_cosine", "polynomial"]),
        "standardize": st.booleans(),
        "zbl": st.sampled_from([None, {}]),
        "repulsion": st.booleans(),
        "readout": networks,
    }
)
equivariant = st.fixed_dictionaries(
    {
        "messages": st.just("equivariant"),
        "l_max": st.integers(1, 3),
        "n_recursions": st.integers(0, 2),
        "channels": st.sampled_from([3, 8]),
        "radial_basis": st.sampled_from(["bessel", "gaussian"]),
        "moment_limit": st.sampled_from([None, 0.5, 2.0]),
        "cutoff_function": st.sampled_from(["squared_cosine", "polynomial"]),
        "zbl": st.sampled_from([None, {}]),
        "repulsion": st.booleans(),
        "readout": networks,
    }
)
forms = of_density | equivariant
"""Every choice of the model's form."""

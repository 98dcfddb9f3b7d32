"""Models and structures that tests draw: small, random, and nowhere trivial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ase
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from reann import native
from reann.config import ModelConfig
from reann.model import Reann, build

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


def random_model(
    elements: list[int] = ELEMENTS,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    **choices: Any,
) -> Reann:
    """Return a model whose every parameter is off its start, the zero layers too."""
    small = {"hidden": [8, 8]}
    values = {"cutoff": CUTOFF, "n_radial": 4, "readout": small, "update": small} | choices
    model = build(ModelConfig(**values), elements, 10.0, seed=seed, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 2.0 if name == "reference_energies" else 0.1
            p.add_(scale * torch.randn(p.shape, generator=generator, dtype=p.dtype))
        for buffer in (model.recursion.feature_mean, model.recursion.feature_scale):
            buffer.add_(0.2 * torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype))
    return model


def check_gradients(model: Reann, loss: Callable[[], torch.Tensor]) -> None:
    """Compare the gradients of a loss with its slopes, one direction for each parameter."""
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(loss(), list(parameters.values()), materialize_grads=True)
    generator = torch.Generator().manual_seed(0)
    for (name, p), gradient in zip(parameters.items(), gradients, strict=True):
        direction = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                p.add_(sign * 1e-5 * direction)
            ends.append(loss().item())
            with torch.no_grad():
                p.sub_(sign * 1e-5 * direction)
        slope = (ends[0] - ends[1]) / 2e-5
        expected = float((gradient * direction).sum())
        assert slope == pytest.approx(expected, rel=1e-5, abs=1e-5), name


def random_atoms(seed: int, n_atoms: int, pbc: tuple[bool, bool, bool]) -> ase.Atoms:
    """Return atoms at least 0.7 Å apart in a skewed cell of either handedness."""
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(2.5, 5.0, 3)) + rng.uniform(-0.8, 0.8, (3, 3))
    cell = cell[rng.permutation(3)]
    for _ in range(1000):
        positions = rng.uniform(-0.5, 1.5, (n_atoms, 3)) @ cell
        atoms = ase.Atoms(rng.choice(ELEMENTS, n_atoms), positions, cell=cell, pbc=pbc)
        distances = atoms.get_all_distances(mic=any(pbc))
        if n_atoms == 1 or distances[np.triu_indices(n_atoms, 1)].min() > 0.7:
            return atoms
    raise AssertionError("no room for the atoms")


def around_the_cutoff(cutoff: float = CUTOFF) -> list[float]:
    """Return distances at the cutoff, and the next ones in double and in single precision."""
    found = {cutoff}
    for number in (np.float32, np.float64):
        for end in (0.0, 10.0):
            distance = number(cutoff)
            for _ in range(3):
                distance = np.nextafter(distance, number(end))
                found.add(float(distance))
    return sorted(found)


def with_a_pair_at(atoms: ase.Atoms, distance: float, seed: int) -> ase.Atoms:
    """Return atoms and one more, at a distance from the first and 0.7 Å or more from all."""
    rng = np.random.default_rng(seed)
    for _ in range(100):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        added = ase.Atoms([rng.choice(ELEMENTS)], [atoms.positions[0] + distance * direction])
        more = atoms + added
        if more.get_distances(-1, range(len(atoms)), mic=any(atoms.pbc)).min() > 0.7:
            return more
    return atoms


masks = st.tuples(st.booleans(), st.booleans(), st.booleans())
anywhere = st.builds(random_atoms, st.integers(0, 10_000), st.integers(1, 6), masks)
distances = st.sampled_from(around_the_cutoff())
structures = anywhere | st.builds(with_a_pair_at, anywhere, distances, st.integers(0, 1000))

forms = st.fixed_dictionaries(
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
        "readout": st.fixed_dictionaries(
            {
                "hidden": st.sampled_from([[6], [6, 6], [6, 5, 6]]),
                "activation": st.sampled_from(["silu", "relu_like", "tanh_like"]),
                "layer_norm": st.booleans(),
            }
        ),
    }
)
"""Every choice of the model's form."""

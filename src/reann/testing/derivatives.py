"""Forces, stress and gradients of parameters agree with finite differences."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
import torch
from torch import Tensor, nn

from reann.testing.predictor import Predict

STEP = 1e-4
"""Å, and relative strain."""
BOUND = 2e-6
"""eV/Å, or eV, in units of one plus the largest value."""


def assert_forces_are_slopes(predict: Predict, atoms: ase.Atoms, seed: int = 0) -> None:
    """The forces are the negative slope of the energy along a random direction of all atoms."""
    direction = np.random.default_rng(seed).normal(size=(len(atoms), 3))

    def energy(step: float) -> float:
        moved = atoms.copy()
        moved.positions += step * direction
        return float(predict(moved, ("energy",))["energy"])

    forces = predict(atoms, ("forces",))["forces"]
    bound = BOUND * (1.0 + np.abs(forces).max())
    np.testing.assert_allclose(-_slope(energy), (forces * direction).sum(), rtol=1e-6, atol=bound)


def assert_stress_is_the_slope(predict: Predict, atoms: ase.Atoms, seed: int = 0) -> None:
    """The virial is the negative slope of the energy under a random strain, for any periodicity.

    Where a structure is periodic in three dimensions, stress * volume is its negative.
    """
    strain = np.random.default_rng(seed).normal(size=(3, 3))
    strain = 0.5 * (strain + strain.T)

    def energy(step: float) -> float:
        strained = atoms.copy()
        deformation = np.eye(3) + step * strain
        strained.set_cell(atoms.cell.array @ deformation)
        strained.positions = atoms.positions @ deformation
        return float(predict(strained, ("energy",))["energy"])

    full = bool(atoms.pbc.all())
    values = predict(atoms, ("virial", "virials", *(["stress"] if full else [])))
    size = 1.0 + np.abs(values["virial"]).max()
    expected = (values["virial"] * strain).sum()
    np.testing.assert_allclose(-_slope(energy), expected, rtol=1e-6, atol=BOUND * size)
    total = values["virials"].sum(0)
    np.testing.assert_allclose(0.5 * (total + total.T), values["virial"], atol=1e-10 * size)
    if full:
        work = values["stress"] * abs(atoms.cell.volume)
        np.testing.assert_allclose(work, -values["virial"], atol=1e-12 * size)


def assert_gradients_are_slopes(model: nn.Module, loss: Callable[[], Tensor]) -> None:
    """The gradient of a loss with respect to each parameter is its slope along one direction."""
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad(loss(), list(parameters.values()), materialize_grads=True)
    generator = torch.Generator().manual_seed(0)
    step = 1e-5
    for (name, p), gradient in zip(parameters.items(), gradients, strict=True):
        direction = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                p.add_(sign * step * direction)
            ends.append(loss().item())
            with torch.no_grad():
                p.sub_(sign * step * direction)
        slope = (ends[0] - ends[1]) / (2.0 * step)
        expected = float((gradient * direction).sum())
        np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-5, err_msg=name)


def _slope(energy: Callable[[float], float]) -> float:
    """Return a derivative of fourth order."""
    near, far = energy(STEP) - energy(-STEP), energy(2.0 * STEP) - energy(-2.0 * STEP)
    return (8.0 * near - far) / (12.0 * STEP)

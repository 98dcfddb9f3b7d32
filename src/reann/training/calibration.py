"""Calibration of the fixed scales of the equivariant recursion, layer by layer, on structures.

With the initial weights, the radial basis, moments, messages and states get a root mean square of
one, and the scalar products a mean of zero and a standard deviation of about one, for each element,
product and channel. A layer is calibrated after all layers before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reann.model import Reann
from reann.model.equivariant.layer import Layer, State
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.neighborhood import Neighborhood
from reann.model.products import products
from reann.units import COULOMB

MEAN_SHARE, LEAST_SCALE = 0.1, 1e-3
"""Scale of a product: its standard deviation, plus this fraction of its mean, plus a minimum."""
FEW_ATOMS = 100
"""The statistics of elements with fewer atoms are supplemented by those of all elements."""
LEAST_PART = 1e-2
"""Smallest root mean square that is scaled to one, relative to the largest of the moments: in
crystals, moments that vanish by symmetry consist of rounding errors."""
POLARIZABILITY = 0.45 / COULOMB
"""Of an atom of H, C, N or O in a molecule, e Å^2/V."""


@torch.no_grad()
def calibrate(recursion: EquivariantRecursion, batches: Sequence[Neighborhood]) -> None:
    """Set the fixed scales of a recursion from batches of structures with neighbors.

    Without batches they are not changed. The scale of electric fields must have been set.
    """
    if not batches:
        return
    _set_radial_scale(recursion, batches)
    _set_input_scale(recursion, batches)
    states = [recursion.start(atoms) for atoms in batches]
    for layer in recursion.each_layer():
        neighborhoods = (recursion.prepare(atoms) for atoms in batches)
        sums = [layer.sums(each, h) for each, h in zip(neighborhoods, states, strict=True)]
        _set_moment_scales(layer, sums)
        fields = [recursion.field_moments(atoms) for atoms in batches]
        moments = [layer.mixed(*each, Y) for each, Y in zip(sums, fields, strict=True)]
        counts = [atoms.counts for atoms in batches]
        _set_product_scales(layer, moments, counts)
        if layer.makes_states:
            layer.state_scale.fill_(1.0)
            of_batches = zip(moments, states, counts, strict=True)
            states = [layer.of_moments(m, h[0], n)[1] for m, h, n in of_batches]
            _set_state_scales(layer, states)


@torch.no_grad()
def set_field_scale(model: Reann) -> None:
    """Set F_0 so that 1/2 alpha F_0^2 of an atom is the energy scale, about 10 V/Å for molecules.

    With the fields of the structures as scale, which are much weaker, initial weights and steps of
    the optimizer would change polarizabilities by hundreds of times their spread.
    """
    if isinstance(model.recursion, EquivariantRecursion) and model.config.field:
        scale = (POLARIZABILITY / (2.0 * model.energy_scale)).sqrt()
        model.recursion.field_scale.copy_(scale)


def _set_radial_scale(recursion: EquivariantRecursion, batches: Sequence[Neighborhood]) -> None:
    recursion.radial_scale.fill_(1.0)
    inside = [atoms.vector.square().sum(-1) < recursion.cutoff**2 for atoms in batches]
    basis = [recursion.prepare(atoms).basis for atoms in batches]
    size = _rms([b[within] for b, within in zip(basis, inside, strict=True)])
    recursion.radial_scale.copy_(1.0 / size)


def _set_input_scale(recursion: EquivariantRecursion, batches: Sequence[Neighborhood]) -> None:
    """Set the scale of each number of charge and spin that is not always zero."""
    inputs = [atoms.inputs for atoms in batches if atoms.inputs is not None]
    if not inputs:
        return
    for k, values in enumerate(torch.cat(inputs).T):
        if values.any():
            recursion.input_scale[k] = _rms([values[values != 0.0]])


def _set_moment_scales(layer: Layer, sums: Sequence[tuple[list[Tensor], list[Tensor]]]) -> None:
    s = torch.stack([_rms(s_l) for s_l in zip(*(s for s, _ in sums), strict=True)])
    layer.moment_scale.copy_(_inverse(s, s.max()))
    if not layer.is_first:
        q = torch.stack([_rms(q_l) for q_l in zip(*(q for _, q in sums), strict=True)])
        layer.passed_scale.copy_(_inverse(q, s.max()))


def _set_product_scales(
    layer: Layer, moments: Sequence[list[Tensor]], counts: Sequence[list[int]]
) -> None:
    n = torch.tensor(counts, dtype=torch.float64, device=layer.product_mean.device).sum(0)
    total, squares = (torch.zeros_like(layer.product_mean, dtype=torch.float64) for _ in "12")
    for m, each in zip(moments, counts, strict=True):
        for z, b in enumerate(products(m, 0)[0].to(torch.float64).split(each)):
            total[z] += b.sum(0)
            squares[z] += b.square().sum(0)
    n_borrowed = (FEW_ATOMS - n).clamp(min=0.0)[:, None, None]
    n = n[:, None, None]
    mean = (total + n_borrowed * total.sum(0) / n.sum()) / (n + n_borrowed)
    mean_square = (squares + n_borrowed * squares.sum(0) / n.sum()) / (n + n_borrowed)
    deviation = (mean_square - mean.square()).clamp(min=0.0).sqrt()
    layer.product_mean.copy_(mean)
    layer.product_scale.copy_(deviation + MEAN_SHARE * mean.abs() + LEAST_SCALE)


def _set_state_scales(layer: Layer, states: Sequence[State]) -> None:
    """Set the scales of h^l, l >= 1, and apply them to the states."""
    size = torch.stack([_rms(h_l) for h_l in list(zip(*states, strict=True))[1:]])
    layer.state_scale.copy_(_inverse(size, torch.ones_like(size[0])))
    for h in states:
        h[1:] = [nu * h_l for nu, h_l in zip(layer.state_scale, h[1:], strict=True)]


def _rms(parts: Sequence[Tensor]) -> Tensor:
    """Return the root mean square of all values, float64."""
    squares = torch.stack([part.to(torch.float64).square().sum() for part in parts])
    return (squares.sum() / sum(part.numel() for part in parts)).sqrt()


def _inverse(size: Tensor, largest: Tensor) -> Tensor:
    """Return scales to one, unchanged sizes where all are zero, as for a single environment."""
    bounded = size.clamp(min=LEAST_PART * largest)
    return torch.where(bounded > 0.0, 1.0 / bounded, 1.0)

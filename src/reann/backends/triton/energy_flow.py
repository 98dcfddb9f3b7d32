"""The heat flux: energy that flows along the edges, from what neighbors pass on as all atoms move.

J = -sum_ij r_ij [ g_ij . v_j + sum_t (dE/dc_ij^(t)) . dc_j^(t)/dt ]; see `reann.flux`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from reann.backends.flows import rates
from reann.backends.triton import edge_kernels as kernels
from reann.backends.triton.neighbor_sums import Place, Recorded, arguments_of
from reann.backends.triton.source import launch


def energy_flow(
    place: Place, energies: Float[Tensor, " atoms"], v: Float[Tensor, "atoms 3"]
) -> Float[Tensor, "3"]:
    """Return the flux from the energies of atoms, in any order, and the velocities.

    `place` has recorded the sums over neighbors that the energies were computed from.
    """
    assert place.recorded is not None
    place.needed.geometry, place.needed.parameters = True, False
    recorded = place.recorded
    bars = torch.autograd.grad(energies.sum(), [x.sums for x in recorded], retain_graph=True)
    moving = [x.states for x in recorded if x.fixed[0].n_moving]
    known = iter(rates(moving, place.positions, v))
    flux = v.new_zeros(3)
    for x, bar in zip(recorded, bars, strict=True):
        rate = next(known) if x.fixed[0].n_moving else torch.zeros_like(x.states)
        flux = flux + _of_sums(x, v, rate, bar)
    return flux


def _of_sums(x: Recorded, v: Tensor, rate: Tensor, bar: Tensor) -> Float[Tensor, "3"]:
    summand, place, _ = x.fixed
    n = place.rows.n_atoms
    arrays = arguments_of(x.fixed, place.positions, x.states, x.weights)
    out = torch.empty_like(v)
    run = kernels.flow(summand.make, summand.shape)
    moved = (v.contiguous(), rate.contiguous(), bar.contiguous())
    launch(run, n, *arrays, *moved, out, n, warps=summand.shape.warps)
    return out.sum(0)

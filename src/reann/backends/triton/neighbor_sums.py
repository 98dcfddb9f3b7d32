"""Sums over neighbors as functions of PyTorch, with the derivatives for training on forces.

The backward pass of the sums is another sum over neighbors, and so is the backward pass of that,
which a loss on forces needs. Nothing is stored for edges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann.backends.triton import edge_kernels as kernels
from reann.backends.triton.edge_text import Shape
from reann.backends.triton.recipe import Recipe
from reann.backends.triton.rows import Rows
from reann.backends.triton.source import launch


@dataclass(eq=False)
class Needed:
    """Derivatives that a backward pass has to compute, because PyTorch does not state them."""

    geometry: bool = True
    parameters: bool = True


@dataclass(frozen=True, eq=False)
class Place:
    """Positions and strains of atoms, the variables of forces and virials.

    Attributes
    ----------
    positions
        Å, in the order of the graph.
    strains
        Strain of the vectors that end at each atom, (atoms, 3, 3); its value is zero.
    to_third_order
        Whether products of moments are differentiated three times, for gradients of responses to a
        field; kernels do not support this.
    recorded
        List to which all sums are added, for the heat flux; None if it is not needed.
    """

    rows: Rows
    positions: Float[Tensor, "atoms 3"]
    strains: Float[Tensor, "atoms 3 3"]
    needed: Needed = field(default_factory=Needed)
    to_third_order: bool = False
    recorded: list[Recorded] | None = None


@dataclass(frozen=True)
class Summand:
    """Contribution of an edge to sums over neighbors.

    Attributes
    ----------
    make
        Returns the function of an edge.
    n_results
        Number of rows of the sums.
    n_paths, n_radial
        Numbers of radial functions, and of basis functions that they combine.
    n_moving
        Number of rows of the states that depend on positions. They come first, and the sums are
        linear in them.
    """

    make: Recipe
    shape: Shape
    n_results: int
    n_paths: int
    n_radial: int
    n_moving: int


def neighbor_sums(
    summand: Summand,
    place: Place,
    states: Float[Tensor, "rows atoms channels"],
    weights: Float[Tensor, "paths radial channels"] | None = None,
    pairs: Float[Tensor, "tables elements elements"] | None = None,
) -> Float[Tensor, "results atoms channels"]:
    """Return sums over the neighbors of all atoms, in the order of the elements."""
    fixed = (summand, place, pairs)
    sums = Sums.apply(fixed, place.positions, place.strains, states, weights)
    if place.recorded is not None:
        place.recorded.append(Recorded(fixed, states, weights, sums))
    return sums


class Recorded(NamedTuple):
    """Sums, with the tensors from which they were computed."""

    fixed: tuple[Summand, Place, Tensor | None]
    states: Tensor
    weights: Tensor | None
    sums: Tensor


class Sums(torch.autograd.Function):
    """Sums over the neighbors of all atoms."""

    @staticmethod
    def forward(
        ctx: Any, fixed: tuple[Summand, Place, Tensor | None], *tensors: Tensor | None
    ) -> Tensor:
        """Return (results, atoms, channels) of positions, strains, states and weights."""
        positions, _, states, weights = tensors
        assert positions is not None
        assert states is not None
        summand, place, _ = ctx.fixed = fixed
        ctx.save_for_backward(*tensors)
        n, K = place.rows.n_atoms, summand.shape.channels
        out = states.new_empty(summand.n_results, n, K)
        run = kernels.sums(summand.make, summand.shape, moving=False)
        arrays = arguments_of(fixed, positions, states, weights)
        launch(run, n, *arrays, out, n, warps=summand.shape.warps)
        return out

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivatives of the sum of results times bars."""
        summand, place, _ = ctx.fixed
        _, of_positions, _, of_states, of_weights = ctx.needs_input_grad
        needed = place.needed
        requested = (
            needed.geometry and of_positions,
            of_states and bool(summand.n_moving or needed.parameters),
            needed.parameters and of_weights,
        )
        return (None, *_derivatives(ctx.fixed, requested, *ctx.saved_tensors, bars[0].contiguous()))


class Slopes(torch.autograd.Function):
    """Derivatives of sums times weights with respect to positions, strains and states."""

    @staticmethod
    def forward(
        ctx: Any,
        fixed: tuple[Summand, Place, Tensor | None],
        requested: tuple[bool, bool],
        *tensors: Tensor | None,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the requested derivatives: by positions and strains, and by states.

        The tensors are positions, strains, states, weights and bars.
        """
        positions, _, states, weights, bar = tensors
        assert positions is not None
        assert states is not None
        ctx.fixed = fixed
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        summand, place, _ = fixed
        geometry, of_states = requested
        if not any(requested):
            return None, None, None
        outputs = []
        if geometry:
            outputs += [torch.empty_like(positions), positions.new_empty(len(positions), 3, 3)]
        if of_states:
            outputs.append(torch.empty_like(states))
        run = kernels.slopes(summand.make, summand.shape, of_geometry=geometry, of_states=of_states)
        n = place.rows.n_atoms
        arrays = arguments_of(fixed, positions, states, weights)
        launch(run, n, *arrays, bar, *outputs, n, warps=summand.shape.warps)
        by_positions, by_strains = outputs[:2] if geometry else (None, None)
        return by_positions, by_strains, outputs[-1] if of_states else None

    @staticmethod
    def backward(
        ctx: Any, moves: Tensor | None, strains: Tensor | None, rates: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Return derivatives of the derivatives along moves, strains and rates of states."""
        if moves is None and strains is None:
            return Slopes._of_states(ctx, rates)
        return Slopes._of_geometry(ctx, moves, strains, rates)

    @staticmethod
    def _of_states(ctx: Any, rates: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the derivatives along rates of states only; they can be differentiated again.

        The derivatives by states, times rates, equal the sums of these rates, times bars.
        """
        summand, place, _ = ctx.fixed
        positions, strains, states, weights, bar = ctx.saved_tensors
        n, needed = summand.n_moving, place.needed
        if rates is None or not n:
            return (None,) * 7
        moved = torch.cat([rates[:n], states[n:]])
        _, _, of_positions, _, of_states, of_weights, _ = ctx.needs_input_grad
        requested = (
            needed.geometry and of_positions,
            needed.parameters and of_states and len(states) > n,
            needed.parameters and of_weights,
        )
        *of_geometry, of_moved, by_weights = _derivatives(
            ctx.fixed, requested, positions, strains, moved, weights, bar
        )
        by_states = None
        if of_moved is not None:
            by_states = torch.cat([torch.zeros_like(of_moved[:n]), of_moved[n:]])
        sums = Sums.apply(ctx.fixed, positions, strains, moved, weights)
        return None, None, *of_geometry, by_states, by_weights, sums

    @staticmethod
    @once_differentiable
    def _of_geometry(
        ctx: Any, moves: Tensor | None, strains: Tensor | None, rates: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Return the derivatives by states, weights and bars, but not by positions."""
        summand, place, _ = ctx.fixed
        positions, _, states, weights, bar = ctx.saved_tensors
        n = place.rows.n_atoms
        moved = (
            torch.zeros_like(positions) if moves is None else moves.contiguous(),
            positions.new_zeros(n, 3, 3) if strains is None else strains.contiguous(),
            torch.zeros_like(states) if rates is None else rates.contiguous(),
        )
        arrays = (*arguments_of(ctx.fixed, positions, states, weights), *moved)
        out = torch.empty_like(bar)
        run = kernels.sums(summand.make, summand.shape, moving=True)
        launch(run, n, *arrays, out, n, warps=summand.shape.warps)
        of_states = of_weights = None
        if ctx.needs_input_grad[4]:
            of_states = torch.empty_like(states)
            run = kernels.slopes_of_rates(summand.make, summand.shape)
            launch(run, n, *arrays, bar, of_states, n, warps=summand.shape.warps)
        if weights is not None and ctx.needs_input_grad[5]:
            of_weights = _gradient(summand, arrays, bar, weights, moving=True)
        return None, None, None, None, of_states, of_weights, out


def _derivatives(
    fixed: tuple[Summand, Place, Tensor | None],
    requested: tuple[bool, bool, bool],
    *tensors: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """Return the derivatives of sums times bars: by positions, strains, states and weights.

    `requested` says which derivatives are needed: by positions and strains, by states, by weights.
    The tensors are those of `Slopes`.
    """
    positions, _, states, weights, bar = tensors
    assert positions is not None
    assert states is not None
    of_weights = None
    if weights is not None and bar is not None and requested[2]:
        arrays = arguments_of(fixed, positions, states, weights)
        of_weights = _gradient(fixed[0], arrays, bar, weights, moving=False)
    return *Slopes.apply(fixed, requested[:2], *tensors), of_weights


def arguments_of(
    fixed: tuple[Summand, Place, Tensor | None],
    positions: Tensor,
    states: Tensor,
    weights: Tensor | None,
) -> tuple[Tensor, ...]:
    """Return the arguments of the kernels up to the states."""
    _, place, pairs = fixed
    of_neighbors = states if states.shape[0] else None
    others = [x for x in (pairs, weights, of_neighbors) if x is not None]
    return (positions, *place.rows.arguments, *others)


def _gradient(
    summand: Summand, arrays: tuple[Tensor, ...], bar: Tensor, weights: Tensor, *, moving: bool
) -> Float[Tensor, "paths radial channels"]:
    """Return the gradient of the weights, summed in float64 over the programs."""
    n = bar.shape[1]
    programs = -(-n // kernels.PROGRAM_ROWS)
    each = []
    for path in range(summand.n_paths):
        out = weights.new_empty(programs, *weights.shape[1:])
        run = kernels.gradient(summand.make, summand.shape, path, moving=moving)
        launch(run, programs, *arrays, bar, out, n, warps=summand.shape.warps)
        each.append(out.sum(0, dtype=torch.float64).to(weights.dtype))
    return torch.stack(each)

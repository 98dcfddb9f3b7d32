"""Sums over neighbors that PyTorch differentiates, up to what a training on forces needs.

The backward of the sums is a sum over neighbors again, and its backward, which a loss of forces
asks for, a third one: no edge has anything in memory.
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
class Wanted:
    """Which derivatives a backward pass computes: PyTorch does not say which of them it needs."""

    geometry: bool = True
    parameters: bool = True


@dataclass(frozen=True, eq=False)
class Place:
    """Where atoms are, and how it is strained: the variables of forces and virials.

    Attributes
    ----------
    positions
        Å, in the order of the graph.
    strains
        Of the vectors that end at an atom, (atoms, 3, 3): zero.
    to_third_order
        Whether products of moments are differentiated three times, which their kernels are not:
        for gradients of responses to a field.
    recorded
        Takes what is summed, for the heat flux; None: nothing does.
    """

    rows: Rows
    positions: Float[Tensor, "atoms 3"]
    strains: Float[Tensor, "atoms 3 3"]
    wanted: Wanted = field(default_factory=Wanted)
    to_third_order: bool = False
    recorded: list[Recorded] | None = None


@dataclass(frozen=True)
class Summand:
    """What is summed.

    Attributes
    ----------
    make
        Returns the function of an edge.
    n_results
        Rows of the sums.
    n_paths, n_radial
        Radial functions, and functions of the basis that they are made of.
    n_moving
        Rows of the states that depend on positions, the first ones, in which the sums are linear.
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
    given = (summand, place, pairs)
    sums = Sums.apply(given, place.positions, place.strains, states, weights)
    if place.recorded is not None:
        place.recorded.append(Recorded(given, states, weights, sums))
    return sums


class Recorded(NamedTuple):
    """Sums, and what they are made of."""

    given: tuple[Summand, Place, Tensor | None]
    states: Tensor
    weights: Tensor | None
    sums: Tensor


class Sums(torch.autograd.Function):
    """The sums."""

    @staticmethod
    def forward(
        ctx: Any, given: tuple[Summand, Place, Tensor | None], *tensors: Tensor | None
    ) -> Tensor:
        """Return (results, atoms, channels) of positions, strains, states and weights."""
        positions, _, states, weights = tensors
        assert positions is not None
        assert states is not None
        summand, place, _ = ctx.given = given
        ctx.save_for_backward(*tensors)
        n, K = place.rows.n_atoms, summand.shape.channels
        out = states.new_empty(summand.n_results, n, K)
        run = kernels.sums(summand.make, summand.shape, moving=False)
        arrays = arguments_of(given, positions, states, weights)
        launch(run, n, *arrays, out, n, warps=summand.shape.warps)
        return out

    @staticmethod
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivatives of the sum of results times bars."""
        summand, place, _ = ctx.given
        _, of_positions, _, of_states, of_weights = ctx.needs_input_grad
        wanted = place.wanted
        asked = (
            wanted.geometry and of_positions,
            of_states and bool(summand.n_moving or wanted.parameters),
            wanted.parameters and of_weights,
        )
        return (None, *_derivatives(ctx.given, asked, *ctx.saved_tensors, bars[0].contiguous()))


class Slopes(torch.autograd.Function):
    """Derivatives of sums times weights with respect to positions, strains and states."""

    @staticmethod
    def forward(
        ctx: Any,
        given: tuple[Summand, Place, Tensor | None],
        asked: tuple[bool, bool],
        *tensors: Tensor | None,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return what is asked for: the derivatives by positions and strains, those by states.

        The tensors are positions, strains, states, weights and bars.
        """
        positions, _, states, weights, bar = tensors
        assert positions is not None
        assert states is not None
        ctx.given = given
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        summand, place, _ = given
        geometry, of_states = asked
        if not any(asked):
            return None, None, None
        outputs = []
        if geometry:
            outputs += [torch.empty_like(positions), positions.new_empty(len(positions), 3, 3)]
        if of_states:
            outputs.append(torch.empty_like(states))
        run = kernels.slopes(summand.make, summand.shape, of_geometry=geometry, of_states=of_states)
        n = place.rows.n_atoms
        arrays = arguments_of(given, positions, states, weights)
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
        """Return those along rates of states alone, which can be differentiated again.

        The derivatives by states times rates are the sums of these rates, times bars.
        """
        summand, place, _ = ctx.given
        positions, strains, states, weights, bar = ctx.saved_tensors
        n, wanted = summand.n_moving, place.wanted
        if rates is None or not n:
            return (None,) * 7
        moved = torch.cat([rates[:n], states[n:]])
        _, _, of_positions, _, of_states, of_weights, _ = ctx.needs_input_grad
        asked = (
            wanted.geometry and of_positions,
            wanted.parameters and of_states and len(states) > n,
            wanted.parameters and of_weights,
        )
        *of_geometry, of_moved, by_weights = _derivatives(
            ctx.given, asked, positions, strains, moved, weights, bar
        )
        by_states = None
        if of_moved is not None:
            by_states = torch.cat([torch.zeros_like(of_moved[:n]), of_moved[n:]])
        sums = Sums.apply(ctx.given, positions, strains, moved, weights)
        return None, None, *of_geometry, by_states, by_weights, sums

    @staticmethod
    @once_differentiable
    def _of_geometry(
        ctx: Any, moves: Tensor | None, strains: Tensor | None, rates: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Return those with respect to states, weights and bars, not to the positions."""
        summand, place, _ = ctx.given
        positions, _, states, weights, bar = ctx.saved_tensors
        n = place.rows.n_atoms
        moved = (
            torch.zeros_like(positions) if moves is None else moves.contiguous(),
            positions.new_zeros(n, 3, 3) if strains is None else strains.contiguous(),
            torch.zeros_like(states) if rates is None else rates.contiguous(),
        )
        arrays = (*arguments_of(ctx.given, positions, states, weights), *moved)
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
    given: tuple[Summand, Place, Tensor | None],
    asked: tuple[bool, bool, bool],
    *tensors: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """Return the derivatives of sums times bars: by positions, strains, states and weights.

    `asked` says whether those by positions and strains are wanted, by states, and by weights. The
    tensors are those of `Slopes`.
    """
    positions, _, states, weights, bar = tensors
    assert positions is not None
    assert states is not None
    of_weights = None
    if weights is not None and bar is not None and asked[2]:
        arrays = arguments_of(given, positions, states, weights)
        of_weights = _gradient(given[0], arrays, bar, weights, moving=False)
    return *Slopes.apply(given, asked[:2], *tensors), of_weights


def arguments_of(
    given: tuple[Summand, Place, Tensor | None],
    positions: Tensor,
    states: Tensor,
    weights: Tensor | None,
) -> tuple[Tensor, ...]:
    """Return the arguments of the kernels up to the states."""
    _, place, pairs = given
    own = states if states.shape[0] else None
    others = [x for x in (pairs, weights, own) if x is not None]
    return (positions, *place.rows.arguments, *others)


def _gradient(
    summand: Summand, arrays: tuple[Tensor, ...], bar: Tensor, weights: Tensor, *, moving: bool
) -> Float[Tensor, "paths radial channels"]:
    """Return the gradient of the weights, summed in float64 over what the programs found."""
    n = bar.shape[1]
    programs = -(-n // kernels.PROGRAM_ROWS)
    each = []
    for path in range(summand.n_paths):
        out = weights.new_empty(programs, *weights.shape[1:])
        run = kernels.gradient(summand.make, summand.shape, path, moving=moving)
        launch(run, programs, *arrays, bar, out, n, warps=summand.shape.warps)
        each.append(out.sum(0, dtype=torch.float64).to(weights.dtype))
    return torch.stack(each)

"""Kernels over the neighbors of atoms: one program for each atom, without atomic additions.

Contributions from the atoms whose neighbor an atom is come from its own neighbors: every pair is in
the list in both directions, so the edge from j to i is the edge from i to j in the opposite
direction. Therefore sums are the same in every run. Vectors are differences of positions in double
precision.

Arrays of atoms have the layout (rows, atoms, channels), with atoms in the order of their elements.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from reann.backends.triton.edge_text import MOVING, Row, Shape, arguments, indented, zeros
from reann.backends.triton.geometry import AXES
from reann.backends.triton.recipe import Recipe
from reann.backends.triton.source import kernel

PROGRAM_ROWS = 64
"""Number of atoms of a program that sums gradients of weights."""


@cache
def sums(make: Recipe, shape: Shape, *, moving: bool) -> Any:
    """Return the kernel that sums the results over the neighbors, or their rates."""
    row = Row(make(), shape)
    code = row.statements("t", center="row", neighbor="rj", turned=False)
    values = row.results(moving=moving)
    added = [f"a{i} += {code.name(value)}" for i, value in enumerate(values) if value is not None]
    tile = f"{shape.edges}, {shape.width}"
    body = [
        *row.lanes(),
        *row.start("tl.program_id(0).to(tl.int64)"),
        *zeros([f"a{i}" for i in range(len(values))], tile),
        f"for e0 in range(begin, end, {shape.edges}):",
        *indented([*row.edge(), *(row.moved("t", turned=False) if moving else [])]),
        *indented([*code.lines, *added]),
    ]
    for i in range(len(values)):
        place = f"out + ({i} * n + row) * {shape.channels} + k"
        body.append(f"tl.store({place}, tl.sum(a{i}, axis=0)[None, :]{row.mask})")
    extra = MOVING if moving else ()
    return kernel("rates" if moving else "sums", arguments(row, *extra, "out"), body, shape.real)


@cache
def slopes(make: Recipe, shape: Shape, *, of_geometry: bool, of_states: bool) -> Any:
    """Return the kernel of derivatives with respect to positions and strains, and to states."""
    row = Row(make(), shape)
    derivatives = row.adjoints(moving=False)
    forward = row.statements("t", center="row", neighbor="rj", turned=False)
    turned = row.statements("u", center="rj", neighbor="row", turned=True)
    added, names, start, end = [], ["bars"], [], []
    if of_geometry:
        axes = [row.function.formulas.input(x, channels=False, double=True) for x in AXES]
        g, back = ([code.name(derivatives[x.number]) for x in axes] for code in (forward, turned))
        # Empty slots contribute nothing; their values may not be finite.
        added += [f"f{a} += tl.where(here, {back[a]} - {g[a]}, 0.0)" for a in range(3)]
        added += [
            f"w{3 * a + b} -= tl.where(here, {AXES[a]} * {back[b]}, 0.0)"
            for a in range(3)
            for b in range(3)
        ]
        sums_of = [f"f{a}" for a in range(3)] + [f"w{a}" for a in range(9)]
        start += zeros(sums_of, f"{shape.edges}, 1", "tl.float64")
        end += [f"tl.store(of_positions + 3 * atom + {a}, tl.sum(f{a}))" for a in range(3)]
        end += [f"tl.store(of_strains + 9 * atom + {a}, tl.sum(w{a}))" for a in range(9)]
        names += ["of_positions", "of_strains"]
    if of_states:
        added += row.added_to_states(turned, derivatives)
        start += row.zero_states()
        end += row.stored_states()
        names.append("of_states")
    body = [
        *row.lanes(),
        *row.start("tl.program_id(0).to(tl.int64)"),
        *start,
        f"for e0 in range(begin, end, {shape.edges}):",
        *indented([*row.edge(), *forward.lines, *turned.lines, *added]),
        *end,
    ]
    return kernel("slopes", arguments(row, *names), body, shape.real)


@cache
def slopes_of_rates(make: Recipe, shape: Shape) -> Any:
    """Return the kernel of derivatives of rates with respect to the states."""
    row = Row(make(), shape)
    derivatives = row.adjoints(moving=True)
    code = row.statements("u", center="rj", neighbor="row", turned=True)
    added = row.added_to_states(code, derivatives)
    body = [
        *row.lanes(),
        *row.start("tl.program_id(0).to(tl.int64)"),
        *row.zero_states(),
        f"for e0 in range(begin, end, {shape.edges}):",
        *indented([*row.edge(), *row.moved("u", turned=True), *code.lines, *added]),
        *row.stored_states(),
    ]
    names = arguments(row, *MOVING, "bars", "of_states")
    return kernel("slopes_of_rates", names, body, shape.real)


@cache
def flow(make: Recipe, shape: Shape) -> Any:
    """Return the kernel that sums -r_ij times the power that an atom gets from its neighbors.

    The power is that of the neighbors alone: bars times rates where the atom does not move.
    """
    row = Row(make(), shape)
    code = row.statements("t", center="row", neighbor="rj", turned=False)
    power = code.name(row.power())
    sums_of = [f"f{a}" for a in range(3)]
    body = [
        *row.lanes(),
        *row.start("tl.program_id(0).to(tl.int64)"),
        *zeros(sums_of, f"{shape.edges}, 1", "tl.float64"),
        f"for e0 in range(begin, end, {shape.edges}):",
        *indented([*row.edge(), *row.carried("t"), *code.lines]),
        *(f"    f{a} -= tl.where(here, {x} * {power}, 0.0)" for a, x in enumerate(AXES)),
        *(f"tl.store(out + 3 * row + {a}, tl.sum(f{a}))" for a in range(3)),
    ]
    return kernel("flow", arguments(row, "moves", "rates", "bars", "out"), body, shape.real)


@cache
def gradient(make: Recipe, shape: Shape, path: int, *, moving: bool) -> Any:
    """Return the kernel of the gradient of the weights of one radial function.

    Each program writes the sum over its atoms.
    """
    row = Row(make(), shape)
    derivatives = row.adjoints(moving=moving)
    code = row.statements("t", center="row", neighbor="rj", turned=False)
    n_radial = len(row.function.bases[0])
    terms: list[list[str]] = [[] for _ in range(n_radial)]
    for order, basis in enumerate(row.function.bases):
        bar = derivatives.get(row.function.radial(path, order).number)
        if bar is None:
            continue
        name = code.name(bar)
        for n, function in enumerate(basis):
            terms[n].append(f"{code.name(function)} * {name}")
    added = [f"a{n} += {' + '.join(each)}" for n, each in enumerate(terms) if each]
    body = [
        *row.lanes(),
        *zeros([f"a{n}" for n in range(n_radial)], f"{shape.edges}, {shape.width}"),
        f"low = tl.program_id(0).to(tl.int64) * {PROGRAM_ROWS}",
        f"for at in range(low, tl.minimum(low + {PROGRAM_ROWS}, n)):",
        *indented(row.start("at")),
        f"    for e0 in range(begin, end, {shape.edges}):",
        *indented([*row.edge(), *(row.moved("t", turned=False) if moving else [])], 2),
        *indented([*code.lines, *added], 2),
    ]
    for n in range(n_radial):
        place = f"out + (tl.program_id(0).to(tl.int64) * {n_radial} + {n}) * {shape.channels} + k"
        body.append(f"tl.store({place}, tl.sum(a{n}, axis=0)[None, :]{row.mask})")
    names = arguments(row, *(MOVING if moving else ()), "bars", "out")
    return kernel("gradient_of_rates" if moving else "gradient", names, body, shape.real)

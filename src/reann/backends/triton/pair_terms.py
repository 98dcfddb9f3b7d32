"""Energies of pairs and the number of neighbors, edge by edge, all in double precision.

See `reann.model.zbl` and `reann.model.repulsion`. There is one channel with two rows: the number of
neighbors within the cutoff, and half of the energies of the pairs.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from reann.backends.triton.edge_function import EdgeFunction
from reann.backends.triton.edge_text import Shape
from reann.backends.triton.geometry import START, length, vector_of
from reann.backends.triton.neighbor_sums import Summand
from reann.backends.triton.recipe import recipe
from reann.backends.triton.symbols import Formulas, Value, total
from reann.facts import ZBL_AMPLITUDES, ZBL_COULOMB, ZBL_DECAYS, ZBL_EXPONENT, ZBL_LENGTH
from reann.model import Reann

REPULSION = (START, "decay", "amplitude")
ZBL = ("inner", "width", "charge", "scale")
"""Names of the parameters of pairs of elements; the width is that of the switching function."""


def names_of(model: Reann) -> tuple[str, ...]:
    """Return the names of all parameters of pairs of a model."""
    return (*(REPULSION if model.repulsion else ()), *(ZBL if model.zbl else ()))


def tables_of(model: Reann) -> Float[Tensor, "tables elements elements"] | None:
    """Return the parameters of pairs, float64; None if a model has none."""
    tables: list[Tensor] = []
    if (repulsion := model.repulsion) is not None:
        tables += [repulsion.start, repulsion.decay, repulsion.amplitude]
    if (zbl := model.zbl) is not None:
        powers = zbl.charge.pow(ZBL_EXPONENT)
        charge = 0.5 * ZBL_COULOMB * zbl.charge[:, None] * zbl.charge
        scale = (powers[:, None] + powers) / ZBL_LENGTH
        tables += [zbl.inner, zbl.outer - zbl.inner, charge, scale]
    return torch.stack(tables) if tables else None


def pair_terms(names: tuple[str, ...], cutoff: float) -> EdgeFunction:
    """Return the rows of an edge."""
    formulas = Formulas()
    r = length(vector_of(formulas))
    unity, zero = formulas.constant(1.0, r), formulas.constant(0.0, r)
    inside = unity.where(r.less(formulas.constant(cutoff, r)), zero)
    inputs = {name: formulas.input(name, channels=False, double=True) for name in names}
    energies = [zero]
    if START in inputs:
        energies.append(_repulsion(r, *(inputs[name] for name in REPULSION)))
    if "inner" in inputs:
        energies.append(_zbl(r, *(inputs[name] for name in ZBL)))
    rows = [inside.to_double(False), total(energies).to_double(False)]
    return EdgeFunction(formulas, [], rows, range(0))


def _repulsion(r: Value, start: Value, decay: Value, amplitude: Value) -> Value:
    closer = start - r
    zero = r.formulas.constant(0.0, r)
    y = decay * closer.where(zero.less(closer), zero)
    rest = y.apply("exp") - 1.0 - y - y * y * 0.5 - y * y * y * (1.0 / 6.0)
    return amplitude * rest * 0.5


def _zbl(r: Value, inner: Value, width: Value, charge: Value, scale: Value) -> Value:
    x = r * scale
    terms = zip(ZBL_AMPLITUDES, ZBL_DECAYS, strict=True)
    screening = total((x * -d).apply("exp") * a for a, d in terms)
    unity, zero = r.formulas.constant(1.0, r), r.formulas.constant(0.0, r)
    u = (r - inner) / width
    u = u.where(zero.less(u), zero)
    u = u.where(u.less(unity), unity)
    switch = 1.0 - u * u * u * (10.0 - u * (15.0 - u * 6.0))
    return charge / r * screening * switch


def pair_summand(model: Reann) -> Summand:
    """Return the contribution of an edge for a model."""
    names = names_of(model)
    shape = Shape(1, "float64", len(model.elements), names, 2.0 * model.cutoff)
    make = recipe(pair_terms, names=names, cutoff=model.cutoff)
    return Summand(make, shape, 2, 0, 0, n_moving=0)

"""Training: outputs of the native engine, differentiable with respect to parameters.

The backward is one call. With e = dL/dE, v = dL/dF, w = dL/dW and s = dL/dy of the outputs y the
gradient of the loss is that of sum_i (e_i E_i + s_i . y_i) + sum_ij g_ij . u_ij,
u_ij = -(v_j - v_i) + r_ij . w: one tangent per edge, and no graph is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from reann import native
from reann.backends.native.curvature import (
    add_gradients_of_born,
    add_gradients_of_polarizability,
)
from reann.backends.native.weights import MEMBER, workspace
from reann.native.system import Arguments
from reann.units import COULOMB

if TYPE_CHECKING:
    from reann.backends.native.compiled import Compiled


class Computed(NamedTuple):
    """Results of the engine; None if not requested."""

    energies: Float[Tensor, " atoms"]
    """eV."""
    forces: Float[Tensor, "atoms 3"] | None = None
    """eV/Å."""
    strain: Float[Tensor, "structures 3 3"] | None = None
    """Derivative of the energy with respect to the strain, eV."""
    virials: Float[Tensor, "atoms 3 3"] | None = None
    """eV."""
    extrapolation: Float[Tensor, " atoms"] | None = None
    outputs: Float[Tensor, "atoms outputs"] | None = None
    """Rows that heads compute from the states of atoms."""
    dipole: Float[Tensor, "structures 3"] | None = None
    """-dE/d(field), e Å."""
    polarizability: Float[Tensor, "structures 3 3"] | None = None
    """Its derivative with respect to the field, Å^3."""
    born_effective_charges: Float[Tensor, "atoms 3 3"] | None = None
    """Its derivative with respect to positions, e."""


SECOND = frozenset({"polarizability", "born_effective_charges"})
"""Fields of `Computed` that are second derivatives of the energy."""


Field = NDArray[np.float64] | None
"""Electric field of each structure in V/Å, (structures, 3); None: no field."""


def compute(
    model: Any, system: Arguments, requested: Collection[str], field: Field = None
) -> Computed:
    """Return energies and the requested fields of `Computed`."""
    n = system.n_atoms
    shapes = {
        "energies": (n,),
        "forces": (n, 3),
        "strain": (system.n_structures, 3, 3),
        "virials": (n, 3, 3),
        "extrapolation": (n,),
        "outputs": (n, model.n_outputs),
        "dipole": (system.n_structures, 3),
    }
    arrays = {
        name: torch.empty(shape, dtype=torch.float64)
        for name, shape in shapes.items()
        if name == "energies" or name in requested
    }
    native.core().evaluate(
        model,
        0,
        workspace(),
        *system,
        torch.get_num_threads(),
        *(arrays[name].numpy() if name in arrays else None for name in shapes),
        field=field,
    )
    computed = Computed(**arrays)
    if SECOND.isdisjoint(requested):
        return computed
    return _with_responses(computed, model, system, requested, field)


def _with_responses(
    computed: Computed, model: Any, system: Arguments, requested: Collection[str], field: Field
) -> Computed:
    """Return results with the rates of dipoles and of forces as a field grows."""
    n = system.n_structures
    alpha = torch.empty(n, 3, 3, dtype=torch.float64)
    of_atoms = torch.empty(system.n_atoms, 3, 3, dtype=torch.float64)
    born = of_atoms if "born_effective_charges" in requested else None
    native.core().responses(
        model,
        0,
        workspace(),
        *system,
        torch.get_num_threads(),
        field,
        np.empty((n, 3)),
        alpha.numpy(),
        None if born is None else born.numpy(),
    )
    return computed._replace(polarizability=COULOMB * alpha, born_effective_charges=born)


class Differentiable(torch.autograd.Function):
    """Energies, forces, strain derivatives and outputs as functions of the parameters.

    All parameters get gradients, zero if the loss does not depend on them. Positions, cells and
    buffers get none, and there are no second derivatives.
    """

    @staticmethod
    def forward(
        ctx: Any,
        compiled: Compiled,
        inputs: tuple[Arguments, Field],
        requested: Collection[str],
        names: list[str],
        *parameters: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Return the fields of `Computed` except virials; `names` are those of the parameters."""
        system, field = ctx.inputs = inputs
        remember(ctx, compiled, names, parameters)
        computed = compute(compiled.model, system, requested, field)
        if computed.extrapolation is not None:
            ctx.mark_non_differentiable(computed.extrapolation)
        return tuple(computed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *losses: Tensor | None) -> tuple[Any, ...]:
        """Return the gradients of the parameters from those of the fields of `Computed`.

        Raises
        ------
        RuntimeError
            If the compiled model has been updated since.
        """
        gradients = zero_gradients(ctx)
        system, field = ctx.inputs
        of = Computed(*losses)  # pyright: ignore[reportArgumentType]
        if of.polarizability is not None:
            add_gradients_of_polarizability(
                ctx.compiled.model, system, field, of.polarizability, gradients
            )
        if of.born_effective_charges is not None:
            add_gradients_of_born(
                ctx.compiled.model, system, field, of.born_effective_charges, gradients
            )
        seeds = [
            None if x is None else x.contiguous().numpy()
            for x in (of.energies, of.forces, of.strain, of.outputs, of.dipole)
        ]
        if any(seed is not None for seed in seeds):
            native.core().gradient(
                ctx.compiled.model,
                0,
                workspace(),
                *system,
                torch.get_num_threads(),
                *seeds[:3],
                gradients,
                *seeds[3:],
                field,
            )
        return of_inputs(ctx, gradients)


def remember(ctx: Any, compiled: Compiled, names: list[str], parameters: Sequence[Tensor]) -> None:
    """Store what the backward needs; the parameters are the last inputs of the function."""
    ctx.compiled, ctx.n_updates = compiled, compiled.n_updates
    ctx.names = names
    ctx.kinds = [(p.shape, p.dtype) for p in parameters]
    ctx.set_materialize_grads(False)


def zero_gradients(ctx: Any) -> dict[str, NDArray]:
    """Return arrays for the gradients of the parameters that need one, by names of the engine.

    Raises
    ------
    RuntimeError
        If the compiled model has been updated since.
    """
    if ctx.compiled.n_updates != ctx.n_updates:
        raise RuntimeError(
            "Weights were updated after these properties were computed: call backward before"
            " updating."
        )
    needed = ctx.needs_input_grad[-len(ctx.names) :]
    parameters = zip(ctx.names, ctx.kinds, needed, strict=True)
    return {
        f"{MEMBER}{name}": np.zeros(tuple(shape)) for name, (shape, _), is_in in parameters if is_in
    }


def of_inputs(ctx: Any, gradients: Mapping[str, NDArray]) -> tuple[Tensor | None, ...]:
    """Return the gradients of all inputs of the function."""
    before = len(ctx.needs_input_grad) - len(ctx.names)
    by_name = (
        (gradients.get(f"{MEMBER}{name}"), dtype)
        for name, (_, dtype) in zip(ctx.names, ctx.kinds, strict=True)
    )
    parameters = (None if x is None else torch.from_numpy(x).to(dtype) for x, dtype in by_name)
    return (*(None for _ in range(before)), *parameters)

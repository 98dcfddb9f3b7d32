"""The configuration of an original model, from the shapes of its arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reann.config import ModelConfig
from reann.errors import UserError
from reann.upstream import settings as inputs
from reann.upstream.arrays import WRONG_MODEL, Arrays, Layout, layout_of
from reann.upstream.fireann import OPTION, form_of, is_fireann
from reann.upstream.purpose import Purpose, definition_of

LARGEST_L = 4


def architecture(
    arrays: Arrays, settings: Mapping[str, Any], atomtype: Sequence[str], purpose: Purpose
) -> tuple[ModelConfig, dict[str, Layout]]:
    """Return the configuration and the networks of readouts ('') and updates ('oc_')."""
    n_elements, n_radial = _dimensions(arrays, "density.rs", (2,))
    shape = _dimensions(arrays, "density.hyper", (3, 4))
    l_max, n_orbitals = shape[-3] - 1, shape[-1]
    if n_elements != len(atomtype):
        raise UserError(
            f"atomtype has {len(atomtype)} elements, but the arrays have {n_elements}.",
            "density.rs",
            "Use the settings with which this model was trained.",
        )
    if shape[-2] != n_radial or not 0 <= l_max <= LARGEST_L:
        raise UserError(
            f"The shape {shape} does not agree with {n_radial} radial functions and l up to"
            f" {LARGEST_L}.",
            "density.hyper",
            WRONG_MODEL,
        )
    prefixes = {
        m[1] for n in arrays.names if (m := re.match(r"density\.ocmod\.memssage_(\d+)\.", n))
    }
    n_recursions = len(prefixes)
    updates = [f"density.ocmod.memssage_{t}" for t in range(n_recursions)]
    nets = {"": purpose.networks, "oc_": updates}
    layouts = {kind: layout_of(arrays, names, atomtype) for kind, names in nets.items() if names}
    for kind, n_out in (("", purpose.n_out), ("oc_", n_radial)):
        if kind in layouts and layouts[kind][3:] != (n_orbitals, n_out):
            raise UserError(
                f"The networks have {layouts[kind].n_in} inputs and {layouts[kind].n_out} outputs "
                f"instead of {n_orbitals} and {n_out}.",
                nets[kind][0],
                WRONG_MODEL,
            )
    _check_contraction(arrays, shape, n_recursions)
    inputs.check(settings, _as_settings(layouts, n_recursions, l_max, n_orbitals))
    if "rs" not in settings:  # with `rs` the original ignores `nwave`
        inputs.check(settings, {"nwave": n_radial})
    networks = {
        section: {
            "hidden": list(layouts[kind].hidden),
            "blocks": layouts[kind].blocks,
            "layer_norm": layouts[kind].norm,
            "activation": inputs.activation(settings, f"{kind}activate"),
        }
        for section, kind in (("readout", ""), ("update", "oc_"))
        if kind in layouts
    }
    config = ModelConfig.model_validate(
        {
            "preset": "upstream",
            "cutoff": inputs.cutoff(settings, float(arrays.take("density.cutoff", (1,)))),
            "l_max": l_max,
            "n_radial": n_radial,
            "n_recursions": n_recursions,
            **_density(arrays, settings, n_orbitals),
            **networks,
            **_outputs(settings, purpose),
        }
    )
    return config, layouts


def _density(arrays: Arrays, settings: Mapping[str, Any], n_orbitals: int) -> dict[str, Any]:
    """Return the fields that name the density, with a field or without."""
    if is_fireann(arrays):
        return form_of(arrays, settings, n_orbitals)
    if settings.get(OPTION) is not None:
        raise UserError(
            f"{OPTION} = {settings[OPTION]!r} has no meaning for a model without a field.",
            OPTION,
            "Leave it out.",
        )
    per_recursion = arrays.get("density.hyper").dim() == 4
    return {"n_orbitals": n_orbitals, "orbitals_per_recursion": per_recursion}


def _outputs(settings: Mapping[str, Any], purpose: Purpose) -> dict[str, Any]:
    """Return the configuration fields of a model for a quantity other than the energy."""
    if purpose.output is None:
        return {}
    forms = {"dipole": definition_of(settings)} if purpose.output == "dipole" else {}
    return {"heads": [], "outputs": [purpose.output], "output_forms": forms}


def _as_settings(
    layouts: Mapping[str, Layout], n_recursions: int, l_max: int, n_orbitals: int
) -> dict[str, Any]:
    """Return the settings implied by the arrays, under the input names of the original."""
    settings: dict[str, Any] = {"nipsin": l_max, "norbit": n_orbitals, "oc_loop": n_recursions}
    for kind, layout in layouts.items():
        settings[f"{kind}nblock"] = layout.blocks
        if layout.blocks:
            settings[f"{kind}nl"] = list(layout.hidden[:-1])
            settings[f"{kind}table_norm"] = layout.norm
    return settings


def _dimensions(arrays: Arrays, name: str, allowed: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(arrays.get(name).shape)
    if len(shape) not in allowed or 0 in shape:
        raise UserError(f"The shape {shape} is not valid.", name, WRONG_MODEL)
    return shape


def _check_contraction(arrays: Arrays, shape: tuple[int, ...], n_recursions: int) -> None:
    """Check the contraction: version 2 shares one, older versions have one per recursion."""
    n_l = shape[-3]
    if len(shape) == 4 and shape[0] != n_recursions + 1:
        raise UserError(
            f"There are {shape[0]} contractions for {n_recursions} recursions.",
            "density.hyper",
            WRONG_MODEL,
        )
    expected = {
        "density.nipsin": [n_l],
        "density.index_para": np.repeat(range(n_l), 3 ** np.arange(n_l)),
    }
    for name, values in expected.items():
        if name in arrays.names and arrays.take(name).tolist() != list(values):
            what = f"The array does not agree with l up to {n_l - 1}."
            raise UserError(what, name, WRONG_MODEL)
    if len(shape) == 4 and (arrays.get("density.inta") > 0).double().mean() > 0.5:
        raise UserError(
            "Most values of `inta` are positive; before version 2 the sign had two meanings.",
            "density.inta",
            "If this version of the original computed exp(-inta (r-rs)^2), change the sign of the "
            "array; if exp(+inta (r-rs)^2), most Gaussians increase with distance: train again.",
        )

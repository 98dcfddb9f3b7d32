"""Conversion of the arrays of an original state dict to a `Potential`.

The two packages use different forms of the same function. The original has E_i = NN_Z(rho_i) + E0
with a bias in the last layer, here E_i = e_Z + NN_Z(rho_i) - NN_Z(0) without a bias, so that
e_Z = E0 + NN_Z(0), computed in float64. Its Gaussian is exp(+inta (r - rs)^2), ours
exp(-alpha (r - rs)^2); its angular functions are all 3^l products of raw components, ours the
distinct ones with multinomial weights. The networks of quantities other than the energy are the
same in both packages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reann.errors import UserError
from reann.model import build
from reann.model.reann import Reann, in_precision
from reann.potential import Potential
from reann.upstream import settings as inputs
from reann.upstream.architecture import architecture
from reann.upstream.arrays import WRONG_MODEL, Arrays, Layout, modules
from reann.upstream.fireann import FIELD_ARRAY, OPTION
from reann.upstream.purpose import Purpose, purpose_of, size_of_unit

RECORDED = ("activate", "oc_activate", "start_table", "unit", "dipole_definition", OPTION)
"""Settings that are recorded in the converted file, as they do not follow from its arrays."""


def potential(weights: Mapping[str, Any], settings: Mapping[str, Any]) -> Potential:
    """Return the potential of an original model.

    Parameters
    ----------
    weights
        Arrays or tensors under the names of the original's state dict; a leading ``module.`` is
        ignored. Their precision, float32 or float64, is that of the potential.
    settings
        Values under the input names of the original. `atomtype` is required; `activate` and
        `oc_activate` are Relu_like by default, `start_table` is that of energies; all others follow
        from the arrays and are only compared. Not in any file of the original: `unit` of a
        (transition) dipole, such as Debye, or of a polarizability, such as Bohr^3, and
        `dipole_definition`, center or neighbors; `fireann_version` of a model with an
        electric field.

    Raises
    ------
    UserError
        If arrays are missing, unused, not finite or have wrong shapes, settings contradict the
        arrays, `start_table` is not 0 to 4, or a required `unit` or `dipole_definition` is missing.
    """
    arrays = Arrays(weights)
    purpose = purpose_of(settings)
    if "nnmod1" not in purpose.networks and any(n.startswith("nnmod1.") for n in arrays.names):
        raise UserError(
            "These are the arrays of a model of polarizabilities, but start_table is"
            f" {settings.get('start_table', 0)!r}.",
            fix=WRONG_MODEL,
        )
    atomtype = inputs.elements(settings)
    config, layouts = architecture(arrays, settings, atomtype, purpose)

    symbols = sorted(atomtype, key=inputs.number)
    rows = [atomtype.index(symbol) for symbol in symbols]
    model = build(config, [inputs.number(s) for s in symbols], dtype=torch.float64)
    with torch.no_grad():
        shape = (len(atomtype), config.n_radial)
        host: Any = model.recursion.host
        update: Any = model.recursion.update
        host.radial.center.copy_(arrays.take("density.rs", shape)[rows])
        host.radial.width.copy_(-arrays.take("density.inta", shape)[rows])
        update.weights.copy_(arrays.take("density.params", shape)[rows])
        if config.field:
            host.field_weights.copy_(arrays.take(FIELD_ARRAY, (config.n_radial,)))
        hyper = arrays.take("density.hyper")
        host.density.contraction.copy_(hyper.reshape(host.density.contraction.shape))
        for t, network in enumerate(update.networks):
            prefix = f"density.ocmod.memssage_{t}"
            arrays.drop(f"{prefix}.initpot")  # present in the original, but not used
            for row, symbol in enumerate(symbols):
                name = f"{prefix}.elemental_nets.{symbol}"
                bias = _fill(network, row, arrays, name, layouts["oc_"])
                network.last.bias[row] = bias
        if purpose.output is None:
            _fill_energy(model, symbols, arrays, layouts[""])
        else:
            head: Any = model.output_heads[purpose.output]
            head.scale.fill_(size_of_unit(settings, purpose.output))
            _fill_output(head, symbols, arrays, layouts[""], purpose)
    arrays.check_all_used()
    used = {name: settings[name] for name in RECORDED if settings.get(name) is not None}
    origin = "FIREANN" if config.field else "REANN"
    history = {"converted_from": origin, "upstream_settings": {"atomtype": atomtype, **used}}
    return Potential(in_precision(model, arrays.dtype), history)


def _fill_energy(model: Reann, symbols: list[str], arrays: Arrays, layout: Layout) -> None:
    """Copy the networks of the energy, and compute the energies of free atoms."""
    readout: Any = model.readout
    # Older models add an energy per atom; newer ones include it in the last biases.
    zero = arrays.take("nnmod.initpot", (1,)) if "nnmod.initpot" in arrays.names else 0.0
    for row, symbol in enumerate(symbols):
        bias = _fill(readout, row, arrays, f"nnmod.elemental_nets.{symbol}", layout)
        no_density = bias.new_zeros(1, layout.n_in)
        e_z = readout.of_element(row, no_density)[0] + bias + zero
        model.reference_energies[row] = e_z.squeeze(0)


def _fill_output(
    head: Any, symbols: list[str], arrays: Arrays, layout: Layout, purpose: Purpose
) -> None:
    """Copy the networks of another quantity."""
    for network, prefix in zip(head.networks, purpose.networks, strict=True):
        name = f"{prefix}.initpot"
        if name in arrays.names and arrays.take(name, (1,)).any():
            raise UserError("`initpot` of a model without energy is not zero.", name)
        for row, symbol in enumerate(symbols):
            name = f"{prefix}.elemental_nets.{symbol}"
            network.last.bias[row] = _fill(network, row, arrays, name, layout)


def _fill(network: Any, row: int, arrays: Arrays, name: str, layout: Layout) -> Tensor:
    """Copy the arrays of the network of an element; return the bias of its last layer."""
    outer, blocks = modules(arrays, name)

    def linear(target: Any, source: str) -> None:
        n_in, n_out = target.weight[row].shape
        target.weight[row] = arrays.take(f"{source}.weight", (n_out, n_in)).T
        if target.bias is not None:
            target.bias[row] = arrays.take(f"{source}.bias", (n_out,))

    def activation(target: Any, source: str) -> None:
        width = target.a.shape[1]
        target.a[row] = arrays.take(f"{source}.alpha", (1, width))[0]
        target.b[row] = arrays.take(f"{source}.beta", (1, width))[0]

    def normalization(target: Any, source: str) -> None:
        for leaf in ("weight", "bias"):
            values = getattr(target, leaf)
            values[row] = arrays.take(f"{source}.{leaf}", (values.shape[1],))

    linear(network.first, f"{name}.{outer[0]}")
    for target_block, block, index in zip(network.blocks, blocks, outer[1:-2], strict=True):
        copy = {"A": activation, "N": normalization, "L": linear}
        lists = {
            "A": target_block.activations,
            "N": target_block.normalizations,
            "L": target_block.linears,
        }
        for kind, targets in lists.items():
            positions = [i for i, k in block if k == kind]
            for target, position in zip(targets, positions, strict=bool(positions)):
                copy[kind](target, f"{name}.{index}.resblock.{position}")
    activation(network.activation, f"{name}.{outer[-2]}")
    linear(network.last, f"{name}.{outer[-1]}")
    return arrays.take(f"{name}.{outer[-1]}.bias", (layout.n_out,))

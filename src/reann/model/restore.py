"""Restoring a model from the header and the tensors of an untrusted file.

The header is compared with the tensors on the meta device, where tensors have shapes but no memory:
a header of a few bytes cannot cause large allocations or endless loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ase.data import chemical_symbols
from pydantic import ValidationError
from torch import Tensor

from reann.config import ModelConfig, NetworkConfig
from reann.errors import UserError, listed
from reann.facts import ENERGY_UNIT, LENGTH_UNIT
from reann.model.hosts import GROUP, kind_of
from reann.model.messages import kind_of_update
from reann.model.reann import PRECISIONS, Reann, build
from reann.model.recursion import Recursion
from reann.model.state_heads import described as described_outputs

UNITS = {"energy": ENERGY_UNIT, "length": LENGTH_UNIT}
ENTRIES = ("elements", "cutoff", "model", "units", "precision")
"""Entries of a header that describe the model."""
NEWER = ("inputs", "long_range", "dispersion")
"""Fields that are in a header only if they are set."""


def restore(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Reann:
    """Return the model of a header with the weights of a file.

    Raises
    ------
    ValueError
        If the header does not describe a model, or does not match the tensors.
    """
    config, elements, dtype = described(header)
    if _layers(config) > len(tensors):
        raise ValueError(f"it has {_layers(config)} layers, the file {len(tensors)} tensors")
    try:
        with torch.device("meta"):
            expected = build(config, elements, dtype=dtype).state_dict()
    except (ArithmeticError, RuntimeError, TypeError) as error:
        raise ValueError(f"there is no model of this size ({error})") from error
    names = expected.keys() | tensors.keys()
    wrong = sorted(n for n in names if _form(expected.get(n)) != _form(tensors.get(n)))
    if wrong:
        raise ValueError(f"another shape or type is expected of {listed(wrong)}")
    model = build(config, elements, seed=0, dtype=dtype)
    model.load_state_dict(tensors)
    return model


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Raise `UserError` for weights that are not finite; ranges of densities may be infinite."""
    wrong = [
        name
        for name, tensor in sorted(tensors.items())
        if not (tensor.isfinite().all() or (_is_range(name) and not tensor.isnan().any()))
    ]
    if wrong:
        raise UserError(
            f"The file has numbers that are not finite: {listed(wrong)}.",
            where,
            "Its training diverged, or it was changed: use another file.",
        )


def _is_range(name: str) -> bool:
    return name.endswith((".density_min", ".density_max"))


def description(model: Reann) -> dict[str, Any]:
    """Return the header of a file for a model.

    Raises
    ------
    UserError
        If the host or update of the model is not that of its configuration: the file could not be
        read.
    """
    if isinstance(model.recursion, Recursion):
        _refuse_unnamed(model.config, model.recursion)
    return {
        "elements": [chemical_symbols[z] for z in model.elements],
        "cutoff": model.cutoff,
        "model": _settings(model.config),
        "units": UNITS,
        "precision": str(model.dtype).removeprefix("torch."),
        "state_outputs": described_outputs(model.output_heads),
    }


def _settings(config: ModelConfig) -> dict[str, Any]:
    """Return the section `model`, without newer fields that are not set.

    Files without these fields can be read by C++ programs and older versions.
    """
    settings = config.model_dump(mode="json")
    return {name: x for name, x in settings.items() if x or name not in NEWER}


def _refuse_unnamed(config: ModelConfig, recursion: Recursion) -> None:
    """Raise `UserError` for a host or an update that is not that of the configuration."""
    host = type(recursion.host)
    if kind_of(config.host) is not host:
        raise UserError(
            f"The host of this model is {host.__name__}, not {config.host}.",
            "model.host",
            f"Register it by an entry point of the group {GROUP}, and set `model.host` to its"
            " name.",
        )
    update = type(recursion.update)
    if kind_of_update(config, recursion.host) is not update:
        raise UserError(
            f"The update of this model is {update.__name__}, which cannot be saved.",
            "model.messages",
            "Save its state_dict yourself, or use scalar or directional messages.",
        )


def described(header: Mapping[str, Any]) -> tuple[ModelConfig, list[int], torch.dtype]:
    """Return settings, atomic numbers and precision; `ValueError` for an invalid header."""
    missing = [name for name in ENTRIES if name not in header]
    if missing:
        raise ValueError(f"it lacks {listed(missing)}")
    try:
        config = ModelConfig.model_validate(header["model"])
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, ("model", *first["loc"])))
        raise ValueError(f"{field}: {first['msg']}") from error
    symbols = header["elements"] if isinstance(header["elements"], list) else []
    elements = [chemical_symbols[1:].index(s) + 1 for s in symbols if s in chemical_symbols[1:]]
    if not elements or len(set(elements)) != len(symbols):
        raise ValueError(f"these are not different elements: {str(header['elements'])[:80]}")
    if header["precision"] not in list(PRECISIONS):
        raise ValueError(f"the precision {str(header['precision'])[:80]} is unknown")
    if header["cutoff"] != config.cutoff:
        raise ValueError(f"the cutoff is {header['cutoff']} and {config.cutoff} Å")
    if header["units"] != UNITS:
        raise ValueError(f"the units are {str(header['units'])[:80]}, not eV and Å")
    return config, elements, PRECISIONS[header["precision"]]


def _layers(config: ModelConfig) -> int:
    """Return the number of linear layers, each of which has a tensor."""

    def of(network: NetworkConfig) -> int:
        return 2 + network.blocks * (len(network.hidden) - 1)

    readouts = config.n_recursions + 1 if config.messages == "equivariant" else 1
    in_heads = len(config.heads) * readouts * of(config.readout)
    return in_heads + config.n_recursions * of(config.update)


def _form(tensor: Tensor | None) -> tuple[torch.Size, torch.dtype] | None:
    return None if tensor is None else (tensor.shape, tensor.dtype)

"""Named sets of choices for the section `model`; fields that are set beside one take precedence.

What they reach and what they cost is measured: docs/explanation/accuracy.md.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from pydantic import BaseModel

from reann import strict_json
from reann.config.section import flat
from reann.facts import DEFAULT_HOST, DEFAULT_MESSAGES

_ORIGINAL = {"hidden": [64, 64, 64], "activation": "relu_like", "layer_norm": True}

_EQUIVARIANT = {
    "messages": "equivariant",
    "channels": 32,
    "l_max": 3,
    "n_radial": 8,
    "n_recursions": 1,
    "update": {"hidden": [64]},
    "moment_limit": 2.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"n_radial": 8, "n_recursions": 1, "features": "gram"},
    "density": {},
    "default": _EQUIVARIANT,
    "accurate": _EQUIVARIANT | {"channels": 64},
    "upstream": {
        "n_radial": 8,
        "features": "orbitals",
        "angular": "raw",
        "radial_width": "free",
        "standardize": False,
        "coefficient_scale": 1.0,
        "readout": _ORIGINAL,
        "update": _ORIGINAL,
    },
}
"""What each sets beside the defaults of the fields, which are those of `density`."""

OF_THE_DENSITY = (
    "features",
    "n_orbitals",
    "orbitals_per_l",
    "orbitals_per_recursion",
    "angular",
    "radial",
    "radial_width",
)
"""Fields that other hosts do not have."""

OF_OTHER_MESSAGES = (*OF_THE_DENSITY, "host_options", "standardize", "coefficient_scale")
"""Fields that have no meaning with equivariant messages."""

BESIDE = ("preset", "host", "host_options", "cutoff")
"""Fields that no preset is about."""


def choices_of(preset: str, host: str) -> dict[str, Any]:
    """Return the choices of a preset; with other hosts `default` is what the fields say."""
    if host == DEFAULT_HOST:
        return PRESETS[preset]
    if preset == "default":
        return {}
    return {n: x for n, x in PRESETS[preset].items() if n not in OF_THE_DENSITY}


def changes(model: BaseModel) -> dict[str, Any]:
    """Return the fields of a section `model`, by dotted names, that differ from its preset."""
    values = flat(model.model_dump(mode="json"))
    preset = _values_of(model, values["preset"], values["messages"])
    return {n: x for n, x in values.items() if n not in BESIDE and (n, x) not in preset.items()}


def defeated(
    model: BaseModel, written: Container[str], preset: str, messages: str | None
) -> dict[str, tuple[Any, Any]]:
    """Return what fields of a file would keep from a preset that is chosen later.

    These are fields whose values are those of the preset of the file, or that the later preset
    chooses itself.

    Parameters
    ----------
    model
        Section `model` of the file.
    written
        Dotted names of the fields that the file has.
    preset
        That is chosen later.
    messages
        That are chosen with it; None: those of the preset.

    Returns
    -------
    dict
        For each field its value in the file and that of the preset.
    """
    values = flat(model.model_dump(mode="json"))
    old = _values_of(model, values["preset"], values["messages"])
    new = _values_of(model, preset, messages)
    own = flat(choices_of(preset, values["host"]))
    return {
        name: (value, new[name])
        for name, value in values.items()
        if name in written
        and name not in BESIDE
        and name in new
        and value != new[name]
        and (name in own or value == old.get(name))
    }


def _values_of(model: BaseModel, preset: str, messages: str | None) -> dict[str, Any]:
    """Return all fields as a preset has them with the host of a model and with some messages."""
    host = model.model_dump()["host"]
    own = choices_of(preset, host).get("messages", DEFAULT_MESSAGES)
    form = {"host": host} | ({"messages": messages} if messages == "equivariant" else {})
    values = type(model)(preset=preset, **form).model_dump(mode="json")
    return flat(values | {"messages": own})


def describe_preset(model: BaseModel) -> str:
    """Return the name of the preset and what was changed, as `fast, changed: n_radial=12`."""
    changed = [f"{name}={shown(value)}" for name, value in changes(model).items()]
    name = str(model.model_dump()["preset"])
    return f"{name}, changed: {', '.join(changed)}" if changed else name


def shown(value: Any) -> str:
    """Return a value as a configuration has it."""
    return value if isinstance(value, str) else strict_json.dumps(value)

"""Presets: named sets of choices for the section `model`; other fields override them.

Their accuracy and cost are measured in docs/explanation/accuracy.md.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from reann import strict_json
from reann.config.section import flat
from reann.errors import counted
from reann.facts import DEFAULT_HOST, DEFAULT_MESSAGES

if TYPE_CHECKING:
    from reann.config import ModelConfig

_ORIGINAL = {"hidden": [64, 64, 64], "activation": "relu_like", "layer_norm": True}

_EQUIVARIANT = {
    "messages": "equivariant",
    "channels": 32,
    "l_max": 3,
    "n_radial": 8,
    "n_recursions": 1,
    "update": {"hidden": [64]},
    "moment_limit": 2.0,
    "repulsion": True,
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
"""Choices of each preset that differ from the defaults of the fields (those of `density`)."""

OF_THE_DENSITY = (
    "features",
    "n_orbitals",
    "orbitals_per_l",
    "orbitals_per_recursion",
    "angular",
    "radial",
    "radial_width",
)
"""Fields that only the host `density` has."""

OF_OTHER_MESSAGES = (*OF_THE_DENSITY, "host_options", "standardize", "coefficient_scale")
"""Fields that have no meaning with equivariant messages."""

OF_THE_ENERGY = ("repulsion",)
"""Fields that have no meaning without an energy (`heads: []`)."""

BESIDE = ("preset", "host", "host_options", "cutoff")
"""Fields that no preset sets."""


def choices_of(preset: str, host: str) -> dict[str, Any]:
    """Return the choices of a preset; for other hosts, `default` means the field defaults."""
    if host == DEFAULT_HOST:
        return PRESETS[preset]
    if preset == "default":
        return {}
    return {n: x for n, x in PRESETS[preset].items() if n not in OF_THE_DENSITY}


def changes(model: BaseModel) -> dict[str, Any]:
    """Return the fields of a section `model` that differ from its preset, by dotted names."""
    values = flat(model.model_dump(mode="json"))
    preset = _values_of(model, values["preset"], values["messages"])
    return {n: x for n, x in values.items() if n not in BESIDE and (n, x) not in preset.items()}


def overridden_by_file(
    model: BaseModel, written: Container[str], preset: str, messages: str | None
) -> dict[str, tuple[Any, Any]]:
    """Return the fields of a file that would override a preset chosen on the command line.

    These are fields whose values agree with the file's preset, or that the new preset sets.

    Parameters
    ----------
    model
        Section `model` of the file.
    written
        Dotted names of the fields in the file.
    preset
        New preset.
    messages
        Messages chosen together with the new preset; None for those of the preset.

    Returns
    -------
    dict
        For each field, its value in the file and the value of the new preset.
    """
    values = flat(model.model_dump(mode="json"))
    old = _values_of(model, values["preset"], values["messages"])
    new = _values_of(model, preset, messages)
    chosen = flat(choices_of(preset, values["host"]))
    return {
        name: (value, new[name])
        for name, value in values.items()
        if name in written
        and name not in BESIDE
        and name in new
        and value != new[name]
        and (name in chosen or value == old.get(name))
    }


def _values_of(model: BaseModel, preset: str, messages: str | None) -> dict[str, Any]:
    """Return all fields of a preset with the host of a model and the given messages."""
    host = model.model_dump()["host"]
    own_messages = choices_of(preset, host).get("messages", DEFAULT_MESSAGES)
    form = {"host": host} | ({"messages": messages} if messages == "equivariant" else {})
    values = type(model)(preset=preset, **form).model_dump(mode="json")
    return flat(values | {"messages": own_messages})


def describe_preset(model: BaseModel) -> str:
    """Return the preset and the changes to it, for example `fast, changed: n_radial=12`."""
    changed = [f"{name}={shown(value)}" for name, value in changes(model).items()]
    name = str(model.model_dump()["preset"])
    return f"{name}, changed: {', '.join(changed)}" if changed else name


def describe_host(model: ModelConfig) -> list[str]:
    """Describe the descriptor of a model."""
    if model.messages == "equivariant":
        basis = f"{model.n_radial} {model.radial_basis}"
        return [f"l ≤ {model.l_max}", basis, counted(model.channels, "channel")]
    if model.host == "density":
        return [f"l ≤ {model.l_max}", f"{model.n_radial} radial"]
    options = [f"{name} {value}" for name, value in model.host_options.items()]
    return [" ".join([model.host, *options]), f"{model.n_radial} radial"]


def shown(value: Any) -> str:
    """Return a value as it is written in a configuration."""
    return value if isinstance(value, str) else strict_json.dumps(value)

"""Named sets of choices for the section `model`; fields that are set beside one take precedence.

What they reach and what they cost is measured: docs/explanation/accuracy.md.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from pydantic import BaseModel

from reann import strict_json
from reann.config.section import flat
from reann.facts import DEFAULT_MESSAGES

_ORIGINAL = {"hidden": [64, 64, 64], "activation": "relu_like", "layer_norm": True}

PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"n_radial": 8, "n_recursions": 1, "features": "gram"},
    "accurate": {"l_max": 3, "n_orbitals": 64},
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
"""Those beside `default`, which is what the fields of the section say themselves."""

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


def with_preset(given: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields and the choices of their preset, as far as they have a meaning.

    Raises
    ------
    ValueError
        If a field is given that the host does not have, or that has no meaning with the messages.
    """
    preset = PRESETS.get(str(given.get("preset")), {})
    host, equivariant = given.get("host", "density"), given.get("messages") == "equivariant"
    if equivariant and host != "density":
        raise ValueError(f"equivariant messages belong to the host density, not to {host}")
    if host == "density" and not equivariant:
        return _merged(preset, given)
    without = OF_OTHER_MESSAGES if equivariant else OF_THE_DENSITY
    foreign = [n for n in without if n in given and given[n] != fields[n].default]
    if foreign and equivariant:
        it = "it" if len(foreign) == 1 else "them"
        raise ValueError(f"equivariant messages do not use {', '.join(foreign)}: remove {it}")
    if foreign:
        raise ValueError(f"{', '.join(foreign)} belongs to the host density, not {host}")
    return _merged({n: x for n, x in preset.items() if n not in without}, given)


def _merged(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of both; where sections meet, theirs; else what is given."""
    merged = {**preset, **given}
    for name in preset.keys() & given.keys():
        inner, own = preset[name], given[name]
        if isinstance(own, BaseModel):
            own = own.model_dump(exclude_unset=True)
        if isinstance(inner, Mapping) and isinstance(own, Mapping):
            merged[name] = _merged(inner, own)
    return merged


def changes(model: BaseModel) -> dict[str, Any]:
    """Return the fields of a section `model`, by dotted names, that differ from its preset."""
    values = flat(model.model_dump(mode="json"))
    preset = _choices(model, values["preset"])
    return {n: x for n, x in values.items() if n not in BESIDE and (n, x) not in preset.items()}


def defeated(model: BaseModel, written: Container[str], preset: str) -> dict[str, tuple[Any, Any]]:
    """Return what fields of a file would keep from a preset that is chosen later.

    These are fields whose values are those of the preset of the file, or that the later preset
    chooses itself.

    Parameters
    ----------
    model
        Section `model` of the file.
    written
        Dotted names of the fields that the file has.

    Returns
    -------
    dict
        For each field its value in the file and that of the preset.
    """
    values = flat(model.model_dump(mode="json"))
    old, new = _choices(model, values["preset"]), _choices(model, preset)
    own = flat(PRESETS.get(preset, {}))
    return {
        name: (value, new[name])
        for name, value in values.items()
        if name in written
        and name not in BESIDE
        and name in new
        and value != new[name]
        and (name in own or value == old.get(name))
    }


def _choices(model: BaseModel, preset: str) -> dict[str, Any]:
    """Return all fields as a preset has them with the host and the messages of a model."""
    own = model.model_dump()
    of_form = {"host": own["host"]}
    if own["messages"] == "equivariant":
        of_form["messages"] = own["messages"]
    values = type(model)(preset=preset, **of_form).model_dump(mode="json")
    return flat(values | {"messages": PRESETS.get(preset, {}).get("messages", DEFAULT_MESSAGES)})


def describe_preset(model: BaseModel) -> str:
    """Return the name of the preset and what was changed, as `fast, changed: n_radial=12`."""
    changed = [f"{name}={shown(value)}" for name, value in changes(model).items()]
    name = str(model.model_dump()["preset"])
    return f"{name}, changed: {', '.join(changed)}" if changed else name


def shown(value: Any) -> str:
    """Return a value as a configuration has it."""
    return value if isinstance(value, str) else strict_json.dumps(value)

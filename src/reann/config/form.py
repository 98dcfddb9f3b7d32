"""The section `model`: applying a preset, and which fields can be combined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from reann.config.presets import (
    OF_OTHER_MESSAGES,
    OF_THE_DENSITY,
    OF_THE_ENERGY,
    PRESETS,
    choices_of,
)
from reann.facts import DEFAULT_HOST, DEFAULT_MESSAGES

IN_EVERY_RECORD = (*OF_THE_DENSITY, "l_max", "n_radial", "n_recursions", "readout", "update")
"""Fields recorded by potentials and run folders of all versions."""


def with_preset(values: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a section completed by the choices of its preset.

    Raises
    ------
    ValueError
        If a field has no meaning for the host or the messages, or if the preset does not allow
        the host or the messages.
    """
    values = _as_recorded(values)
    name, host = values.get("preset", implied_preset(values)), values.get("host", DEFAULT_HOST)
    if name not in list(PRESETS):
        return dict(values)  # a wrong value, reported by the field
    choices = choices_of(name, host)
    messages = values.get("messages", choices.get("messages", DEFAULT_MESSAGES))
    if host != DEFAULT_HOST:
        _refuse_other_host(values, fields, name, messages)
    elif messages == "equivariant" or not values.keys() & {"preset", "messages"}:
        _refuse_other_fields(values, fields)
    elif "messages" in choices:
        raise ValueError(
            f"the preset {name} has equivariant messages, not {messages}: "
            "use `preset: density` or remove messages"
        )
    without = OF_OTHER_MESSAGES if messages == "equivariant" else ()
    without += OF_THE_ENERGY if values.get("heads") == [] else ()
    chosen = {n: x for n, x in choices.items() if n not in without}
    return _merged(chosen, {"preset": name, **values})


def implied_preset(values: Mapping[str, Any]) -> str:
    """Return the preset of a section without one, judged by its host, messages and fields."""
    if values.get("host", DEFAULT_HOST) != DEFAULT_HOST:
        return "default"
    if "messages" in values:
        return "default" if values["messages"] == "equivariant" else "density"
    of_density = set(OF_OTHER_MESSAGES) - {"host_options"}
    return "density" if of_density & values.keys() else "default"


def _refuse_other_host(
    values: Mapping[str, Any], fields: Mapping[str, Any], preset: str, messages: str
) -> None:
    """Raise `ValueError` if a host other than `density` is combined with its fields or messages."""
    host = values["host"]
    if messages == "equivariant" and "messages" not in values:
        raise ValueError(
            f"the preset {preset} has equivariant messages, which need the host density, "
            f"not {host}: remove the preset or the host"
        )
    if messages == "equivariant":
        raise ValueError(f"equivariant messages need the host density, not {host}")
    foreign = [n for n in OF_THE_DENSITY if n in values and values[n] != fields[n].default]
    if foreign:
        raise ValueError(f"the host {host} has no {', '.join(foreign)}, only the host density has")


def _refuse_other_fields(values: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Raise `ValueError` if fields are set that have no meaning with equivariant messages.

    If the messages are not set, the fields suggest that others were meant.
    """
    named = "messages" in values
    foreign = [
        n
        for n in OF_OTHER_MESSAGES
        if n in values and (values[n] != fields[n].default or not (named or n == "host_options"))
    ]
    if not foreign:
        return
    pronoun = "it" if len(foreign) == 1 else "them"
    if named:
        raise ValueError(f"equivariant messages do not use {', '.join(foreign)}: remove {pronoun}")
    subject = f"the preset {values['preset']}" if "preset" in values else "a model without a preset"
    change = "use" if "preset" in values else "add"
    raise ValueError(
        f"{subject} has equivariant messages, which do not use {', '.join(foreign)}: "
        f"{change} `preset: density`, or remove {pronoun}"
    )


def _as_recorded(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a section of an earlier version with the current names of the presets.

    Model files and run folders record all fields. Earlier versions had no equivariant messages:
    their presets `default` and `accurate` are now called `density`.
    """
    if any(name not in values for name in IN_EVERY_RECORD):
        return values
    of_old = {
        "messages": DEFAULT_MESSAGES,
        "preset": "default",
        "moment_limit": None,
        "repulsion": False,
    }
    recorded = {**of_old, **values}
    if recorded["messages"] != "equivariant" and recorded["preset"] in ("default", "accurate"):
        of_density = recorded.get("host", DEFAULT_HOST) == DEFAULT_HOST
        recorded["preset"] = "density" if of_density else "default"
    return recorded


def _merged(preset: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preset updated by the values; nested sections are merged."""
    merged = {**preset, **values}
    for name in preset.keys() & values.keys():
        inner, value = preset[name], values[name]
        if isinstance(value, BaseModel):
            value = value.model_dump(exclude_unset=True)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(inner, value)
    return merged

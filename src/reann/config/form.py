"""The form of the section `model`: what its preset chooses, and which fields fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from reann.config.presets import OF_OTHER_MESSAGES, OF_THE_DENSITY, PRESETS, choices_of
from reann.facts import DEFAULT_HOST, DEFAULT_MESSAGES

IN_EVERY_RECORD = (*OF_THE_DENSITY, "l_max", "n_radial", "n_recursions", "readout", "update")
"""Fields that potentials and run folders of every version have."""


def with_preset(given: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields and the choices of their preset, as far as they have a meaning.

    Raises
    ------
    ValueError
        If a field is given that the host does not have, or that has no meaning with the messages,
        or if the messages or the host are not those of the preset.
    """
    given = _as_recorded(given)
    name, host = given.get("preset", implied_preset(given)), given.get("host", DEFAULT_HOST)
    if name not in list(PRESETS):
        return dict(given)  # a wrong value, which the field reports
    choices = choices_of(name, host)
    messages = given.get("messages", choices.get("messages", DEFAULT_MESSAGES))
    if host != DEFAULT_HOST:
        _refuse_other_host(given, fields, name, messages)
    elif messages == "equivariant" or not given.keys() & {"preset", "messages"}:
        _refuse_other_fields(given, fields)
    elif "messages" in choices:
        raise ValueError(
            f"the preset {name} has equivariant messages, not {messages}: "
            "use `preset: density`, or remove messages"
        )
    without = OF_OTHER_MESSAGES if messages == "equivariant" else ()
    chosen = {n: x for n, x in choices.items() if n not in without}
    return _merged(chosen, {"preset": name, **given})


def implied_preset(given: Mapping[str, Any]) -> str:
    """Return the preset of a section that names none, by its host, its messages and its fields."""
    if given.get("host", DEFAULT_HOST) != DEFAULT_HOST:
        return "default"
    if "messages" in given:
        return "default" if given["messages"] == "equivariant" else "density"
    of_density = set(OF_OTHER_MESSAGES) - {"host_options"}
    return "density" if of_density & given.keys() else "default"


def _refuse_other_host(
    given: Mapping[str, Any], fields: Mapping[str, Any], preset: str, messages: str
) -> None:
    """Raise `ValueError` where another host than the density has fields or messages of that."""
    host = given["host"]
    if messages == "equivariant" and "messages" not in given:
        raise ValueError(
            f"the preset {preset} has equivariant messages, which belong to the host density, "
            f"not to {host}: remove the preset, or the host"
        )
    if messages == "equivariant":
        raise ValueError(f"equivariant messages belong to the host density, not to {host}")
    foreign = [n for n in OF_THE_DENSITY if n in given and given[n] != fields[n].default]
    if foreign:
        raise ValueError(f"{', '.join(foreign)} belongs to the host density, not {host}")


def _refuse_other_fields(given: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Raise `ValueError` where fields are given that have no meaning with equivariant messages.

    Where the messages are not given, they may not be what was meant.
    """
    named = "messages" in given
    foreign = [
        n
        for n in OF_OTHER_MESSAGES
        if n in given and (given[n] != fields[n].default or not (named or n == "host_options"))
    ]
    if not foreign:
        return
    it = "it" if len(foreign) == 1 else "them"
    if named:
        raise ValueError(f"equivariant messages do not use {', '.join(foreign)}: remove {it}")
    whose = f"the preset {given['preset']}" if "preset" in given else "a model without a preset"
    change = "use" if "preset" in given else "add"
    raise ValueError(
        f"{whose} has equivariant messages, which do not use {', '.join(foreign)}: "
        f"{change} `preset: density`, or remove {it}"
    )


def _as_recorded(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a section with the names that its choices have today.

    A file or a run folder records every field. What it calls `default` or `accurate` is the density
    where its messages are not equivariant, as they never were in earlier versions.
    """
    if any(name not in given for name in IN_EVERY_RECORD):
        return given
    of_old = {"messages": DEFAULT_MESSAGES, "preset": "default", "moment_limit": None}
    recorded = {**of_old, **given}
    if recorded["messages"] != "equivariant" and recorded["preset"] in ("default", "accurate"):
        of_density = recorded.get("host", DEFAULT_HOST) == DEFAULT_HOST
        recorded["preset"] = "density" if of_density else "default"
    return recorded


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

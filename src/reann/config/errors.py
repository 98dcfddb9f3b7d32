"""Mistakes in a configuration, described by its field names.

pydantic reports a value that matches none of five alternatives five times, under internal names.
Here each mistake is reported once: the field, the value, the allowed values.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from reann.config import Config, Section
from reann.config.fields import (
    FieldPath,
    allowed,
    alternatives,
    annotation,
    field_at,
    field_paths,
    item_section,
    section_of,
    sections_in,
    tag_of,
)
from reann.errors import did_you_mean

FOREIGN = {
    "nipsin": "model.l_max",
    "nwave": "model.n_radial",
    "norbit": "model.n_orbitals",
    "oc_loop": "model.n_recursions",
    "initpot": "data.reference_energies",
    "r_max": "model.cutoff",
    "lr": "training.learning_rate",
    "start_lr": "training.learning_rate",
    "max_epochs": "training.epochs",
}
"""Names that other packages use for a field."""


@dataclass(frozen=True)
class Mistake:
    """A mistake: the path of the field, a description, and what to write instead."""

    path: FieldPath
    what: str
    fix: str


def mistakes(
    error: ValidationError, values: Mapping[str, Any], root: type[Section] = Config
) -> list[Mistake]:
    """Return the mistakes behind a `ValidationError`, one per field, in the order of the fields.

    `root` is the section that the whole file was read as.
    """
    by_path: dict[FieldPath, Mistake] = {}
    for item in error.errors(include_url=False):
        mistake = _mistake(item, values, root)
        if mistake is not None:
            by_path.setdefault(mistake.path, mistake)
    return list(by_path.values())


def misplaced_booleans(
    values: Any, kind: Any = Config, path: FieldPath = (), root: type[Section] = Config
) -> Iterator[Mistake]:
    """Yield numbers given as true or false, which pydantic would read as 1 and 0."""
    if isinstance(values, bool) and not {bool, Any} & set(alternatives(kind)):
        yield _wrong_value(path, values, root)
    section = section_of(kind, values)
    if section is not None and isinstance(values, Mapping):
        for name, value in values.items():
            field = section.model_fields.get(name)
            if field is not None:
                yield from misplaced_booleans(value, annotation(field), (*path, name), root)
    item = item_section(kind)
    if item is not None and isinstance(values, list):
        for number, value in enumerate(values):
            yield from misplaced_booleans(value, item, (*path, str(number)), root)


def control_characters(values: Any, path: FieldPath = ()) -> Iterator[Mistake]:
    """Yield values and field names that contain control characters, such as a line break."""
    if isinstance(values, str):
        wrong = [c for c in values if unicodedata.category(c) in ("Cc", "Cs")]
        if wrong:
            what = f"{'.'.join(path)} contains the control character {wrong[0]!a}: {values!a:.60}."
            yield Mistake(path, what, "Remove it; if it is in a file name, rename the file.")
    elif isinstance(values, Mapping):
        for name, value in values.items():
            for mistake in control_characters(str(name)):
                what = f"A field name{mistake.what}"
                yield Mistake((*path, repr(name)), what, "Remove it.")
            yield from control_characters(value, (*path, str(name)))
    elif isinstance(values, list):
        for number, value in enumerate(values):
            inner = (*path, str(number)) if isinstance(value, Mapping) else path
            yield from control_characters(value, inner)


def unknown_field(path: FieldPath, section: type[Section], root: type[Section] = Config) -> Mistake:
    """Return the mistake for an unknown field of a section, with a suggestion."""
    *above, name = path
    place = f"The section '{'.'.join(above)}'" if above else "A configuration"
    nested = name.split(".")
    if len(nested) > 1 and field_at((*above, *nested), root) is not None:
        inside = ": {".join(nested) + ": …" + "}" * (len(nested) - 1)
        fix = f"Write  {inside}  or use {'.'.join(path)}=… on the command line."
        what = f"{place} has no field '{name}': dotted names work on the command line only."
        return Mistake(path, what, fix)
    elsewhere = FOREIGN.get(name) or next(
        (".".join(o) for o in field_paths(root) if o[-1] == name and o != path), None
    )
    if elsewhere:
        close = f" Did you mean '{elsewhere}'?"
    else:
        close = did_you_mean(name, section.model_fields)
    fields = ", ".join(section.model_fields)
    return Mistake(path, f"{place} has no field '{name}'.{close}", f"The fields are {fields}.")


# --- one error of pydantic --------------------------------------------------------------------


def _mistake(item: Mapping[str, Any], values: Any, root: type[Section]) -> Mistake | None:
    """Translate an error of pydantic; None if it is about an alternative that was not meant."""
    path: FieldPath = ()
    kind: Any = root
    value = values
    rest = list(item["loc"])
    while rest:
        if (inside := _item(kind, value, rest[0])) is not None:
            kind, value = inside
            path = (*path, str(rest.pop(0)))
            continue
        section = section_of(kind, value)
        if section is None or not isinstance(value, Mapping):
            break
        if len([member for member in alternatives(kind) if member is not type(None)]) > 1:
            member = str(rest.pop(0))
            # A section with a validator of its own is named `function-after[..., Section]`.
            is_meant = member in (section.__name__, tag_of(section))
            if not is_meant and not member.endswith(f", {section.__name__}]"):
                return None
            if not rest:
                break
        name = rest.pop(0)
        path = (*path, str(name))
        if name not in section.model_fields:
            return unknown_field(path, section, root)
        kind = annotation(section.model_fields[name])
        if name not in value or (item["type"] == "missing" and value[name] is None):
            return _missing(path, section, value)
        value = value[name]
    if item["type"] == "value_error":
        return _of_validator(path, str(item["ctx"]["error"]))
    return _wrong_value(path, value, root)


def _item(kind: Any, value: Any, number: Any) -> tuple[type[Section], Any] | None:
    """Return the section at an index of a list of sections, and its values; None elsewhere."""
    section = item_section(kind)
    if section is None or not isinstance(value, list) or not isinstance(number, int):
        return None
    if not isinstance(value[number], Mapping):
        return None
    return section, value[number]


def _of_validator(path: FieldPath, error: str) -> Mistake:
    text, _, advice = error.partition(": ")
    fix = f"{advice.capitalize()}." if advice else "Change one of them."
    place = f"{'.'.join(path)}: " if path else ""
    return Mistake(path, f"{place}{text}.", fix)


def _missing(path: FieldPath, section: type[Section], values: Mapping[str, Any]) -> Mistake | None:
    """Return the mistake for a missing field; None if it is present but misspelled."""
    if any(did_you_mean(str(key), [path[-1]]) for key in values if key != path[-1]):
        return None
    if path == ("data",):
        path, section = ("data", "train"), sections_in(annotation(Config.model_fields["data"]))[0]
    text = section.model_fields[path[-1]].description or ""
    example = ": {".join(path) + ": …" + "}" * (len(path) - 1)
    if any(name.isdigit() for name in path):  # in a list
        example = f"{{{path[-1]}: …}}"
    return Mistake(path, f"{'.'.join(path)} is missing.", f"Write  {example}  ({text})")


def _wrong_value(path: FieldPath, value: Any, root: type[Section]) -> Mistake:
    field = field_at(path, root)
    shown = "empty" if value is None else repr(value)
    if isinstance(value, bool):
        shown = str(value).lower()
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    if field is None:
        fix = f"Write the sections {', '.join(root.model_fields)}."
        return Mistake(path, f"The configuration is {shown}.", fix)
    kind = annotation(field)
    choices = [
        c
        for member in alternatives(kind)
        if get_origin(member) is Literal
        for c in get_args(member)
    ]
    choices += [tag for member in sections_in(kind) if (tag := tag_of(member))]
    name = value.get("name") if isinstance(value, Mapping) else value
    if isinstance(value, list):
        items = [get_args(member)[0] for member in alternatives(kind) if get_origin(member) is list]
        choices += [
            c for member in items if get_origin(member) is Literal for c in get_args(member)
        ]
        name = next((item for item in value if item not in choices), None)
    close = did_you_mean(name, choices) if isinstance(name, str) else ""
    if name in choices:  # the name of a section that is chosen by its name, without the section
        close = f" Did you mean {{name: {name}}}?"
    description = " ".join((field.description or "").split())
    fix = f"Allowed: {allowed(kind)}. {description}".strip()
    return Mistake(path, f"{'.'.join(path)} cannot be {shown}.{close}", fix)

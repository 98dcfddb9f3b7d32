"""What is wrong with a configuration, said in the words of its fields.

pydantic reports a value that fits none of five alternatives five times, under names of its own.
Here each mistake is said once: the field, the value, what is allowed.
"""

from __future__ import annotations

import types
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from reann.config import Config, Section
from reann.errors import did_you_mean

FieldPath = tuple[str, ...]

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
"""What other packages call a field."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong: at which field, what, and what to write instead."""

    path: FieldPath
    what: str
    fix: str


def mistakes(error: ValidationError, values: Mapping[str, Any]) -> list[Mistake]:
    """Return the mistakes behind a `ValidationError`, one per field, in the order of the fields."""
    found: dict[FieldPath, Mistake] = {}
    for item in error.errors(include_url=False):
        mistake = _mistake(item, values)
        if mistake is not None:
            found.setdefault(mistake.path, mistake)
    return list(found.values())


def misplaced_booleans(values: Any, kind: Any = Config, path: FieldPath = ()) -> Iterator[Mistake]:
    """Yield fields that are true or false and should not be: pydantic reads `true` as 1."""
    if isinstance(values, bool) and bool not in alternatives(kind):
        yield _wrong_value(path, values)
    section = section_of(kind, values)
    if section is not None and isinstance(values, Mapping):
        for name, value in values.items():
            field = section.model_fields.get(name)
            if field is not None:
                yield from misplaced_booleans(value, annotation(field), (*path, name))


def control_characters(values: Any, path: FieldPath = ()) -> Iterator[Mistake]:
    """Yield texts and names of fields with characters that no name has, such as a line break."""
    if isinstance(values, str):
        wrong = [c for c in values if unicodedata.category(c) in ("Cc", "Cs")]
        if wrong:
            what = f"{'.'.join(path)} has the control character {wrong[0]!a} in {values!a:.60}."
            yield Mistake(path, what, "Remove it, and rename the file if it is in its name.")
    elif isinstance(values, Mapping):
        for name, value in values.items():
            for mistake in control_characters(str(name)):
                what = f"The name of a field{mistake.what}"
                yield Mistake((*path, repr(name)), what, "Remove it.")
            yield from control_characters(value, (*path, str(name)))
    elif isinstance(values, list):
        for value in values:
            yield from control_characters(value, path)


def unknown_field(path: FieldPath, section: type[Section]) -> Mistake:
    """Return the mistake of a name that its section does not have, with a suggestion."""
    *above, name = path
    place = f"The section '{'.'.join(above)}'" if above else "A configuration"
    nested = name.split(".")
    if len(nested) > 1 and field_at((*above, *nested)) is not None:
        inside = ": {".join(nested) + ": …" + "}" * (len(nested) - 1)
        fix = f"Write  {inside}  or give {'.'.join(path)}=… on the command line."
        return Mistake(path, f"{place} has no field '{name}': dots do not nest in a file.", fix)
    elsewhere = FOREIGN.get(name) or next(
        (".".join(o) for o in field_paths(Config) if o[-1] == name and o != path), None
    )
    if elsewhere:
        close = f" Did you mean '{elsewhere}'?"
    else:
        close = did_you_mean(name, section.model_fields)
    fields = ", ".join(section.model_fields)
    return Mistake(path, f"{place} has no field '{name}'.{close}", f"Its fields are {fields}.")


def field_paths(section: type[Section], above: FieldPath = ()) -> Iterator[FieldPath]:
    """Yield the dotted paths of all fields below a section, outer ones first."""
    inner: list[tuple[type[Section], FieldPath]] = []
    for name, field in section.model_fields.items():
        yield (*above, name)
        inner += [(kind, (*above, name)) for kind in sections_in(annotation(field))]
    for kind, path in inner:
        yield from field_paths(kind, path)


# --- types of fields --------------------------------------------------------------------------


def annotation(field: FieldInfo) -> Any:
    """Return the type of a field with the bounds that pydantic keeps apart from it."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def alternatives(kind: Any) -> list[Any]:
    """Return the members of a union, nested ones too; any other type alone."""
    if get_origin(kind) is Annotated and get_origin(get_args(kind)[0]) in (Union, types.UnionType):
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        return [one for member in get_args(kind) for one in alternatives(member)]
    return [kind]


def sections_in(kind: Any) -> list[type[Section]]:
    """Return the sections that a field may hold."""
    every = alternatives(kind)
    return [one for one in every if isinstance(one, type) and issubclass(one, Section)]


def section_of(kind: Any, value: Any) -> type[Section] | None:
    """Return the section that a mapping is meant as: by its `name`, else by its other fields."""
    sections = sections_in(kind)
    if len(sections) <= 1 or not isinstance(value, Mapping):
        return sections[0] if len(sections) == 1 else None
    if "name" in value:
        return next((one for one in sections if _tag(one) == value["name"]), None)
    if all(_tag(one) for one in sections):
        return None
    for fits in (
        lambda fields: any(key in fields for key in value),
        lambda fields: any(did_you_mean(str(key), fields) for key in value),
    ):
        for section in sections:
            if fits(section.model_fields):
                return section
    return None


def allowed(kind: Any) -> str:
    """Describe the values that a type allows, such as `a whole number of at least 1`."""
    *most, last = dict.fromkeys(_allowed_one(one) for one in alternatives(kind))
    return f"{', '.join(most)} or {last}" if most else last


def _allowed_one(kind: Any) -> str:
    bounds = ""
    if get_origin(kind) is Annotated:
        kind, *metadata = get_args(kind)
        bounds = _bounds(metadata)
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is list:
        return f"a list of {_plural(allowed(get_args(kind)[0]))}"
    if get_origin(kind) is dict:
        return f"a mapping of names to {_plural(allowed(get_args(kind)[1]))}"
    if isinstance(kind, type) and issubclass(kind, Section):
        tag = _tag(kind)
        inside = f"name: {tag}" if tag else ": …, ".join([*list(kind.model_fields)[:3], ""])
        return "{" + inside.removesuffix(", ") + "}"
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    plain |= {Path: "a path", type(None): "null"}
    return plain.get(kind, str(kind)) + bounds


def _plural(text: str) -> str:
    return text.removeprefix("a ").replace("number", "numbers").replace("text", "texts")


def _bounds(metadata: Iterable[Any]) -> str:
    """Say the bounds of a number; those of a nested type are inside a `FieldInfo`."""
    flat = [m for one in metadata for m in (one.metadata if isinstance(one, FieldInfo) else [one])]
    words = {"gt": "above", "ge": "of at least", "lt": "below", "le": "at most"}
    found = [
        f"{word} {getattr(one, name)}"
        for one in flat
        for name, word in words.items()
        if getattr(one, name, None) is not None
    ]
    return " " + " and ".join(found) if found else ""


def _tag(section: type[Section]) -> str | None:
    """Return the `name` by which a section is chosen among others."""
    field = section.model_fields.get("name")
    return get_args(field.annotation)[0] if field is not None else None


# --- one error of pydantic --------------------------------------------------------------------


def _mistake(item: Mapping[str, Any], values: Any) -> Mistake | None:
    """Translate one error; None where it speaks of an alternative that was not meant."""
    path: FieldPath = ()
    kind: Any = Config
    value = values
    rest = list(item["loc"])
    while rest:
        section = section_of(kind, value)
        if section is None or not isinstance(value, Mapping):
            break
        if len([one for one in alternatives(kind) if one is not type(None)]) > 1:
            if rest.pop(0) not in (section.__name__, _tag(section)):
                return None
            if not rest:
                break
        name = rest.pop(0)
        path = (*path, str(name))
        if name not in section.model_fields:
            return unknown_field(path, section)
        kind = annotation(section.model_fields[name])
        if name not in value:
            misspelled = any(did_you_mean(str(key), [str(name)]) for key in value)
            return None if misspelled else _missing(path, section)
        value = value[name]
    if item["type"] == "value_error":
        text, _, advice = str(item["ctx"]["error"]).partition(": ")
        fix = f"{advice.capitalize()}." if advice else "Change one of the two."
        return Mistake(path, f"{'.'.join(path)}: {text}.", fix)
    return _wrong_value(path, value)


def _missing(path: FieldPath, section: type[Section]) -> Mistake:
    if path == ("data",):
        path, section = ("data", "train"), sections_in(annotation(Config.model_fields["data"]))[0]
    text = section.model_fields[path[-1]].description or ""
    example = ": {".join(path) + ": …" + "}" * (len(path) - 1)
    return Mistake(path, f"{'.'.join(path)} is missing.", f"Write  {example}  ({text})")


def _wrong_value(path: FieldPath, value: Any) -> Mistake:
    field = field_at(path)
    shown = "empty" if value is None else repr(value)
    if isinstance(value, bool):
        shown = str(value).lower()
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    if field is None:
        fix = "Write sections: data, model, training, run."
        return Mistake(path, f"The configuration is {shown}.", fix)
    kind = annotation(field)
    choices = [c for one in alternatives(kind) if get_origin(one) is Literal for c in get_args(one)]
    choices += [tag for one in sections_in(kind) if (tag := _tag(one))]
    given = value.get("name") if isinstance(value, Mapping) else value
    if isinstance(value, list):
        items = [get_args(one)[0] for one in alternatives(kind) if get_origin(one) is list]
        choices += [c for one in items if get_origin(one) is Literal for c in get_args(one)]
        given = next((item for item in value if item not in choices), None)
    close = did_you_mean(given, choices) if isinstance(given, str) else ""
    if given in choices:  # the name of a section that is chosen by its name, without the section
        close = f" Did you mean {{name: {given}}}?"
    description = " ".join((field.description or "").split())
    fix = f"Allowed: {allowed(kind)}. {description}".strip()
    return Mistake(path, f"{'.'.join(path)} cannot be {shown}.{close}", fix)


def field_at(path: FieldPath) -> FieldInfo | None:
    """Return the field at a path; None for an unknown one and for the root."""
    sections: list[type[Section]] = [Config]
    field = None
    for name in path:
        field = next((s.model_fields[name] for s in sections if name in s.model_fields), None)
        if field is None:
            return None
        sections = sections_in(annotation(field))
    return field

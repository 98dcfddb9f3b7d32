"""The fields of a configuration: where they are, what they may hold, said in words."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from reann.config import Config, Section
from reann.errors import did_you_mean

FieldPath = tuple[str, ...]
"""Names of a field and of the sections around it; the number of a section in a list of them."""


def field_at(path: FieldPath, root: type[Section] = Config) -> FieldInfo | None:
    """Return the field at a path below the root; None for an unknown one and for the root."""
    sections: list[type[Section]] = [root]
    field = None
    for name in path:
        item = item_section(annotation(field)) if field is not None and name.isdigit() else None
        if item is not None:
            sections = [item]
            continue
        field = next((s.model_fields[name] for s in sections if name in s.model_fields), None)
        if field is None:
            return None
        sections = sections_in(annotation(field))
    return field


def field_paths(section: type[Section], above: FieldPath = ()) -> Iterator[FieldPath]:
    """Yield the dotted paths of all fields below a section, outer ones first."""
    inner: list[tuple[type[Section], FieldPath]] = []
    for name, field in section.model_fields.items():
        yield (*above, name)
        inner += [(kind, (*above, name)) for kind in sections_in(annotation(field))]
    for kind, path in inner:
        yield from field_paths(kind, path)


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


def item_section(kind: Any) -> type[Section] | None:
    """Return the section of which a field holds a list, such as the sources of data."""
    items = [get_args(one)[0] for one in alternatives(kind) if get_origin(one) is list]
    return next((x for x in items if isinstance(x, type) and issubclass(x, Section)), None)


def section_of(kind: Any, value: Any) -> type[Section] | None:
    """Return the section that a mapping is meant as: by its `name`, else by its other fields."""
    sections = sections_in(kind)
    if len(sections) <= 1 or not isinstance(value, Mapping):
        return sections[0] if len(sections) == 1 else None
    if "name" in value:
        return next((one for one in sections if tag_of(one) == value["name"]), None)
    if all(tag_of(one) for one in sections):
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
        tag = tag_of(kind)
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


def tag_of(section: type[Section]) -> str | None:
    """Return the `name` by which a section is chosen among others."""
    field = section.model_fields.get("name")
    return next(iter(get_args(field.annotation)), None) if field is not None else None

"""The fields of a configuration: their paths, and descriptions of their allowed values."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from reann.config import Config, Section
from reann.errors import did_you_mean

FieldPath = tuple[str, ...]
"""Names of the enclosing sections, then of the field; in a list of sections, the index of one."""


def field_at(path: FieldPath, root: type[Section] = Config) -> FieldInfo | None:
    """Return the field at a path below the root; None for the root and for an unknown path."""
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
    """Yield the paths of all fields below a section, outer fields first."""
    inner: list[tuple[type[Section], FieldPath]] = []
    for name, field in section.model_fields.items():
        yield (*above, name)
        inner += [(kind, (*above, name)) for kind in sections_in(annotation(field))]
    for kind, path in inner:
        yield from field_paths(kind, path)


def annotation(field: FieldInfo) -> Any:
    """Return the type of a field including its bounds, which pydantic stores separately."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def alternatives(kind: Any) -> list[Any]:
    """Return the members of a union, also of nested ones; for any other type, the type itself."""
    if get_origin(kind) is Annotated and get_origin(get_args(kind)[0]) in (Union, types.UnionType):
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        return [inner for member in get_args(kind) for inner in alternatives(member)]
    return [kind]


def sections_in(kind: Any) -> list[type[Section]]:
    """Return the sections that a field may hold."""
    members = alternatives(kind)
    return [
        member for member in members if isinstance(member, type) and issubclass(member, Section)
    ]


def item_section(kind: Any) -> type[Section] | None:
    """Return the section type of the items of a list, such as the sources of `data`."""
    items = [get_args(member)[0] for member in alternatives(kind) if get_origin(member) is list]
    return next((x for x in items if isinstance(x, type) and issubclass(x, Section)), None)


def section_of(kind: Any, value: Any) -> type[Section] | None:
    """Return the section that a mapping stands for: by its `name`, else by its other fields."""
    sections = sections_in(kind)
    if len(sections) <= 1 or not isinstance(value, Mapping):
        return sections[0] if len(sections) == 1 else None
    if "name" in value:
        return next((section for section in sections if tag_of(section) == value["name"]), None)
    if all(tag_of(section) for section in sections):
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
    *most, last = dict.fromkeys(_allowed_by_member(member) for member in alternatives(kind))
    return f"{', '.join(most)} or {last}" if most else last


def _allowed_by_member(kind: Any) -> str:
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
    """Describe the bounds of a number; those of a nested type are inside a `FieldInfo`."""
    flat = [
        m for item in metadata for m in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]
    words = {"gt": "above", "ge": "of at least", "lt": "below", "le": "at most"}
    parts = [
        f"{word} {getattr(item, name)}"
        for item in flat
        for name, word in words.items()
        if getattr(item, name, None) is not None
    ]
    return " " + " and ".join(parts) if parts else ""


def tag_of(section: type[Section]) -> str | None:
    """Return the `name` that selects a section among alternatives."""
    field = section.model_fields.get("name")
    return next(iter(get_args(field.annotation)), None) if field is not None else None

"""Overrides of configuration fields on the command line, such as `training.epochs=20`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from reann.config import Config, ModelConfig
from reann.config.errors import unknown_field
from reann.config.fields import (
    FieldPath,
    annotation,
    field_at,
    field_paths,
    section_of,
    sections_in,
)
from reann.config.form import implied_preset
from reann.config.presets import PRESETS, overridden_by_file, shown
from reann.config.section import flat
from reann.config.yaml import Loader, read_yaml
from reann.errors import UserError, did_you_mean, shortened

EXCLUSIVE: list[set[FieldPath]] = [
    {("training", "time"), ("training", "epochs")},
    {("data", "train"), ("data", "sources")},
]
"""Mutually exclusive fields: an override of one removes the other from the file's values."""

Change = tuple[FieldPath, Any, str]
"""Path, value, and where the value was set."""


def apply(values: dict[str, Any], overrides: Sequence[str]) -> dict[FieldPath, str]:
    """Apply overrides to the values of a file; return the path and text of each override.

    Raises
    ------
    UserError
        For malformed overrides, unknown fields, and a preset that fields of the file would
        override.
    """
    changes: list[Change] = []
    for override in overrides:
        name, equals, text = override.partition("=")
        path = tuple(name.strip().split("."))
        if not equals or not all(path):
            fix = "Write section.field=value, for example training.epochs=20."
            raise UserError(f"'{override}' is not an override.", "command line", fix)
        place = f"command line: {override}"
        _known(path, place)
        changes.append((path, _value(text, override), place))
    return _changed(values, changes)


def apply_values(values: dict[str, Any], overrides: Mapping[str, Any]) -> dict[FieldPath, str]:
    """Apply values by the dotted names of their fields, as `apply` does."""
    changes: list[Change] = []
    for name, value in overrides.items():
        path, place = tuple(name.split(".")), f"argument {name}={value!r}"
        _known(path, place)
        changes.append((path, value, place))
    return _changed(values, changes)


def _changed(values: dict[str, Any], changes: Iterable[Change]) -> dict[FieldPath, str]:
    """Set fields of `values`; return where each of them was set."""
    in_file = copy.deepcopy(values.get("model"))
    overridden: dict[FieldPath, str] = {}
    for path, value, place in changes:
        inside: Any = values
        for depth, part in enumerate(path[:-1], start=1):
            inside = _section_at(inside, part, ".".join(path[:depth]), place)
        if not isinstance(inside, dict):
            raise _no_item(".".join(path), place, inside)
        inside[path[-1]] = value
        overridden[path] = place
    if ("model", "preset") in overridden and isinstance(in_file, dict):
        _check_preset(in_file, values["model"], overridden)
    _drop_replaced(values, overridden)
    return overridden


def _section_at(inside: Any, part: str, name: str, place: str) -> Any:
    """Return a section of the values of a file; a missing section is created empty."""
    if isinstance(inside, list):  # for example the sources of data
        if not part.isdigit() or int(part) >= len(inside):
            raise _no_item(name, place, inside)
        return inside[int(part)]
    if not isinstance(inside.get(part), dict | list):
        inside[part] = {}
    return inside[part]


def _no_item(name: str, place: str, items: Any) -> UserError:
    above = name.rpartition(".")[0]
    return UserError(
        f"There is no '{name}' to set.",
        place,
        f"Write {above}.0.field=value for a field of the first of {len(items)} items."
        if isinstance(items, list)
        else f"Write {above}=value.",
    )


def _drop_replaced(values: dict[str, Any], overridden: Mapping[FieldPath, str]) -> None:
    """Remove fields of the file that are replaced by another field in an override."""
    for fields in EXCLUSIVE:
        if fields & overridden.keys():
            for section, name in fields - overridden.keys():
                values[section].pop(name, None)
    for path in overridden:
        for depth in range(1, len(path)):
            _keep_section(values, path[:depth], path[depth], overridden)


def _keep_section(
    values: dict[str, Any], at: FieldPath, name: str, overridden: Mapping[FieldPath, str]
) -> None:
    """Remove fields of the file that belong to another alternative than the one overridden.

    For example, `training.schedule.name=plateau` replaces a cosine schedule with all its fields,
    and `data.valid.groups=…` replaces indices.
    """
    field = field_at(at)
    inside: Any = values
    for part in at:
        inside = inside[int(part) if isinstance(inside, list) else part]
    sections = sections_in(annotation(field)) if field is not None else []
    tags = [section for section in sections if "name" in section.model_fields]
    if len(sections) < 2 or (tags and name != "name"):
        return
    chosen = section_of(annotation(field), {name: inside[name]}) if field is not None else None
    if chosen is None:
        return  # a wrong name, reported together with all other mistakes
    others = {name_of_field for section in sections for name_of_field in section.model_fields}
    for key in [key for key in inside if key in others - set(chosen.model_fields)]:
        if (*at, key) not in overridden:
            del inside[key]


def _value(text: str, override: str) -> Any:
    try:
        value, _, twice = read_yaml(text)
        root = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        fix = "Quote values with brackets: 'data.train=[a.xyz, b.xyz]'."
        what = f"The value in {shortened(override)!r} is not valid YAML: {problem}."
        raise UserError(what, "command line", fix) from None
    if twice:
        what = f"The field '{twice[0][0]}' appears twice in {shortened(override)!r}."
        raise UserError(what, "command line", "Remove one of them.")
    if comment := text[root.end_mark.index if root else 0 :].strip():
        what = f"YAML ignores {shortened(comment)!r} in {shortened(override)!r} as a comment."
        raise UserError(what, "command line", """Quote the value twice: 'run.folder="run #2"'.""")
    return value


def _check_preset(
    in_file: dict[str, Any], final: Mapping[str, Any], overridden: Mapping[FieldPath, str]
) -> None:
    """Raise `UserError` if fields of the file would override a preset of the command line.

    `final` is the section with all overrides applied.
    """
    name = final["preset"]
    messages = final["messages"] if ("model", "messages") in overridden else None
    later = [".".join(path[1:]) for path in overridden if path[0] == "model"]
    try:
        model = ModelConfig.model_validate({"preset": implied_preset(in_file), **in_file})
        if name == model.preset or name not in list(PRESETS):
            return
        fields = overridden_by_file(model, flat(in_file), name, messages)
    except ValidationError:
        return  # reported with all other mistakes
    kept = {
        field: pair
        for field, pair in fields.items()
        if not any(f"{field}.".startswith(f"{path}.") for path in later)
    }
    if kept:
        listed = ", ".join(f"{field}={shown(value)}" for field, (value, _) in kept.items())
        repeat = " ".join(f"'model.{field}={shown(new)}'" for field, (_, new) in kept.items())
        raise UserError(
            f"The preset {name} would not take full effect: the file sets {listed}.",
            overridden["model", "preset"],
            f"Remove these fields from the section model of the file, or add {repeat}.",
        )


def _known(path: FieldPath, place: str) -> None:
    """Raise `UserError` unless a configuration can have a field at the path."""
    for depth in range(1, len(path) + 1):
        if field_at(path[:depth]) is not None:
            continue
        above = field_at(path[: depth - 1])
        sections = sections_in(annotation(above)) if above is not None else [Config]
        if above is not None and not sections:
            return  # a mapping such as reference_energies.H, or a wrong value, reported later
        paths = [".".join(known) for known in field_paths(Config)]
        mistake = unknown_field(path[:depth], sections[0])
        close = did_you_mean(".".join(path), paths) if depth == 1 and len(path) > 1 else ""
        what = mistake.what if "Did you mean" in mistake.what else mistake.what + close
        raise UserError(what, place, mistake.fix)

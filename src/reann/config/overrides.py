"""Overrides: fields of a configuration that the command line sets, as `training.epochs=20`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
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
from reann.config.presets import PRESETS, defeated, shown
from reann.config.section import flat
from reann.config.yaml import Loader, read_yaml
from reann.errors import UserError, did_you_mean, shortened

EXCLUSIVE: list[set[FieldPath]] = [
    {("training", "time"), ("training", "epochs")},
    {("data", "train"), ("data", "sources")},
]
"""Fields of which one is given: an override of one replaces the other of the file."""


def apply(values: dict[str, Any], overrides: Sequence[str]) -> dict[FieldPath, str]:
    """Write the overrides into the values of a file; return each path with the text that set it.

    Raises
    ------
    UserError
        For a text that is no override, an unknown field, and a preset that fields of the file would
        keep from taking effect.
    """
    in_file = copy.deepcopy(values.get("model"))
    given: dict[FieldPath, str] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        path = tuple(name.strip().split("."))
        if not equals or not all(path):
            fix = "Write section.field=value, as training.epochs=20."
            raise UserError(f"'{override}' is not an override.", "command line", fix)
        _known(path, override)
        value = _value(text, override)
        inside: Any = values
        for depth, part in enumerate(path[:-1], start=1):
            inside = _section_at(inside, part, ".".join(path[:depth]), override)
        if not isinstance(inside, dict):
            raise _no_item(".".join(path), override, inside)
        inside[path[-1]] = value
        given[path] = override
    if ("model", "preset") in given and isinstance(in_file, dict):
        _check_preset(in_file, values["model"], given)
    _drop_replaced(values, given)
    return given


def _section_at(inside: Any, part: str, name: str, override: str) -> Any:
    """Return what the values of a file have at a place, an empty section where there is none."""
    if isinstance(inside, list):  # such as the sources of data
        if not part.isdigit() or int(part) >= len(inside):
            raise _no_item(name, override, inside)
        return inside[int(part)]
    if not isinstance(inside.get(part), dict | list):
        inside[part] = {}
    return inside[part]


def _no_item(name: str, override: str, items: Any) -> UserError:
    above = name.rpartition(".")[0]
    return UserError(
        f"There is no '{name}' to set.",
        f"command line: {override}",
        f"Write {above}.0.field=value for a field of the first of {len(items)}."
        if isinstance(items, list)
        else f"Write {above}=value.",
    )


def _drop_replaced(values: dict[str, Any], given: Mapping[FieldPath, str]) -> None:
    """Remove the fields of the file for which an override gives another."""
    for fields in EXCLUSIVE:
        if fields & given.keys():
            for section, name in fields - given.keys():
                values[section].pop(name, None)
    for path in given:
        for depth in range(1, len(path)):
            _keep_section(values, path[:depth], path[depth], given)


def _keep_section(
    values: dict[str, Any], at: FieldPath, name: str, given: Mapping[FieldPath, str]
) -> None:
    """Remove what the file has of other sections than the one that an override has chosen.

    So `training.schedule.name=plateau` takes the place of a cosine with all its fields, and
    `data.valid.groups=…` that of indices.
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
        return  # a wrong name, which is reported with all other mistakes
    others = {one for section in sections for one in section.model_fields}
    for key in [key for key in inside if key in others - set(chosen.model_fields)]:
        if (*at, key) not in given:
            del inside[key]


def _value(text: str, override: str) -> Any:
    try:
        value, _, twice = read_yaml(text)
        root = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        fix = "Quote values with brackets, as 'data.train=[a.xyz, b.xyz]'."
        what = f"The value in {shortened(override)!r} is not YAML: {problem}."
        raise UserError(what, "command line", fix) from None
    if twice:
        what = f"The field '{twice[0][0]}' is there twice in {shortened(override)!r}."
        raise UserError(what, "command line", "Remove one of them.")
    if comment := text[root.end_mark.index if root else 0 :].strip():
        what = f"YAML leaves out {shortened(comment)!r} of {shortened(override)!r} as a comment."
        raise UserError(
            what, "command line", """Quote the value twice, as 'run.folder="run #2"'."""
        )
    return value


def _check_preset(
    in_file: dict[str, Any], final: Mapping[str, Any], given: Mapping[FieldPath, str]
) -> None:
    """Raise `UserError` where fields of the file would keep a preset from taking effect.

    `final` is the section with all overrides.
    """
    name = final["preset"]
    messages = final["messages"] if ("model", "messages") in given else None
    later = [".".join(path[1:]) for path in given if path[0] == "model"]
    try:
        model = ModelConfig.model_validate({"preset": implied_preset(in_file), **in_file})
        if name == model.preset or name not in list(PRESETS):
            return
        fields = defeated(model, flat(in_file), name, messages)
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
            f"The preset {name} would not take effect: the file sets {listed}.",
            f"command line: {given['model', 'preset']}",
            f"Remove these fields of model from the file, or add {repeat}.",
        )


def _known(path: FieldPath, override: str) -> None:
    """Raise `UserError` unless the configuration has, or may have, a field at the path."""
    for depth in range(1, len(path) + 1):
        if field_at(path[:depth]) is not None:
            continue
        above = field_at(path[: depth - 1])
        sections = sections_in(annotation(above)) if above is not None else [Config]
        if above is not None and not sections:
            return  # a mapping such as reference_energies.H, or a wrong value, found later
        every = [".".join(known) for known in field_paths(Config)]
        mistake = unknown_field(path[:depth], sections[0])
        close = did_you_mean(".".join(path), every) if depth == 1 and len(path) > 1 else ""
        what = mistake.what if "Did you mean" in mistake.what else mistake.what + close
        raise UserError(what, f"command line: {override}", mistake.fix)

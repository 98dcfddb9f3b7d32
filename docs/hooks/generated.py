"""References that are generated from the code itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from reann.cli import app
from reann.config import Config, ModelConfig
from reann.config.presets import OF_OTHER_MESSAGES, PRESETS
from reann.learning.settings import LoopConfig
from reann.quantities import BUILT_IN, INPUTS, OF_HEADS

MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace a mark such as `<!-- generated: config -->` by what it names."""
    makers = {
        "config": config_reference,
        "loop": loop_reference,
        "cli": cli_reference,
        "quantities": quantities_reference,
    }
    return MARK.sub(lambda mark: makers[mark[1]](), markdown)


def quantities_reference() -> str:
    """Return a table of what structures are labeled with and what potentials give."""
    lines = ["| name | meaning | shape | unit | label | errors in |", "| --- " * 6 + "|"]
    for quantity in (*BUILT_IN, *OF_HEADS, *INPUTS):
        shape = ["atoms"] * quantity.per_atom + [str(n) for n in quantity.shape]
        is_label, kind = quantity.role == "label", "given" if quantity.role == "input" else ""
        cells = [
            f"`{quantity.name}`",
            quantity.about,
            " × ".join(shape) or "a number",
            quantity.unit.replace("^3", "³"),
            "yes" if is_label else f"as {quantity.read_as}" if quantity.read_as else kind,
            quantity.error_unit.shown if is_label else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


# --- configuration ----------------------------------------------------------------------------

MOST_CHOICES = 10
"""Number of values that a cell of a table lists."""


def config_reference() -> str:
    """Return a table of the fields of every section, from their docstrings."""
    schema = Config.model_json_schema()
    fields = schema["$defs"]["ModelConfig"]["properties"]
    for name, value in PRESETS["default"].items():
        fields[name]["default"] = value
    shown: dict[str, str] = {}
    lines = [
        line
        for name, about in schema["properties"].items()
        for line in section(name, _models(about)[0], schema["$defs"], shown)
    ]
    for name in PRESETS:
        lines += [f"## model.preset: {name}", "", "Sets these fields, where the file does not:", ""]
        lines += ["```yaml", *(f"{k}: {json.dumps(x)}" for k, x in chosen(name).items()), "```", ""]
    return "\n".join(lines)


def loop_reference() -> str:
    """Return tables of the fields of a loop; its model and training are those of a training."""
    schema = LoopConfig.model_json_schema()
    shown = dict.fromkeys(("ModelConfig", "TrainingConfig"), "reann train")
    plain = {"description": schema["description"], "required": schema["required"]}
    inner = {name: about for name, about in schema["properties"].items() if _models(about)}
    plain["properties"] = {n: x for n, x in schema["properties"].items() if n not in inner}
    lines = list(section("The file", "Plain", {"Plain": plain}, {}))
    for name, about in inner.items():
        if shown.get(_models(about)[0]) == "reann train":
            meaning = " ".join(about["description"].split())
            lines += [f"## {name}", "", f"{meaning} See [Configuration](config.md).", ""]
        else:
            lines += section(name, _models(about)[0], schema["$defs"], shown)
    return "\n".join(lines)


def chosen(preset: str) -> dict[str, Any]:
    """Return the form of a preset: fields that some preset chooses and that have an effect."""
    model = ModelConfig(preset=preset)
    by_any = {name for values in PRESETS.values() for name in values}
    without = OF_OTHER_MESSAGES if model.messages == "equivariant" else ("channels",)
    rarely_set = {"readout": {"blocks", "residual"}, "update": {"blocks", "residual"}}
    values = model.model_dump(mode="json", exclude=rarely_set).items()
    return {name: x for name, x in values if name in by_any and name not in without}


def section(
    path: str, name: str, models: dict[str, Any], shown: dict[str, str], level: int = 2
) -> Iterator[str]:
    """Give the fields of one section, then the sections inside it; `shown` says what was where."""
    model = models[name]
    yield from (f"{'#' * level} {path}", "")
    if name in shown:
        yield from (f"As `{shown[name]}`.", "")
        return
    shown[name] = path
    yield from (model["description"], "")
    yield "| field | values | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for field, about in model["properties"].items():
        default = "required" if field in model.get("required", ()) else _default(about)
        meaning = " ".join(about.get("description", "").split())
        yield f"| `{field}` | {_cell(values(about, models))} | {default} | {_cell(meaning)} |"
    yield ""
    for field, about in model["properties"].items():
        inner = _models(about)
        for one in inner:
            label = f"{path}.{field}"
            if len(inner) > 1:
                kind = models[one]["properties"].get("name", {}).get("const")
                label += f" ({kind or next(iter(models[one]['properties']))})"
            yield from section(label, one, models, shown, min(level + 1, 4))


def values(about: dict[str, Any], models: dict[str, Any]) -> str:
    """Return the values that a field takes."""
    several = about.get("anyOf") or about.get("oneOf")
    if several:
        return " or ".join(dict.fromkeys(values(one, models) for one in several))
    if "const" in about or "enum" in about:
        choices = about.get("enum", [about.get("const")])
        return ", ".join(f"`{x}`" for x in choices) if len(choices) <= MOST_CHOICES else "name"
    if "$ref" in about:
        return "section"
    if about.get("type") == "array":
        return f"list of {values(about['items'], models)}"
    if "additionalProperties" in about:
        return f"name: {values(about['additionalProperties'], models)}"
    word = "path" if about.get("format") == "path" else about.get("type", "any")
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {about[key]:g}" for key, sign in limits.items() if key in about]
    return " ".join([word, ", ".join(bounds)]).strip()


def _default(about: dict[str, Any]) -> str:
    if _models(about) and isinstance(about.get("default"), dict):
        return "see below"
    default = about.get("default")
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _models(about: dict[str, Any]) -> list[str]:
    """Return the sections that a field can hold."""
    if "$ref" in about:
        return [about["$ref"].rpartition("/")[2]]
    inner = [*about.get("anyOf", ()), *about.get("oneOf", ())]
    inner += [about["items"]] if isinstance(about.get("items"), dict) else []
    return [name for one in inner for name in _models(one)]


# --- command line -----------------------------------------------------------------------------


def cli_reference() -> str:
    """Return usage, arguments and options of every verb, from the help of the command line."""
    group: Any = typer.main.get_command(app)
    lines = []
    for name, command in group.commands.items():
        text, _, example = command.help.partition("Example:")
        usage = [_usage(p) for p in command.params if p.name != "help"]
        lines += [f"## {name}", "", text.strip(), ""]
        lines += ["```text", *wrapped(f"reann {name}", usage), "```", ""]
        if command.params:
            lines += ["| argument | default | meaning |", "| --- | --- | --- |"]
            lines += [_parameter(p) for p in command.params]
            lines.append("")
        if example:
            lines += ["For example:", "", "```sh", example.strip(), "```", ""]
    return "\n".join(lines)


def wrapped(command: str, words: list[str], width: int = 80) -> Iterator[str]:
    """Give the lines of a command, broken between its options."""
    line, indent = command, " " * (len(command) + 1)
    for word in words:
        if len(line) + 1 + len(word) > width:
            yield line
            line = indent + word
        else:
            line += f" {word}"
    yield line


def _usage(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        word = parameter.metavar or parameter.name.upper()
        return word if parameter.required or word.startswith("[") else f"[{word}]"
    flag = parameter.opts[0] if parameter.is_flag else f"{parameter.opts[0]} {_metavar(parameter)}"
    return flag if parameter.required else f"[{flag}]"


def _parameter(parameter: Any) -> str:
    names = [parameter.metavar or parameter.name.upper()]
    if parameter.param_type_name == "option":
        names = [*parameter.opts, *parameter.secondary_opts]
    default, meaning = parameter.default, parameter.help or ""
    shown = ""
    if isinstance(default, Enum):
        meaning += " One of " + ", ".join(f"`{one.value}`" for one in type(default)) + "."
        shown = f"`{default.value}`"
    elif isinstance(default, (str, int, float, Path)) and not isinstance(default, bool):
        shown = f"`{default}`"
    words = " ".join(f"`{_cell(name)}`" for name in names)
    return f"| {words} | {'required' if parameter.required else shown} | {_cell(meaning)} |"


def _metavar(parameter: Any) -> str:
    return parameter.metavar or parameter.name.upper()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

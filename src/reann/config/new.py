"""`reann new`: a configuration for given data, commented from the documentation of the fields."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reann.atomic_file import write_text
from reann.config import Config, DataConfig, Section, Units
from reann.config.errors import control_characters
from reann.config.yaml import Dumper
from reann.errors import UserError, counted
from reann.output_files import check_outputs

ACTIVE = {
    "data": ("train", "valid", "keys", "reference_energies"),
    "model": ("preset", "cutoff"),
    "training": ("epochs", "batch_size", "learning_rate"),
    "run": ("seed", "device"),
}
"""Fields that are written out; all others are commented out, with their defaults.

A written-out field of the model would override a preset that is chosen later.
"""

WIDTH = 88
"""Columns of the comments."""
LEGEND = "A line `#name: value` shows a default; remove its # to change the value."


def new_config(file: str | Path, from_files: str | Sequence[str], host: str = "density") -> str:
    """Write a configuration for a data set and return a printable summary of the data.

    Parameters
    ----------
    file
        YAML file to write.
    from_files
        File or glob of structures; if there are several, each becomes a source with its own keys
        and units.
    host
        Descriptor that the recursion is applied to.

    Raises
    ------
    UserError
        If there is no such host, the file already exists or cannot be written, or the data cannot
        be read.
    """
    from reann.input_files import path_text

    file = Path(file)
    if file.exists():
        fix = "Choose another name, or remove it first."
        raise UserError(f"The file '{file}' already exists; it was not changed.", fix=fix)
    names = [from_files] if isinstance(from_files, str) else from_files
    check_outputs({"FILE.yaml": file}, names)
    names = [path_text(name) for name in names]
    for option, text in (("FILE", str(file)), *(("--from", name) for name in names)):
        for mistake in control_characters(text, (option,)):
            raise UserError(mistake.what, fix=mistake.fix)
    _check_host(host)
    surveys = [survey(name) for name in names]
    summary = "\n".join(each.text for each in surveys)
    data: dict[str, Any] = {"train": names[0], **surveys[0].labels}
    if len(names) > 1:
        data = {"sources": [{"files": n, **x.labels} for n, x in zip(names, surveys, strict=True)]}
    config = Config.model_validate({"data": data, "model": {"host": host}})
    suggestions = [each.suggestion for each in surveys]
    write_text(file, render(config, file.name, summary, suggestions))
    return f"{file}\n{summary}\n{_next_step(str(file), suggestions)}"


def _next_step(file: str, suggestions: Sequence[Mapping[str, Any]]) -> str:
    """Return how to train, and what must be set before."""
    command = f"reann train {shlex.quote(file)}"
    if not any(suggestions):
        return f"Train with: {command}"
    place = "data.keys" if len(suggestions) == 1 else "the keys of these files in data.sources"
    return f"First set {place} in the file, where a suggestion is in a comment; then: {command}"


def _check_host(name: str) -> None:
    from reann.model.hosts import kind_of

    kind_of(name)


@dataclass(frozen=True)
class Surveyed:
    """What was found in the data of a source."""

    text: str
    """A summary, and why keys are ambiguous."""
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Keys and units of the labels; empty if the keys are ambiguous."""
    suggestion: Mapping[str, str | None] = field(default_factory=dict)
    """Keys to be checked by the user."""


def survey(from_file: str) -> Surveyed:
    """Read the data once; return a summary, and the keys and units of the labels."""
    from reann.data.files.read import iter_atoms
    from reann.data.files.skipped import SkippedData, summarized
    from reann.data.labels.keys import KeyCensus
    from reann.data.labels.unrecognized_labels import UnrecognizedError

    census, elements, structures = KeyCensus(), Counter[str](), 0
    notes: list[SkippedData] = []
    for atoms, origin in iter_atoms(from_file, report_skipped=notes.append):
        census.add(atoms, origin)
        elements.update(atoms.symbols)
        structures += 1
    total = elements.total()
    shares = " ".join(f"{name} {count / total:.0%}" for name, count in sorted(elements.items()))
    summary = f"{from_file}: {counted(structures, 'structure')}, {counted(total, 'atom')}, {shares}"
    summary = "\n".join([summary, *summarized(notes)])
    try:
        resolved = census.resolve(DataConfig(train=from_file, missing="allow"), from_file)
    except UnrecognizedError as error:
        return Surveyed(f"{summary}\n{error}", suggestion=error.keys)
    except UserError as error:
        return Surveyed(f"{summary}\n{error}")
    units = {name: unit for name, unit in resolved.units.items() if name in Units.model_fields}
    labels = {"keys": resolved.chosen, "units": units}
    return Surveyed("\n".join([summary, *resolved.notes]), labels)


def render(
    config: Config,
    name: str,
    summary: str,
    suggestions: Sequence[Mapping[str, str | None]] = (),
) -> str:
    """Return a configuration as commented YAML below a summary of the data.

    Parameters
    ----------
    suggestions
        Keys of each source that the user must check; they are written as a comment.
    """
    about = [*summary.splitlines(), _next_step(name, suggestions), LEGEND]
    lines = [row for text in about for row in _comment(text, "")]
    for title, part in Config.model_fields.items():
        lines += ["", *_comment(part.description or "", ""), f"{title}:"]
        section = getattr(config, title)
        active = {*ACTIVE[title], *_chosen(section)}
        if title == "data" and config.data.sources:
            active -= {"train", "keys"}
        lines += _fields(section, active, suggestions if title == "data" else ())
    return "\n".join([*lines, ""])


def _fields(
    section: Section, active: Collection[str], suggestions: Sequence[Mapping[str, str | None]]
) -> Iterator[str]:
    """Yield the lines of the fields, each below its description."""
    values = section.model_dump(mode="json")
    for name, about in type(section).model_fields.items():
        value, flow = getattr(section, name), _flow(values[name])
        sections = [x for x in value if isinstance(x, Section)] if isinstance(value, list) else []
        yield from _comment(about.description or "", "  ")
        if name == "keys" and len(suggestions) == 1 and suggestions[0]:
            yield from _comment("Check this suggestion, then remove the # in front of it.", "  ")
            yield f"  #{name}: {_flow(suggestions[0], unset=True)}"
            continue
        mark = "" if name in active else "#"
        yield f"  {mark}{name}: {'' if sections else flow}".rstrip()
        for index, each in enumerate(sections):
            yield f"    - {_flow(each.model_dump(mode='json', exclude_unset=True))}"
            if index < len(suggestions) and suggestions[index]:
                yield f"    # add after checking: keys: {_flow(suggestions[index], unset=True)}"


def _comment(text: str, indent: str) -> list[str]:
    """Return a text as lines of a comment."""
    start = f"{indent}# "
    return textwrap.wrap(
        " ".join(text.split()),
        width=WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _chosen(section: Section) -> list[str]:
    """Return the fields that were set to something other than their default."""
    fields = type(section).model_fields
    return [
        n
        for n in section.model_fields_set
        if not fields[n].is_required() and getattr(section, n) != fields[n].default
    ]


def _flow(value: Any, *, unset: bool = False) -> str:
    """Return a value on one line; entries of a mapping that are None only with `unset`."""
    if isinstance(value, Mapping) and not unset:
        value = {key: item for key, item in value.items() if item is not None}
    text = yaml.dump(
        value,
        Dumper=Dumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=10**6,
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()

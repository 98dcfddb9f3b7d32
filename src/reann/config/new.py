"""`reann new`: a configuration for given data, commented from the documentation of the fields."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
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

COLUMN = 34
"""Column in which the comments begin."""


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
    summary = "\n".join(lines for lines, _ in surveys)
    data: dict[str, Any] = {"train": names[0], **surveys[0][1]}
    if len(names) > 1:
        labels = [labels for _, labels in surveys]
        data = {"sources": [{"files": n, **x} for n, x in zip(names, labels, strict=True)]}
    config = Config.model_validate({"data": data, "model": {"host": host}})
    write_text(file, render(config, file.name, summary))
    return f"{file}\n{summary}\nTrain with: reann train {shlex.quote(str(file))}"


def _check_host(name: str) -> None:
    from reann.model.hosts import kind_of

    kind_of(name)


def survey(from_file: str) -> tuple[str, dict[str, dict[str, str]]]:
    """Read the data once; return a summary, and the keys and units of the labels.

    If the keys are ambiguous, the summary says so and no keys are returned.
    """
    from reann.data.files.read import iter_atoms
    from reann.data.files.skipped import SkippedData, summarized
    from reann.data.labels.keys import KeyCensus

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
    except UserError as error:
        return f"{summary}\n{error}", {}
    units = {name: unit for name, unit in resolved.units.items() if name in Units.model_fields}
    return "\n".join([summary, *resolved.notes]), {
        "keys": resolved.chosen,
        "units": units,
    }


def render(config: Config, name: str, summary: str) -> str:
    """Return a configuration as commented YAML below a summary of the data."""
    lines = [
        f"# {line}"
        for line in [*summary.splitlines(), f"Train with: reann train {shlex.quote(name)}"]
    ]
    for title, field in Config.model_fields.items():
        lines += ["", f"# {field.description}", f"{title}:"]
        section = getattr(config, title)
        active = {*ACTIVE[title], *_chosen(section)}
        if title == "data" and config.data.sources:
            active -= {"train", "keys"}
        lines += _fields(section, active)
    return "\n".join([*lines, ""])


def _fields(section: Section, active: Collection[str]) -> Iterator[str]:
    values = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        mark = "" if name in active else "# "
        value = getattr(section, name)
        sections = [x for x in value if isinstance(x, Section)] if isinstance(value, list) else []
        entry = f"  {mark}{name}: {'' if sections else _flow(values[name])}".rstrip()
        comment = " ".join((field.description or "").split())
        yield f"{entry:<{COLUMN}}  # {comment}"
        for each in sections:
            yield f"    - {_flow(each.model_dump(mode='json', exclude_unset=True))}"


def _chosen(section: Section) -> list[str]:
    """Return the fields that were set to something other than their default."""
    fields = type(section).model_fields
    return [
        n
        for n in section.model_fields_set
        if not fields[n].is_required() and getattr(section, n) != fields[n].default
    ]


def _flow(value: Any) -> str:
    """Return a value on one line; unset entries of a mapping are left out."""
    if isinstance(value, Mapping):
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

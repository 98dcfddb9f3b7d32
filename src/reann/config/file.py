"""Configuration files: YAML with line numbers, dotted overrides, all mistakes reported together.

Relative data paths are looked up in the current folder, then in the folder of the configuration
file; paths that exist become absolute, so that a run can be resumed from anywhere. The folder of
the run is relative to the current folder and defaults to `runs/` and the name of the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from reann.config import Config, DataConfig, IndexSplit, Section, Source
from reann.config.errors import Mistake, control_characters, misplaced_booleans, mistakes
from reann.config.fields import FieldPath, annotation, sections_in
from reann.config.overrides import apply, apply_values
from reann.config.yaml import Dumper, Lines, read_yaml
from reann.errors import SettingError, UserError, did_you_mean, shortened
from reann.input_files import located

LARGEST_FILE = 1 << 24
"""Bytes."""
DATA_SUFFIXES = {".xyz", ".extxyz", ".gz", ".xz", ".db", ".traj", ".npz", ".h5", ".hdf5"}
"""Suffixes of files of structures, which are not configurations."""
Root = TypeVar("Root", bound=Section)


def load_config(
    path: str | Path, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None
) -> Config:
    """Read a configuration file.

    Parameters
    ----------
    path
        YAML file.
    overrides
        For example ``training.epochs=20``; the value is read as YAML and overrides the file.
    values
        Values that override the file, by the dotted names of their fields.

    Returns
    -------
    Config
        Data paths that exist are absolute; the folder of the run is filled in.

    Raises
    ------
    UserError
        If the file cannot be read or is not YAML; for unknown fields and wrong values, all in one
        error, with their lines.
    """
    path = Path(path)
    config = anchored(read_settings(path, Config, overrides, values), path.parent)
    if "folder" in config.run.model_fields_set:
        return config
    run = config.run.model_copy(update={"folder": Path("runs") / path.stem})
    return config.model_copy(update={"run": run})


def read_settings(
    path: Path,
    root: type[Root],
    overrides: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
) -> Root:
    """Read a YAML file as the sections of `root`; overrides are for a `Config` alone.

    Raises
    ------
    UserError
        As of `load_config`.
    """
    values, lines = _parse(_read(path), path, root)
    overridden = apply(values, overrides) | apply_values(values, changes or {})
    return validated(values, root, lines, overridden, str(path))


def validated(
    values: dict[str, Any],
    root: type[Root],
    lines: Mapping[FieldPath, int],
    overridden: Mapping[FieldPath, str],
    source: str,
) -> Root:
    """Return values as sections; `UserError` with all mistakes and their places in `source`."""
    errors = list(control_characters(values))
    if errors:
        raise report(errors, source, lines, overridden)
    errors = list(misplaced_booleans(values, root, root=root))
    try:
        settings = root.model_validate(values)
    except ValidationError as error:
        errors += mistakes(error, values, root)
    else:
        if not errors:
            return settings
    raise report(errors, source, lines, overridden)


def save_config(config: Config, path: str | Path, versions: Mapping[str, str]) -> None:
    """Write all fields, including defaults, below a comment with the versions of the programs.

    `load_config` reads back an equal configuration if its data paths are absolute (see
    `anchored`). Raises `UserError` if the file cannot be written.
    """
    header = "".join(f"# {name} {version}\n" for name, version in versions.items())
    body = yaml.dump(
        values_of(config), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    from reann.atomic_file import write_text

    write_text(Path(path), header + body)


def values_of(config: Config) -> dict[str, Any]:
    """Return all fields, including defaults, as plain values that give an equal `Config`."""
    values = config.model_dump(mode="json")
    # An absent key is detected, a null key is not used; an absent unit is read from the files.
    sections = [config.data, *(config.data.sources or [])]
    dumped = [values["data"], *(values["data"]["sources"] or [])]
    for section, fields in zip(sections, dumped, strict=True):
        for name in ("keys", "units"):
            is_set = getattr(section, name).model_fields_set
            fields[name] = {k: v for k, v in fields[name].items() if k in is_set}
    return values


def anchored(config: Config, folder: str | Path = ".") -> Config:
    """Make data paths that exist absolute: relative to the current folder, else to `folder`.

    A leading `~` stands for the home folder in all paths.
    """

    def place(name: str) -> str:
        for base in (Path.cwd(), Path(folder).absolute()):
            if resolved := located(name, base):
                return resolved
        return name

    def part(value: Any) -> Any:
        if isinstance(value, str):
            return place(value)
        if isinstance(value, list):
            return [part(item) for item in value]
        if isinstance(value, IndexSplit) and isinstance(value.indices, Path):
            return IndexSplit(indices=Path(place(str(value.indices))))
        if isinstance(value, Source):
            return value.model_copy(update={"files": part(value.files)})
        return value

    config = _with_home(config)
    data: DataConfig = config.data
    update = {name: part(getattr(data, name)) for name in ("train", "sources", "valid", "test")}
    changed = {name: value for name, value in update.items() if value != getattr(data, name)}
    return config.model_copy(update={"data": data.model_copy(update=changed)})


def _with_home(config: Config) -> Config:
    """Expand `~` in the folders that a run writes to."""
    data, run = config.data, config.run
    if data.cache is not None:
        data = data.model_copy(update={"cache": home(data.cache)})
    if run.folder is not None:
        run = run.model_copy(update={"folder": home(run.folder)})
    return config.model_copy(update={"data": data, "run": run})


def home(path: str | Path) -> Path:
    """Expand `~` in a path; for an unknown user it is left as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib raises for an unknown user


# --- reading ----------------------------------------------------------------------------------


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:  # may be endless, like /dev/zero
            raw = stream.read(LARGEST_FILE + 1)
    except IsADirectoryError:
        fix = f"Use a configuration file; `reann resume {path}` continues a run."
        raise UserError("This is a folder, not a configuration file.", str(path), fix) from None
    except FileNotFoundError:
        folder = path.parent
        files = sorted(p.name for p in folder.glob("*.y*ml")) if folder.is_dir() else []
        what = f"There is no configuration file '{path}'.{did_you_mean(path.name, files)}"
        if files:
            fix = f"{folder.resolve()} contains {', '.join(files[:8])}."
        else:
            fix = f"`reann new {path} --from train.xyz` writes one for your data."
        raise UserError(what, str(folder.resolve()), fix) from None
    except (OSError, ValueError) as error:  # ValueError for a zero byte in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"The file cannot be read: {reason}.", shortened(str(path))) from error
    if {suffix.lower() for suffix in path.suffixes} & DATA_SUFFIXES:
        fix = f"Write a configuration for it: `reann new config.yaml --from {path}`."
        what = "This looks like a file of structures, not a configuration."
        raise UserError(what, str(path), fix)
    if len(raw) > LARGEST_FILE:
        fix = "Move long lists of indices to a separate file:  valid: {indices: FILE}"
        raise UserError(f"The file is larger than {LARGEST_FILE >> 20} MiB.", str(path), fix)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        what = f"The file is not UTF-8 text: byte 0x{raw[error.start]:02x}."
        fix = "Save it as UTF-8; a configuration is a plain text file."
        raise UserError(what, f"{path}, line {line}", fix) from None


def _parse(text: str, path: Path, root: type[Section]) -> tuple[dict[str, Any], Lines]:
    """Return the values and the line of each field."""
    try:
        values, lines, twice = read_yaml(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        fix = "Write `name: value` with a space after the colon; indent with spaces."
        if "\\t" in (error.problem or ""):
            fix = "Indent with spaces; YAML does not allow tabs."
        what = f"This is not valid YAML: {error.problem or error.context}."
        raise UserError(what, where, fix) from None
    except yaml.YAMLError as error:
        what = f"This is not valid YAML: {str(error).splitlines()[0]}."
        fix = "A configuration is a plain text file."
        if "alias" in what:
            fix = "Write the values out instead of using aliases (names after an asterisk)."
        raise UserError(what, str(path), fix) from None
    if values is None:
        fix = "A complete configuration is  data: {train: FILE}"
        raise UserError("The configuration file is empty.", str(path), fix)
    if not isinstance(values, dict):
        fix = "Write  data: {train: FILE}  with a space after each colon."
        kind = "list" if isinstance(values, list) else "single value"
        what = f"This is a {kind}, not a configuration with sections."
        raise UserError(what, str(path), fix)
    if twice:
        name, first, second = twice[0]
        what = f"The field '{name}' appears twice, on lines {first} and {second}."
        raise UserError(what, f"{path}, line {second}", "Remove one of them.")
    for name, field in root.model_fields.items():
        # If all fields of a section are commented out, the section is empty, which is allowed.
        if name in values and values[name] is None and sections_in(annotation(field)):
            values[name] = {}
    return values, lines


# --- reporting --------------------------------------------------------------------------------


def report(
    errors: list[Mistake],
    source: str,
    lines: Mapping[FieldPath, int],
    overridden: Mapping[FieldPath, str],
) -> SettingError:
    """Return one error that lists all mistakes, in the order of the file."""

    def place(mistake: Mistake) -> tuple[int, str, str]:
        """Return the line, the place in a list, and the place alone."""
        for known, override in overridden.items():
            if known[: len(mistake.path)] == mistake.path or mistake.path[: len(known)] == known:
                return 0, override, override
        for depth in range(len(mistake.path), 0, -1):
            if mistake.path[:depth] in lines:
                line = lines[mistake.path[:depth]]
                return line, f"line {line}", f"{source}, line {line}"
        if not lines:  # not from a file
            return 0, ".".join(mistake.path) or source, source
        return 0, "the whole file", f"{source}, the whole file"

    unique = {mistake.path: mistake for mistake in reversed(errors)}
    ordered = sorted(unique.values(), key=place)
    if len(ordered) == 1:
        return SettingError(ordered[0].what, place(ordered[0])[2], ordered[0].fix)
    text = "\n".join(f"  {place(m)[1]}: {m.what}\n      {m.fix}" for m in ordered)
    return SettingError(f"The configuration has {len(ordered)} mistakes:\n{text}", source)

"""The file of a loop: reading it, and comparison with the recorded settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reann.atomic_file import write_text
from reann.config.file import home, read_settings
from reann.config.unused import refuse_unused
from reann.config.yaml import Dumper
from reann.errors import UserError, listed
from reann.input_files import located
from reann.learning.settings import LabelConfig, LoopConfig

FIXED = ("structures", "labeled", "validation", "label", "model", "run.seed")
"""Settings that must not change; changes of others take effect in the next iteration."""
FREE_LABEL = ("timeout", "retries", "wait", "template")
"""Fields of `label` that may change."""


def load_loop(path: str | Path) -> LoopConfig:
    """Read the file of a loop.

    Returns
    -------
    LoopConfig
        With existing paths made absolute, relative to the current folder or else to the folder of
        the file, and with the folder of the loop set.

    Raises
    ------
    UserError
        If the file cannot be read or has errors; all errors are reported together.
    """
    path = Path(path)
    settings = read_settings(path, LoopConfig)
    refuse_unused(settings.model)
    run = settings.run
    folder = home(run.folder) if run.folder is not None else Path("loops") / path.stem
    files = settings.structures
    names = [files] if isinstance(files, str) else files
    changes: dict[str, Any] = {
        "run": run.model_copy(update={"folder": folder}),
        "structures": [_absolute(name, path.parent) for name in names],
        "label": _anchored(settings.label, path.parent),
    }
    return settings.model_copy(update=changes)


def folder_of(settings: LoopConfig) -> Path:
    """Return the folder of a loop."""
    assert settings.run.folder is not None
    return settings.run.folder


def save_settings(settings: LoopConfig, path: Path) -> None:
    """Write the fields that are set."""
    # Written defaults would count as set, which is an error where only one of two fields may be
    # set.
    values = settings.model_dump(mode="json", exclude_unset=True)
    text = yaml.dump(values, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    write_text(path, text)


def refuse_changes(settings: LoopConfig, recorded: Path) -> None:
    """Raise `UserError` if settings have changed that must not change."""
    before = read_settings(recorded, LoopConfig)
    different = [name for name in FIXED if _kept(before, name) != _kept(settings, name)]
    if different:
        raise UserError(
            f"Settings changed that a loop keeps: {listed(different)}.",
            str(recorded),
            "Restore them, or choose another run.folder for a new loop.",
        )


def _kept(settings: LoopConfig, name: str) -> Any:
    section, _, field = name.partition(".")
    value = getattr(settings, section)
    if field:
        return getattr(value, field)
    if section == "structures":
        return [Path(file).name for file in ([value] if isinstance(value, str) else value)]
    if isinstance(value, LabelConfig):
        values = value.model_dump(mode="json")
        values["files"] = {k: v for k, v in (values["files"] or {}).items() if k not in FREE_LABEL}
        return {k: v for k, v in values.items() if k not in FREE_LABEL}
    return value


def _absolute(name: str, folder: Path) -> str:
    for base in (Path.cwd(), folder.absolute()):
        if place := located(name, base):
            return place
    return name


def _anchored(label: LabelConfig, folder: Path) -> LabelConfig:
    files = label.files
    if files is None or files.template is None:
        return label
    template = Path(_absolute(str(files.template), folder))
    return label.model_copy(update={"files": files.model_copy(update={"template": template})})

"""Check that a resumed run has the same data and settings as the original run.

Each checkpoint records all settings, hashes of the data and of the split, and the machine.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError

from reann import strict_json
from reann.backends.protocol import Backend
from reann.config import Config
from reann.config.file import values_of
from reann.data.dataset import Subset
from reann.errors import UserError
from reann.training.distributed import World
from reann.training.setup import SPLIT, Parts

COMPARED = ("data", "model", "training", "run.seed")
FREE = re.compile(r"data\.(train|sources\.\d+\.files|cache|accept)")
"""Settings that may change, as files are identified by their content."""
MOVABLE = ("data.valid", "data.test")
"""Settings that may name other files, which are also identified by their content."""
HARMLESS = ("training.max_edges",)
"""Settings that affect only rounding."""


class Change(NamedTuple):
    """A setting that has changed since the run was started."""

    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """Describe the change, for example `training.epochs was 300, is now 600`."""
        return f"{self.name} was {_shown(self.old)}, is now {_shown(self.new)}"


def identity(config: Config, parts: Parts, processes: World, backend: Backend) -> dict[str, Any]:
    """Return what each checkpoint records: data that must agree, and settings that should."""
    indices = {name: part.indices.tolist() for name, part in parts.by_name().items()}
    return {
        "settings": values_of(config),
        "data": [digest for _, digest in parts.train.dataset.files],
        "sources": [len(source.files) for source in parts.train.dataset.sources],
        "split": _digest([indices["train"], indices["valid"]]),
        "held out": {name: _digests(parts.by_name().get(name)) for name in ("valid", "test")},
        "test": _digest(indices.get("test")),
        "device": config.run.device,
        "engine": backend.identity(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "processes": processes.size,
        "machine": platform.machine(),
        "torch": torch.__version__.split("+")[0],
    }


def changes(recorded: Mapping[str, Any], config: Config) -> list[Change]:
    """Return the settings that differ from those recorded in a checkpoint.

    Raises
    ------
    UserError
        If the recorded settings are invalid in this version.
    """
    try:
        # Fields that are newer than the checkpoint get their defaults.
        before = Config.model_validate(recorded)
    except ValidationError as error:
        raise UserError(
            "The run was started by a version of reann with different settings "
            f"({error.errors()[0]['msg']}).",
            str(config.run.folder),
            "Continue it with that version, or start a new run with `--from`.",
        ) from error
    old, new = _flat(values_of(before)), _flat(values_of(config))
    names = [name for name in new | old if name.startswith(COMPARED) and not FREE.fullmatch(name)]
    return [
        Change(name, old.get(name), new.get(name))
        for name in names
        if old.get(name) != new.get(name) and not _moved(name, old.get(name), new.get(name))
    ]


def compare(recorded: Mapping[str, Any], current: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the differences that affect only rounding.

    Raises
    ------
    UserError
        If the data or the split have changed since the run was started.
    """
    names = {
        "data": "data files",
        "sources": "division of the data files into sources",
        "held out": "files of the validation set or the test set",
        "split": f"split in {SPLIT}",
        "test": f"test part in {SPLIT}",
    }
    for key, name in names.items():
        if key in recorded and recorded[key] != current[key]:
            raise UserError(
                f"The {name} changed after this run was started.",
                str(folder),
                "Restore it, or start a new run (with `--from` to keep the weights).",
            )
    harmless = [
        f"{key} was {recorded.get(key)}, is now {value}"
        for key, value in current.items()
        if key not in (*names, "settings") and recorded.get(key) != value
    ]
    config = Config.model_validate(current["settings"])
    harmless += [str(c) for c in changes(recorded["settings"], config) if c.name in HARMLESS]
    return [f"{difference}: the run is not bitwise reproducible" for difference in harmless]


def _moved(name: str, old: Any, new: Any) -> bool:
    """Return whether a setting names files, now and before."""
    return name in MOVABLE and isinstance(old, str | list) and isinstance(new, str | list)


def _flat(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = dict(enumerate(value))  # noqa: PLW2901 - for example sources
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _digests(part: Subset | None) -> list[str]:
    return [] if part is None else [digest for _, digest in part.dataset.files]


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)


def _digest(content: object) -> str:
    return hashlib.sha256(strict_json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

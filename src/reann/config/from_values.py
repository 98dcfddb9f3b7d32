"""A configuration from a file, from plain values, or from another one, with changed fields."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reann.config import Config
from reann.config.file import load_config, validated
from reann.config.overrides import apply_values
from reann.config.presets import BESIDE
from reann.config.presets import changes as changes_of

AnyConfig = Config | Mapping[str, Any] | str | Path
"""A configuration, its values as nested dictionaries, or the name of its file."""


def configuration(config: AnyConfig, changes: Mapping[str, Any]) -> Config:
    """Return a configuration with changed fields.

    Parameters
    ----------
    changes
        Values by the dotted names of their fields, such as ``{"training.epochs": 50}``.

    Raises
    ------
    UserError
        If a file cannot be read, or fields or values are wrong: each with its field, the value, and
        what is allowed.
    """
    if isinstance(config, str | Path):
        return load_config(config, values=changes)
    if isinstance(config, Config):
        if not changes:
            return config
        values = _values_of(config)
    else:
        values = _plain(config)
    overridden = apply_values(values, _plain(changes))
    return validated(values, Config, {}, overridden, "the configuration")


def _values_of(config: Config) -> dict[str, Any]:
    """Return the fields that were set, without those of the preset, which may be changed."""
    values = config.model_dump(mode="json", exclude_unset=True)
    if "model" in values:
        chosen = {name.partition(".")[0] for name in changes_of(config.model)} | set(BESIDE)
        values["model"] = {n: x for n, x in values["model"].items() if n in chosen}
    return values


def _plain(value: Any) -> Any:
    """Return a copy whose mappings, sequences and paths are those of a file."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else copy.deepcopy(value)

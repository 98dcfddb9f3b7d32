"""Keys and units of the training that a potential records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from reann.config import Keys, Source, Units
from reann.quantities import SOUGHT, label_names


def recorded_conventions(metadata: Mapping[str, Any]) -> tuple[Keys, Units] | None:
    """Return keys and units of the training; None if they are unknown."""
    try:
        data = metadata["settings"]["data"]
        sources = [Source.model_validate(source) for source in data.get("sources") or []]
        if any(_has_own_labels(source) for source in sources):
            return None  # the sources differ
        keys = {n: _of_label(n, key) for n, key in data["keys"].items()}
        return Keys.model_validate(keys), Units.model_validate(data["units"])
    except (KeyError, TypeError, AttributeError, ValidationError):
        return None  # not trained here, or by another version


def _of_label(name: str, key: str | None) -> str | None:
    """Return the key of a label or an input; an output is only sought under its own name."""
    return name if key == SOUGHT and name in label_names() else key


def _has_own_labels(source: Source) -> bool:
    """Return whether a source recorded by a potential has its own keys or units."""
    return source.units != Units() or bool(source.keys.model_dump(exclude_none=True))

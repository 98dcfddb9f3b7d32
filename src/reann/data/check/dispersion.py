"""Check whether the method stated in the files agrees with the setting of dispersion."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from reann.config import DispersionConfig
from reann.data.check.finding import Finding

SAYS_METHOD = re.compile(r"functional|method|theory|xc|level|dispersion|vdw", re.IGNORECASE)
"""Keys of `info` that may name the method of the labels."""
HAS_DISPERSION = re.compile(
    r"d[34](?![0-9])|dispersion|vdw|vv10|mbd|xdm|wb97m-v|wb97x-v|[-_]ts\b", re.IGNORECASE
)
"""Names of methods with dispersion."""


def methods_of(info: dict[str, Any]) -> set[str]:
    """Return the methods that a structure states."""
    return {x for key, x in info.items() if isinstance(x, str) and SAYS_METHOD.search(key)}


def contradiction(methods: Collection[str], config: DispersionConfig | None) -> Finding | None:
    """Return whether metadata and `model.dispersion.labels` contradict each other."""
    if config is None or not methods:
        return None
    having = sorted(method for method in methods if HAS_DISPERSION.search(method))
    if config.labels == "lack" and having:
        return Finding(
            "dispersion-twice",
            "warning",
            f"the files state a method with dispersion, '{having[0]}', but model.dispersion says"
            " that the labels lack it: dispersion would be counted twice",
            "Write `model: {dispersion: {labels: contain}}` if the labels contain it.",
        )
    if config.labels == "contain" and not having:
        return Finding(
            "dispersion-absent",
            "warning",
            f"the files state a method without dispersion, '{min(methods)}', but model.dispersion"
            " says that the labels contain it",
            "Write `model: {dispersion: {labels: lack}}` if the labels lack it.",
        )
    return None

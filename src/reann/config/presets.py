"""Named sets of choices for the section `model`; a file's own fields take precedence.

What they reach and what they cost is measured: docs/explanation/accuracy.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ORIGINAL = {"hidden": [64, 64, 64], "activation": "relu_like", "layer_norm": True}

PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"n_radial": 8, "n_recursions": 1, "features": "gram"},
    "accurate": {"l_max": 3, "n_orbitals": 64},
    "upstream": {
        "n_radial": 8,
        "features": "orbitals",
        "angular": "raw",
        "radial_width": "free",
        "standardize": False,
        "coefficient_scale": 1.0,
        "readout": _ORIGINAL,
        "update": _ORIGINAL,
    },
}
"""Those beside `default`, which is what the fields of the section say themselves."""

OF_THE_DENSITY = (
    "features",
    "n_orbitals",
    "orbitals_per_l",
    "orbitals_per_recursion",
    "angular",
    "radial",
    "radial_width",
)
"""Fields that other hosts do not have."""


def of_preset(given: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices of the preset that is given by name, as far as the host has them.

    Raises
    ------
    ValueError
        If a field is given that the host does not have.
    """
    preset = PRESETS.get(str(given.get("preset")), {})
    host = given.get("host", "density")
    if host == "density":
        return preset
    foreign = [n for n in OF_THE_DENSITY if n in given and given[n] != fields[n].default]
    if foreign:
        raise ValueError(f"{', '.join(foreign)} belongs to the host density, not {host}")
    return {name: choice for name, choice in preset.items() if name not in OF_THE_DENSITY}

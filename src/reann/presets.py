"""Named sets of choices for the section `model`; a file's own fields take precedence.

What they reach and what they cost is measured: docs/explanation/accuracy.md.
"""

from __future__ import annotations

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

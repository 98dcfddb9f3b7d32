"""Result of `reann spectrum`, for both kinds of spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.spectra.figure import Lines
from reann.spectra.lines import Curve


@dataclass(frozen=True)
class Result:
    """Curves to write and to draw."""

    wavenumbers: NDArray[np.float64]
    """cm^-1."""
    curves: Sequence[Curve]
    about: str
    """One line for the figure."""
    content: Mapping[str, Any]
    """Content of the JSON file besides the curves."""
    lines: Mapping[str, Lines] = field(default_factory=dict)
    """Lines of each curve, by its name."""

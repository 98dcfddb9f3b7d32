"""Criteria by which structures are chosen for labeling."""

from __future__ import annotations

from typing import Literal

By = Literal["both", "uncertainty", "diversity", "random"]
"""By the uncertainty of the potential and by diversity, by one of the two, or at random."""

"""Criteria by which structures are chosen for labeling."""

from __future__ import annotations

from typing import Literal

By = Literal["both", "uncertainty", "diversity", "random"]
"""Criterion of a selection: uncertainty and diversity, only one of these, or at random."""

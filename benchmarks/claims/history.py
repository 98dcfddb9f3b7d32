"""How a training went, short enough to keep."""

from __future__ import annotations

from pathlib import Path

from reann.training.journal import read_log

POINTS = 25


def curve(folder: Path) -> list[tuple[int, float]]:
    """Return some epochs and the force errors of the validation there, in meV/Å."""
    log = read_log(folder / "log.csv")
    chosen = log[:: max(1, len(log) // POINTS)] + log[-1:]
    return [(int(row["epoch"]), round(row["valid_forces_rmse_meV_per_A"], 2)) for row in chosen]

"""The tables of `benchmarks/loop.py`: means over the seeds, and factors between selections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

WAYS = ("both", "random", "both-anew", "random-anew", "low", "high")
"""How training structures are obtained, see `benchmarks/loop.py`."""
COMPARED = (
    ("random", "both"),
    ("random-anew", "both-anew"),
    ("both", "both-anew"),
    ("low", "both-anew"),
    ("high", "both-anew"),
)
"""Ways whose errors are divided."""
Known = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Results by system, way and seed."""


def tables(known: Known, titles: Mapping[str, str]) -> str:
    """Return both tables as Markdown."""
    return "\n".join([*_means(known, titles), "", *_factors(known, titles)]) + "\n"


def _means(known: Known, titles: Mapping[str, str]) -> list[str]:
    """Return errors, means over the seeds, and the shorter time to failure of each seed."""
    head = ["system", "training", "time to failure, ps", "visited: 95 %", "MAE / RMSE"]
    head += ["pool: 95 %", "MAE / RMSE"]
    lines = [f"| {' | '.join(head)} |", "| --- | --- |" + " --: |" * (len(head) - 2)]
    for system, ways in known.items():
        for way in (way for way in WAYS if way in ways):
            seeds = list(ways[way].values())
            failed = ", ".join(f"{min(seed['failure_ps']):.2g}" for seed in seeds)
            cells = [titles[system], f"`{way}`", failed]
            for part in ("visited", "pool"):
                p95, mae, rmse = (
                    [seed[part][f"forces_{name}_meV_per_A"] for seed in seeds]
                    for name in ("p95", "mae", "rmse")
                )
                spread = f" ± {np.std(p95, ddof=1):.0f}" if len(p95) > 1 else ""
                cells.append(f"{np.mean(p95):.0f}{spread}")
                cells.append(f"{np.mean(mae):.0f} / {np.mean(rmse):.0f}")
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _factors(known: Known, titles: Mapping[str, str]) -> list[str]:
    """Return a table of factors between two ways; above 1 the second is better.

    They are geometric means over the seeds, with the smallest and the largest.
    """
    head = ["system", "factor", "time to failure", "visited: 95 %", "MAE", "pool: 95 %", "MAE"]
    lines = [f"| {' | '.join(head)} |", "| --- | --- |" + " --: |" * (len(head) - 2)]
    for system, ways in known.items():
        for way, other in COMPARED:
            of, by = ways.get(way, {}), ways.get(other, {})
            pairs = [(of[seed], by[seed]) for seed in of if seed in by]
            if not pairs:
                continue
            ratios = [[_failure(b) / _failure(w) for w, b in pairs]]
            for part in ("visited", "pool"):
                for name in ("p95", "mae"):
                    key = f"forces_{name}_meV_per_A"
                    ratios.append([w[part][key] / b[part][key] for w, b in pairs])
            cells = [titles[system], f"`{way}` / `{other}`", *map(_cell, ratios)]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cell(ratios: list[float]) -> str:
    """Return the geometric mean of factors, and their range if they differ."""
    mean, low, high = float(np.exp(np.mean(np.log(ratios)))), min(ratios), max(ratios)
    return f"{mean:.2f} ({low:.2f} to {high:.2f})" if high > low else f"{mean:.2f}"


def _failure(about: Mapping[str, Any]) -> float:
    """Return the mean time to failure, ps."""
    return float(np.mean(about["failure_ps"]))

"""Summaries of iterations, and the criteria for ending the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reann.errors import counted
from reann.learning.explore.plan import explorations
from reann.learning.folders import Iteration, read_frames, read_json
from reann.learning.label.records import Records
from reann.learning.settings import StopConfig

Summary = dict[str, Any]
"""Plain values with units in their names."""


def summary_of(iteration: Iteration) -> Summary:
    """Return the results of labeling, exploration and test of an iteration."""
    chosen = len(read_frames(iteration.chosen))
    labels = len(read_frames(iteration.labels))
    records = Records(iteration)
    computed = not records.missing(chosen)  # false if the initial structures had labels
    failures = records.failures(chosen) if computed else {}
    return {
        "iteration": iteration.number,
        "chosen": chosen,
        "labels": labels,
        "failures": {str(number): reason for number, reason in failures.items()},
        "label_seconds": records.seconds(chosen) if computed else 0.0,
        "explorations": explorations(iteration) if iteration.number else {},
        "errors": read_json(iteration.errors) if iteration.number else {},
    }


def with_training(
    summary: Summary, iteration: Iteration, errors: Summary, seconds: float
) -> Summary:
    """Return the summary with the training of the iteration; `seconds` in s."""
    return summary | {
        "train": len(read_frames(iteration.train)),
        "valid": len(read_frames(iteration.valid)),
        "validation": errors,
        "train_seconds": round(seconds, 1),
    }


def spent(summaries: Sequence[Summary]) -> int:
    """Return the number of calculations so far."""
    return sum(summary["chosen"] for summary in summaries)


def is_good(summary: Summary, stop: StopConfig) -> bool:
    """Return whether the last potential is accurate enough on random explored structures."""
    errors = summary["errors"].get("random")
    if stop.force_error is None or errors is None or failed_explorations(summary):
        return False
    return errors["forces_rmse_meV_per_A"] < 1e3 * stop.force_error


def failed_explorations(summary: Summary) -> dict[str, str]:
    """Return the explorations that ended early, with the reasons."""
    explored = summary["explorations"].items()
    return {name: about["ended"] for name, about in explored if about["ended"]}


def ending(summaries: Sequence[Summary], stop: StopConfig) -> str | None:
    """Return why the loop ends after these iterations; None if it continues."""
    last = summaries[-1]
    if is_good(last, stop):
        error = last["errors"]["random"]["forces_rmse_meV_per_A"]
        return (
            f"the RMSE of the forces on random explored structures is {error:.1f} meV/Å,"
            f" below stop.force_error"
        )
    if last["iteration"] >= stop.iterations:
        return f"the budget of {counted(stop.iterations, 'iteration')} is spent"
    if spent(summaries) >= stop.labels:
        return f"the budget of {counted(stop.labels, 'label')} is spent"
    return None

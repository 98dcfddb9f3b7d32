"""Errors on labeled structures, relative to the standard deviation of the labels."""

from __future__ import annotations

from pathlib import Path

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.outcome import CannotRunError, Figure, Outcome
from reann.error_measures import key
from reann.evaluation.evaluate import evaluate
from reann.evaluation.quality import quality_of
from reann.quantities import named
from reann.report import plots
from reann.terminal import Terminal


def run(case: Case) -> Outcome:
    """Predict the labeled structures and compare."""
    if case.model is None:
        raise CannotRunError("Errors against labels need a .reann file.")
    quiet = Terminal(quiet=True)
    result = evaluate(
        Path(case.model), case.settings.data, engine=case.settings.engine, console=quiet
    )
    names = plots.labels_of(result)
    if not names:
        raise CannotRunError(f"{', '.join(case.settings.data)} has no labels.")
    quality = quality_of(result)
    summary = result.summary()
    rows = [("label", "RMSE", "MAE", "unit")]
    rows += [
        (name, f"{summary[key(name, 'rmse')]:.3g}", f"{summary[key(name, 'mae')]:.3g}",
         named(name).error_unit.shown)
        for name in names
    ]  # fmt: skip
    figures = tuple(Figure(plots.parity(result, name), f"Parity of the {name}") for name in names)
    return Outcome(
        quality.verdict,
        f"{result.n_structures} structures. " + " ".join(quality.sentences),
        quality.criterion,
        figures,
        {**quality.numbers, **result.as_json()},
        tuple(rows),
    )


CHECK = Check(
    "errors",
    "Errors against labels",
    "Compare errors with the standard deviation of the labels: predicting their mean gives an error"
    " of 100 %.",
    run,
    needs=lambda case: bool(case.settings.data),
)

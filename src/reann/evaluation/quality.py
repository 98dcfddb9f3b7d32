"""Verdict on errors: their size relative to the labels, their bias, and overfitting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reann.error_measures import key
from reann.evaluation.comparison import Evaluation
from reann.evaluation.pairs import pairs
from reann.evaluation.tables import number
from reann.quantities import named
from reann.verdicts import Verdict, graded, worst

GOOD, POOR = 10.0, 30.0
"""% of the standard deviation of the labels: 99 % and 91 % of their variance are explained."""
GAP, LARGE_GAP = 1.5, 3.0
"""Ratio of the validation error to the training error of the forces."""
BIAS = 0.5
"""Mean error over RMSE."""
SIGNIFICANT = 4.0
"""Number of standard errors beyond which a mean is significant."""
CRITERION = (
    "An RMSE of up to"
    f" {GOOD:g} % of the standard deviation of a label passes, because it explains 99 % of the"
    f" variance; above {POOR:g} % it fails. The energy counts only if it is the only label. Look"
    " at a bias of the energy, and at errors much larger than those of the training structures."
)


@dataclass(frozen=True)
class Quality:
    """A verdict on errors, and the sentences and numbers that it is based on."""

    verdict: Verdict
    sentences: tuple[str, ...]
    criterion: str = CRITERION
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the verdict for a terminal; nothing without labels."""
        if not self.sentences:
            return []
        return [f"Verdict: {self.verdict.value}. {' '.join(self.sentences)}"]

    def as_json(self) -> dict[str, Any]:
        """Return the verdict, its sentences and its numbers for JSON."""
        return {"is": self.verdict.value, "sentences": list(self.sentences), **self.numbers}


def quality_of(evaluation: Evaluation, train_rmse: float | None = None) -> Quality:
    """Return the verdict on predictions of structures that were not trained on.

    Parameters
    ----------
    train_rmse
        Training error of the forces with the same weights, meV/Å; None: unknown.
    """
    residuals = evaluation.residuals()
    sentences, verdicts = [], []
    numbers: dict[str, Any] = {}
    for name, r in residuals.items():
        relative = relative_error(evaluation, name)
        if not np.isfinite(relative):
            continue
        rmse = float(np.sqrt(np.nanmean(r**2)))
        unit = named(name).error_unit.shown
        numbers[f"{name}_relative_percent"] = relative
        of = " per atom" if name == "energy" else ""
        sentences.append(
            f"{name.capitalize()}: RMSE {number(rmse)} {unit}, {number(relative)} % of the standard"
            f" deviation{of}."
        )
        if name != "energy":
            verdicts.append(graded(relative, GOOD, POOR))
    if not verdicts and "energy_relative_percent" in numbers:
        verdicts.append(graded(numbers["energy_relative_percent"], GOOD, POOR))
    for check in (_bias(residuals), _gap(residuals, train_rmse)):
        if check is not None:
            sentence, verdict, result = check
            sentences.append(sentence)
            verdicts.append(verdict)
            numbers |= result
    return Quality(worst(verdicts), tuple(sentences), numbers=numbers)


def relative_error(evaluation: Evaluation, name: str) -> float:
    """Return the RMSE in % of the standard deviation of the labels.

    Energies are per atom, minus least-squares atomic energies; components of a
    vector share one mean.
    """
    reference, predicted = pairs(evaluation, name)
    spread = float(reference.std()) if len(reference) else 0.0
    if not spread > 1e-9:
        return float("nan")
    return 100.0 * float(np.sqrt(np.mean((predicted - reference) ** 2))) / spread


def _bias(residuals: Mapping[str, np.ndarray]) -> tuple[str, Verdict, dict[str, float]] | None:
    """Return a sentence, a verdict and numbers about the mean error; None without energies."""
    energy = residuals.get("energy")
    if energy is None:
        return None
    errors = energy[np.isfinite(energy)]
    if len(errors) < 5:
        return None
    mean, rmse = float(errors.mean()), float(np.sqrt(np.mean(errors**2)))
    error = float(errors.std(ddof=1) / np.sqrt(len(errors)))
    is_biased = abs(mean) > BIAS * rmse and abs(mean) > SIGNIFICANT * error
    numbers = {"energy_bias_meV_per_atom": mean, "energy_bias_error_meV_per_atom": error}
    if not is_biased:
        text = f"The mean error of the energy, {mean:+.2g} meV/atom, is small."
        return text, Verdict.passes, numbers
    text = (
        f"The mean error of the energy is {mean:+.3g} ± {error:.1g} meV/atom: do reference"
        " energies, method or code differ from those of the training data?"
    )
    return text, Verdict.look, numbers


def gap_of(residuals: Mapping[str, np.ndarray], train_rmse: float | None) -> float | None:
    """Return validation over training RMSE of the forces; None where one of the two is unknown.

    `train_rmse` is in the unit of the residuals, meV/Å.
    """
    forces = residuals.get("forces")
    if forces is None or not train_rmse:
        return None
    return float(np.sqrt(np.nanmean(forces**2))) / train_rmse


def _gap(
    residuals: Mapping[str, np.ndarray], train_rmse: float | None
) -> tuple[str, Verdict, dict[str, float]] | None:
    """Return a sentence, a verdict and numbers about overfitting; None if it is unknown."""
    ratio = gap_of(residuals, train_rmse)
    if ratio is None or not train_rmse:
        return None
    numbers = {key("forces", "train_rmse"): train_rmse, "forces_gap": ratio}
    verdict = graded(ratio, GAP, LARGE_GAP)
    if ratio > GAP:
        text = (
            f"Force errors are {ratio:.1f} times those of the training structures. Train longer; if"
            " the errors no longer fall, add data."
        )
    else:
        text = (
            f"Force errors are {ratio:.2f} times those of the training structures: the model is not"
            " overfitted. A larger model or a longer training may help."
        )
    return text, Verdict.look if verdict is Verdict.fails else verdict, numbers

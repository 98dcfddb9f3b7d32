"""`calibrate`: uncertainty of a trained potential, calibrated on a validation set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reann.backends.choice import Engine
from reann.calibration import Calibration, encoded
from reann.data.dataset import Subset
from reann.data.loader import pieces
from reann.errors import UserError
from reann.evaluation.compare import compare
from reann.evaluation.comparison import Evaluation
from reann.potential import Ensemble, Potential
from reann.uncertainty.posterior import MAX_EDGES, Rows, draws
from reann.uncertainty.scales import scales_of

DRAWS = 8
"""Number of draws of the last layer; each costs as much as the potential."""
MOST_EDGES = 1_000_000
"""Most neighbor pairs of the training structures that determine the draws."""
FEWEST = 10
"""Fewest structures of a validation set."""

Progress = Callable[[int], None]


class Calibrated(NamedTuple):
    """A potential with an uncertainty, and its predictions of the validation set."""

    potential: Potential | Ensemble
    calibration: Calibration
    evaluation: Evaluation
    """Predictions with calibrated standard deviations."""


def calibrate(
    potential: Potential | Ensemble,
    training: Subset | None,
    validation: Subset,
    *,
    number: int = DRAWS,
    seed: int = 0,
    engine: Engine = "auto",
    progress: Progress = lambda _: None,
) -> Calibrated:
    """Return a potential with calibrated standard deviations: 68 % of the errors are smaller.

    The standard deviations of an ensemble are multiplied by factors. A single potential also gets
    draws of its last layer, computed from the training structures.

    Parameters
    ----------
    training
        Structures that the potential was trained on; not needed for an ensemble.
    validation
        Structures with labels that the potential was not trained on.
    number, seed
        Number and seed of the draws.
    progress
        Called with the number of structures after each batch.

    Raises
    ------
    UserError
        For a validation set that is too small or has neither energies nor forces, and a model with
        several heads.
    """
    _check(potential, training, validation)
    changes = None
    if isinstance(potential, Potential):
        assert training is not None
        with_forces = training.dataset.has("forces") or validation.dataset.has("forces")
        changes = _draws(potential, training, number, seed, progress, with_forces=with_forces)
    bare = without_factors(potential, changes, len(validation))
    evaluation = compare(bare, validation, progress=progress, engine=engine)
    scales = scales_of(evaluation)
    if not scales:
        raise UserError(
            "The validation set has neither energies nor forces.",
            fix="Use structures with labels; set their keys with --key.",
        )
    size = 1.0
    if changes is not None:
        # LAMMPS does not apply factors, so the draws themselves get about the right spread.
        size = scales["all" if "all" in scales else "energy"].factor
        scales = {n: s.model_copy(update={"factor": s.factor / size}) for n, s in scales.items()}
    calibration = Calibration(
        kind="ensemble" if changes is None else "last layer",
        number=len(bare.members),
        structures=len(validation),
        energy=scales.pop("energy", None),
        stress=scales.pop("stress", None),
        forces=scales,
        draws="" if changes is None else encoded(size * changes),
    )
    std = {name: size * x for name, x in evaluation.std.items()}
    return Calibrated(
        with_calibration(potential, calibration),
        calibration,
        replace(evaluation, std=calibrated(std, calibration, evaluation.numbers)),
    )


def without_factors(
    potential: Potential | Ensemble, changes: NDArray[np.float64] | None, n: int
) -> Ensemble:
    """Return an ensemble of the members or the draws, without calibration factors."""
    if changes is None:
        return Ensemble([Potential(member.model) for member in potential.members])
    plain = Calibration(
        kind="last layer", number=len(changes), structures=n, draws=encoded(changes)
    )
    drawn = Potential(potential.model, plain.metadata()).with_uncertainty()
    return Ensemble(drawn.members)


def with_calibration(
    potential: Potential | Ensemble, calibration: Calibration
) -> Potential | Ensemble:
    """Return the potential with the calibration in its metadata."""
    first, *others = potential.members
    members = [Potential(first.model, first.metadata | calibration.metadata()), *others]
    return members[0] if len(members) == 1 else Ensemble(members)


def calibrated(
    std: dict[str, NDArray[np.float64]], calibration: Calibration, numbers: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return the standard deviations of an evaluation times the factors of a calibration."""
    scaled = {name: calibration.factor(name) * x for name, x in std.items()}
    if "forces" in scaled:
        scaled["forces"] = calibration.factors(numbers) * scaled["forces"]
    return scaled


def _check(potential: Potential | Ensemble, training: Subset | None, validation: Subset) -> None:
    if not len(potential.model.heads):
        potential.model.heads.require()
    if len(potential.model.heads) > 1:
        raise UserError(
            f"The model has several heads ({', '.join(potential.model.heads)}); calibration"
            " needs one.",
            fix="Train or export a potential with one head.",
        )
    if len(validation) < FEWEST:
        raise UserError(
            f"A calibration needs {FEWEST} structures; the validation set has {len(validation)}.",
            fix="Use more labeled structures that the potential was not trained on.",
        )
    if isinstance(potential, Potential) and not training:
        raise UserError(
            "The uncertainty of a single potential needs its training data.",
            fix="Add --training TRAIN.",
        )


def _draws(
    potential: Potential,
    training: Subset,
    number: int,
    seed: int,
    progress: Progress,
    *,
    with_forces: bool,
) -> NDArray[np.float64]:
    """Return changes of the last layer drawn from its posterior, (number, weights)."""
    dataset, generator = training.dataset, torch.Generator().manual_seed(seed)
    order = np.random.default_rng(seed).permutation(len(training))
    some = training.indices[order]
    some = some[np.cumsum(dataset.n_edges[some] + 1) <= MOST_EDGES]
    some = np.sort(some) if len(some) else training.indices[order[:1]]
    rows = Rows(potential.model, forces=with_forces)
    for batch in pieces(some, dataset.n_edges + 1, MAX_EDGES):
        rows.add(dataset.graph(batch).to(potential.device), generator)
        progress(len(batch))
    return draws(rows.precision(), number, seed).cpu().numpy()

"""The uncertainty that a training gives its potential at the end."""

from __future__ import annotations

from reann.config import Config
from reann.errors import UserError, counted
from reann.evaluation.progress import progress_bar
from reann.potential import Ensemble, Potential
from reann.training.describe import paragraph
from reann.training.journal import Journal
from reann.training.setup import Parts
from reann.uncertainty import Calibrated, calibrate
from reann.uncertainty.calibrate import FEWEST


def with_uncertainty(
    config: Config, parts: Parts, potential: Potential | Ensemble, journal: Journal
) -> Calibrated | None:
    """Return the potential with an uncertainty, measured on the validation set.

    None where the settings ask for none, the model has no energy or several heads, or the
    validation set is too small. The training has succeeded even when this fails.
    """
    n_heads, n_valid = len(potential.model.heads), len(parts.valid)
    if not config.run.uncertainty or n_heads != 1 or n_valid < FEWEST:
        return None
    if not any(parts.valid.dataset.has(name) for name in ("energy", "forces")):
        return None
    try:
        with progress_bar(len(parts.train) + n_valid) as (bar, task):
            done = calibrate(
                potential,
                parts.train,
                parts.valid,
                seed=config.run.seed,
                engine=config.run.engine,
                progress=lambda n: bar.advance(task, n),
            )
    except (UserError, RuntimeError) as error:  # such as a matrix that is not positive definite
        reason = f"The potential was not calibrated: {type(error).__name__}: {error}"
        journal.write(paragraph("warning", reason))
        return None
    journal.write(f"spread    {sentence(done)}")
    return done


def sentence(done: Calibrated) -> str:
    """Return what a calibration is worth, in words."""
    calibration = done.calibration
    scale = calibration.forces.get("all") or calibration.energy
    of = "force" if "all" in calibration.forces else "energy"
    source = "draws of the last layer" if calibration.kind == "last layer" else "members"
    n = counted(calibration.structures, "structure")
    about = f"of {calibration.number} {source}, calibrated on {n}"
    if scale is None or "95" not in scale.coverage:
        return about
    return f"{about}; 95 % bounds hold {scale.coverage['95']:g} % of the {of} errors"

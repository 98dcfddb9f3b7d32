"""`reann curve`: the error over the number of training structures, and what more of them bring.

Each training has the same validation set and the same number of steps, so that the curve shows the
data and not the length of the training. Those that are done are not repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reann import atomic_file, strict_json
from reann.config import Config
from reann.config.file import anchored, load_config, values_of
from reann.error_measures import key
from reann.errors import UserError, listed
from reann.evaluation.comparison import Evaluation
from reann.evaluation.power_law import PowerLaw, fitted
from reann.model_file import MODEL
from reann.potential import load
from reann.report.learning_curve import page
from reann.terminal import Terminal
from reann.training.extend import changes_of_schedule
from reann.training.folder import CONFIG, folder_of, has_checkpoint, with_run
from reann.training.optim import with_rate
from reann.training.run import Run, resume, train

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
JSON, HTML = "curve.json", "curve.html"


@dataclass(frozen=True)
class Point:
    """The errors of one training."""

    fraction: float
    n_train: int
    errors: dict[str, float]
    """Errors, named as in `Evaluation.summary`."""


def learning_curve(
    config: Config, fractions: Sequence[float] = FRACTIONS, console: Terminal | None = None
) -> tuple[list[Point], PowerLaw]:
    """Train on fractions of the data, fit a power law, and write `curve.html` and `curve.json`.

    The runs and both files are in the folder of the run with `-curve` added to its name. A curve
    that was stopped goes on where it stopped.

    Raises
    ------
    UserError
        For fractions that make no curve, for parts that were trained with other settings, and as
        of `train`.
    """
    console = console or Terminal()
    parts = checked(fractions)
    folder = folder_of(config).with_name(f"{folder_of(config).name}-curve")
    points: list[Point] = []
    for number, fraction in enumerate(parts):
        console.write(f"\ncurve     {number + 1} of {len(parts)}: {fraction:g} of the data")
        run = _trained(part_of(config, fraction, folder), folder / f"part-{fraction:g}")
        points.append(_point(run, fraction))
        if len(points) >= 2:
            _write(folder, points, run)
    law = law_of(points)
    console.write(f"\n{law.sentence()}\nPage: {folder / HTML}")
    return points, law


def checked(fractions: Sequence[float]) -> list[float]:
    """Return fractions in ascending order; `UserError` for fewer than two, and impossible ones."""
    parts = sorted(set(fractions))
    if len(parts) < 2 or not all(0 < part <= 1 for part in parts):
        raise UserError(
            "A learning curve needs two or more fractions between 0 and 1.",
            "--parts",
            "Write --parts 0.125,0.25,0.5,1.",
        )
    return parts


def part_of(config: Config, fraction: float, folder: Path) -> Config:
    """Return the configuration of the training on a fraction, with as many steps as the whole."""
    training = config.training
    if training.time is None:
        epochs = round(training.epochs / fraction)
        training = training.model_copy(update={"epochs": epochs})
    whole = config.data.train_fraction
    data = config.data.model_copy(update={"train_fraction": fraction * whole})
    changed = config.model_copy(update={"training": training, "data": data})
    return with_run(changed, folder=folder / f"part-{fraction:g}")


def law_of(points: Sequence[Point]) -> PowerLaw:
    """Return the power law of the errors of the forces, or of the energy without forces."""
    name = next(
        (n for n in ("forces", "energy") if all(key(n, "rmse") in p.errors for p in points)), None
    )
    if name is None:
        raise UserError("There are neither forces nor energies to learn.", fix="Check the labels.")
    errors = np.array([point.errors[key(name, "rmse")] for point in points])
    return fitted(name, np.array([point.n_train for point in points]), errors)


def _trained(config: Config, folder: Path) -> Run:
    """Train, or go on with a training that was begun, or only evaluate one that is done."""
    if not has_checkpoint(folder):
        return train(config, overwrite=True)  # an earlier attempt without a checkpoint
    _refuse_changes(config, folder)
    return resume(folder)


def _refuse_changes(config: Config, folder: Path) -> None:
    """Raise `UserError` if a part was trained with other settings: the curve would mix them."""
    requested = with_rate(anchored(config))
    changed = changes_of_schedule(values_of(load_config(folder / CONFIG)), requested)
    if config.training.time is not None:  # of which the number of epochs follows
        changed = [c for c in changed if c.name not in ("training.time", "training.epochs")]
    if changed:
        raise UserError(
            f"A part of this curve was trained with other settings: {listed(changed)}.",
            str(folder),
            f"Restore them, or remove {folder.parent} to train all parts again.",
        )


def _point(run: Run, fraction: float) -> Point:
    evaluation = _unseen(run)
    n_train = int(load(run.folder / MODEL).metadata["n_train"])
    errors = {name: float(x) for name, x in evaluation.summary().items()}
    return Point(fraction, n_train, errors)


def _unseen(run: Run) -> Evaluation:
    """Return the errors on the test set, where there is one, else on the validation set."""
    return run.evaluations["test" if "test" in run.evaluations else "valid"]


def _write(folder: Path, points: Sequence[Point], run: Run) -> None:
    law = law_of(points)
    part = "test" if "test" in run.evaluations else "validation"
    rows = [{"fraction": p.fraction, "n_train": p.n_train, **p.errors} for p in points]
    content = {"part": part, "points": rows, "power_law": law.as_json()}
    text = strict_json.dumps(content, indent=1, ensure_ascii=False)
    atomic_file.write_text(folder / JSON, text + "\n")
    atomic_file.write_text(folder / HTML, page(folder.name, part, law, rows))

"""The command `calibrate`: adds an uncertainty to a potential in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reann.backends import choice
from reann.backends.choice import Engine
from reann.calibration import LEVEL, LEVELS, Calibration, Scale
from reann.config import DataConfig, Keys, Units
from reann.data.dataset import Subset, open_dataset
from reann.data.files.skipped import print_notes
from reann.device import device_named
from reann.errors import counted
from reann.evaluation.label_keys import conventions
from reann.evaluation.progress import progress_bar
from reann.output_files import check_outputs
from reann.potential import Ensemble, Potential, load
from reann.terminal import Terminal, plain_table
from reann.uncertainty.calibrate import DRAWS, calibrate


def calibrate_file(
    model: Path,
    data: Sequence[str],
    training: Sequence[str] = (),
    output: Path | None = None,
    *,
    number: int = DRAWS,
    seed: int = 1,
    engine: Engine = "auto",
    keys: Keys | None = None,
    units: Units | None = None,
    device: str = "cpu",
    console: Terminal | None = None,
) -> Calibration:
    """Calibrate a potential on files with labels, write it, and print factors and coverage.

    Parameters
    ----------
    model
        File of the potential; without `output`, the calibration is added to this file.
    data
        Structures with labels that the potential was not trained on.
    training
        Structures that it was trained on; not needed for an ensemble.
    keys, units
        Keys and units of all files; by default those of the training if they match.

    Raises
    ------
    UserError
        For unusable files, and as `reann.uncertainty.calibrate`.
    """
    choice.check(engine, f"--engine {engine}")
    console = console or Terminal()
    check_outputs({"--output": output}, [*([] if output is None else [model]), *data, *training])
    potential = load(model, device_named(choice.device_for(engine, device), "--device"))
    with tempfile.TemporaryDirectory(prefix="reann-") as folder, progress_bar() as (bar, task):
        parts = [
            _opened(potential, list(files), keys or Keys(), units or Units(), Path(folder))
            for files in (training, data)
            if files
        ]
        bar.update(task, total=sum(map(len, parts)))
        done = calibrate(
            potential,
            parts[0] if training else None,
            parts[-1],
            number=number,
            seed=seed,
            engine=engine,
            progress=lambda n: bar.advance(task, n),
        )
    done.potential.save(output or model)
    show(done.calibration, console)
    console.write(f"Calibrated: {output or model}")
    return done.calibration


def _opened(
    potential: Potential | Ensemble, files: list[str], keys: Keys, units: Units, folder: Path
) -> Subset:
    known = conventions(files, potential.metadata, keys, units, potential.model.output_names)
    data = DataConfig(train=files, keys=known.keys, units=known.units, missing="allow")
    dataset = open_dataset(files, data, potential.cutoff, folder)
    print_notes(dataset.skipped)
    return Subset(dataset, np.arange(len(dataset)))


def show(calibration: Calibration, console: Terminal) -> None:
    """Print factors, bounds and coverage."""
    n = counted(calibration.structures, "structure")
    table = plain_table(f"Uncertainty {source(calibration)}, calibrated on {n}")
    table.add_column("errors of")
    for heading in ("n", "factor", *(f"{level} %" for level in LEVELS)):
        table.add_column(heading, justify="right")
    for name, scale in calibration.scales().items():
        covered = [_share(scale, level) for level in LEVELS]
        table.add_row(name, str(scale.n), f"{scale.factor:.3g}", *covered)
    console.print(table)
    console.write(
        f"A standard deviation is the spread times the factor: {LEVEL} % of the errors are smaller."
        " Columns: measured percentage of errors below the bound for the percentage in the header;"
        " errors and bounds are from different halves of the structures."
    )


def source(calibration: Calibration) -> str:
    """Return the source of the spread, in words."""
    if calibration.kind == "ensemble":
        return f"from the {calibration.number} members of the ensemble"
    return f"from {calibration.number} draws of the last layer"


def _share(scale: Scale, level: str) -> str:
    return f"{scale.coverage[level]:.1f}" if level in scale.coverage else "–"

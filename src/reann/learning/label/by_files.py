"""Labels by files of an external program: inputs are written, and outputs read once they exist."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import get_distances
from numpy.typing import NDArray

from reann import strict_json
from reann.config.training import seconds
from reann.data.labels.inputs import every_input
from reann.errors import UserError, counted, listed
from reann.learning.folders import Iteration, read_frames
from reann.learning.label.calculation import Outcome, energy_of, refusal
from reann.learning.label.records import Records
from reann.learning.settings import FilesConfig, LabelConfig

FAILED = "FAILED"
"""A file of this name in the folder of a calculation marks it as abandoned."""
INPUTS = "reann-inputs.json"
"""File with the charge, spin and field of a structure, which most input formats do not contain."""
FARTHEST = 0.01
"""Largest distance between an atom in the output and in the input, Å."""


class WaitingError(Exception):
    """Outputs are missing; the loop continues when they exist."""


def collect_labels(iteration: Iteration, settings: LabelConfig) -> None:
    """Write missing inputs, and read the outputs.

    Raises
    ------
    WaitingError
        If outputs are missing and `wait` is not set.
    UserError
        For an output of another structure, and an input that ASE cannot write.
    """
    files = settings.files
    assert files is not None
    frames, records = read_frames(iteration.chosen), Records(iteration)
    for number in records.missing(len(frames)):
        write_input(records.folder(number), frames[number], files)
    while True:
        for number in records.missing(len(frames)):
            outcome = read_output(records.folder(number), frames[number], settings)
            if outcome is not None:
                records.write(number, outcome)
        missing = records.missing(len(frames))
        if not missing:
            break
        if files.wait is None:
            raise WaitingError(
                f"{counted(len(missing), 'calculation')} of {len(frames)} in"
                f" {iteration.calculations} has no {files.output} yet: {listed(missing)}."
                " Start `reann learn` again when it exists; to abandon a calculation, put an empty"
                f" file {FAILED} into its folder."
            )
        time.sleep(seconds(files.wait))
    records.finish(len(frames))


def write_input(folder: Path, atoms: ase.Atoms, files: FilesConfig) -> None:
    """Create the folder of a calculation with template and structure, unless it exists.

    Charge, spin and field of the structure are in `reann-inputs.json`, and in the input if its
    format keeps them.
    """
    if folder.exists():
        return
    new = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(new, ignore_errors=True)
    if files.template is not None:
        if not files.template.is_dir():
            raise UserError(
                "The folder does not exist.", str(files.template), "Correct label.files.template."
            )
        shutil.copytree(files.template, new)
    new.mkdir(parents=True, exist_ok=True)
    values = {name: _plain(value) for name, value in every_input().read(atoms).items()}
    (new / INPUTS).write_text(strict_json.dumps(values) + "\n", encoding="utf-8")
    bare = atoms.copy()
    bare.info = {name: atoms.info[name] for name in values}
    try:
        ase.io.write(new / files.input, bare, format=files.format)
    except Exception as error:  # ASE raises many kinds of errors
        raise UserError(
            f"ASE cannot write the structure as {files.format or files.input}: {error}.",
            "label.files",
            "Set `format` to one that `ase info --formats` lists.",
        ) from error
    new.rename(folder)


def _plain(value: NDArray[np.float64]) -> Any:
    """Return a value for JSON, with integers where possible, which programs expect."""
    whole = value.astype(int)
    return (whole if (whole == value).all() else value).tolist()


def read_output(folder: Path, atoms: ase.Atoms, settings: LabelConfig) -> Outcome | None:
    """Return the labels of an output; None if it is missing or incomplete."""
    files = settings.files
    assert files is not None
    if (folder / FAILED).exists():
        reason = (folder / FAILED).read_text(encoding="utf-8", errors="replace").strip()
        return Outcome(None, reason or "abandoned by the user")
    path = folder / files.output
    if not path.exists():
        return None
    try:
        read = ase.io.read(path)
        assert isinstance(read, ase.Atoms)
        results = {"energy": energy_of(read), "forces": read.get_forces(False)}
        if atoms.pbc.all() and "stress" in getattr(read.calc, "results", {}):
            results["stress"] = read.get_stress(apply_constraint=False)
    except Exception:  # noqa: BLE001 - a file that is still being written
        return None
    _check_same(read, atoms, path)
    labeled = atoms.copy()
    labeled.calc = SinglePointCalculator(labeled, **results)
    reason = refusal(labeled, settings.max_force)
    return Outcome(None if reason else labeled, reason)


def _check_same(read: ase.Atoms, atoms: ase.Atoms, path: Path) -> None:
    same = len(read) == len(atoms) and bool((read.numbers == atoms.numbers).all())
    if same:
        # Programs may move atoms into the cell.
        moved = [
            get_distances([position_out], [position_in], cell=atoms.cell, pbc=atoms.pbc)[1].item()
            for position_out, position_in in zip(read.positions, atoms.positions, strict=True)
        ]
        same = max(moved) < FARTHEST
    if not same:
        raise UserError(
            "The output has another structure than the input, or its atoms in another order.",
            str(path),
            "Keep the order and the positions of the atoms of the input.",
        )

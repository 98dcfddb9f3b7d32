"""The initial structure of molecular dynamics: a given one, or the end of an earlier run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np

from reann.data.labels.inputs import every_input, set_input
from reann.errors import UserError
from reann.motion.dynamics import has_velocities
from reann.motion.start import read_start
from reann.simulate.trajectory_file import last_structure


@dataclass(frozen=True)
class Start:
    """The first structure of a run."""

    atoms: ase.Atoms
    origin: str
    """Source of the structure, for messages."""
    step: int = 0
    time: float = 0.0
    """fs."""
    continued: bool = False
    """Whether the structure is the last one of an earlier run."""
    dynamics: str = ""
    """Description of the dynamics in the earlier run; empty if it is not recorded."""
    energy: float | None = None
    """Energy of the structure in the earlier run, eV."""


def start_of(start: ase.Atoms | str | Path, output: str | Path | None, *, append: bool) -> Start:
    """Return the start, or with `append` the last structure of `output` if the file exists.

    Raises
    ------
    UserError
        If a file cannot be read, or the run cannot be continued.
    """
    if not append:
        return Start(*read_start(start))
    if output is None:
        raise UserError(
            "The trajectory to continue is not given.",
            "--continue",
            "Set the trajectory of the earlier run with -o.",
        )
    output = Path(output)
    if not output.exists():
        return Start(*read_start(start))
    return _after(output, start)


def _after(output: Path, start: ase.Atoms | str | Path) -> Start:
    last = last_structure(output)
    if isinstance(start, str | Path) and Path(start).exists() and output.samefile(start):
        atoms = last.copy()  # the end of the file may be incomplete
    else:
        atoms, origin = read_start(start)
        if not np.array_equal(atoms.numbers, last.numbers) or (atoms.pbc != last.pbc).any():
            raise UserError(
                "The structure and the trajectory to continue differ in atoms or periodicity.",
                f"{origin} and {output}",
                "Use the initial structure of the earlier run.",
            )
        atoms.set_cell(last.cell)
        atoms.positions[:] = last.positions
        atoms.set_momenta(last.get_momenta())
        _take_inputs(atoms, last)
    if not (has_velocities(last) and {"step", "time_fs"} <= last.info.keys()):
        raise UserError(
            "The last structure of the trajectory lacks velocities, step or time.",
            str(output),
            "Use the trajectory as the start, and write another one.",
        )
    step, time = int(last.info["step"]), float(last.info["time_fs"])
    return Start(
        atoms,
        f"{output}, step {step}",
        step,
        time,
        continued=True,
        dynamics=str(last.info.get("dynamics", "")),
        energy=None if last.calc is None else last.calc.results.get("energy"),
    )


def _take_inputs(atoms: ase.Atoms, last: ase.Atoms) -> None:
    """Take charge, spin and field from the last structure, in place, under whatever key."""
    for name in every_input().names:
        if name in last.info:
            set_input(name, last.info[name], atoms)

"""Where a run of molecular dynamics begins: at a structure, or where an earlier run ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np

from reann.errors import UserError
from reann.motion.dynamics import has_velocities
from reann.motion.start import read_start
from reann.simulate.trail import last_structure


@dataclass(frozen=True)
class Beginning:
    """The first structure of a run."""

    atoms: ase.Atoms
    origin: str
    """Where the structure comes from, for messages."""
    step: int = 0
    time: float = 0.0
    """fs."""
    continued: bool = False
    """Whether the structure is the last one of an earlier run."""
    dynamics: str = ""
    """What the earlier run records about its dynamics, or nothing."""
    energy: float | None = None
    """What the earlier run records as the energy of the structure, eV."""


def beginning(
    start: ase.Atoms | str | Path, output: str | Path | None, *, append: bool
) -> Beginning:
    """Return the start, or with `append` the last structure of `output` where that exists.

    Raises
    ------
    UserError
        For files that cannot be read, and an `output` that no run can continue.
    """
    if not append:
        return Beginning(*read_start(start))
    if output is None:
        raise UserError(
            "No trajectory is named that the run could continue.",
            "--continue",
            "Name the trajectory of the earlier run with -o.",
        )
    output = Path(output)
    if not output.exists():
        return Beginning(*read_start(start))
    return _after(output, start)


def _after(output: Path, start: ase.Atoms | str | Path) -> Beginning:
    last = last_structure(output)
    if isinstance(start, str | Path) and Path(start).exists() and output.samefile(start):
        atoms = last.copy()  # the end of the file may be half a structure
    else:
        atoms, origin = read_start(start)
        if not np.array_equal(atoms.numbers, last.numbers) or (atoms.pbc != last.pbc).any():
            raise UserError(
                "The structure and the trajectory to continue differ in atoms or periodicity.",
                f"{origin} and {output}",
                "Give the structure that the earlier run started from.",
            )
        atoms.set_cell(last.cell)
        atoms.positions[:] = last.positions
        atoms.set_momenta(last.get_momenta())
    if not (has_velocities(last) and {"step", "time_fs"} <= last.info.keys()):
        raise UserError(
            "The last structure of the trajectory lacks velocities, step or time.",
            str(output),
            "Take the trajectory as the structure to start from, and write another one.",
        )
    step, time = int(last.info["step"]), float(last.info["time_fs"])
    return Beginning(
        atoms,
        f"{output}, step {step}",
        step,
        time,
        continued=True,
        dynamics=str(last.info.get("dynamics", "")),
        energy=None if last.calc is None else last.calc.results.get("energy"),
    )

"""The structure a run starts from, and the file its structures go to."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, final

import ase
import ase.io
from ase.io.trajectory import Trajectory

from reann.data.read import iter_atoms
from reann.errors import UserError

SUFFIXES = (".xyz", ".extxyz", ".traj")


def read_start(start: ase.Atoms | str | Path) -> tuple[ase.Atoms, str]:
    """Return a copy of a structure without calculator, or the last one of a file, and its origin.

    Raises
    ------
    UserError
        For a file that is absent or cannot be read, and a structure without atoms.
    """
    atoms = start.copy() if isinstance(start, ase.Atoms) else ase.Atoms()
    where = "start"
    if not isinstance(start, ase.Atoms):
        for atoms, where in iter_atoms(str(start)):  # noqa: B007 - the last one is wanted
            pass
        atoms.calc = None
    if len(atoms) == 0:
        raise UserError("The structure to start from has no atoms.", where)
    return atoms, where


def copy_of(model: Path, folder: Path) -> str:
    """Copy a potential into a folder, unless it is there, and return a name without blanks."""
    plain = re.fullmatch(r"[A-Za-z0-9_.+-]+", model.name) is not None
    name = model.name if plain else "model.reann"
    if not ((folder / name).exists() and (folder / name).samefile(model)):
        shutil.copy(model, folder / name)
    return name


def time_step(atoms: ase.Atoms) -> float:
    """Return a time step that the atoms can follow, in fs: half as long with hydrogen."""
    return 0.5 if 1 in atoms.numbers else 1.0


@contextmanager
def at_start(origin: str) -> Iterator[None]:
    """Let errors of the first computation name the structure to start from."""
    try:
        yield
    except UserError as error:
        where = f"{origin}, {error.where}" if error.where else origin
        raise UserError(error.what, where, error.fix) from error


@final
class Trail:
    """Writes structures with their energies and forces, one after the other; without path, nothing.

    `.xyz` and `.extxyz` become extended XYZ, `.traj` ASE's trajectory. A file of that name is
    replaced. What was written stays readable when the run is stopped.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self._file: Any = None
        if self.path is None:
            return
        if self.path.suffix not in SUFFIXES:
            raise UserError(
                f"'{self.path.suffix}' is not a kind of trajectory.",
                str(self.path),
                f"End the name in one of {', '.join(SUFFIXES)}.",
            )
        try:
            self._file = (
                Trajectory(str(self.path), "w")
                if self.path.suffix == ".traj"
                else self.path.open("w", encoding="utf-8")
            )
        except OSError as error:
            raise UserError("Cannot write the trajectory.", str(self.path), str(error)) from error

    def write(self, atoms: ase.Atoms) -> None:
        """Append a structure."""
        if self.path is None:
            return
        try:
            if self.path.suffix == ".traj":
                self._file.write(atoms)
            else:
                ase.io.write(self._file, atoms, format="extxyz")
                self._file.flush()
        except OSError as error:
            raise UserError("Cannot write the trajectory.", str(self.path), str(error)) from error

    def __enter__(self) -> Trail:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

"""The trajectory that a run writes: extended XYZ with every digit, or ASE's trajectory.

A run continues from its last whole structure, so structures carry momenta, and in `info` the `step`
and the `time_fs` of the run.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, final

import ase
import ase.io
import numpy as np
from ase.calculators.calculator import all_properties
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import read_xyz
from ase.io.trajectory import Trajectory
from numpy.typing import NDArray

from reann.atomic_file import open_no_link
from reann.errors import UserError
from reann.motion.frame import xyz_frame

SUFFIXES = (".xyz", ".extxyz", ".traj")


class _File(Protocol):
    def write(self, atoms: ase.Atoms) -> None: ...
    def close(self) -> None: ...


@final
class Trail:
    """Writes structures with energies, forces and momenta, one after the other.

    Without path nothing is written. An existing file is replaced, or continued, only after
    `confirm`: until then structures are kept in memory, and an error leaves the file as it was.
    What was written stays readable when the run is stopped, also by a full disk. A link at the path
    is replaced, and what it leads to stays as it is, as for all files that a verb writes.

    Parameters
    ----------
    append
        Continue an existing file after its last whole structure.

    Raises
    ------
    UserError
        For a path that is no kind of trajectory, and a link that should be continued.
    """

    def __init__(self, path: str | Path | None, *, append: bool = False) -> None:
        self.path, self.append = None if path is None else Path(path), append
        self.n_written = 0
        self._file: _File | None = None
        self._waiting: list[ase.Atoms] = []
        if self.path is not None:
            check_suffix(self.path)
            if append and self.path.is_symlink():
                raise UserError(
                    "The trajectory to continue is a link.",
                    str(self.path),
                    f"Name the file that it leads to: -o {self.path.resolve()}.",
                )
            self._confirmed = not self.path.exists()

    def write(
        self,
        atoms: ase.Atoms,
        info: Mapping[str, Any] | None = None,
        arrays: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        """Add a structure, and what its `info` and its `arrays` say besides.

        Raises
        ------
        UserError
            If the file cannot be written, as on a full disk.
        """
        if self.path is None:
            return
        frame = _frozen(atoms)
        frame.info.update(info or {})
        frame.arrays.update(arrays or {})
        self._waiting.append(frame)
        if self._confirmed:
            self._flush()

    def confirm(self) -> None:
        """Replace an existing file: the run has made its first step."""
        if self.path is not None and not self._confirmed:
            self._confirmed = True
            self._flush()

    def __enter__(self) -> Trail:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.confirm()
        if self._file is not None:
            try:
                self._file.close()
            except OSError as failure:  # of a full disk: told already, unless it is the first
                if error is None:
                    raise self._failed(failure) from failure

    def _flush(self) -> None:
        assert self.path is not None
        try:
            if self._file is None:
                if not self.append:
                    self.path.unlink(missing_ok=True)
                kind = _TrajFile if self.path.suffix == ".traj" else _XyzFile
                self._file = kind(self.path, append=self.append)
            for frame in self._waiting:
                self._file.write(frame)
                self.n_written += 1
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._waiting = []

    def _failed(self, error: OSError) -> UserError:
        return UserError(
            f"The trajectory cannot be written: {error.strerror or error}.",
            str(self.path),
            f"Free some space, or choose another place; {self.n_written} structures were written.",
        )


def check_suffix(path: Path) -> None:
    """Raise `UserError` for a file name that does not stand for a trajectory."""
    if path.suffix not in SUFFIXES:
        raise UserError(
            f"'{path.suffix}' is not a kind of trajectory.",
            str(path),
            f"End the name in one of {', '.join(SUFFIXES)}.",
        )


def last_structure(path: Path) -> ase.Atoms:
    """Return the last whole structure of a trajectory.

    Raises
    ------
    UserError
        If there is none, or the file cannot be read.
    """
    try:
        if path.suffix == ".traj":
            atoms = ase.io.read(path, -1, format="traj")
        else:
            begin, end = _last_frame(path)
            with path.open("rb") as file:
                file.seek(begin)
                text = file.read(end - begin).decode("utf-8")
            atoms = next(read_xyz(io.StringIO(text), 0)) if text else None
    except Exception as error:  # the readers of ASE raise many kinds of errors
        raise UserError(
            f"The trajectory cannot be read: {error}.",
            str(path),
            "Start from an earlier structure of the run, and write another trajectory.",
        ) from error
    if not isinstance(atoms, ase.Atoms):
        raise UserError(
            "The trajectory holds no whole structure.", str(path), "Remove it, and start again."
        )
    return atoms


class _XyzFile:
    """Extended XYZ; a structure is added in one piece, or the file is as before."""

    def __init__(self, path: Path, *, append: bool) -> None:
        self.size = _last_frame(path)[1] if append and path.exists() else 0
        self.descriptor = open_no_link(path, os.O_WRONLY)
        os.ftruncate(self.descriptor, self.size)
        os.lseek(self.descriptor, self.size, os.SEEK_SET)

    def write(self, atoms: ase.Atoms) -> None:
        data = memoryview(xyz_frame(atoms).encode("utf-8"))
        size = self.size + len(data)
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError:
            os.ftruncate(self.descriptor, self.size)
            raise
        self.size = size

    def close(self) -> None:
        os.close(self.descriptor)


class _TrajFile:
    """ASE's trajectory, which counts a structure when all of it is there."""

    def __init__(self, path: Path, *, append: bool) -> None:
        self.writer: Any = Trajectory(str(path), "a" if append and path.exists() else "w")
        self.whole = True

    def write(self, atoms: ase.Atoms) -> None:
        self.whole = False
        self.writer.write(atoms)
        self.whole = True

    def close(self) -> None:
        if self.whole:
            self.writer.close()
        else:  # closing the writer would count the half structure
            self.writer.backend.fd.close()


def _last_frame(path: Path) -> tuple[int, int]:
    """Return where the last whole structure of an extended XYZ file begins and ends, in bytes."""
    last = (0, 0)
    with path.open("rb") as file:
        while header := file.readline():
            begin = file.tell() - len(header)
            try:
                n_lines = int(header) + 1
            except ValueError:
                return last
            line = header
            for _ in range(n_lines):
                line = file.readline()
            if not line.endswith(b"\n"):
                return last
            last = (begin, file.tell())
    return last


def _frozen(atoms: ase.Atoms) -> ase.Atoms:
    """Return a copy with the results of the calculator that trajectories hold."""
    frame = atoms.copy()
    if atoms.calc is not None:
        known = {k: v for k, v in atoms.calc.results.items() if k in all_properties}
        frame.calc = SinglePointCalculator(frame, **known)
    return frame

"""Trajectories: extended XYZ with all digits, or ASE's format.

A run can be continued from the last complete structure: structures have momenta, and `info` has the
`step` and the `time_fs`.
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
class TrajectoryWriter:
    """Writes structures with energies, forces and momenta.

    Without a path, no file is written. An existing file is replaced or continued only after
    `confirm`; before, structures are kept in memory, so that an error does not change the file.
    The file remains readable if the run is stopped, even by a full disk. A link at the path is
    replaced, and its target is not changed, as for all output files.

    Parameters
    ----------
    append
        Continue an existing file after its last complete structure.

    Raises
    ------
    UserError
        If the suffix of the path is unknown, or the file to continue is a link.
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
                    f"Use its target: -o {self.path.resolve()}.",
                )
            self._confirmed = not self.path.exists()

    def write(
        self,
        atoms: ase.Atoms,
        info: Mapping[str, Any] | None = None,
        arrays: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        """Add a structure, with further entries of `info` and `arrays`.

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
        """Replace an existing file, after the first step of the run."""
        if self.path is not None and not self._confirmed:
            self._confirmed = True
            self._flush()

    def __enter__(self) -> TrajectoryWriter:
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
            except OSError as failure:  # of a full disk, reported before unless it is the first
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
            f"Free some space, or use another folder; {self.n_written} structures were written.",
        )


def check_suffix(path: Path) -> None:
    """Raise `UserError` for a file name without the suffix of a trajectory."""
    if path.suffix not in SUFFIXES:
        raise UserError(
            f"'{path.suffix}' is not a format of trajectories.",
            str(path),
            f"Use one of the suffixes {', '.join(SUFFIXES)}.",
        )


def last_structure(path: Path) -> ase.Atoms:
    """Return the last complete structure of a trajectory.

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
            "The trajectory has no complete structure.", str(path), "Remove it, and start again."
        )
    return atoms


class _XyzFile:
    """Extended XYZ; a structure is written completely or not at all."""

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
    """ASE's format, which counts a structure after it has been written."""

    def __init__(self, path: Path, *, append: bool) -> None:
        self.writer: Any = Trajectory(str(path), "a" if append and path.exists() else "w")
        self.complete = True

    def write(self, atoms: ase.Atoms) -> None:
        self.complete = False
        self.writer.write(atoms)
        self.complete = True

    def close(self) -> None:
        if self.complete:
            self.writer.close()
        else:  # closing the writer would count the incomplete structure
            self.writer.backend.fd.close()


def _last_frame(path: Path) -> tuple[int, int]:
    """Return the first and the last byte of the last complete structure of an extended XYZ file."""
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
    """Return a copy with those results of the calculator that trajectories can contain."""
    frame = atoms.copy()
    if atoms.calc is not None:
        results = {k: v for k, v in atoms.calc.results.items() if k in all_properties}
        frame.calc = SinglePointCalculator(frame, **results)
    return frame

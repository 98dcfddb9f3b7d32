"""Structures from files, one at a time: extended XYZ first, then everything that ASE reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase
import ase.db
import ase.io
from ase.io import ulm
from ase.io.formats import UnknownFileTypeError, filetype

from reann.data.files.extended_xyz import (
    BROKEN_STREAM,
    MOST_ATOMS,
    check_compression,
    damaged,
    is_extended_xyz,
    read_frames,
)
from reann.data.files.file_types import check_file
from reann.data.files.program_outputs import as_computed
from reann.data.files.skipped import ReportSkipped, print_truncated
from reann.data.labels.file_units import units_of_database
from reann.errors import UserError, listed
from reann.facts import HEAVIEST
from reann.input_files import display_name, find_files

DATABASES = ("db", "json")
READABLE = (
    "Use extended XYZ (.xyz, .extxyz, also with .gz, .xz or .bz2), .traj, .db, .cif, POSCAR,"
    " OUTCAR, vasprun.xml, or another format listed by `ase info --formats`."
)
USUAL_ENDING = (
    "Use a complete file with the usual name of its format, for example .xyz, .traj, OUTCAR."
)
OTHER_READERS = {
    "vasp-out": "Use the vasprun.xml of the same calculation, or convert the OUTCAR with dpdata"
    """ (pip install dpdata): python -c "import dpdata, ase.io;"""
    """ ase.io.write('OUTCAR.xyz', dpdata.LabeledSystem('OUTCAR').to('ase/structure'))\"""",
}
"""Advice if ASE cannot read a file of this format."""
LARGEST = 100 * MOST_ATOMS
"""Maximum size of an array of a structure, bytes."""


def iter_atoms(
    patterns: str | list[str], base: Path = Path(), report_skipped: ReportSkipped = print_truncated
) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield all structures of files and globs with their origins, such as ``train.xyz.gz#17``.

    Parameters
    ----------
    patterns
        File, glob, or list of both; the files of a glob are sorted by name.
    base
        Folder for relative paths; origins are relative to it.
    report_skipped
        Called for skipped data; by default, truncated structures are printed.

    Raises
    ------
    UserError
        If a file does not exist, is empty or truncated, or cannot be read by ASE.
    """
    for path in find_files(patterns, base):
        yield from read_file(path, display_name(path, base), report_skipped)


def read_file(
    path: Path, name: str, report_skipped: ReportSkipped
) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield the structures of a file, at least one."""
    check_file(path, name)
    is_xyz = is_extended_xyz(path)
    frames = (
        read_frames(path, name, report_skipped) if is_xyz else _read_any(path, name, report_skipped)
    )
    number = -1
    for number, atoms in enumerate(frames):
        origin = f"{name}#{number}"
        if len(atoms) == 0:
            raise UserError("The structure has no atoms.", origin, "Remove it.")
        if not ((atoms.numbers > 0) & (atoms.numbers <= HEAVIEST)).all():
            wrong = [i for i, z in enumerate(atoms.numbers) if not 0 < z <= HEAVIEST]
            raise UserError(
                f"Atom {listed(wrong)} is not a chemical element.",
                origin,
                "Remove ghost and dummy atoms (X); elements are H to Og.",
            )
        yield atoms, origin
    if number < 0:
        raise UserError("The file contains no structure.", name)


def _read_any(path: Path, name: str, report_skipped: ReportSkipped) -> Iterator[ase.Atoms]:
    number, kind = 0, ""
    try:
        kind = filetype(str(path))
        if kind in ("xyz", "extxyz"):
            structures: Iterator[ase.Atoms] = read_frames(path, name, report_skipped)
        elif kind in DATABASES:
            structures = _read_database(path, name, kind)
        else:
            check_compression(path, name)
            if kind == "traj":
                _check_trajectory(path, name)
            structures = ase.io.iread(path, ":", kind, do_not_split_by_at_sign=True)
            structures = as_computed(structures, path, name, kind, report_skipped)
        for atoms in structures:
            yield atoms
            number += 1
    except (GeneratorExit, UserError):
        raise
    except Exception as error:  # the readers of ASE raise many kinds of errors
        raise _unreadable(error, kind, f"{name}#{number}") from error


def _read_database(path: Path, name: str, kind: str) -> Iterator[ase.Atoms]:
    """Yield rows including the data added by the user, which `ase.io` ignores."""
    if kind == "db" and path.suffix != ".aselmdb":
        columns = "numbers, positions, cell, data, key_value_pairs, forces, stress"
        longest = ", ".join(f"coalesce(length({column}), 0)" for column in columns.split(", "))
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as database:
            query = f"SELECT id FROM systems WHERE max({longest}) > ?"  # noqa: S608 - own names
            too_large = database.execute(query, [LARGEST]).fetchone()
        database.close()
        if too_large:
            raise _too_large(f"{name}, row {too_large[0]}")
    database = ase.db.connect(path, serial=True)
    units = units_of_database(database.metadata)
    for row in database.select():
        atoms = row.toatoms()
        atoms.info.update({**row.data, **row.key_value_pairs, **units})
        yield atoms


def _check_trajectory(path: Path, name: str) -> None:
    """Raise `UserError` for an implausibly large array before memory is allocated."""
    with ulm.Reader(path) as frames:
        for number, frame in enumerate(frames):
            _check_arrays(frame, f"{name}#{number}")


def _check_arrays(frame: Any, origin: str) -> None:
    for value in frame._data.values():  # noqa: SLF001 - attributes of the frame read the arrays
        if isinstance(value, ulm.NDArrayReader) and value.nbytes > LARGEST:
            raise _too_large(origin)
        if isinstance(value, ulm.Reader):
            _check_arrays(value, origin)


def _too_large(where: str) -> UserError:
    what = f"The structure has an array of more than {LARGEST / 1e9:.0f} GB."
    return UserError(what, where, "The file is damaged: copy or write it again.")


def _unreadable(error: Exception, kind: str, where: str) -> UserError:
    if isinstance(error, UnicodeDecodeError):
        fix = "Use a text file in UTF-8."
        return UserError("The file is not UTF-8 text.", where, fix)
    if isinstance(error, BROKEN_STREAM):
        return damaged(error, where)
    if isinstance(error, UnknownFileTypeError):
        return UserError("ASE does not recognize the format of this file.", where, READABLE)
    reason = (str(error) or type(error).__name__).removesuffix(".")
    what = f"ASE cannot read the file: {reason}."
    return UserError(what, where, OTHER_READERS.get(kind, USUAL_ENDING))

"""Structures from files, one at a time: extended XYZ first, then everything that ASE reads.

Extended XYZ is cut into frames here, so that a gzipped file is read once and front to back, and an
error names the frame and the line. The frames themselves are parsed by ASE.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

import ase
import ase.db
import ase.io
from ase.io.extxyz import read_xyz
from ase.io.formats import UnknownFileTypeError, filetype

from reann.data.stated import units_of_database
from reann.errors import UserError, counted, did_you_mean, listed

COMPRESSIONS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
XYZ_SUFFIXES = (".xyz", ".extxyz")
DATABASES = ("db", "json")
READABLE = (
    "Give extended XYZ (.xyz, .extxyz, also with .gz, .xz or .bz2), .traj, .db, .cif, POSCAR,"
    " OUTCAR, vasprun.xml, or another format that `ase info --formats` lists."
)
BROKEN_STREAM = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)


def iter_atoms(patterns: str | list[str], base: Path = Path()) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield all structures of files and globs, with their origin such as ``train.xyz.gz#17``.

    Parameters
    ----------
    patterns
        File, glob, or list of both; files of a glob are sorted by name.
    base
        Folder that relative paths start from; origins are relative to it.

    Raises
    ------
    UserError
        For a file that is absent, empty, truncated, or not in a format that ASE can read.
    """
    for path in find_files(patterns, base):
        yield from read_file(path, display_name(path, base))


def find_files(patterns: str | list[str], base: Path = Path()) -> list[Path]:
    """Return the files that the patterns name; `UserError` where there is none."""
    found: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        path = base / Path(pattern).expanduser()
        if path.is_file():
            found.append(path)
        elif path.is_dir():
            raise UserError(
                f"'{pattern}' is a folder, not a file.",
                fix=f"Name the files in it, as '{Path(pattern) / '*.xyz'}'.",
            )
        elif glob.has_magic(pattern):
            matches = [Path(m) for m in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
            if not any(match.is_file() for match in matches):
                raise UserError(f"No file matches '{pattern}'.", f"folder {_nearest_folder(path)}")
            found += [match for match in matches if match.is_file()]
        else:
            raise _absent(pattern, path)
    if not found:
        raise UserError("No file of structures was given.", fix="Name one, as train.xyz.")
    return found


def display_name(path: Path, base: Path = Path()) -> str:
    """Return the path relative to the base folder where it lies inside."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def read_file(path: Path, name: str) -> Iterator[tuple[ase.Atoms, str]]:
    """Yield the structures of one file; at least one."""
    if path.stat().st_size == 0:
        raise UserError("The file is empty.", name)
    frames = _read_xyz(path, name) if _is_xyz(path) else _read_any(path, name)
    number = -1
    for number, atoms in enumerate(frames):
        origin = f"{name}#{number}"
        if len(atoms) == 0:
            raise UserError("The structure has no atoms.", origin, "Remove it.")
        if not ((atoms.numbers > 0) & (atoms.numbers <= 118)).all():
            wrong = [i for i, z in enumerate(atoms.numbers) if not 0 < z <= 118]
            raise UserError(f"Atom {listed(wrong)} is not a chemical element.", origin)
        yield atoms, origin
    if number < 0:
        raise UserError("The file holds no structure.", name)


def _is_xyz(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in XYZ_SUFFIXES


def _open(path: Path) -> io.BufferedReader:
    opener = COMPRESSIONS.get(path.suffix.lower())
    return io.BufferedReader(opener(path, "rb")) if opener else path.open("rb")


def _read_xyz(path: Path, name: str) -> Iterator[ase.Atoms]:
    number, line = 0, 0
    with _open(path) as stream:
        lines = _decoded(stream)
        while True:
            start = line
            try:
                header = next(lines, None)
                line += 1
                if header is None:
                    return
                if not header.strip():
                    continue
                n_atoms = _atom_count(header, f"{name}#{number}, line {line}")
                frame = [header]
                while len(frame) < n_atoms + 2:
                    text = next(lines, None)
                    if text is None:
                        raise UserError(
                            f"The file is truncated: it ends after {max(len(frame) - 2, 0)} of"
                            f" {counted(n_atoms, 'atom')}.",
                            f"{name}#{number}, line {line}",
                            "Copy it again, or remove the last structure.",
                        )
                    line += 1
                    frame.append(text)
            except (UnicodeDecodeError, *BROKEN_STREAM, OSError) as error:
                raise _unreadable(error, f"{name}#{number}, line {line + 1}") from error
            yield _parse(frame, f"{name}#{number}", start + 1)
            number += 1


def _decoded(stream: io.BufferedReader) -> Iterator[str]:
    for raw in stream:
        if b"\0" in raw:
            raise UnicodeDecodeError("utf-8", raw, raw.index(b"\0"), raw.index(b"\0") + 1, "NUL")
        yield raw.decode("utf-8")


def _atom_count(header: str, where: str) -> int:
    try:
        return int(header)
    except ValueError:
        raise UserError(
            f"Expected the number of atoms, found '{header.strip()[:40]}'.",
            where,
            "A frame of extended XYZ is a number of atoms, a comment line, and a line per atom.",
        ) from None


def _parse(frame: list[str], origin: str, first_line: int) -> ase.Atoms:
    try:
        return next(read_xyz(io.StringIO("".join(frame)), 0))
    except Exception as error:  # ASE raises many kinds of errors on malformed frames
        columns = [len(text.split()) for text in frame[2:]]
        odd = [row for row, n in enumerate(columns) if n != max(columns, key=columns.count)]
        line = first_line + 2 + odd[0] if odd else first_line + 1
        reason = f"unknown element {error}" if isinstance(error, KeyError) else str(error)
        fix = "Compare the line with the Properties of the frame."
        if "special 3x3 matrix" in reason:
            fix = "Write `stress` and `virial` as 9 numbers, or 6 under another name: REF_stress."
        raise UserError(
            f"The structure cannot be parsed: {reason.removesuffix('.')}.",
            f"{origin}, line {line}",
            fix,
        ) from error


def _read_any(path: Path, name: str) -> Iterator[ase.Atoms]:
    number = 0
    try:
        if filetype(str(path)) in DATABASES:
            structures = _read_database(path)
        else:
            structures = ase.io.iread(path, ":", do_not_split_by_at_sign=True)
        for atoms in structures:
            yield atoms
            number += 1
    except (GeneratorExit, UserError):
        raise
    except Exception as error:  # the readers of ASE raise many kinds of errors
        raise _unreadable(error, f"{name}#{number}") from error


def _read_database(path: Path) -> Iterator[ase.Atoms]:
    """Yield rows with what the user added to them, which `ase.io` leaves out."""
    database = ase.db.connect(path, serial=True)
    units = units_of_database(database.metadata)
    for row in database.select():
        atoms = row.toatoms()
        atoms.info.update({**row.data, **row.key_value_pairs, **units})
        yield atoms


def _unreadable(error: Exception, where: str) -> UserError:
    if isinstance(error, UnicodeDecodeError):
        what = "The file is not UTF-8 text"
        what += ": it is binary." if error.reason == "NUL" else "."
        return UserError(what, where, "Name a text file; convert it to UTF-8 if it is one.")
    if isinstance(error, BROKEN_STREAM):
        what = f"The compressed file is truncated or damaged: {error}."
        return UserError(what, where, "Copy or compress it again.")
    if isinstance(error, UnknownFileTypeError):
        return UserError("This is no format of structures that ASE knows.", where, READABLE)
    reason = str(error) or type(error).__name__
    return UserError(
        f"ASE cannot read the file: {reason}.",
        where,
        "Give a complete file with the usual ending of its format, as .xyz, .traj, .db, OUTCAR.",
    )


def _nearest_folder(path: Path) -> Path:
    folders = [parent for parent in path.parents if not glob.has_magic(str(parent))]
    return folders[0].resolve()


def _absent(pattern: str, path: Path) -> UserError:
    folder = path.parent
    if not folder.is_dir():
        return UserError(f"'{pattern}' does not exist: there is no folder {folder.resolve()}.")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    hint = did_you_mean(path.name, names)
    there = f"files there: {listed(names)}" if names else "the folder is empty"
    return UserError(f"'{pattern}' does not exist.{hint}", f"folder {folder.resolve()}; {there}")

"""Extended XYZ: cut into frames here, parsed by ASE.

A compressed file is read once and front to back, an error names the frame and the line, and
neither an endless line nor a false number of atoms takes memory.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import ase
from ase.io.extxyz import read_xyz

from reann.data.remarks import Remark, Remarks
from reann.data.unnamed import name_numbers, refuse_other_cell, with_columns_named
from reann.errors import UserError, counted

COMPRESSIONS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
SUFFIXES = (".xyz", ".extxyz")
BROKEN_STREAM = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)

LONGEST_LINE, LONGEST_FRAME = 1 << 24, 1 << 31
"""Bytes."""
SAMPLED, MOST_GROWTH = 1 << 26, 200
"""Bytes that are uncompressed as a sample, and how much more they may be than in the file."""
MOST_ATOMS = 10_000_000
"""In a structure."""
FORMATTED = 40
"""Characters of a line that a program has written: three coordinates with eight decimals."""

_FORTRAN = re.compile(r"(?<![\w.])([+-]?(?:\d+\.\d*|\.\d+))[dD]([+-]?\d+)(?![\w.])")
"""Such as 1.5D-03."""
_FORTRAN_SHORT = re.compile(r"(?<![\w.])([+-]?\d*\.\d+)([+-]\d{3})(?![\w.])")
"""Such as 1.5-103, where three digits of the exponent left no room for a letter."""
_COMMA = re.compile(r"(?<![^\s\"])[+-]?\d+,\d+(?![^\s\"])")
_ENERGY_WITH_COMMA = re.compile(r"energy\w*=\"?([+-]?\d+,\d+)\"?(?!\S)", re.IGNORECASE)


def is_extended_xyz(path: Path) -> bool:
    """Whether the name says so, before the ending of a compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES


def read_frames(path: Path, name: str, remarks: Remarks) -> Iterator[ase.Atoms]:
    """Yield the structures of a file.

    A file that ends within a structure, as a trajectory does whose run was killed, has that
    structure left out, which is remarked.

    Raises
    ------
    UserError
        With the line, for what cannot be read, and for a file that ends within its first structure.
    """
    number, line = 0, 1
    with _open(path) as stream:
        while True:
            origin = f"{name}#{number}"
            frame: list[bytes] = []
            try:
                if line == 1 and stream.peek(3).startswith(codecs.BOM_UTF8):
                    stream.read(3)
                while (header := stream.readline(LONGEST_LINE)).isspace():
                    line += 1
                if not header:
                    return
                n_atoms = _atom_count(header, f"{origin}, line {line}")
                _fill(frame, stream, header, n_atoms, f"{origin}, line {line}")
            except (*BROKEN_STREAM, OSError) as error:
                raise damaged(error, f"{origin}, line {line + len(frame)}") from error
            text = _decoded(b"".join(frame), origin, line)
            if _is_cut(frame, n_atoms):
                whole = sum(row.endswith(b"\n") for row in frame[2:])
                after = f"after {whole} of {counted(n_atoms, 'atom')}"
                if number == 0:
                    what = f"The file is truncated: it ends within its first structure, {after}."
                    where = f"{origin}, line {line + len(frame) - 1}"
                    raise UserError(what, where, "Copy it again.")
                what = f"The file ends within this structure, {after}; the structure is left out."
                remarks(Remark("cut-structure", origin, what))
                return
            yield _parse(text, origin, line)
            number, line = number + 1, line + len(frame)


def check_compression(path: Path, name: str) -> None:
    """Refuse a compressed file that grows as no file of structures does, where it is read at once.

    Raises
    ------
    UserError
        For more than `MOST_GROWTH` times the size.
    """
    opener = COMPRESSIONS.get(path.suffix.lower())
    if opener is None:
        return
    grown = 0
    with path.open("rb") as raw, opener(raw) as stream:
        while grown < SAMPLED and (chunk := stream.read(1 << 20)):
            grown += len(chunk)
        if grown >= SAMPLED and grown > MOST_GROWTH * raw.tell():
            what = f"Uncompressed, the file is more than {MOST_GROWTH} times as large."
            raise UserError(what, name, "Uncompress it, and check that it is what it should be.")


def damaged(error: Exception, where: str) -> UserError:
    """Return the error for a stream that breaks off."""
    if isinstance(error, BROKEN_STREAM):
        what = f"The compressed file is truncated or damaged: {error}."
        return UserError(what, where, "Copy or compress it again.")
    return UserError(f"The file cannot be read: {error}.", where)


def _open(path: Path) -> io.BufferedReader:
    opener = COMPRESSIONS.get(path.suffix.lower())
    return io.BufferedReader(opener(path, "rb")) if opener else path.open("rb")


def _atom_count(header: bytes, where: str) -> int:
    text = _decoded(header, where)
    try:
        n_atoms = int(text)
    except ValueError:
        n_atoms = -1
    if n_atoms < 0:
        raise UserError(
            f"Expected the number of atoms, found '{text.strip()[:40]}'.",
            where,
            "A frame of extended XYZ is a number of atoms, a comment line, and a line per atom.",
        )
    if n_atoms > MOST_ATOMS:
        what = f"The structure is said to have {n_atoms} atoms; at most {MOST_ATOMS} are read."
        raise UserError(what, where, "Correct the number of atoms.")
    return n_atoms


def _fill(
    frame: list[bytes], stream: io.BufferedReader, header: bytes, n_atoms: int, where: str
) -> None:
    """Append the lines of a frame, fewer where the file ends."""
    frame.append(header)
    size = 0
    while len(frame) < n_atoms + 2 and (raw := stream.readline(LONGEST_LINE)):
        size += len(raw)
        if len(raw) == LONGEST_LINE or size > LONGEST_FRAME:
            _decoded(raw, where)
            what = f"The structure has a line of more than {LONGEST_LINE >> 20} MB"
            if size > LONGEST_FRAME:
                what = f"The structure has more than {LONGEST_FRAME >> 30} GB"
            raise UserError(f"{what}.", where, "Check that this is extended XYZ.")
        frame.append(raw)


def _decoded(raw: bytes, where: str, first_line: int | None = None) -> str:
    """Return text; the error names the line, counted from the first one where it is given."""
    try:
        start = raw.find(b"\0")
        if start < 0:
            return raw.decode("utf-8")
        what, fix = "The file is binary, not text.", "Name a text file; unpack an archive first."
    except UnicodeDecodeError as error:
        start, what = error.start, "The file is not UTF-8 text."
        fix = "Name a text file; convert it to UTF-8 if it is one."
    if first_line is not None:
        line = first_line + raw.count(b"\n", 0, start)
        where = f"{where}, line {line}"
    raise UserError(what, where, fix)


def _is_cut(frame: list[bytes], n_atoms: int) -> bool:
    """Whether the file ends within the frame: in a line of fewer or shorter columns, or before."""
    if len(frame) < n_atoms + 2:
        return True
    if frame[-1].endswith(b"\n") or n_atoms < 2:
        return False
    above, last = frame[-2].split(), frame[-1].split()
    if len(last) < len(above) or (_is_number(above[-1]) and not _is_number(last[-1])):
        return True
    # A number that is cut is a number. Programs write columns of one width, people often do not.
    widths = {len(row.rstrip()) for row in frame[2:-1]}
    return len(widths) == 1 and len(frame[-1].rstrip()) < widths.pop() >= FORMATTED


def _is_number(word: bytes) -> bool:
    try:
        float(word.replace(b"D", b"E").replace(b"d", b"e"))
    except ValueError:
        return False
    return True


def _parse(text: str, origin: str, first_line: int) -> ase.Atoms:
    header, comment, *rows = text.split("\n", 2)
    if comma := _ENERGY_WITH_COMMA.search(comment):
        raise _decimal_comma(comma[1], f"{origin}, line {first_line + 1}")
    if "d" in comment or "D" in comment:
        comment = _FORTRAN.sub(r"\1e\2", comment)
    if rows:
        comment = with_columns_named(comment, rows[0])
    try:
        atoms = _parsed(header, comment, *rows)
    except Exception as error:  # ASE raises many kinds of errors on malformed frames
        repaired = [_FORTRAN_SHORT.sub(r"\1e\2", _FORTRAN.sub(r"\1e\2", row)) for row in rows]
        repaired_atoms = _parsed_or_none(header, comment, *repaired) if repaired != rows else None
        if repaired_atoms is None:
            raise _not_parsed(error, text.splitlines(), origin, first_line) from error
        atoms = repaired_atoms
    name_numbers(atoms.info, comment)
    refuse_other_cell(atoms, comment, f"{origin}, line {first_line + 1}")
    return atoms


def _parsed_or_none(*parts: str) -> ase.Atoms | None:
    try:
        return _parsed(*parts)
    except Exception:  # noqa: BLE001 - the error of the frame as it is counts
        return None


def _parsed(*parts: str) -> ase.Atoms:
    return next(read_xyz(io.StringIO("\n".join(parts)), 0))


def _not_parsed(error: Exception, frame: list[str], origin: str, first_line: int) -> UserError:
    columns = [len(row.split()) for row in frame[2:]]
    wrong = [row for row, n in enumerate(columns) if n != max(columns, key=columns.count)]
    reason, fix = str(error), "Compare the line with the Properties of the frame."
    if isinstance(error, KeyError):
        reason = f"unknown element {error}"
        fix = "Write symbols of chemical elements; in LAMMPS: dump_modify ID element O H."
        wrong = [i for i, row in enumerate(frame[2:]) if _has(row, error)] or wrong
    if "special 3x3 matrix" in reason:
        fix = "Write `stress` and `virial` as 9 numbers, or 6 under another name: REF_stress."
    line = first_line + 2 + wrong[0] if wrong else first_line + 1
    for at, row in enumerate(frame[1:], first_line + 1):
        if comma := _COMMA.search(row):
            return _decimal_comma(comma[0], f"{origin}, line {at}")
    what = f"The structure cannot be parsed: {reason.removesuffix('.')}."
    return UserError(what, f"{origin}, line {line}", fix)


def _has(row: str, error: KeyError) -> bool:
    return str(error.args[0]) in (word.capitalize() for word in row.split())


def _decimal_comma(number: str, where: str) -> UserError:
    what = f"'{number}' has a decimal comma."
    return UserError(what, where, "Write numbers with a decimal point.")

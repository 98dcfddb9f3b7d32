"""Extended XYZ: split into frames here, parsed by ASE.

A compressed file is read once from beginning to end, errors name the frame and the line, and
neither an endless line nor a wrong number of atoms can fill the memory.
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

from reann.data.files.skipped import ReportSkipped, SkippedData
from reann.data.files.unnamed_columns import name_numbers, refuse_other_cell, with_columns_named
from reann.errors import UserError, counted

COMPRESSIONS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
SUFFIXES = (".xyz", ".extxyz")
BROKEN_STREAM = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)

LONGEST_LINE, LONGEST_FRAME = 1 << 24, 1 << 31
"""Bytes."""
SAMPLED, MOST_GROWTH = 1 << 26, 200
"""Uncompressed bytes of a sample, and the maximum ratio to the compressed size."""
MOST_ATOMS = 10_000_000
"""Maximum number of atoms in a structure."""
FORMATTED = 40
"""Minimum length of a line with fixed column widths: three coordinates with eight decimals."""

_FORTRAN = re.compile(r"(?<![\w.])([+-]?(?:\d+\.\d*|\.\d+))[dD]([+-]?\d+)(?![\w.])")
"""For example 1.5D-03."""
_FORTRAN_SHORT = re.compile(r"(?<![\w.])([+-]?\d*\.\d+)([+-]\d{3})(?![\w.])")
"""For example 1.5-103, where three digits of the exponent replace the letter."""
_COMMA = re.compile(r"(?<![^\s\"])[+-]?\d+,\d+(?![^\s\"])")
_ENERGY_WITH_COMMA = re.compile(r"energy\w*=\"?([+-]?\d+,\d+)\"?(?!\S)", re.IGNORECASE)


def is_extended_xyz(path: Path) -> bool:
    """Return whether the suffix, apart from that of a compression, is that of extended XYZ."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in SUFFIXES


def read_frames(path: Path, name: str, report_skipped: ReportSkipped) -> Iterator[ase.Atoms]:
    """Yield the structures of a file.

    If a file ends within a structure, such as the trajectory of a run that was killed, this
    structure is skipped and reported.

    Raises
    ------
    UserError
        If a line cannot be read, or the file ends within its first structure.
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
                what = f"The file ends within this structure, {after}; the structure is skipped."
                report_skipped(SkippedData("cut-structure", origin, what))
                return
            yield _parse(text, origin, line)
            number, line = number + 1, line + len(frame)


def check_compression(path: Path, name: str) -> None:
    """Refuse a compressed file with an implausible compression ratio.

    Raises
    ------
    UserError
        If the uncompressed size is more than `MOST_GROWTH` times the compressed size.
    """
    opener = COMPRESSIONS.get(path.suffix.lower())
    if opener is None:
        return
    grown = 0
    with path.open("rb") as raw, opener(raw) as stream:
        while grown < SAMPLED and (chunk := stream.read(1 << 20)):
            grown += len(chunk)
        if grown >= SAMPLED and grown > MOST_GROWTH * raw.tell():
            what = f"The uncompressed file is more than {MOST_GROWTH} times as large."
            raise UserError(what, name, "Uncompress it and check its content.")


def damaged(error: Exception, where: str) -> UserError:
    """Return the error for a truncated or damaged stream."""
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
            f"The number of atoms is expected here, not '{text.strip()[:40]}'.",
            where,
            "A structure has a line with the number of atoms, a comment line, and a line per atom.",
        )
    if n_atoms > MOST_ATOMS:
        what = f"The number of atoms is {n_atoms}, more than the maximum of {MOST_ATOMS}."
        raise UserError(what, where, "Correct the number of atoms.")
    return n_atoms


def _fill(
    frame: list[bytes], stream: io.BufferedReader, header: bytes, n_atoms: int, where: str
) -> None:
    """Append the lines of a frame; fewer if the file ends."""
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
    """Return the text; if `first_line` is given, errors name the line."""
    try:
        start = raw.find(b"\0")
        if start < 0:
            return raw.decode("utf-8")
        what, fix = "The file is binary, not text.", "Use a text file; unpack archives first."
    except UnicodeDecodeError as error:
        start, what = error.start, "The file is not UTF-8 text."
        fix = "Use a text file in UTF-8."
    if first_line is not None:
        line = first_line + raw.count(b"\n", 0, start)
        where = f"{where}, line {line}"
    raise UserError(what, where, fix)


def _is_cut(frame: list[bytes], n_atoms: int) -> bool:
    """Return whether the file ends within the frame: lines are missing or the last is cut."""
    if len(frame) < n_atoms + 2:
        return True
    if frame[-1].endswith(b"\n") or n_atoms < 2:
        return False
    above, last = frame[-2].split(), frame[-1].split()
    if len(last) < len(above) or (_is_number(above[-1]) and not _is_number(last[-1])):
        return True
    # A truncated number is still a number, but shortens a line of columns with fixed widths.
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
    reason, fix = str(error), "Check that the line agrees with the Properties of the frame."
    if isinstance(error, KeyError):
        reason = f"unknown element {error}"
        fix = "Write symbols of chemical elements (in LAMMPS: dump_modify ID element O H)."
        wrong = [i for i, row in enumerate(frame[2:]) if _has(row, error)] or wrong
    if "special 3x3 matrix" in reason:
        fix = "Write `stress` and `virial` as 9 numbers, or as 6 numbers named REF_stress."
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

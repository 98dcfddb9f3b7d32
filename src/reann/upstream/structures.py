"""Data files `configuration` of the original, line by line.

A structure is a title, three rows of the cell in Å, ``pbc 1 1 1``, a line
``element mass x y z [fx fy fz]`` for each atom, and ``abprop: value ...``: the energy in eV, or a
dipole (3 numbers) or polarizability (9) in a unit that is not in the file. Of more numbers the
original reads the first ones, as many as `start_table` in `input_nn` says. An element D is hydrogen
with the mass in the file.

Files of FIREANN have one line of labels behind pbc, ``Energy='..' Dipole='.. .. ..' POL='..'``,
and end with ``External_field: Fx Fy Fz``, V/Å. There Dipole is +dE/dF in e Å and POL +d2E/dF2 in
e Å^2/V: they are turned into the physical dipole and polarizability.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann.errors import UserError, did_you_mean
from reann.units import COULOMB
from reann.upstream.settings import ISOTOPES

KEYS = {1: "energy", 3: "dipole", 9: "polarizability"}
"""Name of the label by its number of values; three may also be a transition dipole."""

LAYOUT = "Lines are: title, 3 of the cell, pbc, element mass x y z [fx fy fz], ..., abprop: value."
ENDS = ("abprop:", "External_field:")
"""First words of the last line of a structure: of the original, of FIREANN."""
IN_FIELD = {
    "Energy": ("energy", 1.0),
    "Dipole": ("dipole", -1.0),
    "POL": ("polarizability", -COULOMB),
}
"""Labels of FIREANN, and what makes e Å and Å^3 of them, with the physical sign."""


class Structure(NamedTuple):
    """A structure as in the file."""

    cell: NDArray[np.float64]
    """(3, 3), Å, rows are lattice vectors."""
    pbc: list[bool]
    symbols: list[str]
    columns: NDArray[np.float64]
    """(atoms, 4 or 7): mass, coordinates and forces in eV/Å."""
    label: list[float]
    """The numbers behind abprop that are used; none in files of FIREANN."""
    shortened: bool
    """Whether further numbers stand behind abprop."""
    where: str
    """File and line of the title."""
    in_field: dict[str, list[float]] | None = None
    """Labels of FIREANN in eV, e Å and Å^3, and the field in V/Å."""


def structures(file: TextIO, path: Path, n_numbers: int | None = None) -> Iterator[Structure]:
    """Yield the structures of a file, with coordinates as they are in it.

    Parameters
    ----------
    n_numbers
        How many numbers behind `abprop` are the label; if None, all.

    Raises
    ------
    UserError
        If lines do not have the expected layout, or elements are unknown.
    """
    lines = enumerate(file, start=1)
    for number, title in lines:
        if not title.strip():
            continue
        where = f"{path}, line {number}"
        cell = np.array([_numbers(_next(lines, path), path, [3]) for _ in range(3)])
        at, words = _next(lines, path)
        if words[:1] != ["pbc"]:
            raise _error("'pbc' and three numbers were expected", at, path)
        pbc = [x != 0 for x in _numbers((at, words[1:]), path, [3])]
        symbols, rows, in_field = [], [], None
        while (line := _next(lines, path))[1][:1] not in ([end] for end in ENDS):
            at, words = line
            if not rows and in_field is None and "=" in " ".join(words):
                in_field = _in_field(line, path)
                continue
            element = ISOTOPES.get(words[0], words[0]) if words else ""
            if element not in chemical_symbols[1:]:
                hint = did_you_mean(words[0], chemical_symbols[1:]) if words else ""
                raise _error(f"an element or 'abprop:' was expected.{hint}".rstrip("."), at, path)
            symbols.append(element)
            rows.append(_numbers((at, words[1:]), path, [len(rows[0])] if rows else [4, 7]))
        if not rows:
            raise _error("the structure has no atoms", line[0], path)
        end, *words = line[1]
        if (end == ENDS[1]) != (in_field is not None):
            raise _error("labels of FIREANN and an external field belong together", line[0], path)
        label, shortened = [], False
        if in_field is not None:
            in_field["field"] = _numbers((line[0], words), path, [3])
        else:
            label = _label((line[0], words), path, n_numbers)
            shortened = len(label) < len(words)
        yield Structure(cell, pbc, symbols, np.array(rows), label, shortened, where, in_field)


def _in_field(line: tuple[int, list[str]], path: Path) -> dict[str, list[float]]:
    """Return the labels of FIREANN in eV, e Å and Å^3, the dipole as -dE/dF."""
    at, text = line[0], " ".join(line[1])
    labels: dict[str, list[float]] = {}
    for name, quoted in re.findall(r"(\w+)\s*=\s*'([^']*)'", text):
        if name not in IN_FIELD:
            known = ", ".join(IN_FIELD)
            raise _error(f"'{name}' is not a label of FIREANN, which are {known}", at, path)
        label, factor = IN_FIELD[name]
        count = {"energy": 1, "dipole": 3, "polarizability": 9}[label]
        labels[label] = [factor * x for x in _numbers((at, quoted.split()), path, [count])]
    if re.sub(r"(\w+)\s*=\s*'([^']*)'", "", text).strip() or not labels:
        raise _error("labels such as Energy='..' Dipole='.. .. ..' were expected", at, path)
    return labels


def _label(line: tuple[int, list[str]], path: Path, n_numbers: int | None) -> list[float]:
    """Return the first `n_numbers` behind abprop; all, if that is None."""
    at, words = line
    n_used = n_numbers or len(words)
    if n_used not in KEYS or len(words) < n_used:
        expected = n_numbers or " or ".join(map(str, KEYS))
        raise UserError(
            f"abprop has {len(words)} numbers; expected {expected}.",
            f"{path}, line {at}",
            "Put para/input_nn of the training next to the file: its `start_table` says how many"
            " of them are used, 1 (for 0 and 1), 3 (for 2 and 3) or 9 (for 4).",
        )
    return _numbers((at, words[:n_used]), path, [n_used])


def _next(lines: Iterator[tuple[int, str]], path: Path) -> tuple[int, list[str]]:
    line = next(lines, None)
    if line is None:
        raise UserError("The file ends within a structure.", str(path), LAYOUT)
    return line[0], line[1].split()


def _numbers(line: tuple[int, list[str]], path: Path, counts: list[int]) -> list[float]:
    at, words = line
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) not in counts or not np.isfinite(values).all():
        raise _error(f"{' or '.join(map(str, counts))} numbers were expected", at, path)
    return values


def _error(what: str, line: int, path: Path) -> UserError:
    what = f"This is not a file `configuration`: {what}."
    return UserError(what, f"{path}, line {line}", LAYOUT)

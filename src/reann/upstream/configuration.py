"""Conversion of data files `configuration` of the original to extended XYZ.

A structure is a title, three rows of the cell in Å, ``pbc 1 1 1``, a line
``element mass x y z [fx fy fz]`` for each atom, and ``abprop: value ...``: the energy in eV, or a
dipole (3 numbers) or polarizability (9) in a unit that is not in the file. Coordinates are
Cartesian, or fractional if `table_coor` is 1 in `input_nn`, which is not in the file either.

Files of FIREANN have one line of labels behind pbc, ``Energy='..' Dipole='.. .. ..' POL='..'``,
and end with ``External_field: Fx Fy Fz``, V/Å. There Dipole is +dE/dF in e Å and POL +d2E/dF2 in
e Å^2/V: they are turned into the physical dipole and polarizability.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann.errors import UserError, did_you_mean
from reann.units import COULOMB
from reann.upstream.purpose import TRANSITION, size_of_unit

KEYS = {1: "energy", 3: "dipole", 9: "polarizability"}
"""Name of the label by its number of values; three may also be a transition dipole."""

TOO_CLOSE = 0.3
"""Å; atoms of real structures are never closer."""

FARTHEST_FRACTION = 2.5
"""Fractional coordinates are rarely larger."""

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
    """What stands behind abprop; none in files of FIREANN."""
    where: str
    """File and line of the title."""
    in_field: dict[str, list[float]] | None = None
    """Labels of FIREANN in eV, e Å and Å^3, and the field in V/Å."""


def read_configuration(path: Path, fractional: bool | None = None) -> Iterator[Structure]:
    """Yield the structures of a file with Cartesian coordinates.

    Parameters
    ----------
    fractional
        Value of `table_coor`; if None, it is determined from the first structure.

    Raises
    ------
    UserError
        If lines do not have the expected layout, elements are unknown, or atoms are too close
        because the kind of coordinates is wrong.
    """
    is_set = fractional is not None
    with path.open(encoding="utf-8", errors="replace") as file:
        for structure in _structures(file, path):
            if fractional is None:
                fractional = _decide(structure)
            if fractional:
                structure.columns[:, 1:4] = structure.columns[:, 1:4] @ structure.cell
            if _collide(structure.columns[:, 1:4]):
                kind = "fractional" if fractional else "Cartesian"
                source = "para/input_nn" if is_set else "the first structure"
                raise UserError(
                    f"Atoms are closer than {TOO_CLOSE} Å if coordinates are {kind}, according to"
                    f" {source}.",
                    structure.where,
                    "Set `table_coor` to 0 for Cartesian and 1 for fractional coordinates.",
                )
            yield structure


def write_extxyz(structures: Iterable[Structure], file: TextIO, settings: Mapping[str, Any]) -> int:
    """Write structures with all digits and return their number.

    Raises
    ------
    UserError
        If the settings lack the `unit` of dipoles and polarizabilities, or have one for energies.
    """
    count = 0
    for structure in structures:
        count += 1
        labels = structure.in_field or dict([_label(structure, settings)])
        columns = "species:S:1:pos:R:3:masses:R:1"
        if structure.columns.shape[1] == 7:
            columns += ":forces:R:3"
        cell = " ".join(repr(float(x)) for x in structure.cell.flat)
        written = " ".join(f"{name}={_quoted(values)}" for name, values in labels.items())
        pbc = " ".join("T" if periodic else "F" for periodic in structure.pbc)
        print(len(structure.symbols), file=file)
        print(
            f'Lattice="{cell}" Properties={columns} {written} pbc="{pbc}"',
            file=file,
        )
        for symbol, row in zip(structure.symbols, structure.columns.tolist(), strict=True):
            mass, *position = row[:4]
            print(symbol, *map(repr, [*position, mass, *row[4:]]), file=file)
    return count


def _quoted(values: list[float]) -> str:
    text = " ".join(repr(x) for x in values)
    return f'"{text}"' if len(values) > 1 else text


def _label(structure: Structure, settings: Mapping[str, Any]) -> tuple[str, list[float]]:
    """Return the name of the label of a structure, and its numbers in eV, e Å or Å^3."""
    name = KEYS[len(structure.label)]
    if name == "dipole" and settings.get("start_table") == TRANSITION:
        name = "transition_dipole"
    if name != "energy":
        size = size_of_unit(settings, name)
        return name, [size * x for x in structure.label]
    if settings.get("unit") is not None:
        raise UserError(
            f"unit = {settings['unit']!r} has no meaning for the energy of a structure.",
            structure.where,
            "Remove it.",
        )
    return name, structure.label


def _structures(file: TextIO, path: Path) -> Iterator[Structure]:
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
            if not words or words[0] not in chemical_symbols[1:]:
                hint = did_you_mean(words[0], chemical_symbols[1:]) if words else ""
                raise _error(f"an element or 'abprop:' was expected.{hint}".rstrip("."), at, path)
            symbols.append(words[0])
            rows.append(_numbers((at, words[1:]), path, [len(rows[0])] if rows else [4, 7]))
        if not rows:
            raise _error("the structure has no atoms", line[0], path)
        end, *words = line[1]
        if (end == ENDS[1]) != (in_field is not None):
            raise _error("labels of FIREANN and an external field belong together", line[0], path)
        counts = [3] if in_field is not None else list(KEYS)
        label = _numbers((line[0], words), path, counts)
        if in_field is not None:
            in_field["field"], label = label, []
        yield Structure(cell, pbc, symbols, np.array(rows), label, where, in_field)


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


def _collide(positions: NDArray[np.float64]) -> bool:
    """Return whether two of the first atoms are too close, ignoring periodic images."""
    first_atoms = positions[:200]
    distances = np.linalg.norm(first_atoms[:, None] - first_atoms[None], axis=-1)
    return bool(distances[np.triu_indices(len(first_atoms), 1)].min(initial=np.inf) < TOO_CLOSE)


def _decide(structure: Structure) -> bool:
    """Return whether the coordinates are fractional; raises `UserError` if it is ambiguous."""
    coordinates = structure.columns[:, 1:4]
    if np.abs(coordinates).max() > FARTHEST_FRACTION or _collide(coordinates @ structure.cell):
        return False
    if _collide(coordinates):
        return True
    raise UserError(
        "The coordinates could be Cartesian or fractional.",
        structure.where,
        "Put para/input_nn of the training next to the file, with `table_coor = 0` for Cartesian or"
        " 1 for fractional coordinates.",
    )

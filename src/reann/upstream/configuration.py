"""Conversion of data files `configuration` of the original to extended XYZ.

Coordinates are Cartesian, or fractional if `table_coor` in `input_nn` is 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from reann.errors import UserError
from reann.upstream.coordinates import (
    FARTHEST_FRACTION,
    TOO_CLOSE,
    Image,
    collide,
    image_of_original,
)
from reann.upstream.purpose import TRANSITION, size_of_unit
from reann.upstream.structures import KEYS, Structure, structures


class Configuration:
    """The structures of a file with Cartesian coordinates; iterate over it once.

    Parameters
    ----------
    fractional
        Whether coordinates are fractional; if None, it is determined from the first structure.
    n_numbers
        How many numbers behind `abprop` are the label; if None, all.
    source
        What `fractional` follows from, for error messages.

    Attributes
    ----------
    count
        How many structures have been read.
    images
        For how many of them each kind of `Image` was taken.
    shortened
        In how many of them numbers behind `abprop` were left out.
    """

    def __init__(
        self,
        path: Path,
        fractional: bool | None = None,
        n_numbers: int | None = None,
        source: str = "the first structure",
    ) -> None:
        self.path, self.fractional, self.n_numbers = path, fractional, n_numbers
        self.source = source
        self.count = self.shortened = 0
        self.images: Counter[Image] = Counter()

    def __iter__(self) -> Iterator[Structure]:
        """Yield the structures.

        Raises
        ------
        UserError
            If lines do not have the expected layout, elements are unknown, or atoms are too close
            because the kind of coordinates is wrong.
        """
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for structure in structures(file, self.path, self.n_numbers):
                if self.fractional is None:
                    self.fractional = _decide(structure)
                self._place(structure)
                self.count += 1
                self.shortened += structure.shortened
                yield structure

    def _place(self, structure: Structure) -> None:
        """Replace the coordinates by Cartesian ones of one image."""
        columns = structure.columns
        if self.fractional:
            columns[:, 1:4] = columns[:, 1:4] @ structure.cell
        if collide(columns[:, 1:4]):
            kind = "fractional" if self.fractional else "Cartesian"
            raise UserError(
                f"Atoms are closer than {TOO_CLOSE} Å if coordinates are {kind}, according to"
                f" {self.source}.",
                structure.where,
                "Set --coordinates to cartesian or fractional, or correct `table_coor` in"
                " para/input_nn: 0 for Cartesian, 1 for fractional.",
            )
        columns[:, 1:4], image = image_of_original(columns[:, 1:4], structure.cell, structure.pbc)
        self.images[image] += 1

    def summary(self) -> list[str]:
        """Return sentences about the structures that have been read."""
        kind = "fractional" if self.fractional else "Cartesian"
        structures = "1 structure" if self.count == 1 else f"{self.count} structures"
        lines = [f"{structures}; coordinates are {kind}, according to {self.source}."]
        if n := self.images[Image.MOVED]:
            lines.append(
                f"In {n} of them the cell cuts a slab along a direction that is not periodic; its"
                " atoms were joined by lattice vectors, as in the original."
            )
        if n := self.images[Image.KEPT]:
            lines.append(
                f"In {n} of them atoms are farther than half the cell from the first one along a"
                " direction that is not periodic. They were kept; the original moves them by a"
                " lattice vector."
            )
        if self.shortened:
            lines.append(
                f"In {self.shortened} of them abprop has more than {self.n_numbers} numbers; the"
                " others are not used, as in the original."
            )
        return lines


def write_extxyz(
    structures: Iterable[Structure], file: TextIO, settings: Mapping[str, Any]
) -> None:
    """Write structures with all digits.

    Raises
    ------
    UserError
        If the settings lack the `unit` of dipoles and polarizabilities, or have one for energies.
    """
    for structure in structures:
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


def _decide(structure: Structure) -> bool:
    """Return whether the coordinates are fractional; raises `UserError` if it is ambiguous."""
    coordinates = structure.columns[:, 1:4]
    if np.abs(coordinates).max() > FARTHEST_FRACTION or collide(coordinates @ structure.cell):
        return False
    if collide(coordinates):
        return True
    raise UserError(
        "The coordinates could be Cartesian or fractional.",
        structure.where,
        "Set --coordinates to cartesian or fractional, in Python `coordinates`, or put"
        " para/input_nn of the training beside the file, with `table_coor` 0 (Cartesian) or 1"
        " (fractional).",
    )

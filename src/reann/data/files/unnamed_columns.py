"""Columns, numbers and cells of extended XYZ files without a name that readers recognize.

Readers ignore columns that are not in `Properties`, single numbers in the comment line, and a cell
that is not called `Lattice`. Here columns and numbers are named by their position, so that they can
be used like any other key, and such a cell is an error.
"""

from __future__ import annotations

import re
from typing import Any

import ase
import numpy as np

from reann.errors import UserError

PLAIN = "species:S:1:pos:R:3"
"""Properties of a file without `Properties`."""
_PROPERTIES = re.compile(r"(?<!\S)properties=(\"?)([\w:]+)\1(?!\S)", re.IGNORECASE)
_LATTICE = re.compile(r"(?<!\S)lattice=", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\{[^}]*\}|\[[^\]]*\]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_CELL = re.compile(
    r"(?:unit_?|super_?|simulation_?)?(?:cell|lattice|box)(?:_?vectors?)?", re.IGNORECASE
)


def with_columns_named(comment: str, rows: str) -> str:
    """Return the comment line with `Properties` completed by unnamed numeric columns.

    Their names are of the form ``columns_5_to_7``. `Properties` and `Lattice` are spelled as ASE
    requires.
    """
    comment = _LATTICE.sub("Lattice=", comment, count=1)
    match = _PROPERTIES.search(comment)
    if match is None and "properties=" in comment.lower():
        return comment  # in a form that only ASE can parse
    properties = match[2] if match else PLAIN
    if match:
        comment = f"{comment[: match.start()]}Properties={properties}{comment[match.end() :]}"
    named = sum(int(width) for width in properties.split(":")[2::3] if width.isdecimal())
    first = rows[: rows.find("\n") if "\n" in rows else None].split()
    if len(first) <= named:
        return comment
    split_rows = [row.split() for row in rows.splitlines()]
    if not all(
        len(row) == len(first) and all(map(_NUMBER.fullmatch, row[named:]))
        for row in split_rows
        if row
    ):
        return comment
    width = len(first) - named
    name = f"columns_{named + 1}_to_{len(first)}" if width > 1 else f"column_{len(first)}"
    entry = f"Properties={properties}:{name}:R:{width}"
    return _PROPERTIES.sub(entry, comment, count=1) if match else f"{comment} {entry}"


def name_numbers(info: dict[str, Any], comment: str) -> None:
    """Name single numbers in a comment line by their position, in place: the third is `word_3`.

    ASE would read such a number as the name of a flag.
    """
    alone = {key for key, value in info.items() if value is True and _NUMBER.fullmatch(key)}
    if not alone:
        return
    for position, word in enumerate(_QUOTED.sub("''", comment).split(), 1):
        if word in alone:
            info[f"word_{position}"] = float(word)
    for word in alone:
        del info[word]


def refuse_other_cell(atoms: ase.Atoms, comment: str, origin: str) -> None:
    """Raise `UserError` if a structure without a cell has one under another key.

    If the file has `pbc`, the cell is not needed or will be reported as missing.
    """
    if atoms.cell.array.any() or "pbc=" in comment.lower():
        return
    for key, value in atoms.info.items():
        if _CELL.fullmatch(key) and np.size(value) in (3, 6, 9) and np.ndim(value):
            raise UserError(
                f"The cell is under the key '{key}', which is not read as a cell.",
                origin,
                'Write the three lattice vectors as Lattice="ax ay az bx by bz cx cy cz", or'
                ' pbc="F F F" for a molecule.',
            )

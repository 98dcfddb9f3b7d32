"""What an extended XYZ file holds without the name that its readers expect.

Readers pass over columns that `Properties` does not name, over numbers in the comment line that
stand alone, and over a cell that is not called `Lattice`. Here columns and numbers get a name by
their place, so that they are listed, asked about and usable like any key, and a cell is refused.
"""

from __future__ import annotations

import re
from typing import Any

import ase
import numpy as np

from reann.errors import UserError

PLAIN = "species:S:1:pos:R:3"
"""Properties of a file that does not state them."""
_PROPERTIES = re.compile(r"(?<!\S)properties=(\"?)([\w:]+)\1(?!\S)", re.IGNORECASE)
_LATTICE = re.compile(r"(?<!\S)lattice=", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\{[^}]*\}|\[[^\]]*\]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_CELL = re.compile(
    r"(?:unit_?|super_?|simulation_?)?(?:cell|lattice|box)(?:_?vectors?)?", re.IGNORECASE
)


def with_columns_named(comment: str, rows: str) -> str:
    """Return the comment line with a name in `Properties` for numbers at the end of each row.

    The names are as ``columns_5_to_7``. `Properties` and `Lattice` are written as ASE reads them.
    """
    comment = _LATTICE.sub("Lattice=", comment, count=1)
    match = _PROPERTIES.search(comment)
    if match is None and "properties=" in comment.lower():
        return comment  # stated in a way that only ASE understands
    given = match[2] if match else PLAIN
    if match:
        comment = f"{comment[: match.start()]}Properties={given}{comment[match.end() :]}"
    named = sum(int(width) for width in given.split(":")[2::3] if width.isdecimal())
    first = rows[: rows.find("\n") if "\n" in rows else None].split()
    if len(first) <= named:
        return comment
    every = [row.split() for row in rows.splitlines()]
    if not all(
        len(row) == len(first) and all(map(_NUMBER.fullmatch, row[named:])) for row in every if row
    ):
        return comment
    width = len(first) - named
    name = f"columns_{named + 1}_to_{len(first)}" if width > 1 else f"column_{len(first)}"
    properties = f"Properties={given}:{name}:R:{width}"
    return _PROPERTIES.sub(properties, comment, count=1) if match else f"{comment} {properties}"


def name_numbers(info: dict[str, Any], comment: str) -> None:
    """Replace numbers that stand alone in a comment line, in place: the third word is `word_3`.

    ASE takes such a number for the name of something true.
    """
    alone = {key for key, value in info.items() if value is True and _NUMBER.fullmatch(key)}
    if not alone:
        return
    for place, word in enumerate(_QUOTED.sub("''", comment).split(), 1):
        if word in alone:
            info[f"word_{place}"] = float(word)
    for word in alone:
        del info[word]


def refuse_other_cell(atoms: ase.Atoms, comment: str, origin: str) -> None:
    """Raise `UserError` for a structure without a cell that has one under another key.

    Where the file says what is periodic (`pbc`), the cell is not needed or found missing later.
    """
    if atoms.cell.array.any() or "pbc=" in comment.lower():
        return
    for key, value in atoms.info.items():
        if _CELL.fullmatch(key) and np.size(value) in (3, 6, 9) and np.ndim(value):
            raise UserError(
                f"The cell is under '{key}', where it is not read: the structure has no cell.",
                origin,
                'Write the three lattice vectors as Lattice="ax ay az bx by bz cx cy cz", or'
                ' pbc="F F F" for a molecule.',
            )

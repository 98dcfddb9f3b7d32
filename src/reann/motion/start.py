"""The initial structure of a run or an export."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ase
import numpy as np

from reann.data.files.read import iter_atoms
from reann.data.labels.names import names_of
from reann.data.labels.values import values_of
from reann.errors import UserError, listed
from reann.quantities import PREFIX, readable

OF_RUNS = ("step", "time_fs", "dynamics")
"""Entries that a run writes into `info`; they are removed from initial structures."""


def read_start(start: ase.Atoms | str | Path) -> tuple[ase.Atoms, str]:
    """Return a copy of a structure, or the last one of a file, and its origin.

    The copy has neither calculator nor labels: a trajectory would otherwise repeat the labels of
    the start in each structure.

    Raises
    ------
    UserError
        For a file that does not exist or cannot be read, a structure without atoms, masses that are
        not positive, and velocities that are not finite.
    """
    atoms = start.copy() if isinstance(start, ase.Atoms) else ase.Atoms()
    where = "start"
    if not isinstance(start, ase.Atoms):
        for atoms, where in iter_atoms(str(start)):  # noqa: B007 - the last one is wanted
            pass
        atoms.calc = None
    _drop_labels(atoms)
    if len(atoms) == 0:
        raise UserError("The initial structure has no atoms.", where)
    _check_motion(atoms, where)
    return atoms, where


def plain_name(model: Path) -> str:
    """Return the name of a potential, or `model.reann` if it has special characters."""
    plain = re.fullmatch(r"[A-Za-z0-9_.+-]+", model.name) is not None
    return model.name if plain else "model.reann"


def title_of(model: Path, start: Path) -> str:
    """Return a line of text with the names of both files, for a comment in an input.

    Names may contain line breaks, which would end the comment, and bytes that are not text.
    """
    text = f"{model.name}, {start}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def time_step(atoms: ase.Atoms) -> float:
    """Return the default time step in fs: 0.5 with hydrogen, else 1."""
    return 0.5 if 1 in atoms.numbers else 1.0


@contextmanager
def at_start(origin: str) -> Iterator[None]:
    """Add the origin of the starting structure to errors of the first computation."""
    try:
        yield
    except UserError as error:
        where = f"{origin}, {error.where}" if error.where else origin
        raise UserError(error.what, where, error.fix) from error


def _check_motion(atoms: ase.Atoms, where: str) -> None:
    """Raise `UserError` for invalid masses and velocities."""
    masses = atoms.get_masses()
    wrong = np.flatnonzero(~(np.isfinite(masses) & (masses > 0)))
    if len(wrong):
        raise UserError(
            f"The mass of atom {listed(wrong)} is not a positive number.",
            where,
            "Correct the masses, or leave them out: default masses of the elements are then used.",
        )
    wrong = np.flatnonzero(~np.isfinite(atoms.get_momenta()).all(axis=1))
    if len(wrong):
        raise UserError(
            f"The velocity of atom {listed(wrong)} is not finite.",
            where,
            "Correct the velocities or momenta, or leave them out.",
        )


def _drop_labels(atoms: ase.Atoms) -> None:
    names = values_of(atoms)
    labels = {key for label in readable() for key in names_of(label, names)}
    labels |= {key for key in names if key.startswith(PREFIX) or key in OF_RUNS}
    for key in labels:
        atoms.info.pop(key, None)
        atoms.arrays.pop(key, None)

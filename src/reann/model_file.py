"""The file of a potential, given by its path or by its run folder."""

from __future__ import annotations

from pathlib import Path

from reann.errors import UserError

MODEL = "model.reann"
"""The potential in a run folder."""

STRUCTURES = frozenset({".xyz", ".extxyz", ".traj", ".cif", ".vasp", ".db"})
"""Suffixes of files of structures, perhaps before that of a compression."""

SET_ASIDE = (".replacing", ".replaced")
"""Hidden folders in a run folder for an earlier run, while and after it is moved."""


def model_file(path: str | Path) -> Path:
    """Return the path of a `.reann` file, given itself or its run folder.

    Raises
    ------
    UserError
        If the folder contains no potential, or the file has the name of a file of structures.
    """
    path = Path(path)
    if not path.is_dir():
        _refuse_structures(path)
        return path
    if not (path / MODEL).is_file():
        fix = restore_advice(path) or "Use a .reann file or the folder of a finished run."
        raise UserError(f"There is no {MODEL} in this folder.", str(path), fix)
    return path / MODEL


def _refuse_structures(path: Path) -> None:
    if not STRUCTURES.isdisjoint(path.suffixes):
        raise UserError(
            "This is a file of structures, not a potential.",
            str(path),
            "On the command line, MODEL comes first, then the files of structures.",
        )


def restore_advice(folder: Path) -> str | None:
    """Return how to restore an earlier run from a hidden folder; None if there is none."""
    if not any((folder / name).is_dir() for name in SET_ASIDE):
        return None
    return f"`reann resume {folder}` restores an earlier run."

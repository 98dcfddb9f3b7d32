"""The file of a potential, given by its own path or by the run folder that holds it."""

from __future__ import annotations

from pathlib import Path

from reann.errors import UserError

MODEL = "model.reann"
"""The potential in a run folder."""

SET_ASIDE = (".replacing", ".replaced")
"""Folders in a run folder that hold an earlier run, while it is moved and when it has been."""


def model_file(path: str | Path) -> Path:
    """Return the path of a `.reann` file: itself, or that of the potential of a run folder.

    Raises
    ------
    UserError
        If the folder holds no potential.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if not (path / MODEL).is_file():
        fix = way_back(path) or "Give a .reann file, or the folder of a finished run."
        raise UserError(f"There is no {MODEL} in this folder.", str(path), fix)
    return path / MODEL


def way_back(folder: Path) -> str | None:
    """Return how an earlier run that lies in a hidden folder comes back; None if there is none."""
    if not any((folder / name).is_dir() for name in SET_ASIDE):
        return None
    return f"`reann resume {folder}` brings an earlier run back."

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
        fix = "Give a .reann file, or the folder of a finished run."
        if any((path / name).is_dir() for name in SET_ASIDE):
            fix = f"`reann resume {path}` brings an earlier run back."
        raise UserError(f"There is no {MODEL} in this folder.", str(path), fix)
    return path / MODEL

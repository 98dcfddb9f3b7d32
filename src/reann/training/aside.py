"""Keep an overwritten run in a hidden folder until the new run has its first checkpoint.

The hidden folder `.replacing` contains its files while they are being moved, in either direction,
and `.replaced` contains them when all have been moved. Therefore the state is known even if the
process is killed at any moment. Without an earlier run `.replaced` is empty; the files of a run
that fails before its first checkpoint are removed, so that the folder can be used again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EEXIST
from pathlib import Path

from reann.errors import UserError
from reann.model_file import SET_ASIDE
from reann.training.folder import has_checkpoint, run_files

MOVING, ASIDE = SET_ASIDE


def set_aside(folder: Path) -> None:
    """Move the files of an earlier run into a hidden folder.

    Raises
    ------
    UserError
        If a file cannot be moved.
    """
    with _moving_in(folder):
        if os.path.lexists(folder / ASIDE):  # a file or a link, which a folder cannot replace
            raise FileExistsError(EEXIST, "a file has this name", str(folder / ASIDE))
        (folder / MOVING).mkdir()
        for file in list(run_files(folder)):
            target = folder / MOVING / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
            _remove_if_empty(file.parent, folder)
        (folder / MOVING).rename(folder / ASIDE)


def is_set_aside(folder: Path) -> bool:
    """Return whether an earlier run, or the mark that there was none, is in a hidden folder."""
    return (folder / MOVING).is_dir() or (folder / ASIDE).is_dir()


def settle(folder: Path) -> bool:
    """Restore the earlier run, or remove it if the new run has a checkpoint.

    Returns
    -------
    bool
        Whether an earlier run was restored.
    """
    restored = False
    with _moving_in(folder):
        if (folder / ASIDE).is_dir():
            if has_checkpoint(folder):
                shutil.rmtree(folder / ASIDE)
                return False
            for file in list(run_files(folder)):
                file.unlink()
                _remove_if_empty(file.parent, folder)
            (folder / ASIDE).rename(folder / MOVING)
        if (folder / MOVING).is_dir():
            for file in list(run_files(folder / MOVING)):
                target = folder / file.relative_to(folder / MOVING)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.rename(target)
                restored = True
            shutil.rmtree(folder / MOVING)
    return restored


def _remove_if_empty(parent: Path, folder: Path) -> None:
    if parent != folder:
        with suppress(OSError):
            parent.rmdir()


@contextmanager
def _moving_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The files of the earlier run cannot be moved or removed ({error.strerror}).",
            str(error.filename or folder),
            "Make the folder writable, or choose another run.folder.",
        ) from error

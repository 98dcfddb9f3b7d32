"""The folder of a run: its files, its lock, and checks before a new run uses it.

`config.yaml` (resolved), `start.reann` (of a warm start), `split.json`, `log.csv`, `model.reann`
(best), `last.ckpt.safetensors` (to continue from) and `report.html`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from reann.atomic_file import open_no_link
from reann.config import Config
from reann.errors import UserError, listed
from reann.model_file import MODEL
from reann.training.distributed import World
from reann.training.setup import SPLIT
from reann.training.state import FILE
from reann.training.trackers import TENSORBOARD

CONFIG, START = "config.yaml", "start.reann"
REPORT, LOG = "report.html", "log.csv"
NAMES = (FILE, CONFIG, START, MODEL, SPLIT, REPORT, LOG)
MEMBER = "seed-"
"""Prefix of the folders of ensemble members."""
WRITTEN_BY = b"# reann "
"""First bytes of each `config.yaml` of a run."""


def folder_of(config: Config) -> Path:
    """Return the configured folder, or `runs/` and the name of the first data file."""
    if config.run.folder is not None:
        return config.run.folder
    name = Path(next(iter(config.data.files()), "run")).name
    stem = name.split(".")[0].replace("*", "").strip("-_")
    return Path("runs") / (stem or "run")


def members_of(config: Config) -> list[Config]:
    """Return the configurations of the members of an ensemble; for a single potential, itself."""
    run = config.run
    if run.seeds == 1:
        return [config]
    return [
        with_run(config, folder=folder_of(config) / f"{MEMBER}{seed}", seed=seed, seeds=1)
        for seed in range(run.seed, run.seed + run.seeds)
    ]


def with_run(config: Config, **changes: object) -> Config:
    """Return the configuration with changes in the section `run`."""
    return config.model_copy(update={"run": config.run.model_copy(update=changes)})


def run_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a run in a folder, including those of ensemble members.

    Links are included, whatever their target: they are not followed when a run writes or moves
    its files.
    """
    folders = (folder, *folder.glob(f"{MEMBER}*"))
    events = (place.glob(f"{TENSORBOARD}/events.out.tfevents.*") for place in folders)
    files = (*chain(*events), *(place / name for name in NAMES for place in folders))
    yield from (file for file in files if file.is_file() or file.is_symlink())


def is_of_run(file: Path) -> bool:
    """Return whether a file belongs to a run in its folder."""
    config = file.with_name(CONFIG)
    in_run = config.is_file() and config.read_bytes().startswith(WRITTEN_BY)
    return in_run and file.name in NAMES


def has_checkpoint(folder: Path) -> bool:
    """Return whether the run or a member of the ensemble can be resumed."""
    return any(file.name == FILE and file.is_file() for file in run_files(folder))


def refuse_another_run(folder: Path) -> None:
    """Raise `UserError` if the folder already contains files of a run."""
    files = [str(file.relative_to(folder)) for file in run_files(folder)]
    if files and has_checkpoint(folder):
        raise UserError(
            "There is already a run in this folder.",
            str(folder),
            f"Continue it with reann.resume('{folder}') (`reann resume {folder}`), choose another"
            " run.folder, "
            "or use overwrite=True (`--overwrite`).",
        )
    if files:
        raise UserError(
            f"This folder already contains files of a run: {listed(files)}.",
            str(folder),
            "Choose another run.folder, or overwrite these files with overwrite=True"
            " (`--overwrite`).",
        )


def refuse_foreign_files(folder: Path) -> None:
    """Raise `UserError` if a run would overwrite files that do not belong to a run of this folder.

    These are a `config.yaml` of the user, the run of an ensemble member, or a separate run in a
    folder named like that of a member.
    """
    config = folder / CONFIG
    if config.is_file() and not config.read_bytes().startswith(WRITTEN_BY):
        raise UserError(
            "The run would overwrite a config.yaml that was not written by `reann train`.",
            str(config),
            "Rename the file, or choose another run.folder.",
        )
    if (ensemble := ensemble_of(folder)) is not None:
        raise UserError(
            f"This folder belongs to a member of the ensemble in {ensemble}.",
            str(folder),
            "Choose another run.folder.",
        )
    for separate in folder.glob(f"{MEMBER}*/{CONFIG}"):  # members have no configuration
        raise UserError(
            f"The run would overwrite the run in {separate.parent}, which is not a member of an"
            " ensemble.",
            str(folder),
            "Choose another run.folder.",
        )


def ensemble_of(folder: Path) -> Path | None:
    """Return the folder of the ensemble that has a member in this folder."""
    folder = folder.resolve()  # also where it is `.` or a link
    parent = folder.parent
    is_member = folder.name.startswith(MEMBER) and (parent / CONFIG).is_file()
    return parent if is_member and (parent / SPLIT).is_file() else None


def remove_leftovers(folder: Path) -> None:
    """Create the folder and remove temporary files of a process that was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, processes: World) -> Iterator[None]:
    """Hold the lock of the folder, which the system releases even if the process is killed."""
    if not processes.leads:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise UserError("The run folder is a file.", str(folder), "Choose another run.folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(open_no_link(folder / ".lock", os.O_RDWR), "w")
    except OSError as error:
        raise UserError(
            f"The run folder cannot be written ({error.strerror}).",
            str(folder),
            "Choose another run.folder.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                "Another process is training in this folder.",
                str(folder),
                "Wait for it, stop it, or choose another run.folder.",
            ) from error
        yield

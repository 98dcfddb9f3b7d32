"""Trackers: where the numbers of a run are sent besides `log.csv`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

from reann.errors import UserError

TENSORBOARD = "tensorboard"
"""Folder of TensorBoard's files in the run folder."""
PACKAGES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}


@runtime_checkable
class Tracker(Protocol):
    """Where metrics are sent besides `log.csv`."""

    def log(self, row: Mapping[str, float], epoch: int) -> None:
        """Send the numbers of an epoch."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


class TensorBoard:
    """Scalars for TensorBoard in the run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.writer = folder / TENSORBOARD, None

    def log(self, row: Mapping[str, float], epoch: int) -> None:
        """Write each number as a scalar; the first epoch hides itself and later ones in old files.

        A run that was killed repeats the epochs after its checkpoint.
        """
        from torch.utils.tensorboard import SummaryWriter

        if self.writer is None:
            self.writer = SummaryWriter(str(self.folder), purge_step=epoch)
        for name, value in row.items():
            self.writer.add_scalar(name, value, epoch)

    def close(self) -> None:
        """Flush and close the file."""
        if self.writer is not None:
            self.writer.close()


class WandB:
    """Metrics for Weights & Biases."""

    def __init__(self, folder: Path) -> None:
        import wandb  # pyright: ignore[reportMissingImports]

        self.run = wandb.init(dir=str(folder), name=folder.name, resume="allow")

    def log(self, row: Mapping[str, float], epoch: int) -> None:
        """Send each number."""
        self.run.log(dict(row), step=epoch)

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


def require_tracker(name: str) -> None:
    """Raise `UserError` when the package of a tracker is missing."""
    try:
        if name in PACKAGES:
            import_module(PACKAGES[name])
    except ImportError as error:
        raise UserError(
            f"The tracker {name} is not installed ({error}).",
            "run.tracker",
            f"pip install {name}, or set run.tracker to none.",
        ) from error


def tracker(name: str, folder: Path) -> Tracker | None:
    """Return the named tracker; `UserError` when it is missing or cannot start."""
    kinds = {"tensorboard": TensorBoard, "wandb": WandB}
    if name not in kinds:
        return None
    require_tracker(name)
    try:
        return kinds[name](folder)
    except Exception as error:
        raise UserError(
            f"The tracker {name} cannot start ({error}).",
            "run.tracker",
            "Mend its account or connection, or set run.tracker to none.",
        ) from error

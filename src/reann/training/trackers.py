"""Trackers: services that receive the metrics of a run in addition to `log.csv`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

from reann.errors import UserError

TENSORBOARD = "tensorboard"
"""Folder of the TensorBoard files in the run folder."""
PACKAGES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}


@runtime_checkable
class Tracker(Protocol):
    """Receives metrics in addition to `log.csv`."""

    def log(self, row: Mapping[str, float], epoch: int) -> None:
        """Send the metrics of an epoch."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


class TensorBoard:
    """Scalars for TensorBoard in the run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.writer = folder / TENSORBOARD, None

    def log(self, row: Mapping[str, float], epoch: int) -> None:
        """Write each metric as a scalar.

        A run that was killed repeats the epochs after its checkpoint; their old values are purged.
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
        """Send the metrics of an epoch."""
        self.run.log(dict(row), step=epoch)

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


def require_tracker(name: str) -> None:
    """Raise `UserError` if the package of a tracker is not installed."""
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
    """Return a tracker by name; raises `UserError` if it is not installed or cannot start."""
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
            "Check its account and the connection, or set run.tracker to none.",
        ) from error

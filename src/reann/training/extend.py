"""Changed settings of a resumed run, and the extension of a finished run.

At the end of a run, the learning rate has decayed and the weight of the energies has increased.
Additional epochs therefore have a new schedule that starts from the best weights. The schedule of
an interrupted run cannot be changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reann import checkpoint
from reann.config import Config, TrainingConfig
from reann.errors import UserError
from reann.training.folder import CONFIG, folder_of, run_files
from reann.training.identity import HARMLESS, Change, changes
from reann.training.state import FILE, Progress, damage_named, is_over

OF_THE_WEIGHTS = ("training.precision", "training.body_rate")
"""Settings of the training that cannot be changed between two schedules."""


def changes_of_schedule(recorded: Mapping[str, Any], config: Config) -> list[Change]:
    """Return changes of settings since the checkpoint that affect more than rounding."""
    return [change for change in changes(recorded, config) if change.name not in HARMLESS]


def refuse_changes(members: Sequence[Config], folder: Path, overrides: Sequence[str] = ()) -> None:
    """Raise `UserError` if a run cannot be resumed with the current settings of its members.

    `overrides` are those of the command line, for the message.
    """
    _refuse_other_members(members, folder, overrides)
    absent = [config for config in members if not (folder_of(config) / FILE).exists()]
    for config in members:
        if config in absent:
            continue
        with damage_named(folder_of(config)):
            header = checkpoint.read_header(folder_of(config) / FILE)
        recorded = header["identity"].get("settings")
        if recorded is None:
            raise UserError(
                "This training was started by an earlier version of reann and cannot be resumed.",
                str(folder_of(config)),
                "Start a new one from its potential: `reann train CONFIG --from model.reann`.",
            )
        different = changes_of_schedule(recorded, config)
        if not different:
            continue
        _refuse_fixed(different, config, folder, overrides)
        progress = Progress.read(header["progress"])
        before = TrainingConfig.model_validate(recorded["training"])
        if absent or not is_over(before, progress):
            raise UserError(
                f"Settings of the training changed before its end: {_listed(different)}. "
                f"The run is at epoch {progress.epoch} of {before.epochs}, and the schedule of an "
                "unfinished run cannot be changed.",
                str(folder_of(config)),
                f"Restore them, finish with `reann resume {folder}`, and then add more epochs; "
                "or start a new run with `--from`.",
            )
        if config.training.time is None and config.training.epochs <= progress.epoch:
            raise UserError(
                f"Settings of the training changed after its last epoch: {_listed(different)}.",
                str(folder_of(config)),
                f"Epoch {progress.epoch} is finished: add more epochs, for example "
                f"`reann resume {folder} training.epochs={2 * progress.epoch}`.",
            )


def _refuse_other_members(
    members: Sequence[Config], folder: Path, overrides: Sequence[str]
) -> None:
    folders = {folder_of(config) for config in members}
    for file in run_files(folder):
        if file.name == FILE and file.parent not in folders:
            raise UserError(
                f"The checkpoint in {file.parent} does not belong to any member with the current "
                "run.seed and run.seeds.",
                _where(("run.seed", "run.seeds"), folder, overrides),
                "Restore run.seed and run.seeds; members can be added to an ensemble, but not"
                " removed.",
            )


def _refuse_fixed(
    different: Sequence[Change], config: Config, folder: Path, overrides: Sequence[str]
) -> None:
    fixed = [change for change in different if not _may_change(change)]
    if fixed:
        raise UserError(
            f"Settings changed that are fixed for a run: {_listed(fixed)}.",
            _where([change.name for change in fixed], folder, overrides),
            "Restore them, or start a new run: `reann train CONFIG --from "
            f"{folder_of(config) / 'model.reann'}` keeps the weights.",
        )


def _where(names: Sequence[str], folder: Path, overrides: Sequence[str]) -> str:
    """Return the overrides of one of the settings; if there are none, the configuration file."""
    setting_overrides = [text for text in overrides if _sets(text.partition("=")[0].strip(), names)]
    return (
        f"command line: {' '.join(setting_overrides)}"
        if setting_overrides
        else str(folder / CONFIG)
    )


def _sets(field: str, names: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{field}.") for name in names)


def _may_change(change: Change) -> bool:
    return change.name.startswith("training.") and change.name not in OF_THE_WEIGHTS


def _listed(changed: Sequence[Change]) -> str:
    return ", ".join(map(str, changed))

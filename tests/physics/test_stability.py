"""A learning rate that is too high is noticed and halved; a stable training does not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reann.config import PlateauSchedule
from reann.training import finish, stability
from reann.training.journal import read_log
from reann.training.run import resume, train
from reann.training.stability import is_unstable
from reann.training.state import Progress, TrainingState
from runs import StoppedError, assert_same_run, fixed_loss, small, stop_in

CONSTANT = PlateauSchedule(patience=1000)
"""A schedule that does not change the learning rate."""


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """The report has tests of its own."""
    monkeypatch.setattr(finish, "write_report", lambda *args, **kwargs: None)


def with_losses(monkeypatch, values: Callable[[int], float]) -> None:
    """Let the validation loss of an epoch be what `values` says; few steps are enough."""
    fixed_loss(monkeypatch, values)
    monkeypatch.setattr(stability, "FEWEST_STEPS", 1)


def rates(folder: Path) -> list[float]:
    """Return the learning rate of each epoch."""
    return [row["learning_rate"] for row in read_log(folder / "log.csv")]


def test_a_validation_loss_that_stays_high_halves_the_rate(tmp_path, monkeypatch, capsys) -> None:
    with_losses(monkeypatch, lambda epoch: {0: 100.0, 1: 1.0}.get(epoch, 6.0))
    seen, calm = [], TrainingState.calm

    def watched(self: TrainingState) -> None:
        calm(self)
        live = dict(self.model.named_parameters())
        seen.append(all(torch.equal(live[name], best) for name, best in self.best.items()))
        assert self.optimizer.state  # moments are kept

    monkeypatch.setattr(TrainingState, "calm", watched)
    run = train(small(tmp_path / "run", epochs=13, schedule=CONSTANT, learning_rate=1e-3))
    assert seen == [True] * 3
    # Rows contain the rate before the change: epochs 2 to 4 are high, then 5 to 7, then 8 to 10.
    steps = [1e-3] * 5 + [5e-4] * 3 + [2.5e-4] * 3 + [1.25e-4] * 3
    assert rates(run.folder) == pytest.approx(steps)
    out = capsys.readouterr().out
    assert out.count("back to the weights of epoch 1 with half the learning rate") == 3


@pytest.mark.parametrize(
    "losses",
    [
        lambda epoch: {0: 100.0, 1: 1.0}.get(epoch, 4.9),
        lambda epoch: {0: 100.0, 1: 1.0}.get(epoch, 2.0 if epoch % 3 == 0 else 6.0),
        lambda epoch: 1.0 if epoch == 0 else 6.0,  # the potential before a fine-tuning
    ],
    ids=["below the limit", "never three in a row", "best before the first step"],
)
def test_the_rate_of_other_trainings_does_not_change(tmp_path, monkeypatch, losses) -> None:
    with_losses(monkeypatch, losses)
    run = train(small(tmp_path / "run", epochs=8, schedule=CONSTANT, learning_rate=1e-3))
    assert rates(run.folder) == pytest.approx([1e-3] * 9)


def test_three_hundred_steps_are_needed() -> None:
    for steps, epochs in ((1, 300), (20, 15), (99, 4), (100, 3), (5000, 3)):
        progress = Progress(lowest_loss=1.0, best_epoch=1)
        found = [is_unstable(progress, 6.0, steps) for _ in range(epochs)]
        assert found == [False] * (epochs - 1) + [True]


def test_a_run_that_is_interrupted_between_high_losses_is_the_same(tmp_path, monkeypatch) -> None:
    with_losses(monkeypatch, lambda epoch: {0: 100.0, 1: 1.0}.get(epoch, 6.0))
    changes = {"epochs": 6, "schedule": CONSTANT, "learning_rate": 1e-3}
    whole = train(small(tmp_path / "whole", **changes))
    with monkeypatch.context() as patch:
        stop_in(patch, 4, 1)
        with pytest.raises(StoppedError):
            train(small(tmp_path / "broken", **changes))
    broken = resume(tmp_path / "broken")
    assert_same_run(whole.folder, broken.folder)

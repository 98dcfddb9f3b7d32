"""The advice at the end of a training follows from the errors of training and validation."""

from pathlib import Path

import numpy as np
import pytest

from reann.config import Config
from reann.error_measures import key
from reann.evaluation.comparison import Evaluation
from reann.training.advice import advice_of

RMSE = 30.0
"""meV/Å, of the validation set."""


def validation(rmse: float = RMSE) -> Evaluation:
    """Return an evaluation of one structure with this RMSE of the forces, meV/Å."""
    reference = np.zeros((4, 3))
    predicted = np.full((4, 3), 1e-3 * rmse)
    n_atoms, numbers = np.array([4]), np.full(4, 14)
    labels = {"forces": reference}, {"forces": predicted}
    return Evaluation(["a"], [""], n_atoms, numbers, *labels)


def advice(train_rmse: float, **settings) -> str | None:
    config = Config(data={"train": "a.xyz"}, **settings)
    train = f"train_{key('forces', 'rmse')}"
    rows = [{"valid_loss": loss, train: rmse} for loss, rmse in [(2.0, 80.0), (1.0, train_rmse)]]
    return advice_of(config, rows, validation(), Path("runs/a"))


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(0.9, "not overfitted"), (1.4, "not overfitted"), (2.0, "slightly overfitted"), (5.0, "over")],
)
def test_the_ratio_decides(ratio, words):
    text = advice(RMSE / ratio)
    assert text is not None
    assert text.startswith(words)
    assert f"{ratio:.2g} times those in training" in text


def test_a_longer_training_and_a_larger_model_are_proposed():
    text = advice(RMSE, training={"epochs": 40})
    assert "`reann resume runs/a training.epochs=80`" in text
    assert "model.preset=accurate" in text
    assert "preset" not in advice(RMSE, model={"preset": "accurate"})


def test_without_forces_there_is_no_advice():
    config = Config(data={"train": "a.xyz"})
    assert advice_of(config, [], validation(), Path("runs/a")) is None
    bare = Evaluation(["a"], [""], np.array([4]), np.full(4, 14), {}, {})
    assert advice_of(config, [], bare, Path("runs/a")) is None

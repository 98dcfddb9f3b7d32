"""The advice at the end of a training follows from the errors of training and validation."""

from pathlib import Path

import numpy as np
import pytest

from reann.config import Config
from reann.error_measures import key, sentence
from reann.evaluation.comparison import Evaluation
from reann.training.advice import advice_of

RMSE = 30.0
"""meV/Å, of the validation set."""


def validation(rmse: float = RMSE, n: int = 20) -> Evaluation:
    """Return an evaluation of structures with this RMSE of the forces, meV/Å."""
    reference = np.zeros((4 * n, 3))
    predicted = np.full((4 * n, 3), 1e-3 * rmse)
    n_atoms, numbers = np.full(n, 4), np.full(4 * n, 14)
    labels = {"forces": reference}, {"forces": predicted}
    return Evaluation(["a"] * n, [""] * n, n_atoms, numbers, *labels)


def advice(
    train_rmse: float, *, n_train=100, n_valid=20, baseline=1000.0, **settings
) -> str | None:
    config = Config(data={"train": "a.xyz"}, **settings)
    train = f"train_{key('forces', 'rmse')}"
    rows = [{"valid_loss": loss, train: rmse} for loss, rmse in [(2.0, 80.0), (1.0, train_rmse)]]
    return advice_of(
        config,
        rows,
        validation(n=n_valid),
        Path("runs/a"),
        n_train=n_train,
        baseline={key("forces", "rmse"): baseline},
    )


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(0.9, "not overfitted"), (1.4, "not overfitted"), (2.0, "slightly overfitted"), (5.0, "over")],
)
def test_the_ratio_decides(ratio, words):
    text = advice(RMSE / ratio)
    assert text is not None
    assert text.startswith(words)
    assert f"{ratio:.1f} times those in training" in text


def test_a_longer_training_and_a_larger_model_are_proposed():
    text = advice(RMSE, training={"epochs": 40})
    assert "`reann resume runs/a training.epochs=80`" in text
    assert "model.preset=accurate" in text
    assert "preset" not in advice(RMSE, model={"preset": "accurate"})


def test_without_forces_there_is_no_advice():
    config = Config(data={"train": "a.xyz"})
    more = {"n_train": 100, "baseline": {}}
    assert advice_of(config, [], validation(), Path("runs/a"), **more) is None
    bare = Evaluation(["a"], [""], np.array([4]), np.full(4, 14), {}, {})
    assert advice_of(config, [], bare, Path("runs/a"), **more) is None


@pytest.mark.parametrize(("n_train", "n_valid"), [(3, 1), (49, 20), (100, 9)])
@pytest.mark.parametrize("ratio", [0.7, 2.0, 5.0])
def test_few_structures_are_not_judged(n_train, n_valid, ratio):
    text = advice(RMSE / ratio, n_train=n_train, n_valid=n_valid)
    assert text.startswith("too few structures to judge")
    assert f"({n_train} for training, {n_valid} for validation)" in text
    assert "not overfitted" not in text


def test_an_error_above_that_without_a_network_is_said():
    text = advice(RMSE, baseline=20.0)
    assert "larger than without a network: forces 30.00 instead of 20.00 meV/Å" in text
    assert "overfitted" not in text
    few = advice(RMSE, baseline=20.0, n_train=3, n_valid=1)
    assert "larger than without a network" in few
    assert "too few structures" in few
    assert "without a network" not in advice(RMSE, baseline=40.0)


def test_percentages_have_no_exponent():
    errors = {key("forces", "rmse"): 500.0, key("forces", "rrmse"): 100.2}
    assert sentence(errors) == "forces 500.00 meV/Å (100 % of the standard deviation)"
    assert "(9.2 % of" in sentence(errors | {key("forces", "rrmse"): 9.24})

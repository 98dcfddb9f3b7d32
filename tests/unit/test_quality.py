"""Verdicts on errors: relative to the spread, biased, much larger than those of the training."""

import numpy as np
import pytest

from reann.evaluation.comparison import Evaluation
from reann.evaluation.quality import quality_of
from reann.report.page import train_error
from reann.verdicts import Verdict


def evaluation(*, forces=0.05, energy=0.0, bias=0.0, n=200):
    """Return errors of forces with a spread of 1 eV/Å and of energies with one of 1 eV/atom."""
    rng = np.random.default_rng(0)
    n_atoms = np.full(n, 4)
    numbers = np.tile([1, 1, 6, 8], n)
    reference = {"energy": 4 * rng.normal(size=n), "forces": rng.normal(size=(4 * n, 3))}
    predicted = {
        "energy": reference["energy"] + 4 * (energy * rng.normal(size=n) + bias),
        "forces": reference["forces"] + forces * rng.normal(size=(4 * n, 3)),
    }
    origins = [f"x.xyz#{i}" for i in range(n)]
    return Evaluation(origins, [""] * n, n_atoms, numbers, reference, predicted)


@pytest.mark.parametrize(
    ("error", "verdict"), [(0.05, Verdict.passes), (0.2, Verdict.look), (0.5, Verdict.fails)]
)
def test_the_error_counts_relative_to_the_spread(error, verdict):
    quality = quality_of(evaluation(forces=error))
    assert quality.verdict is verdict
    assert quality.numbers["forces_relative_percent"] == pytest.approx(100 * error, rel=0.1)


def test_a_bias_of_the_energy_is_said():
    assert quality_of(evaluation(energy=0.01)).verdict is Verdict.passes
    biased = quality_of(evaluation(energy=0.01, bias=0.02))
    assert biased.verdict is Verdict.look
    assert biased.numbers["energy_bias_meV_per_atom"] == pytest.approx(20.0, rel=0.1)
    assert any("reference energies" in sentence for sentence in biased.sentences)


def test_a_gap_to_the_training_asks_for_time_then_data_and_none_for_a_larger_model():
    large = quality_of(evaluation(), train_rmse=10.0)
    assert large.verdict is Verdict.look
    assert any("Train longer; if" in sentence for sentence in large.sentences)
    assert any("add data" in sentence for sentence in large.sentences)
    small = quality_of(evaluation(), train_rmse=45.0)
    assert small.verdict is Verdict.passes
    assert any("larger model" in sentence for sentence in small.sentences)


def test_the_training_error_is_that_of_the_epoch_whose_weights_are_kept():
    train, valid = "train_forces_rmse_meV_per_A", "valid_forces_rmse_meV_per_A"
    history = [
        {"epoch": 0.0, "valid_loss": 9.0, valid: 90.0, train: float("nan")},
        {"epoch": 1.0, "valid_loss": 3.0, valid: 30.0, train: 25.0},
        {"epoch": 2.0, "valid_loss": 2.5, valid: 35.0, train: 15.0},
        {"epoch": 3.0, "valid_loss": 2.6, valid: 36.0, train: 12.0},
    ]
    assert train_error(history) == 15.0  # energies or stress can improve while forces do not
    assert train_error([]) is None
    assert train_error([{"epoch": 1.0}]) is None

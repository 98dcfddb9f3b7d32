"""Learning curves: nested parts of the data, a power law, and runs that go on."""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from reann.config import Config, TrainingConfig
from reann.data.dataset import open_dataset
from reann.data.split import split
from reann.errors import UserError
from reann.evaluation.power_law import fitted
from reann.training import learning_curve as module
from reann.training.learning_curve import checked, learning_curve, part_of
from runs import DATA, MODEL


def config(folder, **data):
    return Config.model_validate(
        {
            "data": {"train": str(DATA), "valid": 0.2, **data},
            "model": MODEL,
            "training": {"epochs": 2, "batch_size": 4},
            "run": {"folder": str(folder / "run"), "threads": 1},
        }
    )


def test_smaller_fractions_are_parts_of_larger_ones(tmp_path):
    settings = config(tmp_path).data
    data = open_dataset([str(DATA)], settings, 3.0, tmp_path)
    parts = []
    for fraction in (0.25, 0.5, 1.0):
        chosen = settings.model_copy(update={"train_fraction": fraction})
        parts.append(split(data, chosen, 1, lambda _: data))
    sizes = [len(part["train"]) for part in parts]
    assert sizes[0] == round(0.25 * sizes[2])
    assert sizes[1] == round(0.5 * sizes[2])
    small, half, whole = (set(part["train"].indices.tolist()) for part in parts)
    assert small < half < whole
    for part in parts:
        np.testing.assert_array_equal(part["valid"].indices, parts[0]["valid"].indices)


def test_a_power_law_comes_back():
    n = np.array([100, 200, 400, 800])
    law = fitted("forces", n, 500.0 * n**-0.4)
    assert law.exponent == pytest.approx(0.4)
    assert law.uncertainty == pytest.approx(0.0, abs=1e-9)
    assert law.saved_by_twice == pytest.approx(1 - 2**-0.4)
    assert law.more_data_help
    assert f"{500.0 * 1600**-0.4:.3g} meV/Å" in law.sentence()
    flat = fitted("forces", n, 20.0 * n**-0.05)
    assert not flat.more_data_help
    assert "larger model" in flat.sentence()


def test_every_part_takes_as_many_steps(tmp_path):
    for fraction in (0.25, 0.5, 1.0):
        part = part_of(config(tmp_path), fraction, tmp_path)
        assert part.training.epochs * fraction == 2
        assert part.data.train_fraction == fraction


@pytest.mark.parametrize("fractions", [[], [1.0], [0.5, 1.5], [0.0, 1.0]])
def test_fractions_that_make_no_curve(fractions):
    with pytest.raises(UserError, match="between 0 and 1"):
        checked(fractions)


def test_a_curve_is_trained_once_and_goes_on(tmp_path, monkeypatch):
    points, law = learning_curve(config(tmp_path), [0.5, 1.0])
    assert [p.fraction for p in points] == [0.5, 1.0]
    assert points[0].n_train < points[1].n_train
    assert law.label == "forces"
    found = json.loads((tmp_path / "run-curve" / "curve.json").read_text(encoding="utf-8"))
    assert [p["n_train"] for p in found["points"]] == [p.n_train for p in points]
    page = (tmp_path / "run-curve" / "curve.html").read_text(encoding="utf-8")
    assert '<svg class="plot"' in page
    assert "Learning curve" in page

    def never(*_, **__):
        raise AssertionError("It was trained before.")

    monkeypatch.setattr(module, "train", never)
    again, _ = learning_curve(config(tmp_path), [0.5, 1.0])
    assert again == points


def test_parts_with_other_settings_are_not_mixed(tmp_path):
    learning_curve(config(tmp_path), [0.5, 1.0])
    for training in ({"epochs": 3}, {"epochs": 2, "learning_rate": 1e-4}):
        values = TrainingConfig.model_validate({"batch_size": 4, **training})
        changed = config(tmp_path).model_copy(update={"training": values})
        with pytest.raises(UserError, match="other settings: training") as caught:
            learning_curve(changed, [0.5, 1.0])
    assert "training.learning_rate was 0.003, is now 0.0001" in str(caught.value)


def test_a_curve_of_a_given_time_goes_on(tmp_path, monkeypatch):
    training = TrainingConfig.model_validate({"batch_size": 4, "time": "1s"})
    timed = config(tmp_path).model_copy(update={"training": training})
    points, _ = learning_curve(timed, [0.5, 1.0])
    monkeypatch.setattr(module, "train", None)
    again, _ = learning_curve(timed, [0.5, 1.0])
    assert again == points


def test_a_part_that_was_killed_before_its_first_checkpoint_is_trained_again(tmp_path, monkeypatch):
    class KilledError(BaseException):
        pass

    def killed(*_, **__):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("reann.training.run._train_members", killed)
        patch.setattr("reann.training.run.saved_or_restored", lambda *_: nullcontext())
        with pytest.raises(KilledError):
            learning_curve(config(tmp_path), [0.5, 1.0])
    assert (tmp_path / "run-curve" / "part-0.5" / "config.yaml").exists()
    points, _ = learning_curve(config(tmp_path), [0.5, 1.0])
    assert [p.fraction for p in points] == [0.5, 1.0]

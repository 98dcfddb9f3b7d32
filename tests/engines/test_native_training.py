"""A training takes the same path with both engines, and says when it changes them."""

import numpy as np
import pytest
from safetensors.torch import load_file

from reann import native
from reann.backends import choice
from reann.config import Config, ModelConfig
from reann.errors import UserError
from reann.training import finish
from reann.training.folder import CONFIG
from reann.training.journal import read_log
from reann.training.run import resume, train
from reann.training.state import FILE
from runs import DATA

pytestmark = pytest.mark.skipif(not native.available(), reason="no native engine")

NETWORK = {"hidden": [6, 6]}
SIZE = {"preset": "density", "cutoff": 3.0, "n_radial": 3, "l_max": 2}
MIXED = {"precision": "mixed", "optimizer": "adamw"}
"""In float32, rounding decides on the first eigenbasis of SOAP where the gradient vanishes."""


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """The report has tests of its own."""
    monkeypatch.setattr(finish, "write_report", lambda *args, **kwargs: None)


def small(folder, engine, **training):
    return Config(
        data={"train": str(DATA), "valid": 0.2, "cache": folder.parent / "cache"},
        model={**SIZE, "readout": NETWORK, "update": NETWORK},
        training={"epochs": 3, "batch_size": 4, "precision": "float64"} | training,
        run={"folder": folder, "threads": 1, "engine": engine},
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"max_edges": 200}, {"ema": 0.9, "loss": {"huber": 0.5}}, MIXED],
    ids=["float64", "in parts", "average and Huber", "mixed"],
)
def test_both_engines_take_the_same_steps(tmp_path, options):
    runs = [train(small(tmp_path / name, name, **options)).folder for name in ("native", "torch")]
    tolerance = 1e-3 if options.get("precision") == "mixed" else 1e-7
    for native_row, torch_row in zip(*(read_log(run / "log.csv") for run in runs), strict=True):
        for name in native_row.keys() - {"seconds"}:
            assert native_row[name] == pytest.approx(torch_row[name], rel=tolerance, nan_ok=True)
    found, expected = (load_file(run / FILE) for run in runs)
    for name, tensor in expected.items():
        if name.startswith("average."):
            size = 1.0 + np.abs(tensor.numpy()).max()
            assert np.abs((found[name] - tensor).numpy()).max() < 10 * tolerance * size


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
def test_both_engines_train_charges(tmp_path, charges, capsys):
    model = {"preset": "default", "cutoff": 3.0, "channels": 4, "l_max": 2, "n_radial": 3}
    model |= {"long_range": {"charges": charges}, "readout": NETWORK, "update": NETWORK}
    runs = []
    for engine in ("auto", "torch"):
        config = small(tmp_path / engine, engine)
        runs.append(train(config.model_copy(update={"model": ModelConfig(**model)})).folder)
    said = " ".join(capsys.readouterr().out.split())
    assert "engine native" in said
    assert "instead of the faster engine" not in said
    for native_row, torch_row in zip(*(read_log(run / "log.csv") for run in runs), strict=True):
        for name in native_row.keys() - {"seconds"}:
            assert native_row[name] == pytest.approx(torch_row[name], rel=1e-6, nan_ok=True)


def test_resuming_with_another_engine_says_so(tmp_path, capsys):
    folder = train(small(tmp_path / "run", "torch")).folder
    file = folder / CONFIG
    file.write_text(file.read_text().replace("engine: torch", "engine: native"))
    assert "engine torch · cpu · threads 1" in " ".join(capsys.readouterr().out.split())
    resume(folder)
    said = " ".join(capsys.readouterr().out.split())
    assert f"engine was torch, is now {choice.NATIVE.identity()}: the run is not bitwise" in said


def test_the_engine_of_a_configuration_is_checked_before_anything_else(tmp_path):
    with pytest.raises(ValueError, match="engine"):
        small(tmp_path / "run", "nativ")
    config = small(tmp_path / "run", "native")
    config = config.model_copy(update={"run": config.run.model_copy(update={"device": "cuda"})})
    with pytest.raises(UserError):
        train(config)
    assert not (tmp_path / "run").exists()

"""How a run ends: what was learned, the report, the time, and the process that it leaves behind."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from reann.cli import app
from reann.cli.info import run_lines
from reann.config import Config
from reann.config.file import load_config
from reann.config.training import seconds
from reann.errors import UserError
from reann.evaluation.evaluate import evaluate as evaluate_command
from reann.interfaces.ipi.export import export
from reann.potential import load
from reann.simulate.md import run_md
from reann.simulate.relax import relax
from reann.training import budget, finish
from reann.training.journal import Journal
from reann.training.loop import Trainer
from reann.training.run import Run, resume, train
from runs import DATA, StoppedError, assert_same_run, fixed_loss, small, stop_in


def zero_labels(path: Path, symbols: str = "OgH") -> Path:
    """Write dimers with random energies and forces that are all the same."""
    structures, rng = [], np.random.default_rng(0)
    for i in range(12):
        atoms = Atoms(symbols, [[0, 0, 0], [1.7 + 0.01 * i, 0, 0]])
        labels = {"energy": rng.normal(), "forces": np.full((2, 3), 0.1)}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        structures.append(atoms)
    ase.io.write(path, structures, format="extxyz")
    return path


# --- warnings about the data ------------------------------------------------------------------


def test_warnings_about_the_data_are_named_again_at_the_end(tmp_path, capsys):
    """Forces that are five times too small give bonds an unusual stiffness."""
    frames = ase.io.read(DATA, ":")
    for atoms in frames:
        labels = {"energy": atoms.get_potential_energy(), "forces": 0.2 * atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
    ase.io.write(tmp_path / "soft.xyz", frames, format="extxyz")
    config = small(tmp_path / "run", epochs=1)
    data = config.data.model_copy(update={"train": str(tmp_path / "soft.xyz")})
    train(config.model_copy(update={"data": data}))
    of_train = capsys.readouterr().out
    resume(tmp_path / "run", ["training.epochs=2"])
    for printed in (of_train, capsys.readouterr().out):
        header, end = printed.split("potential ", 1)[0].split("data  ", 1)
        assert "warning   forces-along-bonds: the forces give H-C bonds a stiffness" in header
        assert "warning   the data: forces-along-bonds (see the header above" in end


# --- nothing learned --------------------------------------------------------------------------


def no_better_than(monkeypatch, epoch: int) -> None:
    """Let the validation loss be lowest at an epoch."""
    fixed_loss(monkeypatch, lambda now: 1.0 + abs(now - epoch))


def text_of(folder: Path) -> str:
    return "\n".join(f"{name}: {value}" for name, value in run_lines(folder))


def page_text(folder: Path) -> str:
    """Return what the page says, without its styles and scripts."""
    page = (folder / "report.html").read_text()
    return re.sub(r"<(style|script|svg|details).*?</\1>", "", page, flags=re.DOTALL)


def test_a_run_that_has_learned_nothing_says_so_everywhere(tmp_path, monkeypatch, capsys):
    no_better_than(monkeypatch, 0)
    run = train(small(tmp_path / "run", epochs=2))
    out = capsys.readouterr().out
    assert "warning   Nothing was learned: epoch 0" in out
    assert "learning_rate" in out
    assert all(len(line) < 80 for line in out[out.index("warning") :].splitlines()[:6])
    assert "RMSE of the weights of epoch 0" in out
    assert "best" not in out[out.index("warning") :]
    assert "Nothing was learned" in page_text(run.folder)
    assert "Nothing was learned" in " ".join(text_of(run.folder).split())
    assert "best:" not in text_of(run.folder)


def test_a_run_that_has_learned_something_does_not_warn(tmp_path, capsys):
    run = train(small(tmp_path / "run", epochs=4, learning_rate=1e-2))
    out = capsys.readouterr().out
    assert "warning" not in out
    assert "RMSE of the best weights" in out
    assert "Nothing was learned" not in page_text(run.folder)
    assert "best: epoch" in text_of(run.folder)


def test_errors_of_the_baseline_are_nothing_learned_at_any_epoch(tmp_path, monkeypatch, capsys):
    no_better_than(monkeypatch, 1)
    train(small(tmp_path / "run", epochs=2, learning_rate=1e-9))
    assert "are those of the reference energies" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("way", ["warm start", "longer"])
def test_a_start_that_is_not_improved_is_nothing_learned(way, tmp_path, monkeypatch, capsys):
    first = train(small(tmp_path / "run", epochs=3, learning_rate=1e-2))
    no_better_than(monkeypatch, 0)
    capsys.readouterr()
    if way == "longer":
        resume(first.folder, ["training.epochs=4"])
    else:
        train(small(tmp_path / "again", epochs=1), warm_start=first.folder / "model.reann")
    assert "warning   Nothing was learned" in capsys.readouterr().out


# --- the report -------------------------------------------------------------------------------


def test_a_file_that_trains_and_validates_has_no_duplicates_of_itself(tmp_path, capsys):
    train(small(tmp_path / "run", epochs=1, valid=str(DATA)))
    out = capsys.readouterr().out
    assert "20 of 20 validation structures are also in the training set" in out
    assert "duplicates" not in out


@pytest.mark.parametrize("error", [IndexError("index 118"), UserError("disk"), OSError("full")])
def test_a_report_that_fails_is_a_warning_after_a_finished_training(
    tmp_path, monkeypatch, capsys, error
):
    def fails(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(finish, "write_report", fails)
    run = train(small(tmp_path / "run", epochs=1))
    out = capsys.readouterr().out
    assert f"potential {run.folder / 'model.reann'}" in out
    assert f"The report was not written: {type(error).__name__}" in out
    assert load(run.folder / "model.reann").elements == ["H", "C", "O"]


def test_the_report_shows_elements_without_a_color(tmp_path):
    data = zero_labels(tmp_path / "heavy.xyz")
    run = train(small(tmp_path / "run", data, epochs=1))
    assert '"symbol":"Og"' in (run.folder / "report.html").read_text()


# --- a time instead of epochs -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("10min", 600), ("2h", 7200), ("1.5 h", 5400), ("1d", 86400)],
)
def test_times_are_read(text, expected):
    assert seconds(text) == expected
    Config.model_validate({"data": {"train": "x"}, "training": {"time": text}})


@pytest.mark.parametrize("text", ["10", "0s", "-3min", "10m", "min", "nan s", "1e3s", "ten min"])
def test_what_is_no_time_is_an_error(text, tmp_path):
    (tmp_path / "c.yaml").write_text(f"data: {{train: {DATA}}}\ntraining: {{time: '{text}'}}\n")
    with pytest.raises(UserError, match="time"):
        load_config(tmp_path / "c.yaml")


def test_time_and_epochs_exclude_each_other_and_the_command_line_replaces(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(f"data: {{train: {DATA}}}\ntraining: {{time: 1h, epochs: 3}}\n")
    with pytest.raises(UserError, match="both set"):
        load_config(file)
    file.write_text(f"data: {{train: {DATA}}}\ntraining: {{epochs: 3}}\n")
    assert load_config(file, ["training.time=1h"]).training.time == "1h"
    with pytest.raises(UserError, match="both set"):
        load_config(file, ["training.time=1h", "training.epochs=5"])
    file.write_text(f"data: {{train: {DATA}}}\ntraining: {{time: 1h}}\n")
    assert load_config(file, ["training.epochs=5"]).training.epochs == 5


def timed(folder: Path, time: str) -> Config:
    config = small(folder)
    training = config.training.model_dump() | {"time": time}
    training.pop("epochs")
    return config.model_copy(update={"training": type(config.training)(**training)})


def test_the_number_of_epochs_is_recorded_and_the_run_is_that_of_so_many(
    tmp_path, monkeypatch, capsys
):
    """The measurement leaves no trace in the weights, and a resumed run does not repeat it."""
    monkeypatch.setattr(budget, "STEPS", 3)
    measure, folder = budget.epochs_within, tmp_path / "run"
    monkeypatch.setattr(budget, "epochs_within", lambda *args: 3 if measure(*args) else 0)
    with monkeypatch.context() as patch:
        stop_in(patch, epoch=2)
        with pytest.raises(StoppedError):
            train(timed(folder, "0.3s"))
    assert "time      0.3s: 3 epochs at the measured speed" in capsys.readouterr().out
    assert "training.time 0.3s" in (folder / "config.yaml").read_text()
    config = load_config(folder / "config.yaml")
    assert (config.training.epochs, config.training.time) == (3, None)
    resume(folder)
    train(small(tmp_path / "other", epochs=3))
    assert_same_run(folder, tmp_path / "other")


class EnoughError(Exception):
    """The number of epochs is known."""


@pytest.mark.parametrize(("time", "expected"), [("1s", 1), ("100s", 24)])
def test_as_many_epochs_as_fit_and_at_least_one(tmp_path, monkeypatch, time, expected):
    """With a clock by which a step takes half a second and a validation one and a half.

    The measurement takes 23 steps and two validations, epoch 0 a third one: 84 s are left for
    epochs of four steps and a validation.
    """
    now, counted = [0.0], []

    def lasting(duration: float, result: Any) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            now[0] += duration
            return result

        return call

    def stop(self: Trainer) -> None:
        counted.append(self.config.epochs)
        raise EnoughError

    monkeypatch.setattr(Trainer, "step", lasting(0.5, None))
    monkeypatch.setattr(Trainer, "validate", lasting(1.5, (1.0, None)))
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Trainer, "run", stop)
    with pytest.raises(EnoughError):
        train(timed(tmp_path / "run", time))
    assert counted == [expected]


def test_the_remaining_time_is_shown_where_it_fits(tmp_path, capsys):
    journal = Journal(tmp_path, writes=True)
    row = {"epoch": 1.0, "learning_rate": 1e-3, "valid_forces_rmse_meV_per_A": 1.0, "seconds": 5.0}
    for remaining, said in ((40.0, "40 s left"), (600.0, "10 min left"), (9000.0, "2.5 h left")):
        journal.remaining = remaining
        journal.add(row)
        assert said in capsys.readouterr().out
    wide = row | {f"{part}_stress_rmse_meV_per_A3": 1.0 for part in ("train", "valid")}
    wide |= {f"{part}_energy_rmse_meV_per_atom": 1.0 for part in ("train", "valid")}
    crowded = Journal(tmp_path / "other", writes=False)
    crowded.writes, crowded.remaining = True, 40.0
    crowded.path = tmp_path / "wide.csv"
    crowded.add(wide | {"train_forces_rmse_meV_per_A": 1.0})
    assert "left" not in capsys.readouterr().out


def test_every_epoch_of_a_run_says_how_long_it_still_takes(tmp_path, capsys):
    train(small(tmp_path / "run", loss={"stress": 0}))
    lines = [x for x in capsys.readouterr().out.splitlines() if re.match(r"\s+[0-3] ", x)]
    assert len(lines) == 4


# --- the process ------------------------------------------------------------------------------


def state_of_the_process() -> dict[str, Any]:
    """Return what a library function must leave as it was."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random": (
            torch.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
        ),
        "floating-point errors": np.geterr(),
        "signals": [signal.getsignal(number) for number in signals],
        "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.disabled),
        "streams": (sys.stdout, sys.stderr, sys.excepthook),
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "import path": list(sys.path),
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Run:
    return train(small(tmp_path_factory.mktemp("trained") / "run", epochs=1))


def write_start(folder: Path) -> Path:
    ase.io.write(folder / "start.xyz", ase.io.read(DATA, 0))
    return folder / "start.xyz"


CALLS: dict[str, Callable[[Path, Path], object]] = {
    "train": lambda folder, _: train(small(folder / "run", epochs=1, threads=3)),
    "train that fails": lambda folder, _: train(small(folder / "run", threads=3, host="nonsense")),
    "evaluate": lambda _, model: evaluate_command(model, [str(DATA)]),
    "md": lambda folder, model: run_md(
        model, write_start(folder), temperature=300.0, time=2.0, ensemble="langevin"
    ),
    "md after a relaxation": lambda folder, model: run_md(
        model, write_start(folder), temperature=300.0, time=1.0, ensemble="nve", relax_first=True
    ),
    "relax": lambda folder, model: relax(model, write_start(folder), fmax=5.0),
    "export": lambda folder, model: export(model, write_start(folder), folder / "ipi"),
    "load": lambda _, model: load(model),
    "save": lambda folder, model: load(model).save(folder / "copy.reann"),
    "ase": lambda _, model: load(model).predict(ase.io.read(DATA, 0)),
}


@pytest.mark.parametrize("name", CALLS)
def test_library_functions_leave_the_process_as_it_was(name, tmp_path, trained):
    before = state_of_the_process()
    try:
        CALLS[name](tmp_path, trained.folder / "model.reann")
    except UserError:
        assert name == "train that fails"
    assert state_of_the_process() == before


# --- the command line -------------------------------------------------------------------------


def test_resume_takes_more_epochs_or_a_time(tmp_path, monkeypatch):
    train(small(tmp_path / "run", epochs=1))
    done = CliRunner().invoke(app, ["resume", str(tmp_path / "run"), "training.epochs=2"])
    assert done.exit_code == 0
    assert "extend    epochs 2 to 2 with a new schedule" in done.stdout
    monkeypatch.setattr(budget, "epochs_within", lambda *args: 2)
    done = CliRunner().invoke(app, ["resume", str(tmp_path / "run"), "training.time=5min"])
    assert done.exit_code == 0
    assert "extend    epochs 3 to 4 with a new schedule" in done.stdout
    assert load_config(tmp_path / "run" / "config.yaml").training.epochs == 4


def test_a_folder_whose_run_is_aside_says_how_it_comes_back(tmp_path):
    (tmp_path / ".replaced").mkdir()
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path), str(DATA)])
    assert done.exit_code == 1
    assert f"reann resume {tmp_path}" in done.output

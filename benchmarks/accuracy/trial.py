"""One training: a set, settings, a seed and a budget; what it reached, as a small JSON file."""

from __future__ import annotations

import resource
import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import machine
import torch
from sets import SETS, split_file

from reann.backends import choice
from reann.config import Config
from reann.config.file import load_config
from reann.data.dataset import Subset, open_dataset
from reann.evaluation.compare import compare
from reann.training.distributed import World
from reann.training.journal import read_log
from reann.training.run import Run, resume, train
from reann.training.setup import open_parts, start_model

HERE = Path(__file__).parent
CALIBRATION_EPOCHS = 3
ATOMS_AT_ONCE = 200
"""Atoms in the batch that is timed, at least one structure."""
REPEATS = 80
"""Evaluations that are timed; the median of the last three quarters counts."""


@dataclass(frozen=True)
class Trial:
    """What is trained, how, and for how long."""

    set: str
    label: str
    """Preset, or the change that is tried."""
    settings: tuple[str, ...]
    """Fields of the configuration, such as `model.n_radial=12`."""
    seed: int
    epochs: int | None = None
    """Fixed number of epochs, or as many as the minutes allow."""
    minutes: float | None = None
    """Processor time of the training on one core: other work on the machine costs no epochs."""
    judged: bool = True
    """Whether errors of test structures are recorded; they must not choose settings."""

    @property
    def name(self) -> str:
        """Name of the run and of its result."""
        return f"{self.set}-{self.label}-seed{self.seed}"

    def overrides(self, data: Path, folder: Path, epochs: int) -> list[str]:
        """Return the fields of the configuration."""
        own = SETS[self.set]
        parts = [f"data.valid={{indices: {split_file(self.set, 'valid')}}}"]
        if own.test:
            parts.append(f"data.test={{indices: {split_file(self.set, 'test')}}}")
        return [
            *parts,
            f"data.train=[{', '.join(own.train_files(data))}]",
            f"run.seed={self.seed}",
            f"run.folder={folder}",
            *own.settings,
            *self.settings,
            f"training.epochs={epochs}",
        ]

    def config(self, data: Path, folder: Path, epochs: int) -> Config:
        """Return the whole configuration."""
        return load_config(HERE / "trial.yaml", self.overrides(data, folder, epochs))


def run(trial: Trial, data: Path, runs: Path) -> dict[str, Any]:
    """Train, or go on with an interrupted training, and return what was reached."""
    folder = runs / trial.name
    before = _processor_seconds()
    if (folder / "config.yaml").exists():
        trained = resume(folder)
    else:
        trained = train(trial.config(data, folder, trial.epochs or _affordable(trial, data, runs)))
    log = read_log(folder / "log.csv")
    return {
        "set": trial.set,
        "label": trial.label,
        "settings": list(trial.settings),
        "seed": trial.seed,
        "epochs": int(log[-1]["epoch"]),
        "training_seconds": round(log[-1]["seconds"], 1),
        "processor_seconds": round(_processor_seconds() - before, 1),
        "atoms": statistics.mean(trained.evaluations["valid"].n_atoms.tolist()),
        "parameters": sum(p.numel() for p in trained.potential.model.parameters()),
        "us_per_atom": round(us_per_atom(trial, data, runs), 2),
        "valid": trained.evaluations["valid"].summary(),
        "tests": _tests(trial, trained, data, runs) if trial.judged else {},
        "machine": machine.describe(),
    }


def us_per_atom(trial: Trial, data: Path, runs: Path) -> float:
    """Return the time of energies and forces, one thread, without the neighbor list.

    The potential is not trained, which makes no difference.
    """
    folder = runs / trial.name
    config = trial.config(data, folder, 1)
    parts = open_parts(config, folder, World(), lambda _: None, as_split=False)
    model, _ = start_model(config, parts, None)
    dataset = parts.train.dataset
    room = max(1, round(ATOMS_AT_ONCE / dataset.n_atoms[0]))
    graph = dataset.graph(torch.arange(min(room, len(dataset))).numpy())
    torch.set_num_threads(1)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        choice.evaluate(model, graph, ["energy", "forces"], engine="native")
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times[REPEATS // 4 :]) / graph.n_atoms


def _affordable(trial: Trial, data: Path, runs: Path) -> int:
    """Return how many epochs fit into the minutes, from a short run of its own."""
    if trial.minutes is None:
        raise ValueError("a trial needs epochs or minutes")
    own = runs / "calibration" / trial.name
    before, start = _processor_seconds(), time.monotonic()
    train(trial.config(data, own, CALIBRATION_EPOCHS), overwrite=True)
    busy = (_processor_seconds() - before) / (time.monotonic() - start)
    seconds = [busy * row["seconds"] for row in read_log(own / "log.csv")]
    each = statistics.mean(after - before for before, after in pairwise(seconds))
    return max(1, int((60.0 * trial.minutes - seconds[0]) / each))


def _tests(trial: Trial, run: Run, data: Path, runs: Path) -> dict[str, dict[str, Any]]:
    """Return the errors of the test parts."""
    summaries = {}
    if "test" in run.evaluations:
        summaries["test"] = run.evaluations["test"].summary()
    config = load_config(run.folder / "config.yaml")
    for name, files in SETS[trial.set].tests.items():
        names = [str(data / file) for file in files]
        dataset = open_dataset(names, config.data, run.potential.cutoff, runs / ".reann-cache")
        every = Subset(dataset, torch.arange(len(dataset)).numpy())
        summaries[name] = compare(run.potential, every).summary()
    return summaries


def _processor_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime

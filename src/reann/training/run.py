"""A run and its folder: start, continue, finish.

The folder holds `config.yaml` (resolved), `split.json`, `log.csv`, `model.reann` (best),
`last.ckpt.safetensors` (to continue from) and `report.html`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reann.config import Config
from reann.config_file import anchored, load_config, save_config
from reann.data.loader import Loader
from reann.errors import UserError
from reann.evaluate import Evaluation, evaluate
from reann.potential import Ensemble, Potential, load
from reann.report import write_report
from reann.training.distributed import World, world
from reann.training.journal import Journal, read_log, tracker
from reann.training.loop import Interrupted, Trainer
from reann.training.loss import Loss, label_counts
from reann.training.optim import Average, adamw
from reann.training.setup import (
    Parts,
    batch_size,
    describe,
    device_named,
    metadata,
    open_parts,
    provenance,
    start_model,
)
from reann.training.standardize import record_ranges
from reann.training.state import FILE, Progress, TrainingState

CONFIG, MODEL, SPLIT, REPORT = "config.yaml", "model.reann", "split.json", "report.html"
VALID_BATCH, VALID_EDGES = 32, 100_000
"""Structures and neighbor pairs at once in a validation."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    folder: Path
    potential: Potential | Ensemble
    evaluations: dict[str, Evaluation]


def train(config: Config, warm_start: str | Path | None = None, *, overwrite: bool = False) -> Run:
    """Train a potential, or an ensemble of `run.seeds`, in a new run folder.

    Raises
    ------
    UserError
        If the folder already holds a run, the data are not usable, or the training diverges.
    Interrupted
        After Ctrl-C or SIGTERM, when everything has been saved.
    """
    folder = config.run.folder or Path("runs") / _stem(config.data.train)
    leads = os.environ.get("RANK", "0") == "0"
    if (folder / CONFIG).exists() and leads:
        if not overwrite:
            raise UserError(
                "There already is a run in this folder.",
                str(folder),
                f"Continue it with `reann resume {folder}`, choose another run.folder, "
                "or give --overwrite.",
            )
        for name in (CONFIG, MODEL, SPLIT, REPORT, FILE, "log.csv"):
            (folder / name).unlink(missing_ok=True)
    config = anchored(config).model_copy(
        update={"run": config.run.model_copy(update={"folder": folder, "threads": _threads(config)})}
    )
    start = Path(warm_start) if warm_start is not None else None
    return _train(config, start)


def resume(folder: str | Path) -> Run:
    """Continue a run exactly where it stopped or was killed."""
    folder = Path(folder)
    if not (folder / CONFIG).exists():
        raise UserError(
            "There is no run in this folder.", str(folder), "A run folder holds config.yaml."
        )
    config = load_config(folder / CONFIG)
    config = config.model_copy(update={"run": config.run.model_copy(update={"folder": folder})})
    return _train(config, None)


def _train(config: Config, warm_start: Path | None) -> Run:
    folder = _folder(config)
    torch.set_num_threads(_threads(config))
    device = device_named(config.run.device)
    with world(device) as processes, _locked(folder, processes):
        journal = Journal(folder, speaks=processes.leads)
        parts = open_parts(config, folder, processes, journal.say)
        if processes.leads and not (folder / CONFIG).exists():
            save_config(config, folder / CONFIG, provenance(config))
        seeds = range(config.run.seed, config.run.seed + config.run.seeds)
        members = []
        for seed in seeds:
            own = folder if config.run.seeds == 1 else folder / f"seed-{seed}"
            run = config.run.model_copy(update={"folder": own, "seed": seed, "seeds": 1})
            if own != folder:
                journal.say(f"\nmember    seed {seed} → {own}")
            one = config.model_copy(update={"run": run})
            members.append(_train_one(one, parts, warm_start, processes, device))
        return _finish(config, parts, members, processes, journal)


def _train_one(
    config: Config, parts: Parts, warm_start: Path | None, processes: World, device: torch.device
) -> Potential:
    """Train, or go on training, one potential and return its best state."""
    folder = _folder(config)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    model = start_model(config, parts, warm_start).to(device)
    size = batch_size(config, parts.train)
    training, limit = config.training, config.training.max_edges
    loader = Loader(parts.train, size, limit, processes.rank, processes.size)
    steps = len(loader) * training.epochs
    average = Average(model, Average.decay_for(training.ema, steps))
    state = TrainingState(model, adamw(model, training), average, {}, Progress())
    identity = _identity(config, parts, processes)
    watcher = tracker(config.run.tracker, folder) if processes.leads else None
    journal = Journal(folder, speaks=processes.leads, tracker=watcher)
    for line in describe(config, parts, model):
        journal.say(line)
    if (folder / FILE).exists():
        for difference in state.load(folder, identity):
            journal.say(f"note      {difference}")
        journal.say(f"continue  after epoch {state.progress.epoch}, step {state.progress.step}")
        if not processes.leads:
            state.progress.errors = Progress().errors

    def save_best(state: TrainingState) -> None:
        with state.best_weights():
            about = metadata(config, parts, state.progress.best_epoch, _errors_of_best(folder, state))
            Potential(model, about).save(folder / MODEL)

    trainer = Trainer(
        config=training,
        folder=folder,
        seed=config.run.seed,
        checkpoint_seconds=60.0 * config.run.checkpoint_minutes,
        device=device,
        world=processes,
        state=state,
        loss=Loss(training.loss, float(model.energy_scale)),
        train=loader,
        valid=Loader(
            parts.valid, VALID_BATCH, limit or VALID_EDGES, processes.rank, processes.size
        ),
        counts={"train": label_counts(parts.train), "valid": label_counts(parts.valid)},
        journal=journal,
        identity=identity,
        save_best=save_best,
    )
    try:
        trainer.run()
    except Interrupted:
        journal.say(f"\nsaved; go on with: reann resume {folder}")
        raise
    with state.best_weights(), torch.no_grad():
        record_ranges(model, parts.train)
        if processes.leads:
            about = metadata(config, parts, state.progress.best_epoch, _errors_of_best(folder, state))
            Potential(model, about).save(folder / MODEL)
    processes.wait()
    potential = load(folder / MODEL)
    assert isinstance(potential, Potential)
    return potential


def _finish(
    config: Config, parts: Parts, members: list[Potential], processes: World, journal: Journal
) -> Run:
    """Evaluate the result on the parts that were not trained on and write the report."""
    folder = _folder(config)
    potential = members[0] if len(members) == 1 else Ensemble(members)
    evaluations: dict[str, Evaluation] = {}
    if processes.leads:
        if len(members) > 1:
            potential.save(folder / MODEL)
        potential.to(device_named(config.run.device))
        held_out = {"valid": parts.valid} | ({"test": parts.test} if parts.test else {})
        evaluations = {name: evaluate(potential, part) for name, part in held_out.items()}
        for name, evaluation in evaluations.items():
            journal.say(f"{name:9} " + _sentence(evaluation.summary()))
        first = folder if len(members) == 1 else folder / f"seed-{config.run.seed}"
        write_report(
            folder / REPORT,
            config=config,
            history=read_log(first / "log.csv"),
            evaluations=evaluations,
            baseline=parts.baseline,
            provenance=provenance(config),
            atoms_of=lambda part, i: held_out[part].dataset.atoms(int(held_out[part].indices[i])),
        )
        journal.say(f"potential {folder / MODEL}\nreport    {folder / REPORT}")
    processes.wait()
    return Run(folder, potential, evaluations)


def _errors_of_best(folder: Path, state: TrainingState) -> dict[str, float]:
    rows = [r for r in read_log(folder / "log.csv") if r["epoch"] == state.progress.best_epoch]
    return {
        name.removeprefix("valid_"): value
        for row in rows[-1:]
        for name, value in row.items()
        if name.startswith("valid_") and "rmse" in name
    }


def _sentence(errors: dict[str, float]) -> str:
    units = {"energy": "meV/atom", "forces": "meV/Å", "stress": "meV/Å³"}
    return " · ".join(
        f"{label} RMSE {errors[name]:.2f} {unit}"
        for label, unit in units.items()
        for name in errors
        if name.startswith(f"{label}_rmse")
    )


def _identity(config: Config, parts: Parts, processes: World) -> dict[str, Any]:
    """Return what must be the same, and what should be, for a run to go on."""
    split = [part.indices.tolist() for part in (parts.train, parts.valid)]
    training = config.model_dump(mode="json", include={"model", "training"})
    return {
        "model": _digest(training),
        "data": [digest for _, digest in parts.train.dataset.files],
        "split": _digest(split),
        "threads": torch.get_num_threads(),
        "processes": processes.size,
        "machine": platform.machine(),
        "torch": torch.__version__.split("+")[0],
    }


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def _locked(folder: Path, processes: World) -> Iterator[None]:
    """Hold the folder's lock, which the system frees even when the process is killed."""
    if not processes.leads:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise UserError(
            f"The run folder cannot be written ({error.strerror}).",
            str(folder),
            "Choose another run.folder.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                "Another process is training in this folder.",
                str(folder),
                "Wait for it, stop it, or choose another run.folder.",
            ) from error
        yield


def _folder(config: Config) -> Path:
    assert config.run.folder is not None
    return config.run.folder


def _threads(config: Config) -> int:
    return config.run.threads or torch.get_num_threads()


def _stem(files: str | list[str]) -> str:
    first = Path(files if isinstance(files, str) else files[0]).name
    stem = first.split(".")[0].replace("*", "").strip("-_")
    return stem or "run"



"""How accurate dipoles and polarizabilities are, and energies and forces in electric fields.

    python benchmarks/tensors.py train DATA [--sets monomer qm7b] [--runs runs/tensors]
    python benchmarks/tensors.py judge DATA [--sets monomer qm7b]

DATA is a folder with the sets that `tensors/sets.py` names. `train` gives each of them its
processor time on one core and records errors of validation structures; a training that was
interrupted goes on when the command is run again, a finished one is not repeated. `judge` records
the errors of test structures, which neither choose an epoch nor a setting, and of models in fields
how exactly dipoles are the slopes of energies. Results go to `results/tensors/`.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "tensors"), str(HERE / "speed")]

import ase.io  # noqa: E402
import machine  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from local_fields import in_cavity  # noqa: E402
from sets import PARTS, SETS, DataSet, split, write  # noqa: E402

from reann import Potential, load  # noqa: E402
from reann.config import Config, DataConfig  # noqa: E402
from reann.data.dataset import Subset, open_dataset  # noqa: E402
from reann.evaluation.compare import compare  # noqa: E402
from reann.evaluation.metrics import relative_rmse  # noqa: E402
from reann.model.copies import in_precision  # noqa: E402
from reann.quantities import named  # noqa: E402
from reann.training.journal import read_log  # noqa: E402
from reann.training.run import resume  # noqa: E402
from reann.training.run import train as run  # noqa: E402

RESULTS = HERE / "results" / "tensors"
CALIBRATION_EPOCHS = 3


def train(name: str, arguments: argparse.Namespace) -> None:
    """Train a model of a set, or go on with it, and write what it reached in validation."""
    result = RESULTS / f"{name}-{arguments.preset}-seed{arguments.seed}.json"
    if result.exists():
        return
    one, folder = SETS[name], arguments.runs / result.stem
    parts = folder.parent / "data" / name
    if not parts.exists():
        parts.mkdir(parents=True)
        for part, frames in split(one, arguments.data).items():
            write(frames, parts / f"{part}.xyz.gz")
    if (folder / "config.yaml").exists():
        trained = resume(folder)
    else:
        epochs = affordable(one, parts, folder, arguments)
        trained = run(config(one, parts, folder, epochs, arguments))
    log = read_log(folder / "log.csv")
    content = {
        "set": name,
        "preset": arguments.preset,
        "seed": arguments.seed,
        "model": one.model,
        "epochs": int(log[-1]["epoch"]),
        "minutes": arguments.minutes or one.minutes,
        "parameters": sum(p.numel() for p in trained.potential.model.parameters()),
        "valid": trained.evaluations["valid"].summary(),
        "machine": machine.describe(),
    }
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(content, indent=1) + "\n")


def config(
    one: DataSet, parts: Path, folder: Path, epochs: int, arguments: argparse.Namespace
) -> Config:
    """Return the configuration of a training."""
    files = {part: str(parts / f"{part}.xyz.gz") for part in ("train", "valid")}
    return Config(
        data={**files, "units": one.units, "missing": "allow"},
        model={"preset": arguments.preset, **one.model},
        training={"epochs": epochs, **one.training},
        run={"folder": folder, "threads": 1, "seed": arguments.seed},
    )


def affordable(one: DataSet, parts: Path, folder: Path, arguments: argparse.Namespace) -> int:
    """Return how many epochs fit into the processor time, from a short run of its own."""
    own = folder.parent / "calibration" / folder.name
    before, start = processor_seconds(), time.monotonic()
    run(config(one, parts, own, CALIBRATION_EPOCHS, arguments), overwrite=True)
    busy = (processor_seconds() - before) / (time.monotonic() - start)
    seconds = [busy * row["seconds"] for row in read_log(own / "log.csv")]
    each = (seconds[-1] - seconds[0]) / sum(1 for _ in pairwise(seconds))
    return max(1, int((60.0 * (arguments.minutes or one.minutes) - seconds[0]) / each))


def processor_seconds() -> float:
    """Return the processor time of this process."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def judge(name: str, arguments: argparse.Namespace) -> None:
    """Write the errors of test structures."""
    result = RESULTS / f"{name}-{arguments.preset}-seed{arguments.seed}.json"
    content = json.loads(result.read_text())
    folder = arguments.runs / result.stem
    potential = load(folder / "model.reann")
    content["tests"] = {}
    for part in PARTS[2:]:
        file = arguments.runs / "data" / name / f"{part}.xyz.gz"
        if file.exists():
            data = DataConfig(
                train=str(file),
                units=SETS[name].units,
                keys=dict.fromkeys(potential.model.inputs, "auto")
                | {name: name for name in ("dipole", "polarizability")},
                missing="allow",
            )
            every = open_dataset([str(file)], data, potential.cutoff, arguments.runs / "cache")
            subset = Subset(every, np.arange(len(every)))
            content["tests"][part] = compare(potential, subset).summary()
            if potential.model.config.induction:
                content["tests"][part] |= in_cavity_errors(potential, file)
            if potential.model.responses:
                content["tests"][part] |= {"slope_me_A": slope_error(potential, file)}
    result.write_text(json.dumps(content, indent=1) + "\n")


def in_cavity_errors(potential: Potential, file: Path) -> dict[str, float]:
    """Return the errors of responses of cells to the field in a cavity, see `local_fields`."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        frames = list(ase.io.read(stream, ":", format="extxyz"))
    predicted = [x["polarizability"] for x in potential.predict(frames, ["polarizability"])]
    labels = [np.reshape(atoms.info["polarizability"], (3, 3)) for atoms in frames]
    responses = [  # predicted, reference
        np.array([in_cavity(A, a.get_volume()) for A, a in zip(each, frames, strict=True)])
        for each in (predicted, labels)
    ]
    error = responses[0] - responses[1]
    return {
        "in_cavity_rmse_A3": float(np.sqrt(np.mean(error**2))),
        "in_cavity_mae_A3": float(np.abs(error).mean()),
        "in_cavity_rrmse_percent": relative_rmse(named("polarizability"), *responses),
    }


def slope_error(potential: Potential, file: Path, n: int = 3, step: float = 1e-3) -> float:
    """Return by how much dipoles differ from -dE/dF at most, by finite differences, in 10^-3 e Å.

    Parameters
    ----------
    n
        Number of structures, the first of the file.
    step
        Of the field in V/Å.
    """
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        frames = ase.io.read(stream, f":{n}", format="extxyz")
    exact = Potential(in_precision(copy.deepcopy(potential.model), torch.float64))
    worst = 0.0
    for atoms in frames:
        field = np.array(atoms.info.pop("external_field", np.zeros(3)), dtype=float)
        energies = []
        for change in step * np.concatenate([np.eye(3), -np.eye(3)]):
            atoms.info["field"] = field + change
            energies.append(float(exact.predict(atoms, ["energy"])["energy"]))
        atoms.info["field"] = field
        dipole = exact.predict(atoms, ["dipole"])["dipole"]
        slopes = (np.array(energies[:3]) - energies[3:]) / (2.0 * step)
        worst = max(worst, 1e3 * float(np.abs(slopes + dipole).max()))
    return worst


def main() -> None:
    """Do what is asked for and not done yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=("train", "judge"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--preset", default="default")
    parser.add_argument("--minutes", type=float, help="of processor time, instead of the set's own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/tensors"))
    arguments = parser.parse_args()
    step: Any = {"train": train, "judge": judge}[arguments.step]
    for name in arguments.sets:
        step(name, arguments)


if __name__ == "__main__":
    main()

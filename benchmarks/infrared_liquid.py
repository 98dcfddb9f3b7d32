"""Infrared absorption of liquid water from independent trajectories, with its statistical error.

    python benchmarks/infrared_liquid.py train DATA [--runs runs/liquid] [--epochs 60]
    python benchmarks/infrared_liquid.py run DATA [--runs runs/liquid]
    python benchmarks/infrared_liquid.py collect [--runs runs/liquid]

One training with labels of two data sets: energies and forces of `water-pbe0-deepmd` (PBE0-TS,
path-integral MD), dipoles of the liquid in `water-tensors`. Then 64 molecules at 300 K: each
trajectory starts from another structure of the first set, is brought to 300 K and then analyzed.
Every trajectory is one file, so that `run` can be interrupted, and so can `train`. Results go to
`results/infrared_liquid.json`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
from ase import units
from ase.io import read
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

sys.path.insert(0, str(Path(__file__).parent / "tensors"))

from sets import SEED, SETS, split, write

from reann import Config
from reann.interfaces.ase import Calculator
from reann.spectra.figure import figure
from reann.spectra.trajectory import from_trajectory, mean_of
from reann.training.journal import read_log
from reann.training.run import resume
from reann.training.run import train as train_model

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "infrared_liquid.json"
FIGURE = HERE.parent / "docs" / "explanation" / "infrared-water.svg"
HIGHEST = 4200.0
"""cm^-1, end of the figure."""
TEMPERATURE, TIMESTEP, EVERY = 300.0, 0.5, 4
"""K, fs, and steps between two dipoles."""
WARM = 1000.0
"""fs before the analysis."""
N_VALID = 32
"""Structures with forces for validation."""
FRICTIONS = 0.02, 0.001
"""1/fs, before and during the analysis: the second one broadens lines by 5 cm^-1."""
WIDTH = 50.0
"""cm^-1."""
BANDS = {"libration": (400, 1000), "bend": (1400, 1900), "stretch": (2800, 4000)}
"""cm^-1, where the highest point of each band is looked for."""


def forces_of(data: Path) -> list[ase.Atoms]:
    """Return the structures with energies and forces, in random order."""
    with gzip.open(data / "water-pbe0-deepmd" / "train.xyz.gz", "rt", encoding="utf-8") as file:
        frames = list(read(file, ":", format="extxyz"))
    return [frames[i] for i in np.random.default_rng(SEED).permutation(len(frames))]


def train(data: Path, folder: Path, epochs: int) -> None:
    """Train the potential, or go on with it."""
    run_folder = folder / "potential"
    if (run_folder / "config.yaml").exists():
        resume(run_folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    liquid, tensors = forces_of(data), split(SETS["bulk"], data)
    parts = {"train": liquid[N_VALID:], "valid": liquid[:N_VALID]}
    files = {}
    for part, frames in parts.items():
        files[part] = str(folder / f"{part}.xyz.gz")
        write(frames + tensors[part], Path(files[part]))
    train_model(
        Config(
            data={**files, "missing": "allow"},
            model={"outputs": ["dipole"]},
            training={"epochs": epochs},
            run={"folder": run_folder, "threads": 1, "seed": 1},
        )
    )


def run(data: Path, folder: Path, number: int, length: float) -> None:
    """Run the trajectories that do not exist yet."""
    model, starts = folder / "potential" / "model.reann", forces_of(data)
    for i in range(number):
        path = folder / f"{i}.npz"
        if path.exists():
            continue
        atoms = ase.Atoms(starts[i].symbols, starts[i].positions, cell=starts[i].cell, pbc=True)
        rng, begin = np.random.default_rng(i), time.process_time()
        atoms.calc = Calculator(model)
        thermalize_momenta(atoms, temperature_K=TEMPERATURE, rng=rng)
        dipoles, temperatures = [], []
        for friction, steps in zip(FRICTIONS, (WARM, length), strict=True):
            dynamics = Langevin(
                atoms,
                TIMESTEP * units.fs,
                temperature_K=TEMPERATURE,
                friction=friction / units.fs,
                fixcm=False,
                rng=rng,
            )
            for _ in range(round(steps / TIMESTEP / EVERY)):
                dynamics.run(EVERY)
                if friction == FRICTIONS[-1]:
                    dipoles.append(atoms.get_dipole_moment())
                    temperatures.append(atoms.get_temperature())
        np.savez(
            path,
            dipoles=dipoles,
            temperature=np.mean(temperatures),
            volume=atoms.get_volume(),
            seconds=time.process_time() - begin,
        )
        print(f"{path}: {np.mean(temperatures):.0f} K, {time.process_time() - begin:.0f} s")


def collect(folder: Path) -> None:
    """Average the spectra of all trajectories, and write the results."""
    every = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    spectrum = mean_of(
        [
            from_trajectory(
                TIMESTEP * EVERY,
                float(one["temperature"]),
                dipoles=one["dipoles"],
                volume=float(one["volume"]),
                width=WIDTH,
            )
            for one in every
        ]
    )
    curve = spectrum.infrared
    assert curve is not None
    assert curve.error is not None
    bands = {}
    for name, (low, high) in BANDS.items():
        inside = (spectrum.wavenumbers >= low) & (spectrum.wavenumbers <= high)
        at = np.flatnonzero(inside)[curve.values[inside].argmax()]
        bands[name] = {
            "highest_at_per_cm": round(float(spectrum.wavenumbers[at])),
            "value_per_cm": round(float(curve.values[at])),
            "error_per_cm": round(float(curve.error[at])),
        }
    inside = (spectrum.wavenumbers >= BANDS["libration"][0]) & (spectrum.wavenumbers <= 4000)
    last = read_log(folder / "potential" / "log.csv")[-1]
    result = {
        "epochs": int(last["epoch"]),
        "validation": {k: float(v) for k, v in last.items() if k.startswith("valid_") and v},
        "n_trajectories": len(every),
        "picoseconds_each": 1e-3 * TIMESTEP * EVERY * len(every[0]["dipoles"]),
        "mean_temperature_K": float(np.mean([one["temperature"] for one in every])),
        "line_width_per_cm": WIDTH,
        "unit": curve.unit,
        "mean_error_of_mean_value": float(curve.error[inside].mean() / curve.values[inside].mean()),
        "bands": bands,
        "processor_seconds": float(sum(one["seconds"] for one in every)),
        "wavenumbers_per_cm": [round(float(x), 1) for x in spectrum.wavenumbers],
        "values": [round(float(x), 1) for x in curve.values],
        "errors": [round(float(x), 1) for x in curve.error],
    }
    RESULTS.write_text(json.dumps(result) + "\n")
    shown = spectrum.wavenumbers <= HIGHEST
    drawn = replace(curve, values=curve.values[shown], error=curve.error[shown])
    about = f"{len(every)} trajectories, standard error; width of the lines {WIDTH:.0f} cm^-1"
    FIGURE.write_text(figure(spectrum.wavenumbers[shown], [drawn], about), encoding="utf-8")
    print(json.dumps({k: v for k, v in result.items() if not isinstance(v, list)}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=("train", "run", "collect"))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--runs", type=Path, default=Path("runs/liquid"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--number", type=int, default=12, help="of trajectories")
    parser.add_argument("--length", type=float, default=3000.0, help="fs of each trajectory")
    arguments = parser.parse_args()
    if arguments.step == "train":
        train(arguments.data, arguments.runs, arguments.epochs)
    elif arguments.step == "run":
        run(arguments.data, arguments.runs, arguments.number, arguments.length)
    else:
        collect(arguments.runs)


if __name__ == "__main__":
    main()

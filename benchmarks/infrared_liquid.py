"""Infrared absorption of liquid water from independent trajectories, with its statistical error.

    python benchmarks/tensors.py train DATA --sets water-field     # the potential
    python benchmarks/infrared_liquid.py run MODEL DATA [--runs runs/liquid]
    python benchmarks/infrared_liquid.py collect [--runs runs/liquid]

64 molecules at 300 K, by the potential trained on energies, forces, dipoles and polarizabilities of
`water-field`. Each trajectory starts from another structure of the data without its field, is
brought to 300 K and then analyzed. Every trajectory is one file, so that `run` can be interrupted.
Results go to `results/infrared_liquid.json`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path

import ase
import numpy as np
from ase import units
from ase.io import read
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

from reann.interfaces.ase import Calculator
from reann.spectra.trajectory import from_trajectory, mean_of

RESULTS = Path(__file__).parent / "results" / "infrared_liquid.json"
TEMPERATURE, TIMESTEP, EVERY = 300.0, 0.5, 4
"""K, fs, and steps between two dipoles."""
WARM = 500.0
"""fs before the analysis."""
FRICTIONS = 0.02, 0.001
"""1/fs, before and during the analysis: the second one broadens lines by 5 cm^-1."""
WIDTH = 50.0
"""cm^-1."""
BANDS = {"libration": (400, 1000), "bend": (1400, 1900), "stretch": (2800, 4000)}
"""cm^-1, where the highest point of each band is looked for."""


def start_of(data: Path, number: int) -> ase.Atoms:
    """Return a structure of the data without field and labels."""
    with gzip.open(data / "water-field" / "train.xyz.gz", "rt", encoding="utf-8") as file:
        frame = read(file, index=10 * number, format="extxyz")
    assert isinstance(frame, ase.Atoms)
    return ase.Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=True)


def run(model: Path, data: Path, folder: Path, number: int, length: float) -> None:
    """Run the trajectories that do not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(number):
        path = folder / f"{i}.npz"
        if path.exists():
            continue
        atoms, rng, begin = start_of(data, i), np.random.default_rng(i), time.process_time()
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
    result = {
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
    print(json.dumps({k: v for k, v in result.items() if not isinstance(v, list)}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=("run", "collect"))
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--runs", type=Path, default=Path("runs/liquid"))
    parser.add_argument("--number", type=int, default=8)
    parser.add_argument("--length", type=float, default=2000.0, help="fs of each trajectory")
    arguments = parser.parse_args()
    if arguments.step == "run":
        run(arguments.model, arguments.data, arguments.runs, arguments.number, arguments.length)
    else:
        collect(arguments.runs)


if __name__ == "__main__":
    main()

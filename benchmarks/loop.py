"""Active learning beside the same number of labels at random: ethanol at 600 K with GFN2-xTB.

    python benchmarks/loop.py FOLDER [--seeds 1 2] [--by both random]

Each loop begins with the same 20 structures and differs in how structures are selected alone. The
last potential of each then runs dynamics of its own, 100 ps at 600 K, which neither training nor
selection has seen: how long until a bond breaks or the dynamics explode, and the errors of the
forces on the structures that it visits, labeled afterwards. Errors on dynamics of GFN2-xTB itself
are given beside them. Results go to `results/loop.json`, and a table to `results/loop.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin

from reann.demo import copy_data
from reann.interfaces.ase import Calculator
from reann.learning.assess import errors_on
from reann.learning.explore.dynamics import Conditions, run_dynamics
from reann.learning.folders import read_json
from reann.learning.label.calculators import make_calculator
from reann.motion.dynamics import draw_velocities

RESULTS = Path(__file__).parent / "results" / "loop.json"
DATA = "ethanol_train.xyz.gz"
LOOP = """# Written by benchmarks/loop.py
structures: ../ethanol.xyz
label:
  calculator: {{name: tblite, method: GFN2-xTB}}
  timeout: 2min
explore:
  md: {{temperatures: [300, 600], time: 3ps, starts: 2, keep_bonds: true}}
select: {{number: 20, random: 5, by: {by}}}
model: {{preset: fast, cutoff: 4.5}}
training: {{epochs: 100, batch_size: 5}}
retraining: {{epochs: 40, batch_size: 5}}
stop: {{iterations: 5}}
workers: {{number: 2}}
run: {{folder: loop, seed: {seed}, threads: 1}}
"""
TEMPERATURE, TIME, TRAJECTORIES = 600.0, 100_000.0, 2
"""K, fs."""
FRAMES = 60
"""Structures of each trajectory that are labeled afterwards."""
REFERENCE_STEPS, REFERENCE_EVERY = 10_000, 100
"""Of the dynamics of GFN2-xTB itself, with steps of 0.5 fs."""


def main() -> None:
    """Run what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--by", nargs="+", default=["both", "random"])
    arguments = parser.parse_args()
    start = structures(arguments.folder)
    for seed in arguments.seeds:
        for by in arguments.by:
            name = f"{by}-{seed}"
            if name not in results():
                loop = run_loop(arguments.folder / name, by, seed)
                about = loop | judged(arguments.folder, name, start, seed)
                known = dict(sorted((results() | {name: about}).items()))
                RESULTS.write_text(json.dumps(known, indent=1) + "\n")
    write_table(results())


def results() -> dict[str, Any]:
    """Return what is known by now, also from other processes."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def structures(folder: Path) -> list[ase.Atoms]:
    """Write the structures to begin with, and return those to start dynamics from."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_data(folder, [DATA])
    every = list(ase.io.iread(folder / DATA, ":"))
    if not (folder / "ethanol.xyz").exists():
        ase.io.write(folder / "ethanol.xyz", [bare(atoms) for atoms in every[:20]])
    return [bare(atoms) for atoms in every[20 : 20 + TRAJECTORIES]]


def bare(atoms: ase.Atoms) -> ase.Atoms:
    """Return symbols and positions alone."""
    return ase.Atoms(atoms.symbols, atoms.positions)


def run_loop(folder: Path, by: str, seed: int) -> dict[str, Any]:
    """Run a loop and return its numbers."""
    folder.mkdir(exist_ok=True)
    (folder / "loop.yaml").write_text(LOOP.format(by=by, seed=seed))
    begun, before = time.perf_counter(), os.times()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("a") as log:
        command = [sys.executable, "-m", "reann", "learn", "loop.yaml"]
        subprocess.run(  # noqa: S603
            command, cwd=folder, env=environment, stdout=log, stderr=log, check=True
        )
    after, took = os.times(), time.perf_counter() - begun
    used = sum(getattr(after, n) - getattr(before, n) for n in ("children_user", "children_system"))
    summaries = [read_json(file) for file in sorted((folder / "loop").glob("*/summary.json"))]
    return {
        "labels": sum(summary["labels"] for summary in summaries),
        "iterations": summaries[-1]["iteration"],
        "wall_s": round(took, 1),
        "cpu_s": round(used, 1),
        "random_p95": [s["errors"]["random"]["forces_p95_meV_per_A"] for s in summaries[1:]],
        "random_rmse": [s["errors"]["random"]["forces_rmse_meV_per_A"] for s in summaries[1:]],
    }


def judged(folder: Path, name: str, start: list[ase.Atoms], seed: int) -> dict[str, Any]:
    """Return what the last potential of a loop is worth in dynamics of its own."""
    file = folder / name / "loop" / "model.reann"
    times, visited, speeds = [], [], []
    for i, atoms in enumerate(start):
        conditions = Conditions(
            TEMPERATURE, None, TIME, 0.5, FRAMES, True, 1.0, 1000 * seed + i, "native"
        )
        trajectory = run_dynamics(file.read_bytes(), atoms, conditions)
        times.append(1e-3 * trajectory.time)
        visited += trajectory.frames
        speeds.append(trajectory.time / trajectory.seconds)
    calculator = Calculator(file)
    return {
        "failure_ps": times,
        "visited": errors_on([labeled(atoms) for atoms in visited], calculator),
        "reference": errors_on(reference_pool(folder, start[0]), calculator),
    }


def labeled(atoms: ase.Atoms) -> ase.Atoms:
    """Return a structure with energy and forces of GFN2-xTB."""
    work = bare(atoms)
    work.calc = make_calculator("tblite", {"method": "GFN2-xTB"}, ".")
    results = {"energy": work.get_potential_energy(), "forces": work.get_forces()}
    work.calc = SinglePointCalculator(work, **results)
    return work


def reference_pool(folder: Path, start: ase.Atoms) -> list[ase.Atoms]:
    """Return structures of dynamics of GFN2-xTB at the temperature, with labels."""
    file = folder / "reference.xyz"
    if not file.exists():
        atoms, frames = start.copy(), []
        atoms.calc = make_calculator("tblite", {"method": "GFN2-xTB"}, ".")
        rng = np.random.default_rng(7)
        draw_velocities(atoms, TEMPERATURE, rng)
        md = Langevin(
            atoms, 0.5 * units.fs, temperature_K=TEMPERATURE, friction=0.01 / units.fs, rng=rng
        )
        for _ in range(REFERENCE_STEPS // REFERENCE_EVERY):
            md.run(REFERENCE_EVERY)
            frames.append(labeled(atoms))
        ase.io.write(file, frames)
    return list(ase.io.iread(file, ":"))


def write_table(known: dict[str, Any]) -> None:
    """Write the results as a table."""
    columns = (
        "selection, seed",
        "labels",
        "time to failure (ps, of 100)",
        "visited: 95th percentile",
        "RMSE",
        "xTB dynamics: 95th percentile",
        "MAE",
        "processor time (min)",
    )
    lines = ["| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]
    for name, about in known.items():
        by, _, seed = name.rpartition("-")
        visited, reference = about["visited"], about["reference"]
        cells = [
            f"{by}, {seed}",
            str(about["labels"]),
            ", ".join(f"{t:.3g}" for t in about["failure_ps"]),
            f"{visited['forces_p95_meV_per_A']:.0f}",
            f"{visited['forces_rmse_meV_per_A']:.0f}",
            f"{reference['forces_p95_meV_per_A']:.0f}",
            f"{reference['forces_mae_meV_per_A']:.1f}",
            f"{about['cpu_s'] / 60:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    RESULTS.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Active learning beside the same number of labels without selection, with GFN2-xTB.

    python benchmarks/loop.py FOLDER [--systems ethanol water] [--seeds 1 2 3] [--by both random]

Loops begin with the same 20 snapshots of dynamics of GFN2-xTB at a lower temperature, and differ in
`select.by` alone: all explore with their own last potential. `both-anew` and `random-anew` are
trained from nothing on the labels of a finished loop, in as many steps as all its trainings. `low`
and `high` are trained in the same way without a loop, on as many snapshots of dynamics of GFN2-xTB
at the lower and the higher temperature.

The potentials run dynamics at the higher temperature, which neither training nor selection has
seen: how long until a bond breaks or forms or the dynamics explode, and the errors of the forces on
the structures that they visit, labeled afterwards. Errors on dynamics of GFN2-xTB itself, the pool,
are given beside them. Results go to `results/loop.json`, tables to `results/loop.md`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.optimize import FIRE
from distributed import LocalCluster
from loop_tables import WAYS, tables

from reann.config import Config
from reann.interfaces.ase import Calculator
from reann.learning.assess import errors_on
from reann.learning.explore.dynamics import Conditions, run_dynamics
from reann.learning.label.calculators import make_calculator
from reann.learning.loop import learn
from reann.motion.dynamics import draw_velocities
from reann.training.run import train

RESULTS = Path(__file__).parent / "results" / "loop.json"
LOOP = """# Written by benchmarks/loop.py
structures: ../start.xyz
labeled: true
label:
  calculator: {{name: tblite, method: GFN2-xTB}}
  timeout: 2min
explore:
  md: {{temperatures: {temperatures}, time: 2ps, starts: 2, keep_bonds: true}}
select: {{number: 10, random: 5, by: {by}}}
model: {{preset: fast, cutoff: 4.5}}
training: {{epochs: 100, batch_size: 5}}
retraining: {{epochs: 40, batch_size: 5}}
stop: {{iterations: 3}}
final: false
workers: {{scheduler: {scheduler}}}
run: {{folder: {folder}, seed: {seed}, threads: 1}}
"""
STEP = 0.5
"""fs."""
START, START_EVERY = 20, 100
"""Snapshots to begin with, and steps of GFN2-xTB between them."""
POOL, POOL_EVERY = 60, 100
"""Structures of the dynamics of GFN2-xTB at the higher temperature, and steps between them."""
LABELS, VALID, EPOCHS = 65, 19, 129
"""Of a training without a loop: labels, of which some validate, as in a loop; and epochs, which
take as many steps as all trainings of a loop."""
TIME, TRAJECTORIES = 10_000.0, 2
"""fs; dynamics of the last potential, which start from the first and the last snapshot."""
FRAMES = 60
"""Structures of each of these trajectories that are labeled."""


def ethanol() -> ase.Atoms:
    """Return ethanol."""
    return molecule("CH3CH2OH")


def water() -> ase.Atoms:
    """Return a ring of four water molecules, to be relaxed."""
    ring = ase.Atoms()
    for i in range(4):
        one = molecule("H2O")
        one.rotate(90.0, "x")
        one.translate([2.0, 0.0, 0.0])
        one.rotate(90.0 * i, "z")
        ring += one
    ring.rattle(0.05, seed=1)
    return ring


@dataclass(frozen=True)
class System:
    """A molecule or cluster, and the temperatures of its exploration."""

    title: str
    build: Callable[[], ase.Atoms]
    low: int
    """K, of the snapshots to begin with."""
    high: int
    """K, of the dynamics that judge."""


SYSTEMS = {
    "ethanol": System("ethanol", ethanol, 300, 600),
    "water": System("4 water", water, 150, 300),
}


TITLES = {name: system.title for name, system in SYSTEMS.items()}


def main() -> None:
    """Run what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--by", nargs="+", default=list(WAYS), choices=list(WAYS))
    arguments = parser.parse_args()
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        for seed, system, by in product(arguments.seeds, arguments.systems, arguments.by):
            known = results()
            if str(seed) not in known.get(system, {}).get(by, {}):
                folder = (arguments.folder / system).absolute()
                found = run(folder, SYSTEMS[system], by, seed, cluster.scheduler_address)
                known.setdefault(system, {}).setdefault(by, {})[str(seed)] = found
                RESULTS.write_text(json.dumps(known, indent=1) + "\n")
                RESULTS.with_suffix(".md").write_text(tables(known, TITLES))


def results() -> dict[str, Any]:
    """Return what is known by now."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def run(folder: Path, system: System, by: str, seed: int, scheduler: str) -> dict[str, Any]:
    """Run a loop on the workers of a Dask scheduler, or none, and judge the last potential."""
    start = prepare(folder, system)
    name = f"{by}-{seed}"
    if by in ("low", "high"):
        frames = snapshots(start[0], getattr(system, by), LABELS, START_EVERY, 100 + seed)
        order = np.random.default_rng(seed).permutation(LABELS)
        parts = [[frames[i] for i in some] for some in (order[VALID:], order[:VALID])]
        return trained(folder / name, *parts, seed) | judged(folder, system, name, start)
    if by.endswith("-anew"):
        loop = folder / f"{by.removesuffix('-anew')}-{seed}" / "loop"
        last = max(loop.glob("iteration-*"))
        parts = [list(ase.io.iread(last / f"{part}.xyz", ":")) for part in ("train", "valid")]
        return trained(folder / name, *parts, seed) | judged(folder, system, name, start)
    text = LOOP.format(
        temperatures=[system.low, system.high],
        by=by,
        seed=seed,
        scheduler=scheduler,
        folder=folder / name / "loop",
    )
    return run_loop(folder / name, text) | judged(folder, system, name, start)


def prepare(folder: Path, system: System) -> list[ase.Atoms]:
    """Write the structures to begin with and the pool, and return the former."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "start.xyz"
    if not file.exists():
        atoms = system.build()
        atoms.calc = make_calculator("tblite", {"method": "GFN2-xTB"}, ".")
        FIRE(atoms, logfile=None).run(0.02, 500)
        ase.io.write(file, snapshots(atoms, system.low, START, START_EVERY))
    start = list(ase.io.iread(file, ":"))
    if not (folder / "pool.xyz").exists():
        pool = snapshots(start[-1], system.high, POOL, POOL_EVERY)
        ase.io.write(folder / "pool.xyz", pool)
    return start


def snapshots(
    start: ase.Atoms, temperature: float, number: int, every: int, seed: int = 7
) -> list[ase.Atoms]:
    """Return structures of dynamics of GFN2-xTB, with labels."""
    atoms, frames, rng = bare(start), [], np.random.default_rng(seed)
    atoms.calc = make_calculator("tblite", {"method": "GFN2-xTB"}, ".")
    draw_velocities(atoms, temperature, rng)
    friction = 0.01 / units.fs
    md = Langevin(atoms, STEP * units.fs, temperature_K=temperature, friction=friction, rng=rng)
    for _ in range(number):
        md.run(every)
        frames.append(labeled(atoms))
    return frames


def bare(atoms: ase.Atoms) -> ase.Atoms:
    """Return symbols and positions alone."""
    return ase.Atoms(atoms.symbols, atoms.positions)


def labeled(atoms: ase.Atoms) -> ase.Atoms:
    """Return a structure with energy and forces of GFN2-xTB."""
    work = bare(atoms)
    work.calc = make_calculator("tblite", {"method": "GFN2-xTB"}, ".")
    found = {"energy": work.get_potential_energy(), "forces": work.get_forces()}
    work.calc = SinglePointCalculator(work, **found)
    return work


def run_loop(folder: Path, text: str) -> dict[str, Any]:
    """Run a loop and return its numbers."""
    folder.mkdir(exist_ok=True)
    (folder / "loop.yaml").write_text(text)
    with (folder / "log.txt").open("a") as log, redirect_stdout(log):
        summaries = learn(folder / "loop.yaml").summaries
    early = [
        about["ended"] for s in summaries for about in s["explorations"].values() if about["ended"]
    ]
    return {
        "labels": sum(summary["labels"] for summary in summaries),
        "early": len(early),
        "random": [s["errors"]["random"] for s in summaries[1:]],
        "selected": [s["errors"]["selected"] for s in summaries[1:]],
    }


def trained(
    folder: Path, known: list[ase.Atoms], valid: list[ase.Atoms], seed: int
) -> dict[str, Any]:
    """Train from nothing in as many steps as all trainings of a loop."""
    folder.mkdir(exist_ok=True)
    ase.io.write(folder / "train.xyz", known)
    ase.io.write(folder / "valid.xyz", valid)
    with (folder / "log.txt").open("a") as log, redirect_stdout(log):
        train(
            Config(
                data={"train": str(folder / "train.xyz"), "valid": str(folder / "valid.xyz")},
                model={"preset": "fast", "cutoff": 4.5},
                training={"epochs": EPOCHS, "batch_size": 5},
                run={"folder": folder / "loop", "seed": seed, "threads": 1},
            ),
            overwrite=True,
        )
    return {"labels": len(known) + len(valid)}


def judged(folder: Path, system: System, name: str, start: list[ase.Atoms]) -> dict[str, Any]:
    """Return what the last potential of a loop is worth in dynamics of its own."""
    file = folder / name / "loop" / "model.reann"
    times, reasons, visited = [], [], []
    for i, atoms in zip(range(TRAJECTORIES), (start[0], start[-1]), strict=True):
        conditions = Conditions(
            system.high, None, TIME, STEP, FRAMES, True, 1.0, 1000 + i, "native"
        )
        trajectory = run_dynamics(file.read_bytes(), bare(atoms), conditions)
        times.append(round(1e-3 * trajectory.time, 4))
        reasons.append(trajectory.ended)
        visited += trajectory.frames
    calculator = Calculator(file)
    pool = list(ase.io.iread(folder / "pool.xyz", ":"))
    return {
        "failure_ps": times,
        "ended": reasons,
        "visited": errors_on([labeled(atoms) for atoms in visited], calculator),
        "pool": errors_on(pool, calculator),
    }


if __name__ == "__main__":
    main()

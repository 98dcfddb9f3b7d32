"""Time of energies and forces with and without charges, by the number of atoms.

    python benchmarks/cost_of_charges.py

Untrained models of the preset `default` with charges that are not zero, boxes of water, one core.
Results go to `results/long_range.json`.
"""

from __future__ import annotations

import json
import time

import ase
import numpy as np
import torch
from ase.build import molecule
from long_range import FORMS, RESULTS, record

from reann.backends import choice
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.model import build

COST_SIZES, LARGEST_OF_TORCH = (4, 7, 10, 15), 7
"""Molecules of water along an edge of the box."""


def main() -> None:
    """Time energies and forces of water with and without charges, in processor seconds."""
    torch.set_num_threads(1)
    for n in COST_SIZES:
        for engine in ("native", "torch") if n <= LARGEST_OF_TORCH else ("native",):
            row = timed(water_box(n), engine)
            known = json.loads(RESULTS.read_text()).get("cost", {})
            record("cost", known | {f"{n}^3 molecules, {engine}": row})


def timed(atoms: ase.Atoms, engine: str) -> dict[str, float]:
    """Return the milliseconds of each form; the best of four, or one of large boxes."""
    row: dict[str, float] = {"atoms": len(atoms)}
    graph = graph_from_atoms(atoms, ModelConfig().cutoff)
    for form in ("short range", "charges", "equilibrated"):
        model = build(ModelConfig(**FORMS[form]), [1, 8], 40.0, seed=0)
        with torch.no_grad():  # charges that are not zero
            for head in model.output_heads.values():
                head.of_elements.copy_(torch.tensor([-1.0, 2.0]))
        best = np.inf
        for _ in range(4 if len(atoms) < 5000 else 1):
            begin = time.process_time()
            choice.evaluate(model, graph, ["energy", "forces"], engine=engine)
            best = min(best, time.process_time() - begin)
        row[f"{form}, ms"] = round(1e3 * best, 1)
    return row


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

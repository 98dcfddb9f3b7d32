"""Completeness: the energies of the methane manifolds, read out at the carbon atom alone.

At an elevation of zero X- and X+ have the same distances and angles at the carbon. A descriptor of
those gives both the same energy, the mean at best: `floor` is the error of that.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import ase
import ase.io
import hosts
import numpy as np
import torch
from structures import CH, star
from torch import Tensor

from reann.config import CosineSchedule, TrainingConfig
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann
from reann.training.optim import optimizer_for, set_rate
from reann.training.schedule import cosine_rate

STEPS = 1500
CUTOFF = 3.0
"""Å."""
HELD_OUT = 5
"""Every so many grid points, of those that are not degenerate, are for testing."""
EVERY = 50
"""Steps between two points of a curve."""
SMALL = {"readout": {"hidden": [32, 32]}, "update": {"hidden": [32, 32]}}


@dataclass(frozen=True)
class Case:
    """One row."""

    host: str
    t: int
    messages: str = "scalar"
    star: bool = False
    readout: str = "carbon"
    control: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the row."""
        star = " star" if self.star else ""
        kind = f" {self.control}" if self.control else ""
        return f"{self.host}, T={self.t}, {self.messages}{star}, {self.readout}{kind}"


CASES = [
    *[Case(host, t) for host in hosts.HOSTS for t in (0, 1)],
    Case("density, pairs", 2),
    Case("density, pairs", 1, star=True),
    Case("density, pairs", 2, star=True),
    Case("density, pairs", 2, messages="directional", star=True),
    Case("power spectrum", 2, messages="directional", star=True),
    Case("density, pairs", 0, readout="all"),
    Case(
        "density, pairs",
        0,
        control="as many parameters as T=1",
        settings={"readout": {"hidden": [56, 56]}},
    ),
    Case("density, pairs", 1, control="species only"),
    Case("density, pairs", 0, control="averaged"),
]


def rows(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield a row for each case and seed."""
    for seed in arguments.seeds:
        for case in CASES:
            yield f"{case.name}, seed {seed}", partial(row, case, seed, arguments.data)


def row(case: Case, seed: int, data: Path) -> dict[str, Any]:
    """Train on energies and return errors in eV."""
    atoms = read(data)
    energies = torch.tensor([a.get_potential_energy() for a in atoms], dtype=torch.float64)
    pairs = degenerate(atoms)
    tested = held_out(atoms, pairs)
    taught = np.setdiff1d(np.arange(len(atoms)), tested)
    model = made(case, seed)
    graphs = [graph_from_atoms(a, CUTOFF) for a in atoms]
    batch = Graph.batch([star(g) for g in graphs] if case.star else graphs)
    fit = Fit(model, batch, energies, carbon=case.readout == "carbon")
    curve = fit.train(taught)
    wrong = (fit.energies() - energies).detach().numpy()
    of_pairs = energies[pairs].numpy()
    return {
        "host": case.host,
        "T": case.t,
        "messages": case.messages,
        "star": case.star,
        "readout": case.readout,
        "control": case.control,
        "seed": seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "floor": float(np.sqrt(np.mean((of_pairs[:, 0] - of_pairs[:, 1]) ** 2 / 4))),
        "deviation": float(energies.std()),
        "train": _rms(wrong[taught]),
        "degenerate": _rms(wrong[pairs.ravel()]),
        "test": _rms(wrong[tested]),
        "curve": curve,
    }


class Fit:
    """A training on all structures at once."""

    def __init__(self, model: Reann, batch: Graph, energies: Tensor, *, carbon: bool) -> None:
        self.model, self.batch, self.energies_wanted = model, batch, energies
        every = batch.atomic_numbers > 0
        self.read = (batch.atomic_numbers == 6) if carbon else every
        hosts.standardize(model, batch)
        model.energy_scale.copy_(energies.std())
        with torch.no_grad():
            model.reference_energies.zero_()
            model.reference_energies[model.elements.index(6)] = energies.mean()

    def energies(self) -> Tensor:
        """Return the energies that are read out."""
        atomic = self.model(self.batch, self.batch.edge_vectors())
        atomic = torch.where(self.read, atomic, 0.0)
        total = atomic.new_zeros(self.batch.n_systems)
        return total.index_add(0, self.batch.system, atomic)

    def train(self, taught: np.ndarray) -> list[float]:
        """Train and return the error in eV, every few steps."""
        config, curve = TrainingConfig(learning_rate=3e-3, weight_decay=0.0), []
        self.model.reference_energies.requires_grad_(False)
        optimizer = optimizer_for(self.model, config)
        for step in range(STEPS):
            set_rate(optimizer, config, cosine_rate(CosineSchedule(), step / STEPS))
            wrong = (self.energies() - self.energies_wanted)[taught]
            loss = (wrong / self.model.energy_scale).square().mean()
            if step % EVERY == 0:
                curve.append(round(_rms(wrong.detach().numpy()), 5))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
            optimizer.step()
        return curve


def made(case: Case, seed: int) -> Reann:
    """Return the model of a case."""
    own = {"cutoff": CUTOFF, "n_recursions": case.t, "n_radial": 8}
    if case.messages == "directional":
        own["messages"] = case.messages
    settings = hosts.HOSTS[case.host] | SMALL | own | case.settings
    model = hosts.model(settings, [1, 6], seed, averaged=case.control == "averaged")
    if case.control == "species only":
        for update in model.recursion.update.networks:
            update.register_forward_pre_hook(lambda _, given: (0.0 * given[0], given[1]))
    return model


def read(data: Path) -> list[ase.Atoms]:
    """Return the structures."""
    with gzip.open(data / "ch4-degenerate" / "manifold.xyz.gz", "rt") as file:
        return ase.io.read(file, ":", format="extxyz")


def degenerate(atoms: list[ase.Atoms]) -> np.ndarray:
    """Return the indices of the pairs X-, X+ with the fourth hydrogen in the plane, (pairs, 2)."""
    flat = [i for i, a in enumerate(atoms) if abs(a.positions[4, 2]) < 1e-3 * CH]
    by_grid: dict[int, list[int]] = {}
    for i in flat:
        by_grid.setdefault(int(atoms[i].info["grid"]), []).append(i)
    return np.array([pair for pair in by_grid.values() if len(pair) == 2])


def held_out(atoms: list[ase.Atoms], pairs: np.ndarray) -> np.ndarray:
    """Return the structures of some grid points off the degenerate line."""
    line = {int(atoms[i].info["grid"]) for i in pairs.ravel()}
    points = sorted({int(a.info["grid"]) for a in atoms} - line)[::HELD_OUT]
    return np.array([i for i, a in enumerate(atoms) if int(a.info["grid"]) in points])


def _rms(wrong: np.ndarray) -> float:
    return float(np.sqrt(np.mean(wrong**2)))

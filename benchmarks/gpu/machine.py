"""What all parts of the benchmark of a GPU share: device, models, structures, times and results."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import ase
import numpy as np
import torch

from reann.backends.protocol import Request
from reann.config import ModelConfig
from reann.data.cell_list import Grid, cell_list
from reann.graph import Graph, Sizes
from reann.model import Reann, build

RESULTS = Path(__file__).parents[1] / "results" / "gpu"
SECONDS = 480.0
PRESETS = ("fast", "default", "accurate")
REPEATS = (1, 2, 4, 8, 17)
"""Copies of a box of 192 atoms along each axis: up to 943 296 atoms."""
MOLECULES = 4096
INFERENCE = Request.of(["energy", "forces"])
STRESS = Request.of(["energy", "forces", "stress"])
TRAINING = Request.of(["energy", "forces"], create_graph=True)
SMALL = {
    "channels": 2,
    "n_radial": 2,
    "l_max": 1,
    "n_recursions": 1,
    "cutoff": 3.0,
    "readout": {"hidden": [3, 3]},
}
WATER = ("OH2", [[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]])
"""Å."""
METHANE = (
    "CH4",
    [
        [0.0] * 3,
        [0.63, 0.63, 0.63],
        [-0.63, -0.63, 0.63],
        [0.63, -0.63, -0.63],
        [-0.63, 0.63, -0.63],
    ],
)


@dataclass
class Bench:
    """What all parts share."""

    device: str
    small: bool
    model: Path | None
    seconds: float
    folder: Path = RESULTS
    results: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    presets: tuple[str, ...] = PRESETS

    def __post_init__(self) -> None:
        """Measure one preset in the interpreter."""
        if self.small:
            self.presets = ("default",)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.began)

    def network(self, preset: str) -> Reann:
        """Return a model for water and methane with random weights, float32, on the device."""
        choices = SMALL | {"update": {"hidden": [3]}} if self.small else {}
        config = ModelConfig(preset=preset, repulsion=True, **choices)  # pyright: ignore[reportArgumentType]
        model = build(config, [1, 6, 8], 30.0, seed=0)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
        return model.to(self.device)

    def graph(self, *structures: ase.Atoms, cutoff: float) -> Graph:
        """Return the graph of structures; its neighbor list is made on the device."""
        numbers = np.concatenate([x.numbers for x in structures])
        system = np.repeat(np.arange(len(structures)), [len(x) for x in structures])
        positions = np.concatenate([x.positions for x in structures])
        cells = np.stack([x.cell.array for x in structures])
        pbc = np.stack([x.pbc for x in structures])
        arrays = positions, numbers, system, cells, pbc
        there = [torch.from_numpy(x).to(self.device) for x in arrays]
        pairs = cell_list(there[0], there[2], Grid.of(cells, pbc, cutoff, self.device))
        graph = Graph(*there, *pairs)
        counts = {
            int(z): int(n) for z, n in zip(*np.unique(numbers, return_counts=True), strict=True)
        }
        most = int(pairs.first.diff().max())
        graph.__dict__["sizes"] = Sizes(counts, most)
        return graph

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def time_of(self, call: Callable[[], object], seconds: float = 2.0) -> float:
        """Return the median time of a call, in seconds; its first call prepares it."""
        if not self.small:
            call()
            self.wait()
        times, end = [], time.monotonic() + (0.0 if self.small else seconds)
        while not times or (time.monotonic() < end and len(times) < 200):
            start = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - start)
        return median(times)

    @contextmanager
    def peak(self) -> Iterator[dict[str, float]]:
        """Measure the most memory that is taken at once, in bytes beside what was there."""
        memory: dict[str, float] = {}
        if self.device != "cuda":
            yield memory
            return
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        yield memory
        memory["peak_bytes"] = torch.cuda.max_memory_allocated() - before

    def write(self) -> None:
        """Write what is known."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = "interpreter" if self.small else self.results["system"]["device"]
        path = self.folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.json"
        path.write_text(json.dumps(self.results, indent=1) + "\n", encoding="utf-8")


def water(n_side: int, repeats: int = 1) -> ase.Atoms:
    """Return molecules on a grid, turned at random, 3.1 Å apart: the density of the liquid."""
    rng = np.random.default_rng(0)
    box = ase.Atoms(cell=np.full(3, 3.1 * n_side), pbc=True)
    for place in np.ndindex(n_side, n_side, n_side):
        turned = ase.Atoms(*WATER)
        turned.rotate(float(rng.uniform(0, 360)), rng.normal(size=3))
        turned.positions += 3.1 * np.array(place)
        box += turned
    return box.repeat(repeats)


def boxes(bench: Bench) -> Iterator[ase.Atoms]:
    """Yield water of all sizes."""
    for repeats in (1,) if bench.small else REPEATS:
        yield water(1 if bench.small else 4, repeats)

"""Speed, memory and parity of the Triton engine on a GPU, in at most eight minutes.

    PYTHONPATH=src python benchmarks/gpu.py                  # the whole of it
    PYTHONPATH=src python benchmarks/gpu.py --model a.reann  # parity of a trained potential, too
    TRITON_INTERPRET=1 PYTHONPATH=src python benchmarks/gpu.py --small    # tries it without a GPU

It installs nothing and needs no network: PyTorch with CUDA, Triton, and the dependencies of the
package have to be there. `benchmarks/results/gpu/DEVICE.json` is written after each part, so that
nothing is lost when the time ends; a part that would not end in time is left out, and named. The
kernels of all presets are compiled first, side by side. Weights are random: they change no time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
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
from ase.build import molecule

from reann.backends.native.backend import Native
from reann.backends.protocol import Backend, Request
from reann.backends.reference import Reference
from reann.backends.triton import edge_text
from reann.backends.triton.backend import Triton
from reann.backends.triton.compiled import Compiled
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann, build

RESULTS = Path(__file__).parent / "results" / "gpu"
SECONDS = 480.0
PRESETS = ("fast", "default", "accurate")
REPEATS = (1, 2, 4, 8, 17)
"""Copies of a box of 192 atoms along each axis: up to 943 296 atoms."""
MOLECULES = 4096
INFERENCE = Request.of(["energy", "forces"])
STRESS = Request.of(["energy", "forces", "stress"])
TRAINING = Request.of(["energy", "forces"], create_graph=True)
SMALL = {"channels": 2, "n_radial": 2, "l_max": 1, "readout": {"hidden": [3, 3]}}


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

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.began)

    @property
    def presets(self) -> tuple[str, ...]:
        """Presets that are measured."""
        return ("default",) if self.small else PRESETS

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

    def graph(self, atoms: ase.Atoms, model: Reann) -> Graph:
        """Return the graph of a structure on the device."""
        return graph_from_atoms(atoms, model.cutoff).to(self.device)

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def time_of(self, call: Callable[[], object], seconds: float = 2.0) -> float:
        """Return the median time of a call, in seconds."""
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
        found: dict[str, float] = {}
        if self.device != "cuda":
            yield found
            return
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        yield found
        found["peak_bytes"] = torch.cuda.max_memory_allocated() - before

    def write(self) -> None:
        """Write what is known."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = "interpreter" if self.small else self.results["system"]["device"]
        path = self.folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.json"
        path.write_text(json.dumps(self.results, indent=1) + "\n", encoding="utf-8")


# --- structures -------------------------------------------------------------------------------


def water(n_side: int, repeats: int = 1) -> ase.Atoms:
    """Return molecules on a grid, turned at random, 3.1 Å apart: the density of the liquid."""
    rng = np.random.default_rng(0)
    box = ase.Atoms(cell=np.full(3, 3.1 * n_side), pbc=True)
    for place in np.ndindex(n_side, n_side, n_side):
        one = molecule("H2O")
        one.rotate(float(rng.uniform(0, 360)), rng.normal(size=3))
        one.positions += 3.1 * np.array(place)
        box += one
    return box.repeat(repeats)


def boxes(bench: Bench) -> Iterator[ase.Atoms]:
    """Yield water of all sizes."""
    for repeats in (1,) if bench.small else REPEATS:
        yield water(1 if bench.small else 4, repeats)


# --- parts ------------------------------------------------------------------------------------


def system(bench: Bench) -> dict[str, Any]:
    """Versions and machine."""
    import triton

    on_gpu = bench.device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if on_gpu else platform.processor() or "CPU",
        "memory_gib": torch.cuda.mem_get_info()[1] / 2**30 if on_gpu else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": triton.__version__,
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "python": platform.python_version(),
    }


def compiled(bench: Bench) -> dict[str, float]:
    """Seconds until the kernels of each preset are compiled, each in a process of its own."""
    if bench.small:
        return {}
    began, running = time.monotonic(), {}
    for preset in bench.presets:
        command = [sys.executable, __file__, "--warm", preset]
        running[preset] = subprocess.Popen(command)  # noqa: S603 - itself
    seconds = {}
    for preset, process in running.items():
        process.wait(timeout=max(bench.left, 1.0))
        seconds[preset] = time.monotonic() - began
    return seconds


def warm(bench: Bench, preset: str) -> None:
    """Compile what a preset needs."""
    model = bench.network(preset)
    graph = bench.graph(water(2), model)
    Compiled(model).evaluate(graph, STRESS)
    loss = Compiled(model).evaluate(graph, TRAINING)["forces"].square().sum()
    loss.backward()
    bench.wait()


def difference(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, float]:
    """Return the largest errors, relative to the largest value."""
    errors = {}
    for name, value in expected.items():
        error = (found[name].detach().cpu() - value.detach().cpu()).abs().max()
        errors[name] = float(error / value.detach().abs().max().cpu())
    return errors


def parity(bench: Bench) -> dict[str, Any]:
    """Relative differences from the native engine, of energies per atom from float64."""
    from reann.potential import load

    models = {preset: bench.network(preset) for preset in bench.presets}
    if bench.model is not None:
        potential = load(bench.model, torch.device(bench.device))
        models[bench.model.name] = next(iter(potential.members)).model
    names = Request.of(["energies", "forces", "virial"])
    found: dict[str, Any] = {}
    for name, model in models.items():
        atoms = water(1 if bench.small else 4)
        graph = bench.graph(atoms, model)
        by_gpu = Compiled(model).evaluate(graph, names)
        again = Compiled(model).evaluate(graph, names)
        on_cpu: Backend = Native() if Native().unavailable() is None else Reference()
        model.to("cpu")
        expected = on_cpu.compile(model).evaluate(graph.to("cpu"), names)
        model.to(bench.device)
        found[name] = difference(by_gpu, expected) | {
            "engine": on_cpu.name,
            "same_bits_twice": all(torch.equal(by_gpu[x], again[x]) for x in by_gpu),
        }
    return found


def sizes(bench: Bench) -> dict[str, Any]:
    """Energy and forces of water of all sizes: time without neighbor list, and memory."""
    found: dict[str, Any] = {}
    for atoms in boxes(bench):
        if bench.left < 1e-4 * len(atoms) + 30 and not bench.small:
            found[f"{len(atoms)} atoms"] = "left out: no time"
            break
        began = time.perf_counter()
        models = {preset: bench.network(preset) for preset in bench.presets}
        graph = bench.graph(atoms, models[bench.presets[0]])
        row: dict[str, Any] = {
            "neighbors": graph.n_edges / graph.n_atoms,
            "list_on_cpu_us_per_atom": (time.perf_counter() - began) / len(atoms) * 1e6,
        }
        for preset, model in models.items():
            row[preset] = one_size(bench, model, graph)
        found[f"{len(atoms)} atoms"] = row
        bench.results["sizes"] = found
        bench.write()
    return found


def one_size(bench: Bench, model: Reann, graph: Graph) -> dict[str, Any]:
    """Return what one model takes for a graph."""
    made = Compiled(model)
    expected = made.without_gradients().needs(INFERENCE).of(graph.n_atoms, 0)
    try:
        with bench.peak() as memory:
            seconds = bench.time_of(lambda: made.evaluate(graph, INFERENCE), 1.5)
    except Exception as error:  # noqa: BLE001 - memory, or a limit of the device: reported
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    return {
        "us_per_atom": seconds / graph.n_atoms * 1e6,
        "atom_steps_per_s": graph.n_atoms / seconds,
        "expected_bytes": expected,
        **memory,
    }


def references(bench: Bench) -> dict[str, Any]:
    """The same by PyTorch: eager, and what torch.compile makes of it (energies alone)."""
    found: dict[str, Any] = {}
    for repeats in (1,) if bench.small else (1, 2, 4):
        atoms = water(1 if bench.small else 4, repeats)
        row: dict[str, Any] = {}
        for preset in bench.presets:
            model = bench.network(preset)
            graph, eager = bench.graph(atoms, model), Reference().compile(model)
            seconds = bench.time_of(lambda e=eager, g=graph: e.evaluate(g, INFERENCE), 1.0)
            row[preset] = {"eager_us_per_atom": seconds / len(atoms) * 1e6}
            if repeats > 1 or bench.small or bench.left < 90:
                continue
            try:
                fast = torch.compile(model, dynamic=False)
                r = graph.edge_vectors()
                for name, call in (("eager", model), ("compiled", fast)):
                    with torch.no_grad():
                        seconds = bench.time_of(lambda c=call, g=graph, r=r: c(g, r), 1.0)
                    row[preset][f"{name}_energy_us_per_atom"] = seconds / len(atoms) * 1e6
            except Exception as error:  # noqa: BLE001 - reported
                row[preset]["compiled_error"] = f"{type(error).__name__}: {error}"[:300]
        found[f"{len(atoms)} atoms"] = row
    return found


def molecules(bench: Bench) -> dict[str, Any]:
    """Many molecules of methane at once."""
    n, found = 2 if bench.small else MOLECULES, {}
    for preset in bench.presets:
        model = bench.network(preset)
        one = graph_from_atoms(molecule("CH4"), model.cutoff)
        graph = Graph.batch([one] * n).to(bench.device)
        made = Compiled(model)
        seconds = bench.time_of(lambda m=made, g=graph: m.evaluate(g, INFERENCE))
        found[preset] = {"molecules_per_s": n / seconds, "us_per_atom": seconds / (5 * n) * 1e6}
    return found


def training(bench: Bench) -> dict[str, Any]:
    """Loss of energies and forces and its gradient, 8 boxes of 192 atoms: time per atom."""
    found: dict[str, Any] = {}
    for preset in bench.presets:
        model = bench.network(preset)
        one = graph_from_atoms(water(1 if bench.small else 4), model.cutoff)
        graph = Graph.batch([one] * (1 if bench.small else 8)).to(bench.device)

        def step(engine: Backend, model: Reann = model, graph: Graph = graph) -> None:
            model.zero_grad()
            values = engine.compile(model).evaluate(graph, TRAINING)
            (values["forces"].square().mean() + values["energy"].square().mean()).backward()

        row = {}
        for engine in (Triton(), Reference()):
            with bench.peak() as memory:
                seconds = bench.time_of(lambda e=engine: step(e))
            row[engine.name] = {"us_per_atom": seconds / graph.n_atoms * 1e6, **memory}
        found[preset] = row
    return found


def dynamics(bench: Bench) -> dict[str, Any]:
    """Steps per second of a small system whose positions change on the device, list kept."""
    from dataclasses import replace

    found: dict[str, Any] = {}
    for preset in bench.presets:
        model = bench.network(preset)
        graph = bench.graph(water(1 if bench.small else 4), model)
        made, sizes_of_graph = Compiled(model), graph.sizes

        def step(made: Compiled = made, graph: Graph = graph, kept: Any = sizes_of_graph) -> None:
            moved = replace(graph, positions=graph.positions + 1e-4)
            moved.__dict__["sizes"] = kept
            made.evaluate(moved, INFERENCE)

        found[preset] = {"steps_per_s": 1.0 / bench.time_of(step)}
    return found


def tiles(bench: Bench) -> dict[str, Any]:
    """Time per atom with other sizes of the tiles of edges and channels: which is the best?"""
    found: dict[str, Any] = {}
    for tile in () if bench.small else (128, 256, 512, 1024):
        if bench.left < 60:
            break
        edge_text.TILE, before = tile, edge_text.TILE
        forget_kernels()
        model = bench.network("default")
        graph = bench.graph(water(4, 4), model)
        made = Compiled(model)
        seconds = bench.time_of(lambda m=made, g=graph: m.evaluate(g, INFERENCE), 1.0)
        found[str(tile)] = seconds / graph.n_atoms * 1e6
        edge_text.TILE = before
    forget_kernels()
    return found


def forget_kernels() -> None:
    """Let kernels be made anew."""
    from reann.backends.triton import edge_kernels

    for function in vars(edge_kernels).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


PARTS = (system, compiled, parity, sizes, molecules, training, dynamics, references, tiles)
"""The most important first."""


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description="Measure the Triton engine on a GPU.")
    parser.add_argument("--model", type=Path, help="A trained potential for H, C or O.")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder to write to.")
    parser.add_argument("--small", action="store_true", help="Tiny sizes, for the interpreter.")
    parser.add_argument("--warm", help=argparse.SUPPRESS)
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not (given.small and os.environ.get("TRITON_INTERPRET") == "1"):
        sys.exit("There is no GPU. Try `TRITON_INTERPRET=1 ... --small` without one.")
    bench = Bench(device, given.small, given.model, given.seconds, given.results)
    if given.warm:
        warm(bench, given.warm)
        return
    for part in PARTS:
        name, began = part.__name__, time.monotonic()
        if bench.left < 10:
            bench.results[name] = "left out: no time"
            continue
        try:
            bench.results[name] = part(bench)
        except Exception as error:  # noqa: BLE001 - the next parts may work
            bench.results[name] = {"error": f"{type(error).__name__}: {error}"[:1000]}
        bench.results.setdefault("seconds", {})[name] = round(time.monotonic() - began, 1)
        bench.write()
        print(name, json.dumps(bench.results[name])[:2000], flush=True)


if __name__ == "__main__":
    main()

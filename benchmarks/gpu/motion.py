"""Molecular dynamics on a GPU, with and without CUDA graphs, and where the time goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from ase import units
from machine import INFERENCE, Bench, water
from torch import Tensor

from reann.backends.triton.compiled import Compiled
from reann.model import Reann
from reann.motion.lists import SkinPairs
from reann.motion.resident import BLOCK, Integrator, Resident

SKIN = 0.6
"""Å."""
STEP = 0.5 * units.fs
MOST_KERNELS = 12
"""In the table of a profile."""


def resident_of(bench: Bench, model: Reann, repeats: int = 1) -> Resident:
    """Return water that moves on the device."""
    atoms = water(1 if bench.small else 4, repeats)
    graph = bench.graph(atoms, cutoff=model.cutoff)
    pairs = SkinPairs(graph, model.cutoff, SKIN, fixed=True)
    compiled = Compiled(model)

    def forces() -> tuple[Tensor, Tensor]:
        results = compiled.evaluate(pairs.graph, INFERENCE)
        return results["energy"][0], results["forces"]

    def noise(steps: int) -> Tensor:
        shape = steps, 2, len(atoms), 3
        return torch.randn(shape, device=bench.device, dtype=torch.float64)

    return Resident(atoms, pairs, forces, Integrator(STEP), noise)


def dynamics(bench: Bench) -> dict[str, Any]:
    """Steps per second of 192 atoms: each kernel started alone, and a step as a CUDA graph."""
    results: dict[str, Any] = {}
    n_steps = 2 if bench.small else BLOCK
    for preset in bench.presets:
        own = resident_of(bench, bench.network(preset))
        row = {"steps_per_s": n_steps / bench.time_of(lambda r=own: r.advance(n_steps))}
        if bench.device == "cuda":
            try:
                own.capture()
                seconds = bench.time_of(lambda r=own: r.advance(n_steps))
                row["captured_steps_per_s"] = n_steps / seconds
            except Exception as error:  # noqa: BLE001 - reported
                row["captured"] = f"{type(error).__name__}: {error}"[:600]
        row["lists"] = own.pairs.n_builds
        results[preset] = row
    return results


def profile(bench: Bench) -> dict[str, Any]:
    """The kernels that take most of the time of an evaluation, in microseconds."""
    results: dict[str, Any] = {}
    for preset in bench.presets:
        model = bench.network(preset)
        graph = bench.graph(
            water(1 if bench.small else 4, 1 if bench.small else 4), cutoff=model.cutoff
        )
        compiled = Compiled(model)
        results[preset] = times_of(bench, lambda c=compiled, g=graph: c.evaluate(g, INFERENCE))
    return results


def times_of(bench: Bench, call: Callable[[], object]) -> dict[str, float]:
    """Return the longest times by kernel, or by operation without a GPU."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as watch

    call()
    bench.wait()
    on_gpu = bench.device == "cuda"
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    with watch(activities=[activity]) as watched:
        call()
        bench.wait()
    name = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    each = {x.key[:60]: float(getattr(x, name)) for x in watched.key_averages()}
    longest = sorted(each, key=lambda x: -each[x])[:MOST_KERNELS]
    return {"sum": sum(each.values())} | {key: each[key] for key in longest}

"""Parity, speed and memory of evaluations and training steps on a GPU."""

from __future__ import annotations

from typing import Any

import ase
import torch
from machine import (
    INFERENCE,
    METHANE,
    MOLECULES,
    TRAINING,
    Bench,
    boxes,
    water,
)

from reann.backends.native.backend import Native
from reann.backends.protocol import Backend, Request
from reann.backends.reference import Reference
from reann.backends.triton import edge_kernels, edge_text
from reann.backends.triton.backend import Triton
from reann.backends.triton.compiled import Compiled
from reann.data.cell_list import Grid, cell_list
from reann.graph import Graph
from reann.model import Reann


def difference(computed: dict[str, Any], expected: dict[str, Any]) -> dict[str, float]:
    """Return the largest errors, relative to the largest value."""
    errors = {}
    for name, value in expected.items():
        error = (computed[name].detach().cpu() - value.detach().cpu()).abs().max()
        errors[name] = float(error / value.detach().abs().max().cpu())
    return errors


def first(bench: Bench) -> dict[str, Any]:
    """Parity of the smallest preset: what would fail, fails within a minute."""
    return parity(bench, bench.presets[:1])


def parity(bench: Bench, presets: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Relative differences from the native engine, or from the reference where there is none."""
    from reann.potential import load

    presets = bench.presets if presets is None else presets
    models = {preset: bench.network(preset) for preset in presets}
    if bench.model is not None and presets == bench.presets:
        potential = load(bench.model, torch.device(bench.device))
        models[bench.model.name] = next(iter(potential.members)).model
    names = Request.of(["energies", "forces", "virial"])
    results: dict[str, Any] = {}
    for name, model in models.items():
        graph = bench.graph(water(1 if bench.small else 4), cutoff=model.cutoff)
        by_gpu = Compiled(model).evaluate(graph, names)
        again = Compiled(model).evaluate(graph, names)
        on_cpu: Backend = Native() if Native().unavailable() is None else Reference()
        model.to("cpu")
        expected = on_cpu.compile(model).evaluate(graph.to("cpu"), names)
        model.to(bench.device)
        results[name] = difference(by_gpu, expected) | {
            "engine": on_cpu.name,
            "same_bits_twice": all(torch.equal(by_gpu[x], again[x]) for x in by_gpu),
        }
    return results


def sizes(bench: Bench) -> dict[str, Any]:
    """Energy and forces of water of all sizes: time without neighbor list, and memory."""
    results: dict[str, Any] = {}
    for atoms in boxes(bench):
        if bench.left < 1e-4 * len(atoms) + 30 and not bench.small:
            results[f"{len(atoms)} atoms"] = "left out: no time"
            break
        models = {preset: bench.network(preset) for preset in bench.presets}
        cutoff = models[bench.presets[0]].cutoff
        graph = bench.graph(atoms, cutoff=cutoff)
        cells, pbc = (x.cpu().numpy() for x in (graph.cell, graph.pbc))
        grid = Grid.of(cells, pbc, cutoff, bench.device)
        seconds = bench.time_of(lambda g=graph, d=grid: cell_list(g.positions, g.system, d), 1.0)
        row: dict[str, Any] = {
            "neighbors": graph.n_edges / graph.n_atoms,
            "list_us_per_atom": seconds / len(atoms) * 1e6,
        }
        for preset, model in models.items():
            row[preset] = one_size(bench, model, graph)
        results[f"{len(atoms)} atoms"] = row
        bench.results["sizes"] = results
        bench.write()
    return results


def one_size(bench: Bench, model: Reann, graph: Graph) -> dict[str, Any]:
    """Return what one model takes for a graph."""
    compiled = Compiled(model)
    expected = compiled.without_gradients().needs(INFERENCE).of(graph.n_atoms, 0)
    try:
        with bench.peak() as memory:
            seconds = bench.time_of(lambda: compiled.evaluate(graph, INFERENCE), 1.5)
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
    results: dict[str, Any] = {}
    for repeats in (1,) if bench.small else (1, 2, 4):
        atoms = water(1 if bench.small else 4, repeats)
        row: dict[str, Any] = {}
        for preset in bench.presets:
            model = bench.network(preset)
            graph, eager = bench.graph(atoms, cutoff=model.cutoff), Reference().compile(model)
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
        results[f"{len(atoms)} atoms"] = row
    return results


def molecules(bench: Bench) -> dict[str, Any]:
    """Many molecules of methane at once."""
    n, results = 2 if bench.small else MOLECULES, {}
    for preset in bench.presets:
        model = bench.network(preset)
        graph = bench.graph(*[ase.Atoms(*METHANE)] * n, cutoff=model.cutoff)
        compiled = Compiled(model)
        seconds = bench.time_of(lambda m=compiled, g=graph: m.evaluate(g, INFERENCE))
        results[preset] = {"molecules_per_s": n / seconds, "us_per_atom": seconds / (5 * n) * 1e6}
    return results


def training(bench: Bench) -> dict[str, Any]:
    """Loss of energies and forces and its gradient, 8 boxes of 192 atoms: time per atom."""
    results: dict[str, Any] = {}
    for preset in bench.presets:
        model = bench.network(preset)
        box = water(1 if bench.small else 4)
        graph = bench.graph(*[box] * (1 if bench.small else 8), cutoff=model.cutoff)

        def step(engine: Backend, model: Reann = model, graph: Graph = graph) -> None:
            model.zero_grad()
            values = engine.compile(model).evaluate(graph, TRAINING)
            (values["forces"].square().mean() + values["energy"].square().mean()).backward()

        row = {}
        for engine in (Triton(), Reference()):
            with bench.peak() as memory:
                seconds = bench.time_of(lambda e=engine: step(e))
            row[engine.name] = {"us_per_atom": seconds / graph.n_atoms * 1e6, **memory}
        results[preset] = row
    return results


def tiles(bench: Bench) -> dict[str, Any]:
    """Time per atom with other sizes of the tiles of edges and channels: which is the best?"""
    results: dict[str, Any] = {}
    for tile in () if bench.small else (128, 256, 512):
        if bench.left < 60:
            break
        edge_text.TILE, before = tile, edge_text.TILE
        forget_kernels()
        model = bench.network("default")
        graph = bench.graph(water(4, 4), cutoff=model.cutoff)
        compiled = Compiled(model)
        seconds = bench.time_of(lambda m=compiled, g=graph: m.evaluate(g, INFERENCE), 1.0)
        results[str(tile)] = seconds / graph.n_atoms * 1e6
        edge_text.TILE = before
    forget_kernels()
    return results


def forget_kernels() -> None:
    """Let kernels be made anew."""
    for function in vars(edge_kernels).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()

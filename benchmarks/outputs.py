"""What dipoles, polarizabilities and fields cost beside energies and forces: the native engine.

    python benchmarks/outputs.py [--preset default] [--threads 1] [--repeats 15]

An evaluation and a training step of 16 molecules of ethanol (144 atoms), or of water (192 atoms,
one frame), and a step of the ASE calculator with the first structure, with a model of a preset:
alone, with heads of dipole and polarizability, and as a model of an electric field. All alternate
in one process, each with a few evaluations or steps in a row, as in a run. Medians of the time of
the processor, which other programs disturb little, and of its ratios to the model alone in the same
round; absolute times hold on no other machine. The optimizer is that of a training.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import ase
import torch
from ase.build import molecule
from step import frame

from reann import Calculator, Potential
from reann.backends.native.backend import Native
from reann.backends.protocol import Request
from reann.config import LossConfig, ModelConfig, TrainingConfig
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann, build
from reann.training.loss import Loss
from reann.training.optim import optimizer_for

OUTPUTS = ["dipole", "polarizability"]
NAMES = ["energy", "forces"]
IN_A_ROW = 5
"""Evaluations or steps of a case in each round."""


def systems() -> dict[str, list[ase.Atoms]]:
    """Return molecules of ethanol and a box of water."""
    ethanol = [molecule("CH3CH2OH") for _ in range(16)]
    for i, atoms in enumerate(ethanol):
        atoms.rattle(0.05, seed=i)
    water = frame()
    box = ase.Atoms(water["numbers"], water["positions"], cell=water["cell"], pbc=water["pbc"])
    return {"ethanol": ethanol, "water": [box]}


def model_of(preset: str, outputs: list[str], *, field: bool = False) -> Reann:
    """Return a model with random weights."""
    form = {"preset": preset, "outputs": outputs, "field": field}
    config = ModelConfig.model_validate(form)
    model = build(config, [1, 6, 8], 20.0, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return model


def in_field(graph: Graph) -> Graph:
    """Return the graph in a field of 0.1 V/Å."""
    return replace(graph, field=graph.cell.new_tensor([0.0, 0.06, 0.08]).repeat(graph.n_systems, 1))


def work(model: Reann, graph: Graph, outputs: list[str]) -> dict[str, Callable[[], object]]:
    """Return an evaluation and a training step that ask for energies, forces and outputs."""
    backend, names = Native(), [*NAMES, *outputs]
    compiled, request = backend.compile(model), Request.of(names)
    labels = compiled.evaluate(graph, request)
    graph = graph.each(torch.clone)
    graph.labels.update({name: x + 0.1 for name, x in labels.items()})
    graph.labels["weight"] = torch.ones(graph.n_systems, dtype=torch.float64)
    counts = {name: float(x.numel()) for name, x in labels.items()}
    loss = Loss(LossConfig(), 1.0, dict.fromkeys(outputs, 1.0))
    optimizer = optimizer_for(model, TrainingConfig(learning_rate=1e-9))
    with_gradient = Request.of(names, create_graph=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        results = compiled.evaluate(graph, with_gradient)
        loss(results, graph, counts).backward()
        optimizer.step()
        compiled.update(model)

    return {"evaluation": lambda: compiled.evaluate(graph, request), "training step": step}


def with_calculator(
    model: Reann, atoms: ase.Atoms, outputs: list[str]
) -> dict[str, Callable[[], object]]:
    """Return a step that asks the ASE calculator for energy, forces and outputs of moved atoms."""
    atoms = atoms.copy()
    atoms.calc = Calculator(Potential(model), engine="native")
    displacements = itertools.cycle([1e-3, -1e-3])

    def step() -> None:
        atoms.positions += next(displacements)
        atoms.get_forces()
        atoms.get_potential_energy()
        for name in outputs:
            atoms.calc.get_property(name, atoms)

    return {"calculator": step}


def main() -> None:
    """Alternate the models and print microseconds per atom and ratios."""
    parser = argparse.ArgumentParser(description="What outputs cost.")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bare, full = model_of(arguments.preset, []), model_of(arguments.preset, OUTPUTS)
    of_field = model_of(arguments.preset, ["dipole"], field=True)
    for system, atoms in systems().items():
        graph = Graph.batch([graph_from_atoms(structure, bare.cutoff) for structure in atoms])
        cases = {
            "no outputs": work(bare, graph, []) | with_calculator(bare, atoms[0], []),
            "not asked for": work(full, graph, []) | with_calculator(full, atoms[0], []),
            "dipole": work(full, graph, ["dipole"]) | with_calculator(full, atoms[0], ["dipole"]),
            "both": work(full, graph, OUTPUTS) | with_calculator(full, atoms[0], OUTPUTS),
            "field of zero": work(of_field, graph, []),
            "in a field": work(of_field, in_field(graph), []),
            "and -dE/dF": work(of_field, in_field(graph), ["dipole"]),
        }
        for task in cases["no outputs"]:
            works = {name: case[task] for name, case in cases.items() if task in case}
            times: dict[str, list[float]] = {name: [] for name in works}
            n_atoms = len(atoms[0]) if task == "calculator" else graph.n_atoms
            for repeat in range(arguments.repeats + 2):
                for name, one in works.items():
                    one()  # the caches hold what the case before needed
                    start = time.process_time()
                    for _ in range(IN_A_ROW):
                        one()
                    if repeat >= 2:
                        elapsed = (time.process_time() - start) / IN_A_ROW
                        times[name].append(1e6 * elapsed / n_atoms)
            least = times["no outputs"]
            for name, each in times.items():
                ratio = statistics.median(a / b for a, b in zip(each, least, strict=True))
                median = statistics.median(each)
                print(f"{system:8} {task:14} {name:14} {median:8.1f} µs/atom {ratio:6.3f}")


if __name__ == "__main__":
    main()

"""Presets with random weights on the native engine, the neighbor list outside, as one peer."""

from __future__ import annotations

from collections.abc import Callable

import ase
import torch
from reann_engine import random_weights
from worker import Task, serve

import reann
from reann.backends.native.function import compute
from reann.backends.native.weights import new_model
from reann.data.neighbors import graph_from_atoms
from reann.native.system import arguments


def load(
    atoms: ase.Atoms, *, threads: int, models: dict[str, tuple[str, float]]
) -> tuple[dict[str, str], dict[str, Task]]:
    """Return a task for each of the models: preset and cutoff in Å by name."""
    torch.set_num_threads(threads)
    tasks: dict[str, Task] = {
        name: evaluation(atoms, preset, cutoff) for name, (preset, cutoff) in models.items()
    }
    return {"reann": reann.__version__, "torch": torch.__version__}, tasks


def evaluation(atoms: ase.Atoms, preset: str, cutoff: float) -> Callable[[], None]:
    """Return a function that computes energies and forces."""
    model = random_weights(preset, atoms, cutoff).model
    graph = graph_from_atoms(atoms, cutoff)
    packed, system = new_model(model), arguments(graph, model.element_index)

    def evaluate() -> None:
        compute(packed, system, ("forces",))

    return evaluate


if __name__ == "__main__":
    serve(load)

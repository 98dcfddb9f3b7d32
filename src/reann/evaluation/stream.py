"""Evaluation of a stream of structures in batches with a limited number of neighbor pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import ase
import numpy as np
from numpy.typing import NDArray

from reann.backends import choice
from reann.backends.choice import Engine
from reann.data.neighbors import graph_from_atoms
from reann.elements import check_elements
from reann.graph import Graph
from reann.potential import Ensemble, Potential
from reann.quantities import is_per_atom

MAX_EDGES = 200_000
MAX_EDGES_OF_OUTPUTS = 40_000
"""Maximum number of neighbor pairs if all outputs are kept; larger batches are not faster."""


def batched(
    potential: Potential | Ensemble,
    structures: Iterable[tuple[ase.Atoms, str]],
    max_edges: int = MAX_EDGES,
) -> Iterator[tuple[Graph, list[str]]]:
    """Yield batched graphs of consecutive structures, and the origins of the structures.

    Parameters
    ----------
    potential
        Potential whose cutoff and inputs are used.
    structures
        Structures with their origins.
    max_edges
        Maximum number of neighbor pairs in a graph; a larger structure is a graph of its own. Each
        structure counts as one more pair, as isolated atoms also need memory.
    """
    graphs: list[Graph] = []
    origins: list[str] = []
    for atoms, origin in structures:
        graph = graph_from_atoms(atoms, potential.cutoff, origin, potential.input_keys)
        if graphs and sum(g.n_edges + 1 for g in graphs) + graph.n_edges >= max_edges:
            yield Graph.batch(graphs), origins
            graphs, origins = [], []
        graphs.append(graph)
        origins.append(origin)
    if graphs:
        yield Graph.batch(graphs), origins


def evaluated(
    potential: Potential | Ensemble,
    structures: Iterable[ase.Atoms],
    names: Iterable[str],
    *,
    engine: Engine = "auto",
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, NDArray[np.float64]]:
    """Return properties of structures of equal size, with only one batch in memory at a time.

    Parameters
    ----------
    names
        As in `Potential.evaluate`.
    progress
        Called with the number of structures after each batch.

    Returns
    -------
    dict
        Each property, (structures, ...) or (structures, atoms, ...).

    Raises
    ------
    UserError
        If elements are unknown to the potential, a geometry is invalid, or the backend is unknown.
    """
    names = list(names)
    engine = choice.check(engine) or engine
    parts: dict[str, list[NDArray[np.float64]]] = {}
    numbered = ((atoms, f"structure {i}") for i, atoms in enumerate(structures))
    for graph, origins in batched(potential, numbered, MAX_EDGES_OF_OUTPUTS):
        check_elements(potential.model.elements, graph.atomic_numbers.numpy())
        values = potential.evaluate(graph.to(potential.device), names, engine)
        for name in names:
            array = values[name].cpu().double().numpy()
            shape = (len(origins), -1) if is_per_atom(name) else (len(origins),)
            parts.setdefault(name, []).append(array.reshape(*shape, *array.shape[1:]))
        progress(len(origins))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}

"""Structures that stream by, computed in batches of a limited number of neighbor pairs."""

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
OF_OUTPUTS = 40_000
"""Most neighbor pairs at once where all outputs are kept: beyond, nothing becomes faster."""


def batched(
    potential: Potential | Ensemble,
    structures: Iterable[tuple[ase.Atoms, str]],
    max_edges: int = MAX_EDGES,
) -> Iterator[tuple[Graph, list[str]]]:
    """Yield the graphs of consecutive structures together, and the origins of the structures.

    Parameters
    ----------
    potential
        Whose cutoff and inputs the graphs have.
    structures
        With the names of where they come from.
    max_edges
        Most neighbor pairs in one graph; a larger structure is alone. Each structure counts one
        more: isolated atoms need memory, too.
    """
    graphs: list[Graph] = []
    origins: list[str] = []
    for atoms, origin in structures:
        graph = graph_from_atoms(atoms, potential.cutoff, origin, potential.model.inputs)
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
    """Return properties of structures of equal size, which are never in memory all at once.

    Parameters
    ----------
    names
        As of `Potential.evaluate`.
    progress
        Called with the number of structures after each batch.

    Returns
    -------
    dict
        Of each property, (structures, ...) or (structures, atoms, ...).

    Raises
    ------
    UserError
        For elements that the potential does not know, impossible geometries, unknown engines.
    """
    names = list(names)
    engine = choice.check(engine) or engine
    parts: dict[str, list[NDArray[np.float64]]] = {}
    numbered = ((atoms, f"structure {i}") for i, atoms in enumerate(structures))
    for graph, origins in batched(potential, numbered, OF_OUTPUTS):
        check_elements(potential.model.elements, graph.atomic_numbers.numpy())
        values = potential.evaluate(graph.to(potential.device), names, engine)
        for name in names:
            array = values[name].cpu().double().numpy()
            shape = (len(origins), -1) if is_per_atom(name) else (len(origins),)
            parts.setdefault(name, []).append(array.reshape(*shape, *array.shape[1:]))
        progress(len(origins))
    return {name: np.concatenate(each) for name, each in parts.items()}

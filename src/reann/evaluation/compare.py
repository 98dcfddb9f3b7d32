"""Predict structures with a potential and compare the predictions with labels.

Each structure is predicted once, in batches with a limited number of neighbor pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ase
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from reann import quantities
from reann.arbitrary_sign import with_better_sign
from reann.backends import choice
from reann.backends.choice import Engine
from reann.data.dataset import Subset
from reann.data.loader import pieces
from reann.errors import UserError, listed
from reann.evaluation.as_labeled import as_labeled
from reann.evaluation.comparison import Evaluation
from reann.evaluation.stream import MAX_EDGES, batched
from reann.graph import Graph
from reann.model.reann import MARGIN
from reann.potential import Ensemble, Potential

Progress = Callable[[int], None]
"""Called with the number of structures of each finished batch."""


@dataclass(frozen=True)
class _Batch:
    graph: Graph
    origins: list[str]
    groups: list[str]


def compare(
    potential: Potential | Ensemble,
    subset: Subset,
    max_edges: int = MAX_EDGES,
    progress: Progress | None = None,
    engine: Engine = "auto",
) -> Evaluation:
    """Predict all structures of a subset.

    Where the labels lack the dispersion of a potential, it is left out of the predictions.

    Parameters
    ----------
    max_edges
        Maximum number of neighbor pairs in memory; a larger structure is a batch of its own.
    progress
        Called with the number of structures after each batch.
    engine
        As in `Potential.evaluate`.

    Raises
    ------
    UserError
        If structures have elements that the potential was not trained on.
    """
    dataset = subset.dataset

    def batches() -> Iterator[_Batch]:
        # Each structure counts as one more pair, as isolated atoms also need memory.
        for batch in pieces(np.asarray(subset.indices), dataset.n_edges + 1, max_edges):
            members = batch.tolist()
            origins = [dataset.origin(i) for i in members]
            yield _Batch(dataset.graph(batch), origins, [dataset.groups[i] for i in members])

    return _compared(as_labeled(potential), batches(), progress, engine)


def predict_unlabeled(
    potential: Potential | Ensemble,
    structures: Iterator[tuple[ase.Atoms, str]],
    max_edges: int = MAX_EDGES,
    progress: Progress | None = None,
    engine: Engine = "auto",
) -> Evaluation:
    """Predict structures given with their origins."""
    batches = (
        _Batch(graph, origins, [""] * len(origins))
        for graph, origins in batched(potential, structures, max_edges)
    )
    return _compared(potential, batches, progress, engine)


def _compared(
    potential: Potential | Ensemble,
    batches: Iterator[_Batch],
    progress: Progress | None,
    engine: Engine,
) -> Evaluation:
    has_range = all(member.model.has_range for member in potential.members)
    properties = [*potential.labels, *(["extrapolation"] if has_range else [])]
    engine = choice.check(engine) or engine  # looked up once
    origins: list[str] = []
    groups: list[str] = []
    n_atoms, numbers, outside = [], [], []
    reference: dict[str, list[NDArray]] = {}
    predicted: dict[str, list[NDArray]] = {}
    for batch in batches:
        _check_elements(potential, batch)
        graph = batch.graph.to(potential.device)
        outputs = potential.evaluate(graph, properties, engine)
        if has_range:
            outside.append((outputs.pop("extrapolation") > MARGIN).cpu().numpy())
        for name, value in outputs.items():
            signed = _signed(name, value.detach(), graph)
            predicted.setdefault(name, []).append(signed.cpu().double().numpy())
        for name in quantities.label_names():
            if name in graph.labels:
                reference.setdefault(name, []).append(graph.labels[name].cpu().double().numpy())
        n_atoms.append(graph.atoms_per_system.cpu().numpy())
        numbers.append(graph.atomic_numbers.cpu().numpy())
        origins += batch.origins
        groups += batch.groups
        if progress:
            progress(len(batch.origins))
    together = {name: np.concatenate(parts) for name, parts in predicted.items()}
    if "stress" in together and not np.isfinite(together["stress"]).any():
        together = {k: v for k, v in together.items() if not k.startswith("stress")}
    return Evaluation(
        origins=origins,
        groups=groups,
        n_atoms=np.concatenate(n_atoms) if n_atoms else np.empty(0, np.int64),
        numbers=np.concatenate(numbers) if numbers else np.empty(0, np.int64),
        reference={name: np.concatenate(parts) for name, parts in reference.items()},
        predicted={k: v for k, v in together.items() if not k.endswith("_std")},
        extrapolating=np.concatenate(outside) if outside else None,
        std={k.removesuffix("_std"): v for k, v in together.items() if k.endswith("_std")},
    )


def _signed(name: str, value: Tensor, graph: Graph) -> Tensor:
    """Return a prediction with the sign of its label if the sign is arbitrary."""
    label = graph.labels.get(name)
    return value if label is None else with_better_sign(quantities.named(name), value, label)


def _check_elements(potential: Potential | Ensemble, batch: _Batch) -> None:
    numbers = batch.graph.atomic_numbers.numpy()
    unknown = ~np.isin(numbers, potential.model.elements)
    if unknown.any():
        symbols = sorted({chemical_symbols[z] for z in numbers[unknown]})
        system = batch.graph.system.numpy()
        atoms = {i: np.flatnonzero(unknown[system == i]) for i in np.unique(system[unknown])}
        raise UserError(
            f"The potential supports the elements {', '.join(potential.elements)}, but the data"
            f" also have {', '.join(symbols)}.",
            listed(f"{batch.origins[i]} atom {listed(indices)}" for i, indices in atoms.items()),
            "Remove these structures, or train a potential on structures"
            f" that contain {' and '.join(symbols)}.",
        )

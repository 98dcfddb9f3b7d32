"""What the training data say about a choice: distances, features, and the spread of a potential."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from reann.data.neighbors import graph_from_atoms
from reann.elements import check_elements
from reann.errors import UserError
from reann.graph import Graph
from reann.potential import Ensemble, Potential
from reann.selection.describe import batches, features
from reann.selection.geometry import Distances, fingerprints_of
from reann.uncertainty.calibrate import DRAWS, without_factors
from reann.uncertainty.posterior import Rows, draws


class Known(NamedTuple):
    """What is known from the training data."""

    fingerprints: NDArray[np.uint64]
    """(structures,)"""
    distances: Distances
    features: NDArray[np.float64]
    """(structures, features)"""
    ensemble: Ensemble
    """Gives the spread of forces, calibrated where the potential is."""


def known_from(
    training: Sequence[ase.Atoms],
    potential: Potential | Ensemble,
    seed: int,
    progress: Callable[[int], None],
) -> Known:
    """Read the training structures once.

    Raises
    ------
    UserError
        For structures that the potential cannot compute, and a single potential that is not
        calibrated without training structures.
    """
    ensemble = given_ensemble(potential)
    if ensemble is None and not training:
        raise UserError(
            "A single potential that is not calibrated has no spread without its training data.",
            fix="Name them with --data, or give a calibrated potential or an ensemble.",
        )
    rows = Rows(potential.model) if ensemble is None else None
    distances, generator = Distances(), torch.Generator().manual_seed(seed)

    def graphs() -> Iterator[Graph]:
        for i, atoms in enumerate(training):
            check_elements(potential.model.elements, atoms.numbers)
            graph = graph_of(potential, atoms, f"training structure {i}")
            distances.add(graph)
            yield graph

    width = sum(w.numel() for w in potential.model.readout.last_weights())
    found = [np.zeros((0, width))]
    for some in batches(graphs()):
        found.append(features(potential.model, some))
        if rows is not None:
            rows.add(Graph.batch(some).to(potential.device), generator)
        progress(len(some))
    if ensemble is None:
        assert rows is not None
        changes = draws(rows.precision(), DRAWS, seed).cpu().numpy()
        ensemble = without_factors(potential.members[0], changes, len(training))
    return Known(fingerprints_of(training), distances, np.concatenate(found), ensemble)


def given_ensemble(potential: Potential | Ensemble) -> Ensemble | None:
    """Return an ensemble that comes with the potential, None if it has no spread of its own."""
    if isinstance(potential, Ensemble) and len(potential.members) > 1:
        return potential
    single = potential.members[0]
    return None if single.calibration is None else single.with_uncertainty()


def graph_of(potential: Potential | Ensemble, atoms: ase.Atoms, where: str = "") -> Graph:
    """Return the graph of a structure with what the potential asks of it."""
    return graph_from_atoms(atoms, potential.cutoff, where, potential.model.inputs)

"""Data from the training set for a choice: distances, features, spread of the potential."""

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
from reann.selection.geometry import Distances, Identity, fingerprints_of, identity_of
from reann.uncertainty.calibrate import DRAWS, without_factors
from reann.uncertainty.posterior import Rows, draws


class Known(NamedTuple):
    """Data from the training set."""

    identities: frozenset[Identity]
    """Of the structures."""
    distances: Distances
    features: NDArray[np.float64]
    """(structures, features)"""
    ensemble: Ensemble
    """Ensemble for the spread of forces, calibrated if the potential is."""


def known_from(
    training: Sequence[ase.Atoms],
    potential: Potential | Ensemble,
    seed: int,
    progress: Callable[[int], None],
) -> Known:
    """Return the data of a choice, in one pass over the training structures.

    Raises
    ------
    UserError
        For structures that the potential cannot compute, and without training structures for a
        single potential that is not calibrated.
    """
    ensemble = ensemble_of(potential)
    if ensemble is None and not training:
        raise UserError(
            "A single potential that is not calibrated has no uncertainty without its training"
            " data.",
            fix="Add them with --training, or use a calibrated potential or an ensemble.",
        )
    rows = Rows(potential.model) if ensemble is None else None
    distances, generator = Distances(), torch.Generator().manual_seed(seed)
    identities: set[Identity] = set()

    def graphs() -> Iterator[Graph]:
        prints = fingerprints_of(training).tolist()
        for i, (atoms, fingerprint) in enumerate(zip(training, prints, strict=True)):
            check_elements(potential.model.elements, atoms.numbers)
            graph = graph_of(potential, atoms, f"training structure {i}")
            distances.add(graph)
            identities.add(identity_of(fingerprint, graph))
            yield graph

    width = sum(w.numel() for w in potential.model.readout.last_weights())
    parts = [np.zeros((0, width))]
    for some in batches(graphs()):
        parts.append(features(potential.model, some))
        if rows is not None:
            rows.add(Graph.batch(some).to(potential.device), generator)
        progress(len(some))
    if ensemble is None:
        assert rows is not None
        changes = draws(rows.precision(), DRAWS, seed).cpu().numpy()
        ensemble = without_factors(potential.members[0], changes, len(training))
    return Known(frozenset(identities), distances, np.concatenate(parts), ensemble)


def ensemble_of(potential: Potential | Ensemble) -> Ensemble | None:
    """Return the ensemble of the members or of the calibrated draws, None if there is neither."""
    if isinstance(potential, Ensemble) and len(potential.members) > 1:
        return potential
    single = potential.members[0]
    return None if single.calibration is None else single.with_uncertainty()


def graph_of(potential: Potential | Ensemble, atoms: ase.Atoms, where: str = "") -> Graph:
    """Return the graph of a structure with the inputs of the potential."""
    return graph_from_atoms(atoms, potential.cutoff, where, potential.input_keys)

"""How much of a batch fits into the memory of a GPU at once."""

from __future__ import annotations

from reann.backends.protocol import Backend, Request
from reann.data.dataset import Subset
from reann.errors import UserError, counted
from reann.model import Reann


def edges_at_once(backend: Backend, model: Reann, request: Request, train: Subset) -> int | None:
    """Return the most neighbor pairs of a part of a batch; None: batches stay whole.

    Raises
    ------
    UserError
        For a structure that does not fit.
    """
    dataset, chosen = train.dataset, train.indices
    edges, atoms = dataset.n_edges[chosen], dataset.n_atoms[chosen]
    most = backend.most_edges(model, request, max(edges.sum() / atoms.sum(), 1.0))
    if most is not None and edges.max() > most:
        i = int(edges.argmax())
        raise UserError(
            f"The GPU has no memory for a training on a structure of"
            f" {counted(int(atoms[i]), 'atom')} with {counted(int(edges[i]), 'neighbor pair')}:"
            f" it has room for {most:,} pairs.",
            "training",
            "Leave such structures out, or take a model with fewer channels, a smaller cutoff, or"
            " another GPU.",
        )
    return most

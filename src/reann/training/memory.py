"""Size of the parts of a batch that fit into the memory of a GPU."""

from __future__ import annotations

from reann.backends.protocol import Backend, Request
from reann.data.dataset import Subset
from reann.errors import UserError, counted
from reann.model import Reann


def edges_at_once(backend: Backend, model: Reann, request: Request, train: Subset) -> int | None:
    """Return the maximum number of neighbor pairs in a part of a batch; None: no limit.

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
            f"The GPU does not have enough memory to train on a structure of"
            f" {counted(int(atoms[i]), 'atom')} with {counted(int(edges[i]), 'neighbor pair')}:"
            f" at most {most:,} pairs are possible.",
            "training",
            "Leave out such structures, or use a model with fewer channels, a smaller cutoff, or"
            " another GPU.",
        )
    return most

"""The last layer of a readout, in which the energy is linear, and its inputs.

E = sum_i e_Z + s sum_Z w_Z . f_Z, where f_Z = sum_(i of Z) [h_Z(x_i) - h_Z(0)] sums the hidden
features of all atoms of an element. With equivariant messages the w_Z are the linear readouts and
last layers of all layers of the recursion.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from reann.graph import Graph
from reann.model.reann import Embedding, Reann


def hidden_features(
    model: Reann, graph: Graph, embedding: Embedding, head: int = 0
) -> Float[Tensor, "systems elements hidden"]:
    """Return f_Z of each structure and element, float64.

    Parameters
    ----------
    embedding
        Embedding of the graph by `Reann.embed`.
    head
        Index of the head.
    """
    atoms = embedding.atoms
    readout = model.heads.as_list()[head].readout
    features = model.recursion.features(embedding.density, atoms)
    of_free_atoms = features.of_free_atoms.index_select(0, features.kind)
    system = torch.empty_like(graph.system)
    system[atoms.rank] = graph.system
    parts = zip(
        features.standardized.split(atoms.counts),
        of_free_atoms.split(atoms.counts),
        features.is_embedded.split(atoms.counts),
        system.split(atoms.counts),
        strict=True,
    )
    sums = []
    for z, (x, free, is_embedded, system_z) in enumerate(parts):
        above = readout.hidden(z, x) - readout.hidden(z, free)
        above = torch.where(is_embedded[:, None], above, 0.0).to(torch.float64)
        zero = above.new_zeros(graph.n_systems, above.shape[1])
        sums.append(zero.index_add(0, system_z, above))
    return torch.stack(sums, dim=1)


@torch.no_grad()
def set_last_layer(model: Reann, weights: Float[Tensor, "elements hidden"], head: int = 0) -> None:
    """Set w_Z of a head, in the order of its hidden features."""
    last = model.heads.as_list()[head].readout.last_weights()
    parts = weights.split([w[0].numel() for w in last], dim=1)
    for w, part in zip(last, parts, strict=True):
        w.copy_(part.reshape(w.shape))


def last_layer(model: Reann, head: int = 0) -> Float[Tensor, "elements hidden"]:
    """Return w_Z of a head, float64."""
    last = model.heads.as_list()[head].readout.last_weights()
    return torch.cat([w.detach().flatten(1) for w in last], dim=1).to(torch.float64)

"""Reference energies of a potential that is trained further, moved to the level of the new data.

Another method, or another program, gives energies that differ by several eV per atom. Steps of the
optimizer would take long to cross them, and spoil the network meanwhile.
"""

from __future__ import annotations

import torch

from reann import properties
from reann.data.dataset import Subset
from reann.data.loader import pieces
from reann.model import Reann
from reann.model.dispersion import compared_with_labels
from reann.training.standardize import TENSOR_EDGES, drawn

STRUCTURES = 200
"""Training structures that determine the shift."""
WORTHWHILE = 0.5
"""A shift is made when the residuals fall below this fraction: otherwise the method is the same."""


@torch.no_grad()
def shift_references(model: Reann, train: Subset, seed: int) -> None:
    """Add to each fitted reference energy what fits the residuals of the energies best.

    The least-squares solution of least norm: compositions that cannot tell elements apart share
    the shift.
    """
    for number, head in enumerate(model.heads.as_list()):
        of_head = train.of_head(number)
        if not head.reference_energies.requires_grad or not of_head.dataset.has("energy"):
            continue
        chosen = Subset(of_head.dataset, drawn(of_head.indices, STRUCTURES, seed))
        if not len(chosen):
            continue
        residuals = []
        for batch in pieces(chosen.indices, chosen.dataset.n_edges, TENSOR_EDGES):
            graph = chosen.dataset.graph(batch).to(model.element_index.device)
            with compared_with_labels(model):
                energy = properties.evaluate(model, graph, ["energy"])["energy"]
            residuals.append(graph.labels["energy"] - energy)
        b = torch.cat(residuals).cpu()
        a = torch.from_numpy(chosen.dataset.composition()[chosen.indices]).to(b.dtype)
        known = torch.isfinite(b)
        a, b = a[known], b[known]
        shift = torch.linalg.lstsq(a, b, driver="gelsd").solution
        if (b - a @ shift).norm() < WORTHWHILE * b.norm():
            rows = [model.elements.index(z) for z in chosen.dataset.elements]
            head.reference_energies[rows] += shift.to(head.reference_energies.device)

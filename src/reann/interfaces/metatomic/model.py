"""A potential for metatomic: TorchScript that does not need reann.

The PyTorch reference is traced with a few atoms, so that there is no second implementation and all
hosts are supported. A wrapper provides the interface of metatomic.
"""

# TorchScript needs annotations of `typing` that are evaluated at definition.
# ruff: noqa: UP006, UP035, UP045

import warnings
from typing import Dict, List, Optional

import ase
import torch
from ase.data import covalent_radii
from metatensor.torch import (
    Labels,  # pyright: ignore[reportAttributeAccessIssue]
    TensorBlock,  # pyright: ignore[reportAttributeAccessIssue]
    TensorMap,  # pyright: ignore[reportAttributeAccessIssue]
)
from metatomic.torch import ModelOutput, NeighborListOptions, System
from torch import Tensor, nn
from torch.jit._trace import TracerWarning
from torch.nn import functional

from reann.data.neighbors import graph_from_atoms
from reann.model.neighborhood import Neighborhood
from reann.potential import Ensemble, Potential


class Energies(nn.Module):
    """Atomic energies of all members, from the neighbor list of an engine."""

    element_index: Tensor

    def __init__(self, potential: Potential | Ensemble) -> None:
        super().__init__()
        self.models = [member.model for member in potential.members]
        self.members = nn.ModuleList(self.models)  # so that weights are traced as parameters
        self.n_elements, self.cutoff = len(potential.elements), potential.cutoff
        self.register_buffer("element_index", potential.model.element_index)

    def forward(self, vectors: Tensor, edge_index: Tensor, atomic_numbers: Tensor) -> Tensor:
        """Return (atoms, members) in eV, for vectors (edges, 3) in Å, sorted by their centers."""
        element = self.element_index[atomic_numbers]
        beyond = 2.0 * self.cutoff
        center, neighbor = edge_index.unbind()
        degree = torch.bincount(center, minlength=element.shape[0])
        edges = functional.pad(degree.cumsum(0), (1, 0)), center, neighbor
        atoms = Neighborhood.of(edges, vectors, element, self.n_elements, beyond)
        return torch.stack([model.energies(atoms) for model in self.models], dim=1)


class Model(nn.Module):
    """Energies of structures, or of some of their atoms.

    Outputs are `energy` and, for ensembles, `energy_ensemble` and `energy_uncertainty` (the
    standard deviation), all in eV, of structures or atoms. The engine computes forces and stresses
    as derivatives.
    """

    def __init__(self, energies: nn.Module, cutoff: float) -> None:
        super().__init__()
        self.energies = energies
        self.neighbors = NeighborListOptions(cutoff=cutoff, full_list=True, strict=True)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """Return the requested neighbor list: all pairs within the cutoff, in both directions."""
        return [self.neighbors]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels],
    ) -> Dict[str, TensorMap]:
        """Return the requested outputs, of the selected atoms or all."""
        vectors: List[Tensor] = []
        pairs: List[Tensor] = []
        types: List[Tensor] = []
        samples: List[Tensor] = []
        n_atoms = 0
        for i, system in enumerate(systems):
            listed = system.get_neighbor_list(self.neighbors)
            vectors.append(listed.values.reshape(-1, 3))
            pairs.append(listed.samples.values[:, :2].to(torch.int64) + n_atoms)
            types.append(system.types.to(torch.int64))
            index = torch.arange(len(system), dtype=torch.int32, device=system.positions.device)
            samples.append(torch.stack([torch.full_like(index, i), index], dim=1))
            n_atoms += len(system)
        every_pair = torch.cat(pairs)
        by_center = torch.argsort(every_pair[:, 0], stable=True)
        edge_index = every_pair[by_center].t()
        energies = self.energies(torch.cat(vectors)[by_center], edge_index, torch.cat(types))

        atoms = Labels(["system", "atom"], torch.cat(samples))
        if selected_atoms is not None:
            kept = atoms.select(selected_atoms)
            energies = energies[kept]
            atoms = Labels(["system", "atom"], atoms.values[kept])
        structures = torch.arange(len(systems), dtype=torch.int32, device=energies.device)
        of_structures = energies.new_zeros(len(systems), energies.shape[1])
        of_structures = of_structures.index_add(0, atoms.values[:, 0].to(torch.int64), energies)

        results: Dict[str, TensorMap] = {}
        for name, output in outputs.items():
            values, rows = of_structures, Labels(["system"], structures[:, None])
            if output.sample_kind == "atom":
                values, rows = energies, atoms
            if name == "energy":
                values = values.mean(1, keepdim=True)
            elif name == "energy_uncertainty":
                values = values.std(1, keepdim=True)
            members = torch.arange(values.shape[1], dtype=torch.int32, device=values.device)
            components: List[Labels] = []
            block = TensorBlock(values, rows, components, Labels(["energy"], members[:, None]))
            results[name] = TensorMap(Labels(["_"], structures[:1, None] * 0), [block])
        return results


def recorded(potential: Potential | Ensemble) -> Model:
    """Return the model of a potential, traced with a chain of two atoms of each element."""
    numbers = 2 * potential.model.elements
    apart = min(2.0 * max(covalent_radii[numbers]), 0.9 * potential.cutoff)  # Å: neighbors
    chain = ase.Atoms(numbers, [(i * apart, 0.0, 0.0) for i in range(len(numbers))])
    graph = graph_from_atoms(chain, potential.cutoff)
    example = (graph.edge_vectors(), graph.edge_index, graph.atomic_numbers)
    with warnings.catch_warnings():
        # Warnings about the deprecation of TorchScript, and about loops over a fixed number of
        # weights.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        traced = torch.jit.trace(Energies(potential).eval(), example, check_trace=False)
    assert isinstance(traced, nn.Module)
    return Model(traced, potential.cutoff).eval()

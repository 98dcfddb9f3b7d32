"""The energy of charges: what atoms do to each other beyond all cutoffs.

Latent charges q_i are the output `charges` of the model: read off the states of the atoms, with a
sum that is the total charge. Energies and forces alone teach them, or also dipoles and charges
where there are such labels. Kim, King, Zhong, Cheng, Nat. Commun. 16 (2025), arXiv:2408.15165.

Energies are the same for charges of the opposite sign in a neutral structure: the sign is that of
the start, where elements with a higher electronegativity are negative. In a medium they fix
charges q / sqrt(eps_inf) only, because the electrons that screen are not among the atoms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.config import LongRangeConfig
from reann.electrostatics.equilibration import equilibrated
from reann.electrostatics.ewald import self_potential
from reann.electrostatics.smeared import smeared_energies, smeared_slopes
from reann.elements import indices_of
from reann.graph import Graph
from reann.model.dipoles import correction
from reann.model.terms import StructureTerm, TermSlopes
from reann.quantities import CORRECTION, ELECTRONEGATIVITIES
from reann.units import COULOMB

HARDNESS = 5.0
"""V/e, at the start, beside that of Gaussians."""


class LatentCharges(nn.Module, StructureTerm):
    """E = 1/2 sum_ij q_i q_j erf(r_ij / (sqrt(2) sigma)) / (4 pi eps_0 r_ij)."""

    needs = ("charges",)
    read, gives = "charges", CORRECTION

    def __init__(self, config: LongRangeConfig) -> None:
        super().__init__()
        self.sigma = config.smearing

    def given(self, values: Tensor, graph: Graph) -> Float[Tensor, " atoms"]:
        """Return what is added to the charges that are read, in e."""
        return correction(values[:, 0], graph)

    def of_structures(
        self,
        graph: Graph,
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "systems 3 3"],
        before: Mapping[str, Tensor],
    ) -> Float[Tensor, " atoms"]:
        """Return the energies of the atoms, eV."""
        return smeared_energies(before["charges"], positions, cell, graph, self.sigma)

    def slopes(self, graph: Graph, before: Mapping[str, Tensor]) -> TermSlopes:
        """Return energies and first derivatives, faster than PyTorch differentiates."""
        own = smeared_slopes(before["charges"], graph, self.sigma)
        return TermSlopes(own.energies, own.by_position, own.by_strain, {"charges": own.by_charge})


class EquilibratedCharges(nn.Module, StructureTerm):
    """E = sum_i (chi_i q_i + J_i q_i^2 / 2) + U of the charges that minimize it.

    Attributes
    ----------
    log_hardness
        log h of each element, h in V/e.
    """

    needs = (ELECTRONEGATIVITIES, "charges")
    read, gives = ELECTRONEGATIVITIES, "charges"
    DOUBLE: ClassVar[tuple[str, ...]] = ("log_hardness",)
    index: Tensor

    def __init__(self, config: LongRangeConfig, elements: Sequence[int]) -> None:
        super().__init__()
        self.sigma = config.smearing
        start = torch.full((len(elements),), math.log(HARDNESS), dtype=torch.float64)
        self.log_hardness = nn.Parameter(start)
        self.register_buffer("index", indices_of(elements), persistent=False)

    def given(self, values: Tensor, graph: Graph) -> Float[Tensor, " atoms"]:
        """Return the charges in e at the electronegativities that are read, in V."""
        return equilibrated(values[:, 0], self._hardness(graph), graph, self.sigma)

    def of_structures(
        self,
        graph: Graph,
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "systems 3 3"],
        before: Mapping[str, Tensor],
    ) -> Float[Tensor, " atoms"]:
        """Return the energies of the atoms, eV.

        Charges have no part in the slopes of the sum: it is at its minimum.
        """
        own = self._of_atoms(graph, before)
        return own + smeared_energies(before["charges"], positions, cell, graph, self.sigma)

    def slopes(self, graph: Graph, before: Mapping[str, Tensor]) -> TermSlopes:
        """Return energies and first derivatives; of the electronegativities, the charges."""
        q = before["charges"].detach()
        with torch.no_grad():
            own = self._of_atoms(graph, before)
        between = smeared_slopes(q, graph, self.sigma)
        return TermSlopes(
            own + between.energies, between.by_position, between.by_strain, {ELECTRONEGATIVITIES: q}
        )

    def _of_atoms(self, graph: Graph, before: Mapping[str, Tensor]) -> Float[Tensor, " atoms"]:
        q, chi = before["charges"], before[ELECTRONEGATIVITIES]
        J = self._hardness(graph) + COULOMB * self_potential(self.sigma)
        return chi * q + 0.5 * J * q.square()

    def _hardness(self, graph: Graph) -> Float[Tensor, " atoms"]:
        element = self.index.index_select(0, graph.atomic_numbers)
        return self.log_hardness.exp().index_select(0, element)


def long_range_of(
    config: LongRangeConfig | None, elements: Sequence[int]
) -> LatentCharges | EquilibratedCharges | None:
    """Return the term that a configuration names."""
    if config is None:
        return None
    if config.charges == "equilibrated":
        return EquilibratedCharges(config, elements)
    return LatentCharges(config)

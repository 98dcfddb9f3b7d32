"""The energy of latent charges: what atoms do to each other beyond all cutoffs.

The charges q_i are the output `charges` of the model: read off the states of the atoms, with a sum
that is the total charge. Energies and forces alone teach them, or also dipoles and charges where
there are such labels. Kim, King, Zhong, Cheng, Nat. Commun. 16 (2025), arXiv:2408.15165.

Energies are the same for charges of the opposite sign in a neutral structure: the sign is that of
the start, where elements with a higher electronegativity are negative. In a medium they fix
charges q / sqrt(eps_inf) only, because the electrons that screen are not among the atoms.
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from reann.config import LongRangeConfig
from reann.electrostatics.smeared import smeared_energies, smeared_slopes
from reann.graph import Graph
from reann.model.terms import StructureTerm, TermSlopes


class LatentCharges(nn.Module, StructureTerm):
    """E = 1/2 sum_ij q_i q_j erf(r_ij / (sqrt(2) sigma)) / (4 pi eps_0 r_ij)."""

    needs = ("charges",)

    def __init__(self, config: LongRangeConfig) -> None:
        super().__init__()
        self.sigma = config.smearing

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

"""Coulomb energy of predicted charges, without a cutoff.

Latent charges q_i are the output `charges` of the model: linear functions of the states of the
atoms, corrected so that their sum is the total charge. They are learned from energies and forces,
and also from charges and dipoles if the data contain these labels (Kim, King, Zhong, Cheng, Nat.
Commun. 16 (2025), arXiv:2408.15165).

The energy of a neutral structure does not change if all charges change their signs. The sign is
determined by the initial constants, with which more electronegative elements are negative. In a
medium, energies determine only q / sqrt(eps_inf), because electronic screening is not described
explicitly.
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
"""Initial hardness of all elements, V/e, in addition to that of the Gaussians."""


class LatentCharges(nn.Module, StructureTerm):
    """E = 1/2 sum_ij q_i q_j erf(r_ij / (sqrt(2) sigma)) / (4 pi eps_0 r_ij)."""

    needs = ("charges",)
    reads, result = "charges", CORRECTION

    def __init__(self, config: LongRangeConfig) -> None:
        super().__init__()
        self.sigma = config.smearing

    def compute(self, values: Tensor, graph: Graph) -> Float[Tensor, " atoms"]:
        """Return the correction that is added to the uncorrected charges, in e."""
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
        """Return energies and analytic first derivatives; see `smeared_slopes`."""
        coulomb = smeared_slopes(before["charges"], graph, self.sigma)
        by_output = {"charges": coulomb.by_charge}
        return TermSlopes(coulomb.energies, coulomb.by_position, coulomb.by_strain, by_output)


class EquilibratedCharges(nn.Module, StructureTerm):
    """E = sum_i (chi_i q_i + J_i q_i^2 / 2) + U of the charges that minimize it.

    Attributes
    ----------
    log_hardness
        Logarithm of the hardness h of each element; h in V/e.
    """

    needs = (ELECTRONEGATIVITIES, "charges")
    reads, result = ELECTRONEGATIVITIES, "charges"
    DOUBLE: ClassVar[tuple[str, ...]] = ("log_hardness",)
    index: Tensor

    def __init__(self, config: LongRangeConfig, elements: Sequence[int]) -> None:
        super().__init__()
        self.sigma = config.smearing
        start = torch.full((len(elements),), math.log(HARDNESS), dtype=torch.float64)
        self.log_hardness = nn.Parameter(start)
        self.register_buffer("index", indices_of(elements), persistent=False)

    def compute(self, values: Tensor, graph: Graph) -> Float[Tensor, " atoms"]:
        """Return the equilibrated charges in e, from electronegativities in V."""
        return equilibrated(values[:, 0], self._hardness(graph), graph, self.sigma)

    def of_structures(
        self,
        graph: Graph,
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "systems 3 3"],
        before: Mapping[str, Tensor],
    ) -> Float[Tensor, " atoms"]:
        """Return the energies of the atoms, eV.

        The sum is at its minimum with respect to the charges, so changes of the charges do not
        contribute to its first derivatives.
        """
        single = self._single_atom_energies(graph, before)
        return single + smeared_energies(before["charges"], positions, cell, graph, self.sigma)

    def slopes(self, graph: Graph, before: Mapping[str, Tensor]) -> TermSlopes:
        """Return energies and first derivatives; the charges are those by electronegativities."""
        q = before["charges"]
        coulomb = smeared_slopes(q, graph, self.sigma)
        energies = self._single_atom_energies(graph, before) + coulomb.energies
        by_output = {ELECTRONEGATIVITIES: q}
        return TermSlopes(energies, coulomb.by_position, coulomb.by_strain, by_output)

    def _single_atom_energies(
        self, graph: Graph, before: Mapping[str, Tensor]
    ) -> Float[Tensor, " atoms"]:
        """Return chi q + J q^2 / 2 of each atom, eV."""
        q, chi = before["charges"], before[ELECTRONEGATIVITIES]
        J = self._hardness(graph) + COULOMB * self_potential(self.sigma)
        return chi * q + 0.5 * J * q.square()

    def _hardness(self, graph: Graph) -> Float[Tensor, " atoms"]:
        element = self.index.index_select(0, graph.atomic_numbers)
        return self.log_hardness.exp().index_select(0, element)


def long_range_of(
    config: LongRangeConfig | None, elements: Sequence[int]
) -> LatentCharges | EquilibratedCharges | None:
    """Return the term of a configuration, None without one."""
    if config is None:
        return None
    if config.charges == "equilibrated":
        return EquilibratedCharges(config, elements)
    return LatentCharges(config)

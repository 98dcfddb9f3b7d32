"""Charges of atoms, and dipole moments.

A dipole moment is a sum over charges and atomic dipoles, as in Zhang et al., J. Phys. Chem. B 124,
7284 (2020). A transition dipole moment also has an axial part, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reann.graph import Graph
from reann.model.molecule import center_of_mass
from reann.model.state_heads import StateHead


class ChargesHead(StateHead):
    """q_i = b_Z + s_i + (Q - sum_j (b_Z + s_j)) / N, e.

    The difference from the total charge Q is distributed equally over the N atoms of a structure.
    """

    ROWS: ClassVar[Mapping[str, int]] = {"scalars": 0}

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, " atoms"]:
        """Return charges whose sum is the total charge."""
        del element, before
        return values[:, 0] + correction(values[:, 0], graph)


def correction(q: Float[Tensor, " atoms"], graph: Graph) -> Float[Tensor, " atoms"]:
    """Return the missing part of the total charge, distributed equally over the atoms, in e."""
    missing_charge = q.new_zeros(graph.n_systems).index_add(0, graph.system, q, alpha=-1)
    if graph.charge is not None:
        missing_charge = missing_charge + graph.charge
    return (missing_charge / graph.atoms_per_system).index_select(0, graph.system)


class DipoleHead(StateHead):
    """mu = sum_i [q_i (r_i - c) + mu_i], e Å, with the charges q of the model.

    c is the center of mass, so the dipole does not depend on the origin, even if the total charge
    is not zero.

    Charges are left out in periodic structures, where q_i r_i would change when an atom crosses the
    boundary of the cell.
    """

    ROWS: ClassVar[Mapping[str, int]] = {"vectors": 1}

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms 3"]:
        """Return the contribution of each atom to the dipole of its structure."""
        del element
        periodic = graph.pbc.any(1).index_select(0, graph.system)
        q = torch.where(periodic, 0.0, before["charges"])
        r = graph.positions
        if (
            graph.charge is not None
        ):  # otherwise the charges sum to zero, and the origin does not matter
            r = r - center_of_mass(graph).index_select(0, graph.system)
        return torch.addcmul(values, q[:, None], r)


class TransitionDipoleHead(StateHead):
    """mu = sum_i [u_i + u_i x w_i / s], e Å, with s the scale.

    The axial part keeps its sign under inversion, unlike the rest: a transition between states of
    certain symmetries may be polarized perpendicular to all polar vectors.
    """

    ROWS: ClassVar[Mapping[str, int]] = {"vectors": 1, "axial": 1}

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms 3"]:
        """Return the contribution of each atom to the transition dipole of its structure."""
        del graph, element, before
        u, w = values[:, :3], values[:, 3:]
        return u + torch.linalg.cross(u, w / self.scale)

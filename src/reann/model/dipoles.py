"""Charges of atoms, and dipole moments, which depend on where the atoms are.

A dipole moment is that of the charges and atomic dipoles, as in Zhang et al., J. Phys. Chem. B 124,
7284 (2020). A transition dipole moment has an axial part there, too.
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

    What the sum lacks of the total charge Q is spread equally over the N atoms of a structure.
    """

    ROWS: ClassVar[Mapping[str, int]] = {"scalars": 0}

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, " atoms"]:
        """Return charges whose sum is the total charge."""
        del element, before
        q = values[:, 0]
        lacking = q.new_zeros(graph.n_systems).index_add(0, graph.system, q, alpha=-1)
        if graph.charge is not None:
            lacking = lacking + graph.charge
        return q + (lacking / graph.atoms_per_system).index_select(0, graph.system)


class DipoleHead(StateHead):
    """mu = sum_i [q_i (r_i - c) + mu_i], e Å, with the charges q of the model.

    So the dipole does not depend on the origin, also where the charges do not add up to zero: c is
    the center of mass.

    In a periodic structure charges are left out: there q_i r_i changes when an atom leaves the cell
    on one side and enters on the other.
    """

    ROWS: ClassVar[Mapping[str, int]] = {"vectors": 1}

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms 3"]:
        """Return what each atom adds to the dipole of its structure."""
        del element
        periodic = graph.pbc.any(1).index_select(0, graph.system)
        q = torch.where(periodic, 0.0, before["charges"])
        r = graph.positions
        if graph.charge is not None:  # else the charges add up to zero, and any origin will do
            r = r - center_of_mass(graph).index_select(0, graph.system)
        return torch.addcmul(values, q[:, None], r)


class TransitionDipoleHead(StateHead):
    """mu = sum_i [u_i + u_i x w_i / s], e Å, with s the scale.

    The axial part changes its sign under inversion where the rest does not: a transition between
    states of some symmetry may be polarized perpendicular to all that vectors can show.
    """

    ROWS: ClassVar[Mapping[str, int]] = {"vectors": 1, "axial": 1}

    def placed(
        self, values: Tensor, graph: Graph, element: Tensor, before: Mapping[str, Tensor]
    ) -> Float[Tensor, "atoms 3"]:
        """Return what each atom adds to the transition dipole of its structure."""
        del graph, element, before
        u, w = values[:, :3], values[:, 3:]
        return u + torch.linalg.cross(u, w / self.scale)

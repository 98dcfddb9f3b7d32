"""One layer of the equivariant recursion: features and new states from the states of neighbors.

An atom has states h^l, l = 0 .. L: scalars, vectors, and traceless symmetric matrices in five
components. All sums run over its neighbors j, k counts channels, and u is the direction of j:

    w_ij^k = sum_l R_l^k(r_ij) Y_l(u_ij) . h_j^{l,k} / sqrt(2l + 1)
    s_i^{l,k} = nu sum_j w_ij^k Y_l(u_ij),      q_i^{l,k} = nu' sum_j R_{L+l}^k(r_ij) h_j^{l,k}
    m_i^l = f_i ([s_i^l; q_i^l] M_l + b_l Y_l(F)),   f_i = 1 / sqrt(1 + N_i / limit^2)
    x_i = sum_p b~_i^p U_Z^p + h_i^0 S_Z
    h_i^0' = x_i + g_0(x_i),    h_i^l' = nu'' (1 + g_l(x_i)) [sum_p omega_Z^{l,p} b_i^{l,p}] U_l

In REANN (Phys. Rev. Lett. 127, 156002, 2021), the weight of a neighbor depends on the neighbor's
environment and is the same for all centers. Here the weight w_ij also depends on the direction from
the center to the neighbor. b are products of up to four moments of all l (`reann.model.products`),
and b~ the standardized scalar products. N is the mean square of the moments of a channel. The
factor f, which is one without a limit, bounds the products if neighbors are unusually many or
close. An electric field F acts like one more neighbor, as in Zhang and Jiang, Nat. Commun. 14, 6424
(2023): its Y_l, l <= 2, grow as |F|^l, that of l = 0 as |F|^2. nu are fixed numbers that make the
initial root mean squares one.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reann.config import ModelConfig
from reann.model.neighborhood import Neighborhood
from reann.model.networks import Network
from reann.model.products import counts as product_counts
from reann.model.products import products
from reann.model.roles import WEIGHT, Role

MATRIX = Role(matrix=True)
"""Role of matrices without weight decay."""

State = list[Tensor]
"""h^l of atoms by l, (atoms, components, channels)."""


class NeighborFunctions(NamedTuple):
    """Radial and angular functions of all neighbors."""

    atoms: Neighborhood
    basis: Float[Tensor, "atoms slots radial"]
    angular: list[Tensor]
    """Angular functions by l, (atoms, components, slots)."""
    field: list[Tensor]
    """Y_l of the electric field by l, (atoms, components); nothing without a field."""


ENTRIES = torch.tensor([1.0, 3.0, 3.0, 3.0, 6.0, 3.0, 1.0, 3.0, 3.0, 1.0])
"""Multiplicity of each of the ten components of a tensor of rank three among its 27 entries."""


def limited(m: list[Tensor], limit: float) -> list[Tensor]:
    """Return moments divided by sqrt(1 + N / limit^2), channel by channel.

    N is the mean over l of the mean square of all entries of m^l, (atoms, channels).
    """
    squares = [m_l.square() for m_l in m]
    if len(m) == 4:
        squares[3] = squares[3] * (10.0 / 27.0) * ENTRIES.to(m[3])[:, None]
    N = torch.stack([square.mean(1) for square in squares]).mean(0)
    f = torch.rsqrt(1.0 + N / limit**2)
    return [f[:, None] * m_l for m_l in m]


class Layer(nn.Module):
    """A layer of the recursion, with the names of the parameters in the equations above.

    Attributes
    ----------
    radial
        Radial functions as combinations of the basis, (paths, n_radial, channels):
        those of w, then those of q.
    mixing
        M, by l, (channels or 2 channels, channels).
    field
        b, (l, channels), of a model that depends on electric fields.
    scalars
        U, (elements, products, channels, channels).
    residual
        S, (elements, channels, channels), of all layers but the first.
    tensor_weights, tensors
        omega, by l >= 1, (elements, products, channels), and U_l, (channels, channels), of layers
        that compute states: all but the last, and the last if outputs depend on its states. These
        layers also have the networks `gates`.
    moment_scale, passed_scale, state_scale
        The nu of s by l, of q and h by l >= 1.
    product_mean, product_scale
        Standardization of the scalars, (elements, products, channels).
    """

    ROLES: ClassVar[dict[str, Role]] = {
        "radial": MATRIX,
        "mixing": WEIGHT,
        "field": MATRIX,
        "scalars": WEIGHT,
        "residual": WEIGHT,
        "tensor_weights": MATRIX,
        "tensors": WEIGHT,
    }
    moment_scale: Tensor
    passed_scale: Tensor
    state_scale: Tensor
    product_mean: Tensor
    product_scale: Tensor

    def __init__(
        self,
        config: ModelConfig,
        n_elements: int,
        t: int,
        *,
        mean_neighbors: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """Create layer `t`; the initial factor of sums is 1/sqrt(mean_neighbors)."""
        super().__init__()
        self.is_first = t == 0
        self.makes_states = t < config.n_recursions or config.reads_states
        self.l_max, self.l_states = config.l_max, min(config.l_max, 2)
        self.limit = config.moment_limit
        K, L, n = config.channels, self.l_states, product_counts(config.l_max)

        def normal(*shape: int, fan_in: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) / math.sqrt(fan_in))

        paths = 1 if self.is_first else 1 + 2 * L
        self.radial = normal(paths, config.n_radial, K, fan_in=config.n_radial)
        sides = [K if self.is_first or l not in range(1, L + 1) else 2 * K for l in self.every_l]
        self.mixing = nn.ParameterList(normal(side, K, fan_in=side) for side in sides)
        if config.field:
            self.field = normal(L + 1, K, fan_in=1)
        self.scalars = normal(n_elements, n[0], K, K, fan_in=n[0] * K)
        per_neighbor = max(mean_neighbors, 1.0) ** -0.5
        self.register_buffer("moment_scale", torch.full((self.l_max + 1,), per_neighbor))
        self.register_buffer("product_mean", torch.zeros(n_elements, n[0], K))
        self.register_buffer("product_scale", torch.ones(n_elements, n[0], K))
        if not self.is_first:
            self.residual = normal(n_elements, K, K, fan_in=K)
            self.register_buffer("passed_scale", torch.full((L,), per_neighbor))
        if self.makes_states:
            self.tensor_weights = nn.ParameterList(
                normal(n_elements, n[l], K, fan_in=n[l]) for l in range(1, L + 1)
            )
            self.tensors = nn.ParameterList(normal(K, K, fan_in=K) for _ in range(L))
            self.register_buffer("state_scale", torch.ones(L))
            self.gates = Network(
                n_elements, K, (1 + L) * K, config.update, bias=True, generator=generator
            )

    @property
    def every_l(self) -> range:
        """The l of the moments."""
        return range(self.l_max + 1)

    def forward(
        self, functions: NeighborFunctions, state: State
    ) -> tuple[Float[Tensor, "atoms channels"], State]:
        """Return x of all atoms and their new states; no states if they are not needed."""
        s, q = self.sums(functions, state)
        return self.of_moments(self.mixed(s, q, functions.field), state[0], functions.atoms.counts)

    def of_moments(
        self, m: list[Tensor], h0: Float[Tensor, "atoms 1 channels"], counts: list[int]
    ) -> tuple[Float[Tensor, "atoms channels"], State]:
        """Return x and the new states from the moments m and the scalar state h^0 of the atoms."""
        b0, *b = products(m, 2 if self.makes_states else 0)
        x = self.features(b0, h0, counts)
        return x, self.states(x, b, counts) if self.makes_states else []

    def sums(self, functions: NeighborFunctions, state: State) -> tuple[list[Tensor], list[Tensor]]:
        """Return s of l = 0 .. l_max and q of l = 1 .. L, both without their nu.

        Each is (atoms, components, channels); in the first layer, where all h^l with l >= 1 are
        zero, there is no q.
        """
        R = [functions.basis @ W for W in self.radial]
        Y, h = functions.angular, [functions.atoms.of_neighbors(h_l) for h_l in state]
        L = len(h) - 1
        # A product and a sum, because `torch.einsum` takes two to four times as long.
        w = R[0] * h[0][:, :, 0]
        for l in range(1, L + 1):
            w = w + R[l] * (Y[l].mT[..., None] * h[l]).sum(2) / math.sqrt(2 * l + 1)
        s = [torch.bmm(Y_l, w) for Y_l in Y]
        q = [(R[L + l][:, :, None] * h[l]).sum(1) for l in range(1, L + 1)]
        return s, q

    def mixed(self, s: list[Tensor], q: list[Tensor], field: list[Tensor]) -> list[Tensor]:
        """Return the moments m by l, (atoms, components, channels)."""
        parts = [[nu * s_l] for nu, s_l in zip(self.moment_scale, s, strict=True)]
        for l, q_l in enumerate(q, 1):
            parts[l].append(self.passed_scale[l - 1] * q_l)
        m = [torch.cat(part, dim=-1) @ M for part, M in zip(parts, self.mixing, strict=True)]
        for l, Y_l in enumerate(field):
            m[l] = m[l] + Y_l[:, :, None] * self.field[l]
        return m if self.limit is None else limited(m, self.limit)

    def features(
        self,
        b: Float[Tensor, "atoms products channels"],
        h0: Float[Tensor, "atoms 1 channels"],
        counts: list[int],
    ) -> Float[Tensor, "atoms channels"]:
        """Return x from the scalar products and the scalar state."""
        of_elements = zip(
            b.split(counts), self.product_mean, self.product_scale, self.scalars, strict=True
        )
        x = torch.cat(
            [torch.einsum("ipk,pkc->ic", (b_z - mu) / nu, U) for b_z, mu, nu, U in of_elements]
        )
        if self.is_first:
            return x
        of_elements = zip(h0[:, 0].split(counts), self.residual, strict=True)
        return x + torch.cat([h_z @ S for h_z, S in of_elements])

    def states(
        self, x: Float[Tensor, "atoms channels"], b: list[Tensor], counts: list[int]
    ) -> State:
        """Return the new h^l from x and from the products b of l = 1 .. L.

        b are (atoms, products, components, channels).
        """
        g0, *gates = self.gates(x, counts).chunk(1 + self.l_states, dim=1)
        h = [(x + g0)[:, None]]
        for l, g in enumerate(gates):
            of_elements = zip(b[l].split(counts), self.tensor_weights[l], strict=True)
            summed = torch.cat([(omega[:, None] * b_z).sum(1) for b_z, omega in of_elements])
            h.append(self.state_scale[l] * (1.0 + g)[:, None] * (summed @ self.tensors[l]))
        return h

"""The recursions of a model, with kernels for sums over neighbors and for products.

All other operations on atoms are matrix products for each element, or those of the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from reann.backends.triton import density_sums, equivariant_sums
from reann.backends.triton.channel_products import Fixed, Multiplied, channel_products
from reann.backends.triton.edge_text import Shape
from reann.backends.triton.geometry import START
from reann.backends.triton.neighbor_sums import Place, Summand, neighbor_sums
from reann.backends.triton.node_products import products
from reann.backends.triton.recipe import recipe
from reann.model import Reann
from reann.model.equivariant.basis import COMPONENTS
from reann.model.equivariant.layer import Layer, limited
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.hosts.embedded_density import EmbeddedDensity
from reann.model.hosts.field_density import FieldDensity
from reann.model.messages import Directional, OrbitalMessages, ScalarMessages
from reann.model.nodes import NodeState
from reann.model.products import counts as product_counts
from reann.model.recursion import Recursion


def real_of(model: Reann) -> str:
    """Return the name of the precision of a model."""
    return str(model.dtype).removeprefix("torch.")


def shape_of(model: Reann, channels: int) -> Shape:
    """Return the shape of the tiles of a model."""
    pairs = (START,) if model.repulsion is not None else ()
    return Shape(channels, real_of(model), len(model.elements), pairs, 2.0 * model.cutoff)


def spread(
    table: Float[Tensor, "elements channels"], counts: Sequence[int]
) -> Float[Tensor, "atoms channels"]:
    """Return the row of the element of each atom; its gradient is summed in a fixed order."""
    return torch.cat([row.expand(n, -1) for row, n in zip(table, counts, strict=True)])


# --- equivariant messages ---------------------------------------------------------------------


class LayerForm(NamedTuple):
    """Form of a layer, which determines its kernels."""

    summand: Summand
    multiplied: Multiplied


class EquivariantForm:
    """The equivariant recursion of a model."""

    def __init__(self, model: Reann) -> None:
        config, self.model = model.config, model
        basis = equivariant_sums.Basis(
            config.radial_basis, config.cutoff_function, config.cutoff, config.n_radial
        )
        assert isinstance(model.recursion, EquivariantRecursion)
        each = model.recursion.each_layer()
        self.forms = [self._form(basis, layer) for layer in each]

    def _form(self, basis: equivariant_sums.Basis, layer: Layer) -> LayerForm:
        K, l_max = self.model.config.channels, layer.l_max
        soft = self.model.repulsion is not None
        n_states = 1 if layer.is_first else 1 + layer.l_states
        n_results = sum(COMPONENTS[: l_max + 1]) + sum(COMPONENTS[1:n_states])
        sums = recipe(equivariant_sums.sums, basis=basis, l_max=l_max, n_states=n_states, soft=soft)
        summand = Summand(
            sums,
            shape_of(self.model, K),
            n_results,
            2 * n_states - 1,
            basis.n_radial,
            n_moving=0 if layer.is_first else sum(COMPONENTS[:n_states]),
        )
        make = recipe(products, l_max=l_max, limit=layer.limit, tensors=layer.makes_states)
        n_tensors = sum(COMPONENTS[1 : layer.l_states + 1]) if layer.makes_states else 0
        scalars = product_counts(l_max)[0]
        return LayerForm(summand, Multiplied(make, K, real_of(self.model), scalars, n_tensors))

    def __call__(
        self, place: Place, pairs: Tensor | None
    ) -> tuple[Float[Tensor, "atoms features"], list[list[Tensor]]]:
        """Return x^(0) .. x^(T), and the states after each layer by l."""
        recursion = self.model.recursion
        assert isinstance(recursion, EquivariantRecursion)
        rows = place.rows
        of_field = recursion.field_moments(rows.as_atoms)
        h = spread(recursion.embedding, rows.counts)[None]
        if rows.inputs is not None:
            h = h + recursion.shift(rows.inputs, rows.element)
        every_x, every_h = [], []
        for layer, form in zip(recursion.each_layer(), self.forms, strict=True):
            weights = recursion.radial_scale * layer.radial
            sums = neighbor_sums(form.summand, place, h, weights, pairs)
            moments = mixed(layer, sums, of_field)
            if place.to_third_order:
                x, h = by_operations(layer, moments, h[0], rows.counts)
            else:
                fixed = Fixed(form.multiplied, rows.element, rows.counts, place.needed)
                x, h = of_moments(layer, fixed, moments, h[0])
            every_x.append(x)
            every_h.append([part.permute(1, 0, 2) for part in by_l(h)])
        return torch.cat(every_x, dim=1), every_h

    def of_free_atoms(self, place: Place) -> Float[Tensor, "elements features"]:
        """Return x^(0) .. x^(T) of an atom of each element without neighbors and without inputs."""
        recursion = self.model.recursion
        assert isinstance(recursion, EquivariantRecursion)
        h, every_x = recursion.embedding[None], []
        element, counts = torch.arange(h.shape[1], device=h.device), [1] * h.shape[1]
        for layer, form in zip(recursion.each_layer(), self.forms, strict=True):
            fixed = Fixed(form.multiplied, element, counts, place.needed)
            no_moments = h.new_zeros(sum(COMPONENTS[: layer.l_max + 1]), *h.shape[1:])
            x, h = of_moments(layer, fixed, no_moments, h[0])
            every_x.append(x)
        return torch.cat(every_x, dim=1)


def by_l(h: Float[Tensor, "components atoms channels"]) -> list[Tensor]:
    """Return states by l."""
    sizes = {0: [], 1: [1], 4: [1, 3], 9: [1, 3, 5]}[h.shape[0]]
    return list(h.split(sizes)) if sizes else []


def mixed(
    layer: Layer, sums: Float[Tensor, "results atoms channels"], of_field: Sequence[Tensor] = ()
) -> Float[Tensor, "components atoms channels"]:
    """Return the moments m before the limit, which is computed together with the products.

    `of_field` has Y_l of the electric field by l, (atoms, components); nothing without a field.
    """
    n, K = sums.shape[1:]
    sizes = list(COMPONENTS[: layer.l_max + 1])
    n_moments = sum(sizes)
    s = sums[:n_moments].split(sizes)
    passed = sums[n_moments:].split(
        [] if layer.is_first else list(COMPONENTS[1 : layer.l_states + 1])
    )
    m = []
    for l, s_l in enumerate(s):
        M = layer.mixing[l]
        mixing = layer.moment_scale[l] * M[:K]
        m_l = s_l.reshape(-1, K) @ mixing
        if 1 <= l <= len(passed):
            other = layer.passed_scale[l - 1] * M[K:]
            m_l = torch.addmm(m_l, passed[l - 1].reshape(-1, K), other)
        m_l = m_l.view(sizes[l], n, K)
        if l < len(of_field):
            m_l = m_l + of_field[l].T[:, :, None] * layer.field[l]
        m.append(m_l)
    return torch.cat(m)


def of_moments(
    layer: Layer,
    fixed: Fixed,
    moments: Float[Tensor, "components atoms channels"],
    h0: Float[Tensor, "atoms channels"],
) -> tuple[Float[Tensor, "atoms channels"], Float[Tensor, "states atoms channels"]]:
    """Return x and the new states; no states if they are not needed."""
    weights = torch.cat(list(layer.tensor_weights), dim=1) if layer.makes_states else None
    b, sums = channel_products(fixed, moments, weights)
    counts = fixed.counts
    # Standardization is folded into the matrices: one product of an element's atoms.
    U = layer.scalars / layer.product_scale[..., None]
    start = -(layer.product_mean[..., None] * U).sum((1, 2))
    parts = zip(start, b.flatten(1).split(counts), U.flatten(1, 2), strict=True)
    x = torch.cat([torch.addmm(x0, b_z, U_z) for x0, b_z, U_z in parts])
    if not layer.is_first:
        by_element = zip(h0.split(counts), layer.residual, strict=True)
        x = x + torch.cat([h_z @ S for h_z, S in by_element])
    if not layer.makes_states:
        return x, moments.new_empty(0, *x.shape)
    g0, *gates = layer.gates(x, counts).chunk(1 + layer.l_states, dim=1)
    h = [(x + g0)[None]]
    for l, y in enumerate(sums.split(COMPONENTS[1 : layer.l_states + 1])):
        turned = (y.reshape(-1, y.shape[2]) @ layer.tensors[l]).view_as(y)
        h.append(layer.state_scale[l] * (1.0 + gates[l]) * turned)
    return x, torch.cat(h)


def by_operations(
    layer: Layer,
    moments: Float[Tensor, "components atoms channels"],
    h0: Float[Tensor, "atoms channels"],
    counts: list[int],
) -> tuple[Float[Tensor, "atoms channels"], Float[Tensor, "states atoms channels"]]:
    """Return the same by operations of PyTorch, with derivatives of any order."""
    m = [part.permute(1, 0, 2) for part in moments.split(COMPONENTS[: layer.l_max + 1])]
    m = m if layer.limit is None else limited(m, layer.limit)
    x, h = layer.of_moments(m, h0[:, None], counts)
    states = [part.permute(1, 0, 2) for part in h]
    return x, torch.cat(states) if states else moments.new_empty(0, *x.shape)


# --- scalar, directional and orbital messages -------------------------------------------------

MESSAGES = {ScalarMessages: "weights", Directional: "moments", OrbitalMessages: "orbitals"}
"""Messages of each update, from `density_sums.PASSED_ON`."""


class DensityForm:
    """The recursion of the embedded density of a model, also that in an electric field."""

    def __init__(self, model: Reann) -> None:
        self.model, config = model, model.config
        assert isinstance(model.recursion, Recursion)
        self.host, self.update = model.recursion.host, model.recursion.update
        assert isinstance(self.host, EmbeddedDensity | FieldDensity)
        n = sum((l + 1) * (l + 2) // 2 for l in range(self.host.l_max + 1))
        shape = shape_of(model, self.host.n_weights)
        messages = MESSAGES[type(self.update)]
        self.summands = {}
        for passed_on in dict.fromkeys(("weights", messages)):
            make = recipe(
                density_sums.sums,
                cutoff_function=config.cutoff_function,
                cutoff=config.cutoff,
                l_max=self.host.l_max,
                unit=self.host.unit,
                passed_on=passed_on,
                per_pair=self.host.radial.per_pair,
                soft=model.repulsion is not None,
            )
            n_rows = density_sums.n_passed_on(passed_on, n)
            for t in (0, 1):
                summand = Summand(make, shape, n, 0, 0, n_moving=n_rows if t else 0)
                self.summands[passed_on != "weights", t] = summand

    def __call__(
        self, place: Place, pairs: Tensor | None
    ) -> tuple[Float[Tensor, "atoms features"], list[list[Tensor]]]:
        """Return the density rho^(T), and no states."""
        recursion, rows = self.model.recursion, place.rows
        assert isinstance(recursion, Recursion)
        assert isinstance(self.update, ScalarMessages)
        assert isinstance(self.host, EmbeddedDensity | FieldDensity)
        radial, of_field = self.host.radial, None
        if isinstance(self.host, FieldDensity):
            of_field = self.host.of_field(rows.as_atoms)
        alpha = radial.width if radial.free else functional.softplus(radial.width)
        # Of a neighbor, with each element of a center where they depend on it.
        tables = [x.view(-1, len(rows.counts), x.shape[1]) for x in (alpha, radial.center)]
        gaussians = torch.stack([spread(x, rows.counts) for x in torch.cat(tables)])
        h = NodeState(spread(self.update.weights, rows.counts))
        for t in range(self.update.n_recursions + 1):
            states = torch.cat([*self._passed_on(h), gaussians])
            summand = self.summands[bool(h.tensors), min(t, 1)]
            s = neighbor_sums(summand, place, states, None, pairs).permute(1, 0, 2)
            s = s if of_field is None else s + of_field
            D = self.host.invariants(s, t)
            if t < self.update.n_recursions:
                x = recursion.standardize(D, rows.counts)
                h = self.update.step(t, h, x, s, rows.as_atoms)
        return D, []

    def _passed_on(self, h: NodeState) -> list[Float[Tensor, "components atoms channels"]]:
        """Return the messages that neighbors read from states; orbitals with their weights."""
        tensors = [x.permute(1, 0, 2) for x in h.tensors]
        if isinstance(self.update, OrbitalMessages):
            tensors = [h.scalars * x for x in tensors]
        return [h.scalars[None], *tensors]


def form_of(model: Reann) -> EquivariantForm | DensityForm:
    """Return the form that computes the features of a model."""
    if isinstance(model.recursion, EquivariantRecursion):
        return EquivariantForm(model)
    return DensityForm(model)


def unsupported(model: Reann) -> str | None:
    """Return why no kernels compute the recursion of a model, None if they do."""
    recursion = model.recursion
    if type(recursion) is EquivariantRecursion:
        return None
    if not isinstance(recursion, Recursion):
        return f"it does not know {recursion.messages} messages"
    host, update = type(recursion.host), type(recursion.update)
    obstacles = {
        f"it supports the host EmbeddedDensity, not {host.__name__}": host
        not in (EmbeddedDensity, FieldDensity),
        f"it has scalar and directional messages, not {update.__name__}": update not in MESSAGES,
    }
    return next((why for why, applies in obstacles.items() if applies), None)

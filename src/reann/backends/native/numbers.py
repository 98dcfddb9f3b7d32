"""Quantities of heads from the rows of the engine, and their adjoints, without PyTorch.

For small arrays, an operation of PyTorch takes several times as long as one of numpy, and a dozen
of them as long as all outputs of the engine for a few molecules. Therefore evaluations and
trainings use the functions below for the common heads. The heads define what is computed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from reann.graph import Graph
from reann.model import Reann
from reann.model.dipoles import ChargesHead, DipoleHead
from reann.model.molecule import center_of_mass
from reann.model.state_heads import StateHead, TensorHead, linear_of
from reann.quantities import is_per_atom


class Numbers:
    """The heads of a model at the time of creation.

    Attributes
    ----------
    matrix, constants
        Linear function from rows to values, and its constants by element.
    scalars
        Values of a constant of one of each head, whose first row is its scalars.
    parts, shapes
        Values of each head, and their shape.
    per_atom, shares
        Heads of quantities of atoms, and those whose quantity is a mean over the atoms.
    """

    def __init__(self, model: Reann) -> None:
        heads = cast("dict[str, StateHead]", dict(model.output_heads.items()))
        with torch.no_grad():
            linear, widths = linear_of(heads.values())
        self.matrix, self.constants = linear.matrix.numpy(), linear.constants.numpy()
        self.scalars = {name: head.basis_values[0].numpy() for name, head in heads.items()}
        ends = np.cumsum(widths)
        self.parts = {
            name: slice(end - width, end)
            for name, end, width in zip(heads, ends, widths, strict=True)
        }
        self.per_atom = {name for name in heads if is_per_atom(name)}
        self.shares = {
            name
            for name, head in heads.items()
            if isinstance(head, TensorHead) and not head.quantity.extensive
        } - self.per_atom
        shapes = {1: (), 3: (3,), 9: (3, 3)}
        self.shapes = {n: shapes[width] for n, width in zip(heads, widths, strict=True)}

    @classmethod
    def of(cls, model: Reann) -> Numbers | None:
        """Return the heads of a model, or None if others than the common ones are among them."""
        common = {ChargesHead, DipoleHead, TensorHead}
        heads = list(model.output_heads.values())
        is_known = common.issuperset(map(type, heads)) and model.long_range is None
        return cls(model) if heads and is_known else None

    def quantities(
        self,
        graph: Graph,
        element: NDArray[np.int32],
        outputs: Float[Tensor, "atoms outputs"],
        names: Collection[str],
    ) -> dict[str, Tensor]:
        """Return those of the quantities that are outputs of heads; see `outputs.quantities`."""
        requested = [name for name in self.parts if name in names]
        values = outputs.numpy() @ self.matrix
        values += self.constants[element]
        systems = _Systems(graph)
        if "charges" in self.parts and ("charges" in names or "dipole" in names):
            self._neutralize(values, graph, systems)
        if "dipole" in requested:
            self._add_charges(values, graph, systems)
        sums = None if requested == ["charges"] else systems.sums(values)
        results = {}
        for name in requested:
            of = values if sums is None or name in self.per_atom else sums
            value = of[:, self.parts[name]]
            if name in self.shares:
                value = systems.means(value)
            results[name] = torch.from_numpy(value.reshape(len(value), *self.shapes[name]))
        return results

    def adjoint(
        self, graph: Graph, element: NDArray[np.int32], of_results: Mapping[str, NDArray]
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        """Return the derivatives of a loss: with respect to the rows, and to the constants by name.

        Parameters
        ----------
        of_results
            Derivatives of the loss with respect to the results of `quantities`, by name.
        """
        systems = _Systems(graph)
        values = np.zeros((len(element), self.matrix.shape[1]))
        for name, derivative in of_results.items():
            bar = derivative.reshape(len(derivative), -1)
            if name in self.shares:
                bar = systems.means(bar)
            values[:, self.parts[name]] = bar if name in self.per_atom else systems.of_atoms(bar)
        if "charges" in self.parts:
            q = values[:, self.parts["charges"]]
            if "dipole" in of_results and (r := self._positions(graph, systems)) is not None:
                q += (values[:, self.parts["dipole"]] * r).sum(1, keepdims=True)
            q -= systems.of_atoms(systems.means(systems.sums(q)))
        of_elements = np.zeros_like(self.constants)
        np.add.at(of_elements, element, values)
        constants = {n: of_elements[:, part] @ self.scalars[n] for n, part in self.parts.items()}
        return values @ self.matrix.T, constants

    def _neutralize(self, values: NDArray, graph: Graph, systems: _Systems) -> None:
        """Distribute the missing charge of each structure equally over its atoms."""
        q = values[:, self.parts["charges"]]
        missing = -systems.sums(q)
        if graph.charge is not None:
            missing += graph.charge.numpy()[:, None]
        q += systems.of_atoms(systems.means(missing))

    def _add_charges(self, values: NDArray, graph: Graph, systems: _Systems) -> None:
        """Add charges times positions to the dipoles of atoms of molecules."""
        r = self._positions(graph, systems)
        if r is not None:
            values[:, self.parts["dipole"]] += values[:, self.parts["charges"]] * r

    @staticmethod
    def _positions(graph: Graph, systems: _Systems) -> NDArray[np.float64] | None:
        """Return the derivatives of dipoles with respect to charges; None if all are zero."""
        periodic: NDArray = graph.pbc.numpy().max(1, keepdims=True)
        if periodic.all():
            return None
        r = graph.positions.detach().numpy()
        if graph.charge is not None:
            r = r - systems.of_atoms(center_of_mass(graph).detach().numpy())
        return np.where(systems.of_atoms(periodic), 0.0, r) if periodic.any() else r


class _Systems:
    """Sums over the atoms of each structure, whose rows are contiguous."""

    def __init__(self, graph: Graph) -> None:
        self.system = graph.system.numpy()
        self.is_one = graph.n_systems == 1
        bounds = np.searchsorted(self.system, np.arange(graph.n_systems + 1))
        self.first, self.counts = bounds[:-1], (bounds[1:] - bounds[:-1])[:, None]
        self.have_atoms = bool(self.counts.all())

    def sums(self, values: NDArray) -> NDArray:
        """Return the sums of the rows of each structure."""
        if self.is_one:
            return values.sum(0, keepdims=True)
        if self.have_atoms:
            return np.add.reduceat(values, self.first)
        sums = np.zeros((len(self.first), values.shape[1]))
        has_atoms = self.counts[:, 0] > 0
        sums[has_atoms] = np.add.reduceat(values, self.first[has_atoms])
        return sums

    def means(self, sums: NDArray) -> NDArray:
        """Return sums divided by the number of atoms."""
        return sums / (self.counts if self.have_atoms else np.maximum(self.counts, 1))

    def of_atoms(self, values: NDArray) -> NDArray:
        """Return the row of the structure of each atom; a single row, which broadcasts, of one."""
        return values if self.is_one else values[self.system]

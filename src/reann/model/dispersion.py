"""D3 and D4 dispersion with rational damping, beyond the cutoff of the network.

D3: Grimme, Antony, Ehrlich, Krieg, J. Chem. Phys. 132, 154104 (2010); Grimme, Ehrlich, Goerigk, J.
Comput. Chem. 32, 1456 (2011). D4, which depends on the total charge: Caldeweyher, Ehlert, Hansen,
Neugebauer, Spicher, Bannwarth, Grimme, J. Chem. Phys. 150, 154122 (2019). The packages `dftd3` and
`dftd4` compute them, with analytic derivatives, for molecules and any periodicity. Neither has
trained parameters.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from ase.units import Bohr, Hartree
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from reann.config import DispersionConfig
from reann.errors import UserError
from reann.graph import Graph
from reann.model.terms import StructureTerm, TermSlopes

KEPT = 4096
"""Number of cached structures: a training computes the same ones in each epoch."""
NONE: NDArray[np.float64] = np.empty(0)
"""Charge of D3, which does not depend on it."""
EnergyAndSlopes = tuple[float, NDArray[np.float64], NDArray[np.float64]]
"""Energy in eV, and its derivatives with respect to positions in eV/Å and to strain in eV."""


class Dispersion(nn.Module, StructureTerm):
    """D3(BJ) or D4 of a functional.

    Attributes
    ----------
    is_on
        Whether the term is part of the energy. It is off if the model is compared with labels
        without dispersion.
    """

    def __init__(self, config: DispersionConfig) -> None:
        super().__init__()
        self.config, self.is_on = config, True
        self._known: OrderedDict[bytes, EnergyAndSlopes] = OrderedDict()
        self._parameters_of_damping: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for copies and other processes, without objects of the C library."""
        kept = {"_known": OrderedDict(), "_parameters_of_damping": None}
        return self.__dict__ | kept

    def of_structures(
        self,
        graph: Graph,
        positions: Float[Tensor, "atoms 3"],
        cell: Float[Tensor, "systems 3 3"],
        before: Mapping[str, Tensor],
    ) -> Float[Tensor, " atoms"]:
        """Return the energies of the atoms in eV: equal parts of the energy of their structure."""
        del before
        return _FirstOrder.apply(self, graph, positions, cell)  # pyright: ignore[reportReturnType]

    def slopes(self, graph: Graph, before: Mapping[str, Tensor]) -> TermSlopes:
        """Return energies and first derivatives."""
        del before
        by_position, by_strain = torch.zeros_like(graph.positions), torch.zeros_like(graph.cell)
        energy = graph.cell.new_zeros(graph.n_systems)
        ends = graph.atoms_per_system.cumsum(0).tolist()
        for system, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
            energy_and_slopes = self._one(graph, system, slice(begin, end))
            energy[system] = energy_and_slopes[0]
            by_position[begin:end] = torch.from_numpy(energy_and_slopes[1])
            by_strain[system] = torch.from_numpy(energy_and_slopes[2])
        energies = (energy / graph.atoms_per_system)[graph.system]
        return TermSlopes(energies, by_position.detach(), by_strain.detach(), {})

    def _one(self, graph: Graph, system: int, atoms: slice) -> EnergyAndSlopes:
        numbers = graph.atomic_numbers[atoms].cpu().numpy()
        arrays = (
            numbers,
            graph.positions[atoms].detach().cpu().numpy(),
            graph.cell[system].detach().cpu().numpy(),
            graph.pbc[system].cpu().numpy(),
            graph.charges()[system].detach().cpu().numpy() if self.config.method == "d4" else NONE,
        )
        key = b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)
        if key not in self._known:
            self._known[key] = self._computed(*arrays)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[key]

    def _computed(
        self, numbers: NDArray, positions: NDArray, cell: NDArray, pbc: NDArray, charge: NDArray
    ) -> EnergyAndSlopes:
        interface = library(self.config.method)
        if self._parameters_of_damping is None:
            self._parameters_of_damping = damping(self.config)
        options = {"lattice": cell / Bohr, "periodic": pbc} if pbc.any() else {}
        if charge.size:
            options["charge"] = float(charge)
        model = interface.DispersionModel(numbers, positions / Bohr, **options)
        result = model.get_dispersion(self._parameters_of_damping, grad=True)
        return (
            float(result["energy"]) * Hartree,
            result["gradient"] * (Hartree / Bohr),
            result["virial"] * Hartree,
        )


@contextmanager
def compared_with_labels(model: nn.Module) -> Iterator[None]:
    """Turn the dispersion of a model off if it was trained on labels without dispersion."""
    terms = [term for term in model.modules() if isinstance(term, Dispersion)]
    for term in terms:
        term.is_on = term.config.labels == "contain"
    try:
        yield
    finally:
        for term in terms:
            term.is_on = True


class _FirstOrder(torch.autograd.Function):
    """Energies of the atoms as functions of positions and strained cells; no second derivatives."""

    @staticmethod
    def forward(ctx: Any, term: Dispersion, graph: Graph, *variables: Tensor) -> Tensor:
        slopes = term.slopes(graph, {})
        # Derivatives at a fixed cell, and with respect to the cell: strain changes both.
        ctx.save_for_backward(slopes.by_position, slopes.by_strain, graph.positions, graph.cell)
        ctx.system, ctx.size = graph.system, graph.atoms_per_system
        del variables
        return slopes.energies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_energies: Tensor) -> tuple[Tensor | None, ...]:
        by_position, by_strain, positions, cell = ctx.saved_tensors
        zero = of_energies.new_zeros(len(ctx.size))
        # Atoms have equal parts, so the gradient of the structure is the mean over its atoms.
        of_system = zero.index_add(0, ctx.system, of_energies) / ctx.size
        outer = positions[:, :, None] * by_position[:, None]
        of_positions = torch.zeros_like(by_strain).index_add(0, ctx.system, outer)
        # cell -> cell (1 + strain): dU/d(strain) = cell^T dU/d(cell) + sum_i r_i (x) dU/dr_i.
        by_cell = torch.linalg.pinv(cell).mT @ (by_strain - of_positions)
        return (
            None,
            None,
            of_system[ctx.system][:, None] * by_position,
            of_system[:, None, None] * by_cell,
        )


def library(method: str) -> Any:
    """Return the interface of dftd3 or dftd4; `UserError` if it is not installed."""
    try:
        if method == "d4":
            from dftd4 import interface
        else:
            from dftd3 import interface
    except ImportError as error:
        raise UserError(
            f"The dispersion of this model needs the package dft{method}: {error}.",
            "model.dispersion",
            "pip install 'reann[dispersion]'",
        ) from error
    return interface


def damping(config: DispersionConfig) -> Any:
    """Return the damping parameters of a functional; `UserError` if there are none."""
    interface = library(config.method)
    form = interface.DampingParam if config.method == "d4" else interface.RationalDampingParam
    try:
        return form(method=config.functional, atm=config.has_three_body)
    except (RuntimeError, ValueError) as error:
        name = {"d3": "D3(BJ)", "d4": "D4"}[config.method]
        raise UserError(
            f"{name} has no parameters for the functional '{config.functional}'.",
            "model.dispersion.functional",
            f"Use a name of dft{config.method}, such as pbe, pbe0, b3lyp, revpbe, r2scan, tpss.",
        ) from error

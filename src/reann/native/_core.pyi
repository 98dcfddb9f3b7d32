# Arrays are contiguous and in the CPU's memory; shapes and units are those of core/reann.h.
# `ValueError` is an array of another type or shape, or what the engine finds wrong.
from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = NDArray[Any] | Tensor

class Model:
    # Copies named arrays, float32 or float64; `header` as in a `.reann` file.
    def __init__(self, header: str, arrays: dict[str, Any]) -> None: ...
    @staticmethod
    def open(path: str) -> Model: ...
    # Takes over other numbers of the same arrays; not while another thread computes with the model.
    def update(self, arrays: dict[str, Any]) -> None: ...
    @property
    def cutoff(self) -> float: ...
    @property
    def n_members(self) -> int: ...
    # Numbers that output heads read off the states of an atom.
    @property
    def n_outputs(self) -> int: ...

# One for every thread that computes.
class Workspace:
    def __init__(self) -> None: ...

def evaluate(
    model: Model,
    member: int,
    workspace: Workspace,
    element: Array,  # int32
    position: Array,  # float64
    first: Array,  # int64
    neighbor: Array,  # int32
    shift: Array | None,  # float64
    system: Array | None,  # int32
    n_systems: int,
    n_threads: int,
    energies: Array,  # from here on results, float64
    forces: Array | None,
    virial: Array | None,
    virials: Array | None,
    extrapolation: Array | None = None,
    outputs: Array | None = None,
    dipole: Array | None = None,  # (structures, 3)
    field: Array | None = None,  # (structures, 3) V/Å, float64; not a result
) -> None: ...

# Adds to gradients as `gradient` does, for the sum of weights times d^2E/dt^2 in fields F + t n.
def curvature_gradient(
    model: Model,
    member: int,
    workspace: Workspace,
    element: Array,
    position: Array,
    first: Array,
    neighbor: Array,
    shift: Array | None,
    system: Array | None,
    n_systems: int,
    n_threads: int,
    field: Array | None,  # (structures, 3) V/Å
    velocity: Array | None,  # (atoms, 3) Å
    directions: Array,  # (structures, 3) V/Å
    weights: Array,  # (structures,)
    gradients: dict[str, Any],
) -> None: ...

# Dipoles and their derivatives with respect to field and positions.
def responses(
    model: Model,
    member: int,
    workspace: Workspace,
    element: Array,
    position: Array,
    first: Array,
    neighbor: Array,
    shift: Array | None,
    system: Array | None,
    n_systems: int,
    n_threads: int,
    field: Array | None,  # (structures, 3) V/Å
    dipole: Array,  # results: (structures, 3)
    polarizability: Array,  # (structures, 3, 3) e Å^2/V
    born: Array | None,  # (atoms, 3, 3) e
) -> None: ...

# Dipoles, and their rates as atoms move and the field changes.
def dipole_rate(
    model: Model,
    member: int,
    workspace: Workspace,
    element: Array,
    position: Array,
    first: Array,
    neighbor: Array,
    shift: Array | None,
    system: Array | None,
    n_systems: int,
    n_threads: int,
    field: Array | None,  # (structures, 3) V/Å
    velocity: Array | None,  # (atoms, 3)
    field_rate: Array | None,  # (structures, 3)
    dipole: Array,  # results, (structures, 3)
    rate: Array,
) -> None: ...

# Of several numbers, given by their derivatives with respect to the energies, (numbers, atoms), and
# to the outputs, (numbers, atoms, n_outputs); forces and virial as of an energy.
def derivatives(
    model: Model,
    member: int,
    workspace: Workspace,
    element: Array,
    position: Array,
    first: Array,
    neighbor: Array,
    shift: Array | None,
    system: Array | None,
    n_systems: int,
    n_threads: int,
    energies: Array,
    outputs: Array | None,
    forces: Array,  # results, (numbers, atoms, 3)
    virial: Array | None,  # (numbers, structures, 3, 3)
) -> None: ...
def gradient(
    model: Model,
    member: int,
    workspace: Workspace,
    element: Array,
    position: Array,
    first: Array,
    neighbor: Array,
    shift: Array | None,
    system: Array | None,
    n_systems: int,
    n_threads: int,
    energies: Array | None,  # derivatives of the loss with respect to results, float64
    forces: Array | None,
    virial: Array | None,
    gradients: dict[str, Any],  # results under the names of arrays of the model, float64
    outputs: Array | None = None,
    dipole: Array | None = None,
    field: Array | None = None,
    slopes: Array | None = None,  # p = dU/dy of a part U of the energy, (atoms, n_outputs)
    # From dy/dt to the derivatives with respect to y, in place of `outputs`; with `slopes`.
    seeds: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    energy_slopes: Array | None = None,  # factors of the energies, (atoms,); None: 1
) -> None: ...

# Energies, outputs y, and derivatives of an energy with a part U(y); `seeds` returns dU/dy for y.
def evaluate_with_seeds(
    model: Model,
    member: int,
    workspace: Workspace,
    element: Array,
    position: Array,
    first: Array,
    neighbor: Array,
    shift: Array | None,
    system: Array | None,
    n_systems: int,
    n_threads: int,
    energies: Array,  # results
    outputs: Array,
    forces: Array | None,
    virial: Array | None,
    seeds: Callable[[NDArray[Any]], NDArray[Any]],
) -> None: ...

# first (atoms + 1) int64, neighbor int32, shift (neighbors, 3) Å, crossed (neighbors, 3) int32.
def neighbors(
    position: Array,  # (atoms, 3) Å, float64
    cell: Array,  # (3, 3) Å, float64
    periodic: Array,  # (3,) int32
    reach: float,  # Å
) -> tuple[Array, Array, Array, Array]: ...
def interface() -> int: ...
def isa() -> str: ...

# Of this processor, best first.
def levels() -> list[str]: ...

# Charges on a periodic mesh, see core/splines.hpp; the order is 4 or 8, numbers are float64.
class Charges:
    # Places (charges, 3) in units of the distances of mesh points; sizes (3,) int32.
    def __init__(self, places: Array, sizes: Array, order: int) -> None: ...
    @property
    def count(self) -> int: ...
    # Write the sums over k of G exp(-i k . r) S(k) at the charges; G as `Mesh.G`.
    def filtered(self, q: Array, G: Array, results: Array) -> None: ...
    # Add charges (charges,), or their rates and those of their places (charges, 3), to a mesh.
    def spread(self, q: Array, mesh: Array) -> None: ...
    def spread_rates(self, q: Array, by_time: Array, moved: Array, mesh: Array) -> None: ...
    # Write the values of a mesh at the charges, and their slopes (charges, 3).
    def read(self, mesh: Array, values: Array) -> None: ...
    def read_slopes(self, mesh: Array, values: Array, slopes: Array) -> None: ...

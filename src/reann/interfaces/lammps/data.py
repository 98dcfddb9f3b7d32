"""Data files of LAMMPS: a structure in the coordinate frame of LAMMPS, with its atom types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ase
import numpy as np
from ase import units
from ase.calculators.lammps import Prism
from numpy.typing import NDArray

from reann.motion.dynamics import has_velocities


@dataclass(frozen=True)
class System:
    """A structure and its transformation to the coordinate frame of LAMMPS.

    In this frame the first cell vector is along x. There is an atom type for each combination of
    element and mass.
    """

    atoms: ase.Atoms
    prism: Prism
    """Rotates vectors between the frames of LAMMPS and ASE."""
    elements: list[str]
    """Element of each atom type."""
    masses: list[float]
    """Mass of each atom type, in g/mol."""
    types: NDArray[np.int64]
    """Type of each atom, starting at 1."""
    charge: float = 0.0
    """Total charge of a structure for a potential with charges, e."""

    @property
    def turned(self) -> bool:
        """Whether the frame of LAMMPS differs from that of the structure."""
        return not np.allclose(self.prism.rot_mat, np.eye(3), atol=1e-9)


def system_of(atoms: ase.Atoms, order: Sequence[str], charge: float = 0.0) -> System:
    """Return a structure with atom types in the order of the elements; isotopes by their masses."""
    symbols, masses = atoms.get_chemical_symbols(), atoms.get_masses()
    of_atoms = [(order.index(s), float(m)) for s, m in zip(symbols, masses, strict=True)]
    kinds = sorted(set(of_atoms))
    return System(
        atoms,
        Prism(atoms.cell.array),
        [order[element] for element, _ in kinds],
        [mass for _, mass in kinds],
        np.array([kinds.index(kind) + 1 for kind in of_atoms]),
        charge,
    )


def data_file(system: System, title: str) -> str:
    """Return the data file for `atom_style atomic` and `units metal`, with velocities if known."""
    return "\n".join([*_lines(system, title), ""])


def _lines(system: System, title: str) -> Iterator[str]:
    atoms = system.atoms
    xhi, yhi, zhi, xy, xz, yz = (float(x) for x in system.prism.get_lammps_prism())
    yield f"# {title}\n"
    yield f"{len(atoms)} atoms\n{len(system.masses)} atom types\n"
    for name, high in zip("xyz", (xhi, yhi, zhi), strict=True):
        yield f"0.0 {high:.17g}  {name}lo {name}hi"
    if system.prism.is_skewed():
        yield f"{xy:.17g} {xz:.17g} {yz:.17g}  xy xz yz"
    yield "\nMasses\n"
    for i, (element, mass) in enumerate(zip(system.elements, system.masses, strict=True), 1):
        yield f"{i} {mass!r}  # {element}"
    yield "\nAtoms # atomic\n"
    positions = system.prism.vector_to_lammps(atoms.positions)
    for i, (kind, (x, y, z)) in enumerate(zip(system.types, positions, strict=True), 1):
        yield f"{i} {kind} {x:.17g} {y:.17g} {z:.17g}"
    if has_velocities(atoms):
        yield "\nVelocities\n"
        per_picosecond = 1000.0 * units.fs * atoms.get_velocities()
        velocities = system.prism.vector_to_lammps(per_picosecond)
        for i, (x, y, z) in enumerate(velocities, 1):
            yield f"{i} {x:.17g} {y:.17g} {z:.17g}"

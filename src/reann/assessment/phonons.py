"""Phonons of a crystal: there must be no imaginary modes in the Brillouin zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.kinds import Kind
from reann.assessment.outcome import CannotRunError, Figure, Outcome, graded
from reann.assessment.words import fixed
from reann.errors import counted
from reann.report.svg import Axes

PER_CM_OF_THZ = 33.35640951981521
DISPLACEMENT = 0.01
"""Å."""
SYMMETRY = 0.01
"""Å, tolerance of the search for the primitive cell."""
NARROWEST, MOST_ATOMS = 10.0, 400
"""Å, smallest height of the supercell; it is at least twice the cutoff if `MOST_ATOMS` allows."""
N_POINTS, MESH = 160, 10
"""Points of the path, and of the mesh along each axis."""
IMAGINARY, UNSTABLE = 5.0, 25.0
"""cm^-1; interpolation and rounding cause up to the first near the center of the zone."""


@dataclass(frozen=True)
class Bands:
    """Wavenumbers, imaginary ones negative, cm^-1."""

    along: NDArray[np.float64]
    """Position on the path, (points,)."""
    path: NDArray[np.float64]
    """(points, branches)."""
    mesh: NDArray[np.float64]
    """(points, branches)."""
    labels: list[tuple[float, str]]
    """Positions and names of special points."""
    n_primitive: int
    n_supercell: int
    n_displacements: int


def run(case: Case) -> Outcome:
    """Compute phonons from displacements in a supercell of the relaxed crystal."""
    result = bands(case.relaxed.atoms, case.exact, case.cutoff, case.advance)
    lowest = float(min(result.path.min(), result.mesh.min()))
    highest = float(result.mesh.max())
    percent = 100.0 * float((result.mesh < -IMAGINARY).mean())
    modes = f"{percent:.1f} % of the modes are imaginary" if percent else "No mode is imaginary"
    return Outcome(
        graded(-lowest, IMAGINARY, UNSTABLE),
        f"{modes}; wavenumbers range from {fixed(lowest, 1)} (imaginary ones are negative) to"
        f" {highest:.0f} cm⁻¹. Primitive cell of {result.n_primitive} atoms, supercell of"
        f" {result.n_supercell}, {counted(result.n_displacements, 'displacement')} of"
        f" {DISPLACEMENT:g} Å.",
        f"No wavenumber below −{IMAGINARY:g} cm⁻¹, which interpolation leaves near Γ; from"
        f" −{UNSTABLE:g} cm⁻¹ the crystal is unstable and would transform. If the reference method"
        " has the soft mode, too, the potential is right.",
        (_figure(result),),
        {
            "lowest_per_cm": lowest,
            "highest_per_cm": highest,
            "imaginary_percent": percent,
            "atoms_of_primitive_cell": result.n_primitive,
            "atoms_of_supercell": result.n_supercell,
            "special_points": result.labels,
            "path": np.round(result.along, 5).tolist(),
            "bands_per_cm": np.round(result.path, 2).tolist(),
        },
    )


def bands(
    crystal: ase.Atoms,
    calculator: Calculator,
    cutoff: float,
    advance: Callable[[float], None] = lambda _: None,
) -> Bands:
    """Return the phonons of a relaxed crystal, by phonopy.

    A. Togo, L. Chaput, T. Tadano, I. Tanaka, J. Phys.: Condens. Matter 35, 353001 (2023).

    Raises
    ------
    CannotRunError
        Without phonopy.
    """
    phonopy = required_phonopy()
    cell = primitive(crystal)
    like_phonopy = phonopy.structure.atoms.PhonopyAtoms
    unit = like_phonopy(numbers=cell.numbers, cell=cell.cell.array, positions=cell.positions)
    repeats = np.diag(supercell_of(cell, cutoff))
    phonons = phonopy.Phonopy(unit, repeats, primitive_matrix=np.eye(3), symprec=SYMMETRY)
    phonons.generate_displacements(distance=DISPLACEMENT)
    moved = phonons.supercells_with_displacements
    forces = []
    for number, copy in enumerate(moved):
        atoms = ase.Atoms(copy.numbers, copy.positions, cell=copy.cell, pbc=True)
        atoms.calc = calculator
        forces.append(atoms.get_forces())
        advance(0.9 * (number + 1) / len(moved))
    phonons.forces = np.array(forces)
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants()
    path = cell.cell.bandpath(npoints=N_POINTS, eps=SYMMETRY)
    along, positions, names = path.get_linear_kpoint_axis()
    labels = special_points(positions, names)
    on_path = _frequencies(phonons, path.kpts)
    grid = (np.stack(np.meshgrid(*3 * [np.arange(MESH)], indexing="ij"), -1) / MESH).reshape(-1, 3)
    on_mesh = _frequencies(phonons, grid)
    return Bands(along, on_path, on_mesh, labels, len(cell), len(phonons.supercell), len(moved))


def special_points(positions: NDArray[np.float64], names: Sequence[str]) -> list[tuple[float, str]]:
    """Return positions on the path with their names; two at a discontinuity share one, as U|K."""
    labels: dict[float, str] = {}
    for position, name in zip(positions, names, strict=True):
        x, shown = float(position), name.replace("G", "Γ")
        labels[x] = f"{labels[x]}|{shown}" if x in labels else shown
    return list(labels.items())


def required_phonopy() -> Any:
    """Return the package; `CannotRunError` if it is not installed."""
    try:
        import phonopy
        import phonopy.structure.atoms
    except ImportError:
        raise CannotRunError(
            "Phonons need the package phonopy: pip install 'reann[phonons]'."
        ) from None
    return phonopy


def primitive(crystal: ase.Atoms) -> ase.Atoms:
    """Return the standardized primitive cell; the crystal itself if no symmetry is detected."""
    import spglib

    cell: Any = (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers)
    result: Any = spglib.standardize_cell(cell, to_primitive=True, symprec=SYMMETRY)
    if result is None:
        return ase.Atoms(crystal.numbers, crystal.positions, cell=crystal.cell, pbc=True)
    lattice, scaled, numbers = result
    return ase.Atoms(numbers, scaled_positions=scaled, cell=lattice, pbc=True)


def supercell_of(cell: ase.Atoms, cutoff: float) -> NDArray[np.int64]:
    """Return the number of repeats of a cell along each axis."""
    width = max(NARROWEST, 2.0 * cutoff) if np.isfinite(cutoff) else NARROWEST
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell.cell.array), axis=0)
    while True:
        repeats = np.maximum(1, np.ceil(width / heights - 1e-6)).astype(int)
        if len(cell) * repeats.prod() <= MOST_ATOMS or (repeats == 1).all():
            return repeats
        width *= 0.95


def _frequencies(phonons: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
    phonons.run_qpoints(points)
    return PER_CM_OF_THZ * np.asarray(phonons.qpoints.frequencies)


def _figure(result: Bands) -> Figure:
    low, high = float(result.path.min()), float(result.path.max())
    margin = 0.05 * (high - low)
    caption = "Phonon bands; imaginary wavenumbers are drawn as negative"
    axes = Axes(
        (float(result.along[0]), float(result.along[-1])),
        (min(low, 0.0) - margin, high + margin),
        "wave vector",
        "wavenumber, cm⁻¹",
        "Phonon bands",
        caption,
        width=760,
        height=340,
        xnames=result.labels,
    )
    axes.line(list(axes.x), [0.0, 0.0], "diagonal")
    for branch in result.path.T:
        axes.line(result.along, branch, "thin")
    return Figure(axes.render(), caption, wide=True)


CHECK = Check(
    "phonons",
    "Phonons",
    "An imaginary mode means that the crystal is not a minimum: it turns into another phase.",
    run,
    frozenset({Kind.crystal}),
)

"""Checks of atoms, cells and distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols

from reann.data.check.finding import Finding, Rule, about
from reann.data.check.record import TOO_CLOSE, Record, collides
from reann.data.labels.names import label_read
from reann.errors import listed
from reann.quantities import readable

MOST, FEWEST_CELLS = 0.9, 2
"""Minimum fraction of structures, and number of cell volumes (clusters have equal boxes)."""
COINCIDENT = 0.05
"""Å; shorter than any distance of two nuclei in a calculation."""
LENGTHS = (
    (0.05, 0.20, "nm", "ten times too short: they look like nm", "units: {length: nm}"),
    (0.40, 0.62, "Bohr", "about 0.53 times too short: they were converted from Bohr twice", ""),
    (
        1.60,
        2.40,
        "Bohr",
        "about 1.9 times too long: they look like Bohr",
        "units: {length: Bohr}",
    ),
    (7.00, 13.0, "nm", "ten times too long: they were converted from nm twice", ""),
)
"""Range of the nearest distance over the sum of radii, unit, description, setting."""


GEOMETRY = ("positions", "cell")


def not_finite(records: Sequence[Record]) -> Finding | None:
    """Report NaN or infinity in geometry or labels."""
    bad = [r for r in records if any(_is_used(r, name) for name in r.not_finite)]
    names = sorted({name for r in bad for name in r.not_finite if _is_used(r, name)})
    return about(
        bad,
        "not-finite",
        "error",
        f"NaN or infinity in {listed(names)}",
        "Remove these structures; with `data: {missing: allow}`, NaN is a missing label.",
        lambda r: f" ({', '.join(r.not_finite)})",
    )


def not_finite_beside(records: Sequence[Record]) -> Finding | None:
    """Report NaN or infinity under keys that are not used."""
    names = sorted({n for r in records for n in r.not_finite if not _is_used(r, n)})
    return about(
        [r for r in records if any(n in names for n in r.not_finite)],
        "not-finite-beside",
        "note",
        f"NaN or infinity in {listed(names)}, which is not used" if names else "",
        "",
    )


def _is_used(record: Record, name: str) -> bool:
    return name in GEOMETRY or name in record.labels or label_read(name) in readable()


def cell_missing(records: Sequence[Record]) -> Finding | None:
    """Report periodic structures without a lattice vector."""
    return about(
        [r for r in records if r.cell_missing],
        "pbc-without-cell",
        "error",
        "periodic along a direction without a lattice vector (or with a flat cell)",
        'Add the Lattice to the file, or pbc="F F F" for molecules.',
        lambda r: f" (pbc {' '.join('FT'[p] for p in r.pbc)})",
    )


def coincident_atoms(records: Sequence[Record]) -> Finding | None:
    """Report two atoms at the same position."""
    bad = [r for r in records if r.closest[0] < COINCIDENT]
    return about(
        bad,
        "coincident-atoms",
        "error",
        f"two atoms less than {COINCIDENT} Å apart",
        "Remove the duplicate atoms; often an atom at the cell boundary was written twice.",
        _closest,
    )


def length_unit(records: Sequence[Record]) -> Finding | None:
    """Report distances of nearest neighbors that are implausible for bonds."""
    ratios = np.array([r.nearest_ratio for r in records])
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios):
        return None
    typical = float(np.median(ratios))
    # in random geometries, atoms are far apart on average but some are close
    closest = [r.closest[1] for r in records if np.isfinite(r.closest[1])]
    tight = float(np.percentile(closest, 5))
    for low, high, _, words, setting in LENGTHS:
        if low <= typical <= high and (low < 1.0 or tight > 1.3):
            fix = f"Write `data: {{{setting}}}`." if setting else "Convert the lengths only once."
            return Finding(
                "length-unit",
                "warning",
                f"the median distance of nearest neighbors is {typical:.2f} times the sum of their "
                f"covalent radii, {words}",
                fix + " Ignore this for weakly bound atoms.",
                len(ratios),
            )
    return None


def cell_unit(records: Sequence[Record]) -> Finding | None:
    """Report atoms that leave the same fraction of their cell empty along all vectors."""
    # In a large data set, only the structures with known distances are checked.
    measured = [r for r in records if r.volume and r.n_atoms > 1 and np.isfinite(r.closest[1])]
    bad = [r for r in measured if r.cell_in_bohr]
    if len(bad) < MOST * len(measured) or len({r.volume for r in bad}) < FEWEST_CELLS:
        return None
    return about(
        bad,
        "cell-unit",
        "warning",
        "the atoms fill 53 % of their cell along each vector: the cell looks like Bohr and the "
        "positions like Å",
        "Write the cell in Å. Ignore this for clusters in boxes.",
    )


def too_close(records: Sequence[Record]) -> Finding | None:
    """Report single pairs of atoms far closer than a bond, if the unit is correct."""
    if length_unit(records) is not None:
        return None
    bad = [r for r in records if collides(r) and r.closest[0] >= COINCIDENT]
    bad.sort(key=lambda r: r.closest[1])
    return about(
        bad,
        "close-atoms",
        "warning",
        f"two atoms closer than {TOO_CLOSE} of the sum of their covalent radii, "
        + (f"the shortest distance is {bad[0].closest[0]:.2f} Å" if bad else ""),
        "This is correct for collisions and high temperatures; otherwise check these structures.",
        _closest,
    )


def atoms_without_neighbors(cutoff: float) -> Rule:
    """Return the check for atoms without a neighbor within the cutoff (Å).

    Structures of a single atom are exempt.
    """

    def rule(records: Sequence[Record]) -> Finding | None:
        bad = [r for r in records if r.n_without_neighbors]
        total = sum(r.n_atoms for r in records)
        n_atoms = sum(r.n_without_neighbors for r in bad)
        return about(
            bad,
            "no-neighbors",
            "warning",
            f"{n_atoms} of {total} atoms have no neighbor within the cutoff of {cutoff:g} Å",
            "The model gives them the energy of the isolated atom and no force; increase the "
            "cutoff if they interact.",
            _atoms_of,
        )

    return rule


def _atoms_of(r: Record) -> str:
    more = ", …" if r.n_without_neighbors > len(r.without_neighbors) else ""
    return f" (atom {', '.join(map(str, r.without_neighbors))}{more})"


def isolated_atoms(records: Sequence[Record]) -> Finding | None:
    """Report single atoms and whether they can serve as reference energies."""
    single = [r for r in records if r.n_atoms == 1 and not any(r.pbc)]
    elements = {z for r in records for z, _ in r.composition}
    with_energy = {r.composition[0][0] for r in single if r.energy is not None}
    missing = _symbols(elements - with_energy)
    fix = (
        "`data: {reference_energies: isolated}` uses their energies as reference energies."
        if not missing
        else f"`reference_energies: isolated` also needs single atoms with energies of {missing}."
    )
    return about(
        single,
        "isolated-atoms",
        "note",
        f"single atoms: {_symbols({r.composition[0][0] for r in single})}",
        fix,
    )


def _symbols(numbers: set[int]) -> str:
    return ", ".join(chemical_symbols[z] for z in sorted(numbers))


def _closest(r: Record) -> str:
    distance, _, i, j = r.closest
    what = f"atoms {i} and {j}" if i != j else f"atom {i} and its periodic image"
    return f" ({what}, {distance:.3f} Å)"

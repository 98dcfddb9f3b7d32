"""Checks of atoms, cells and distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.data import chemical_symbols

from reann.data.check.finding import Finding, Rule, about
from reann.data.check.record import TOO_CLOSE, Record, collides
from reann.data.names import label_read
from reann.errors import listed
from reann.quantities import readable

MOST, FEWEST_CELLS = 0.9, 2
"""Fraction of the structures, and cells of other volumes: clusters lie in equal boxes."""
COINCIDENT = 0.05
"""Å; closer than any two nuclei of a calculation."""
LENGTHS = (
    (0.05, 0.20, "nm", "ten times too short: they look like nm", "units: {length: nm}"),
    (0.40, 0.62, "Bohr", "about 0.53 of what bonds are: they were converted from Bohr twice", ""),
    (
        1.60,
        2.40,
        "Bohr",
        "about 1.9 times what bonds are: they look like Bohr",
        "units: {length: Bohr}",
    ),
    (7.00, 13.0, "nm", "ten times too long: they were converted from nm twice", ""),
)
"""Range of the nearest distance over the sum of the radii, unit, words, setting."""


GEOMETRY = ("positions", "cell")


def not_finite(records: Sequence[Record]) -> Finding | None:
    """NaN or infinity in geometry or labels."""
    bad = [r for r in records if any(_is_used(r, name) for name in r.not_finite)]
    names = sorted({name for r in bad for name in r.not_finite if _is_used(r, name)})
    return about(
        bad,
        "not-finite",
        "error",
        f"NaN or infinity in {listed(names)}",
        "Remove these structures; `data: {missing: allow}` reads NaN as a label that is absent.",
        lambda r: f" ({', '.join(r.not_finite)})",
    )


def not_finite_beside(records: Sequence[Record]) -> Finding | None:
    """NaN or infinity under keys that no label is read from."""
    names = sorted({n for r in records for n in r.not_finite if not _is_used(r, n)})
    return about(
        [r for r in records if any(n in names for n in r.not_finite)],
        "not-finite-beside",
        "note",
        f"NaN or infinity in {listed(names)}, which is not read" if names else "",
        "",
    )


def _is_used(record: Record, name: str) -> bool:
    return name in GEOMETRY or name in record.labels or label_read(name) in readable()


def cell_missing(records: Sequence[Record]) -> Finding | None:
    """Periodic, but without a lattice vector."""
    return about(
        [r for r in records if r.cell_missing],
        "pbc-without-cell",
        "error",
        "periodic along a direction without a lattice vector (or with a flat cell)",
        'Write the Lattice into the file, or pbc="F F F" for molecules.',
        lambda r: f" (pbc {' '.join('FT'[p] for p in r.pbc)})",
    )


def coincident_atoms(records: Sequence[Record]) -> Finding | None:
    """Two atoms in one place."""
    bad = [r for r in records if r.closest[0] < COINCIDENT]
    return about(
        bad,
        "coincident-atoms",
        "error",
        f"two atoms less than {COINCIDENT} Å apart",
        "Remove the doubled atoms; often an atom on the cell's edge was written twice.",
        _closest,
    )


def length_unit(records: Sequence[Record]) -> Finding | None:
    """Nearest neighbors at distances that no bond has, as a whole."""
    ratios = np.array([r.nearest_ratio for r in records])
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios):
        return None
    typical = float(np.median(ratios))
    # random geometries are far apart on average, yet some of their atoms are close
    closest = [r.closest[1] for r in records if np.isfinite(r.closest[1])]
    tight = float(np.percentile(closest, 5))
    for low, high, _, words, setting in LENGTHS:
        if low <= typical <= high and (low < 1.0 or tight > 1.3):
            fix = f"Write `data: {{{setting}}}`." if setting else "Convert the lengths once only."
            return Finding(
                "length-unit",
                "warning",
                f"nearest neighbors are {typical:.2f} sums of radii apart on average, {words}",
                fix + " Ignore this for weakly bound atoms.",
                len(ratios),
            )
    return None


def cell_unit(records: Sequence[Record]) -> Finding | None:
    """Atoms that leave the same part of their cell empty along all its vectors."""
    # Of a large data set only the structures with known distances are measured.
    some = [r for r in records if r.volume and r.n_atoms > 1 and np.isfinite(r.closest[1])]
    bad = [r for r in some if r.cell_in_bohr]
    if len(bad) < MOST * len(some) or len({r.volume for r in bad}) < FEWEST_CELLS:
        return None
    return about(
        bad,
        "cell-unit",
        "warning",
        "the atoms fill 53 % of their cell along each vector: its vectors look like Bohr beside "
        "positions in Å",
        "Write the cell in Å. Ignore this for clusters in boxes.",
    )


def too_close(records: Sequence[Record]) -> Finding | None:
    """Single pairs of atoms far below a bond length, when the unit is right."""
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
        "Right for collisions and high temperature; else look at these structures.",
        _closest,
    )


def lonely_atoms(cutoff: float) -> Rule:
    """Return the check for atoms without a neighbor within the cutoff (Å).

    A structure of a single atom does not count.
    """

    def rule(records: Sequence[Record]) -> Finding | None:
        bad = [r for r in records if r.n_lonely]
        total = sum(r.n_atoms for r in records)
        return about(
            bad,
            "no-neighbors",
            "warning",
            f"{sum(r.n_lonely for r in bad)} of {total} atoms have no neighbor within the cutoff "
            f"of {cutoff:g} Å",
            "The model gives them the energy of the isolated atom and no force; "
            "a longer cutoff reaches farther.",
            lambda r: f" (atom {', '.join(map(str, r.lonely))}{', …' if r.n_lonely > 3 else ''})",
        )

    return rule


def isolated_atoms(records: Sequence[Record]) -> Finding | None:
    """Structures of a single atom: what they are good for, and for which elements."""
    single = [r for r in records if r.n_atoms == 1 and not any(r.pbc)]
    elements = {z for r in records for z, _ in r.composition}
    with_energy = {r.composition[0][0] for r in single if r.energy is not None}
    lacking = _symbols(elements - with_energy)
    fix = (
        "`data: {reference_energies: isolated}` takes the energies of the elements from them."
        if not lacking
        else f"For `reference_energies: isolated` there is none with an energy for {lacking}."
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
    what = f"atoms {i} and {j}" if i != j else f"atom {i} and its own image"
    return f" ({what}, {distance:.3f} Å)"

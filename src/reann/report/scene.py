"""The data of a structure for the viewer of the report: atoms, half bonds, cell, forces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ase
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from numpy.typing import NDArray

from reann.evaluation.comparison import Evaluation, Outlier
from reann.report.molecules import NO_METALS, Bonds, unbroken

ATOM, METAL = 0.42, 0.75
"""Radius of a sphere over the covalent radius."""
NO_COLOR = [128, 128, 128]
MOST_ATOMS = 300
SHOWN_ATOMS = 80
"""Around the marked atom of structures with more than `MOST_ATOMS`, without the cell."""


def scene(evaluation: Evaluation, outlier: Outlier, atoms: ase.Atoms) -> dict[str, Any]:
    """Return the data for the viewer of an outlier, in Å and eV/Å."""
    rows = evaluation.rows(outlier.index)
    sources = {"reference": evaluation.reference, "predicted": evaluation.predicted}
    forces = {name: x["forces"][rows] for name, x in sources.items() if "forces" in x}
    return scene_of(atoms, outlier.atom, forces)


def scene_of(
    atoms: ase.Atoms, marked: int | None, forces: Mapping[str, NDArray] | None = None
) -> dict[str, Any]:
    """Return what the viewer draws, in Å and eV/Å: a structure, a marked atom, forces by name."""
    is_cut = len(atoms) > MOST_ATOMS
    atoms, bonds = unbroken(atoms, around=(marked or 0) if is_cut else None)
    shown = _nearest(atoms, marked or 0)
    positions = atoms.positions[shown]
    center = 0.5 * (positions.max(0) + positions.min(0))
    elements, kind = np.unique(atoms.numbers[shown], return_inverse=True)
    result: dict[str, Any] = {
        "elements": [
            {
                "symbol": chemical_symbols[z],
                "radius": round(float(covalent_radii[z]) * (ATOM if z in NO_METALS else METAL), 2),
                "color": _color(int(z)),
            }
            for z in elements
        ],
        "kind": kind.tolist(),
        "positions": _rounded(positions - center),
        "bonds": _half_bonds(bonds, atoms.positions, shown, center),
        "view": _rounded(_view(atoms, positions)),
        "cell": None,
        "worst": None,
        "forces": {},
    }
    if not is_cut and atoms.pbc.any() and np.abs(atoms.cell.array[atoms.pbc]).sum() > 0:
        lattice = np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)
        result["cell"] = {"origin": _rounded(-center), "vectors": _rounded(lattice)}
    if marked is not None:
        result["worst"] = int(np.flatnonzero(shown == marked)[0])
    for name, values in (forces or {}).items():
        result["forces"][name] = _rounded(np.nan_to_num(values[shown]))
    return result


def _color(z: int) -> list[int]:
    """Return red, green and blue; the heaviest elements are not in the table and are gray."""
    if z >= len(jmol_colors):
        return NO_COLOR
    return [round(255 * float(c)) for c in jmol_colors[z]]


def _nearest(atoms: ase.Atoms, center: int) -> NDArray[np.int64]:
    if len(atoms) <= MOST_ATOMS:
        return np.arange(len(atoms))
    distances = np.linalg.norm(atoms.positions - atoms.positions[center], axis=1)
    return np.sort(np.argsort(distances, kind="stable")[:SHOWN_ATOMS])


def _half_bonds(
    bonds: Bonds, positions: NDArray, shown: NDArray, center: NDArray
) -> list[list[Any]]:
    """Return [atom, x, y, z of the center of the bond] for each direction of each bond."""
    visible = np.isin(bonds.first, shown)
    row = np.searchsorted(shown, bonds.first[visible])
    middles = positions[bonds.first[visible]] + 0.5 * bonds.vectors[visible] - center
    return [[int(a), *m] for a, m in zip(row, _rounded(middles), strict=True)]


def _view(atoms: ase.Atoms, positions: NDArray) -> NDArray:
    """Return a rotation that shows a molecule from its widest side, a crystal from above."""
    if atoms.pbc.any():
        turn, tilt = np.radians(-25.0), np.radians(-78.0)
        around = np.array(
            [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
        )
        down = np.array(
            [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
        )
        return down @ around
    if len(positions) < 3:
        return np.eye(3)
    axes = np.linalg.svd(positions - positions.mean(0))[2]
    return axes * np.sign(np.linalg.det(axes))


def _rounded(values: NDArray) -> Any:
    return np.round(values, 3).tolist()

"""How small can the force error of a smooth potential be where two electronic states cross?

    python benchmarks/crossing.py DATA

DATA is a folder with `ag3_train.xyz.gz` of Ko et al., Nat. Commun. 12, 398 (2021). Near the
equilateral triangle, the anion has three electronic states; two of them cross where two sides are
equal and the third one is longer. The script reads the jump of the forces from the training
structures and computes the error of a potential that is exact except that it rounds the crossing as
two states with a constant coupling c do, E = (E1 + E2) / 2 - sqrt((E1 - E2)^2 / 4 + c^2).

Results go to `results/long_range.json`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from long_range import of_other_states, read, record, split

PAIRS = ((0, 1), (0, 2), (1, 2))
DISTORTIONS = np.array([[2.0, -1.0, -1.0], [0.0, 1.0, -1.0]]) / np.sqrt([[6.0], [2.0]])
"""Orthonormal combinations of the three sides that vanish for the equilateral triangle."""
NEAR, SEAM, MIXED = 0.6, 0.03, 0.0075
"""Å: distortions of compact triangles; distances from the crossing that determine the jump, and
within which some labels are those of a third solution."""
WIDTHS = (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05)
"""Å: distance from the crossing where half the difference of the energies is the coupling."""


@dataclass(frozen=True)
class Place:
    """A triangle, with respect to the nearest crossing."""

    distance: float
    """Å; its sign tells the two sides of the crossing apart."""
    slope: float
    """Derivative of the energy across the crossing, eV/Å."""
    spread: float
    """Sum of the squared forces, in units of the squared derivative."""


def place(atoms: ase.Atoms) -> Place | None:
    """Return the place of a triangle; None if it is not a compact one."""
    r = atoms.positions
    sides = np.array([np.linalg.norm(r[i] - r[j]) for i, j in PAIRS])
    by_position = np.zeros((3, 3, 3))
    for k, (i, j) in enumerate(PAIRS):
        by_position[k, i] = (r[i] - r[j]) / sides[k]
        by_position[k, j] = -by_position[k, i]
    by_position = by_position.reshape(3, 9)
    x, y = DISTORTIONS @ sides
    angle = 2.0 * np.pi / 3.0 * round(np.arctan2(y, x) / (2.0 * np.pi / 3.0))
    across = np.array([-np.sin(angle), np.cos(angle)]) @ DISTORTIONS
    if np.hypot(x, y) > NEAR:
        return None
    gradient = -np.linalg.lstsq(by_position.T, atoms.get_forces().ravel(), rcond=None)[0]
    spread = float(np.sum((across @ by_position) ** 2))
    return Place(float(across @ sides), float(across @ gradient), spread)


def slope_away(of: Place) -> float:
    """Return the derivative of the energy away from the crossing, eV/Å."""
    return of.slope * np.sign(of.distance)


def errors_of_rounding(places: list[Place], structures: int, width: float) -> dict[str, float]:
    """Return the RMSE of energies and forces of all structures if only the crossing is wrong."""
    half = -float(np.median([slope_away(p) for p in places if MIXED < abs(p.distance) < SEAM]))
    t = np.array([abs(p.distance) for p in places])
    label = np.where(t < MIXED, [slope_away(p) for p in places], -half)
    rounded = -half * t / np.hypot(t, width)
    spread = np.array([p.spread for p in places])
    forces = np.sum(spread * (rounded - label) ** 2) / (9 * structures)
    energies = half * (np.hypot(t, width) - t) / 3.0
    return {
        "coupling, meV": 1e3 * half * width,
        "forces_rmse_meV_per_A": 1e3 * float(np.sqrt(forces)),
        "energy_rmse_meV_per_atom": 1e3 * float(np.sqrt(np.sum(energies**2) / structures)),
    }


def main(folder: Path) -> None:
    frames = read(folder / "ag3_train.xyz.gz")
    excited = of_other_states(frames)
    parts = split(frames)
    kept = [a for p in ("train", "valid") for a in parts[p] if id(a) not in excited]
    places = [p for a in kept if a.info["charge"] < 0 and (p := place(a))]
    nearest = sorted(places, key=lambda p: abs(p.distance))[:26]
    record(
        "crossing",
        {
            "structures": len(kept),
            "compact anions": len(places),
            "nearest, distance in Å and derivative in eV/Å": [
                (round(abs(p.distance), 4), round(slope_away(p), 3)) for p in nearest
            ],
            "width, Å": {w: errors_of_rounding(places, len(kept), w) for w in WIDTHS},
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

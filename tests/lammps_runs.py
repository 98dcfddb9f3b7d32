"""Runs of the LAMMPS of this environment with the pair style, and inputs for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ase
import ase.build
from ase.io.lammpsdata import write_lammps_data

from reann.potential import Ensemble, Potential

SPECIES = ["H", "C", "O", "Ni"]
SETUP = """units metal
atom_modify map array
{before}
boundary {boundary}
read_data a.data
pair_style reann
pair_coeff * * a.reann H C O Ni
"""


def lammps(folder: Path, script: str, ranks: int = 1) -> str:
    """Run an input and return what it prints; fail with the error of LAMMPS."""
    done = attempt(folder, script, ranks)
    said = done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, said
    return done.stdout


def attempt(folder: Path, script: str, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    (folder / "in.lammps").write_text(script)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("LD_LIBRARY_PATH", None)
    here = Path(sys.executable).parent
    command = [str(here / "mpirun"), "-n", str(ranks)] if ranks > 1 else []
    command += [sys.executable, str(here / "lmp"), "-in", "in.lammps"]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def prepare(
    folder: Path, potential: Potential | Ensemble, atoms: ase.Atoms, before: str = ""
) -> str:
    """Write potential and structure, and return the beginning of an input."""
    potential.save(folder / "a.reann")
    with (folder / "a.data").open("w") as file:
        moving = atoms.has("momenta")
        write_lammps_data(
            file, atoms, specorder=SPECIES, masses=True, atom_style="atomic", velocities=moving
        )
    boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    return SETUP.format(before=before, boundary=boundary)


def water(n: int = 3) -> ase.Atoms:
    """Return molecules on a disordered lattice."""
    atoms = ase.build.molecule("H2O", vacuum=0.9, pbc=True).repeat(n)
    atoms.rattle(0.15, seed=1)
    return atoms

"""Short dynamics of water in LAMMPS, and how long their steps take."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import ase.io
from ase.io.lammpsdata import write_lammps_data
from sets import SETS

SKIN = 1.0
"""Å."""
REPEATS = 3
DYNAMICS = """units metal
{before}
read_data frame.data
replicate {repeats}
pair_style {style}
{coeff}
neighbor {skin} bin
timestep {step}
velocity all create 300 1 loop geom
fix 1 all nve
thermo_modify norm no
run {warm}
run {steps}
"""
ONE_THREAD = ("OMP_NUM", "DP_INTRA_OP_PARALLELISM", "DP_INTER_OP_PARALLELISM")


def coeff(model: Path) -> str:
    """Return the command `pair_coeff` of a potential of water."""
    return f"pair_coeff * * {model} H O"


def ghosts_in(printed: str) -> float:
    """Return the mean number of ghosts of a rank that LAMMPS printed."""
    return float(re.findall(r"Nghost:\s+(\S+)", printed)[-1])


class Runs:
    """Water, a potential, and a folder for LAMMPS."""

    def __init__(self, data: Path, models: list[Path], folder: Path, peers: Path) -> None:
        self.folder, self.models, self.model, self.peers = folder, models, models[0], peers
        self.usual = {"style": "reann", "coeff": coeff(self.model), "before": "", "step": "0.0005"}
        self.frame = ase.io.read(SETS["water-pbe0"].train_files(data)[0], 0)
        with (folder / "frame.data").open("w") as file:
            write_lammps_data(file, self.frame, specorder=["H", "O"], masses=True)

    def step(self, repeats: tuple[int, int, int], steps: int, ranks: int = 1, **own: str) -> float:
        """Return microseconds per atom and step of a short dynamics, the best of some runs."""
        return min(self.run(repeats, steps, ranks, **own)[0] for _ in range(REPEATS))

    def run(
        self,
        repeats: tuple[int, int, int],
        steps: int,
        ranks: int = 1,
        here: Path = Path(sys.executable).parent,
        **own: str,
    ) -> tuple[float, str]:
        """Return microseconds per atom and step, and what the LAMMPS of `here` printed."""
        words = self.usual | own
        script = DYNAMICS.format(
            repeats=" ".join(map(str, repeats)), steps=steps, warm=steps // 4, skin=SKIN, **words
        )
        (self.folder / "in.lammps").write_text(script)
        command = [str(here / "mpirun"), "-n", str(ranks), str(here / "lmp")]
        done = subprocess.run(  # noqa: S603 - the LAMMPS of this environment
            [*command, "-in", "in.lammps", "-log", "none"],
            cwd=self.folder,
            env={**os.environ, **{f"{name}_THREADS": "1" for name in ONE_THREAD}},
            capture_output=True,
            text=True,
            check=False,
        )
        loops = re.findall(
            r"Loop time of (\S+) on \d+ procs for (\d+) steps with (\d+)", done.stdout
        )
        if done.returncode or len(loops) < 2:
            raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
        seconds, n, atoms = map(float, loops[-1])
        return 1e6 * seconds / n / atoms, done.stdout

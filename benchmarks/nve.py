"""Energy conservation of a potential: drift, temperature, and the law of dt^2.

The frame nearest 1.00 g/cm^3 is minimized and brought to 300 K by Langevin dynamics (0.5 fs). From
there, in float32 and float64 and on every engine:

(a) NVE at 0.5 fs: slope of a linear fit of the total energy below 0.02 meV/atom/ps in size, mean
    temperature between 250 and 350 K;
(b) NVE over 1 ps at 0.5 and at 0.25 fs from the same start: the ratio of the RMS fluctuations of
    the total energy is 4 +- 0.8, as velocity Verlet has it when forces are the derivative of the
    energy.

    python benchmarks/nve.py runs/water/model.reann train.xyz.gz --json nve.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import ase
import numpy as np
import torch
from ase import units

from reann.assessment.dynamics import constant_energy, with_calculator
from reann.data.files.read import iter_atoms
from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.potential import load
from reann.simulate.md import run_md
from reann.simulate.md_result import drift
from reann.simulate.relax import relax

MAX_DRIFT = 0.02  # meV/atom/ps
TEMPERATURES = (250.0, 350.0)  # K
RATIO = (3.2, 4.8)
STEP = 0.5  # fs
DENSITY = 1.00  # g/cm^3


def main() -> int:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    potential = load(arguments.model)
    start, where, density = nearest_density(arguments.data)
    print_line(f"start       {where}: {len(start)} atoms, {density:.4f} g/cm^3")

    relaxed = relax(potential, start, fmax=arguments.fmax, max_steps=arguments.relax_steps)
    warm = run_md(
        potential,
        relaxed.atoms,
        temperature=300.0,
        time=1e3 * arguments.warm_up,
        timestep=STEP,
        seed=arguments.seed,
    )
    at_300 = warm.atoms
    # The momentum of the center of mass is conserved; its kinetic energy is not thermal.
    velocities = at_300.get_velocities()
    masses = at_300.get_masses()
    at_300.set_velocities(velocities - masses @ velocities / masses.sum())

    results = []
    for engine in arguments.engines:
        for precision in ("float32", "float64"):
            try:
                calculator = Calculator(potential, engine=engine, precision=precision)
            except UserError as error:
                print_line(f"{engine} {precision}: left out. {error.what}")
                continue
            results.append(measure(at_300, calculator, engine, precision, arguments))
    report(results)
    if arguments.json:
        written = {
            "model": str(arguments.model),
            "start": where,
            "density_g_per_cm3": density,
            "n_atoms": len(start),
            "relaxation": {"steps": relaxed.steps, "fmax_eV_per_A": relaxed.fmax},
            "warm_up_ps": arguments.warm_up,
            "warm_up_temperature_K": warm.temperature.mean(),
            "seed": arguments.seed,
            "torch": torch.__version__,
            "ase": ase.__version__,
            "machine": f"{platform.machine()}, {arguments.threads} of {os.cpu_count()} threads",
            "limits": {
                "drift_meV_per_atom_per_ps": MAX_DRIFT,
                "temperature_K": TEMPERATURES,
                "ratio": RATIO,
            },
            "results": results,
        }
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")
        print_line(f"written     {arguments.json}")
    return 0 if results and all(r["passed"] for r in results) else 1


def measure(
    start: ase.Atoms,
    calculator: Calculator,
    engine: str,
    precision: str,
    arguments: argparse.Namespace,
) -> dict:
    """Run (a) and (b) with one engine and precision."""
    label = f"{engine} {precision}"
    begun = time.perf_counter()
    long_energy, temperature = nve(start, calculator, STEP, arguments.time, f"{label} (a)")
    seconds = time.perf_counter() - begun
    n_steps = len(long_energy) - 1
    n_short = 1 + round(1e3 * arguments.short / STEP)
    if n_steps + 1 >= n_short:
        coarse = long_energy[:n_short]  # the same start, step and engine
    else:
        coarse, _ = nve(start, calculator, STEP, arguments.short, f"{label} (b)")
    fine, _ = nve(start, calculator, STEP / 2, arguments.short, f"{label} (b)")
    n_atoms = len(start)
    slope = drift(long_energy, STEP, n_atoms)
    rms = [1e3 * e.std() / n_atoms for e in (coarse, fine)]
    ratio, mean = rms[0] / rms[1], temperature.mean()
    return {
        "engine": engine,
        "precision": precision,
        "time_ps": arguments.time,
        "drift_meV_per_atom_per_ps": slope,
        "temperature_mean_K": mean,
        "temperature_min_K": temperature.min(),
        "temperature_max_K": temperature.max(),
        "short_ps": arguments.short,
        "rms_0.5fs_meV_per_atom": rms[0],
        "rms_0.25fs_meV_per_atom": rms[1],
        "ratio": ratio,
        "us_per_atom_step": 1e6 * seconds / (n_steps + 1) / n_atoms,
        "list_builds": calculator.neighbors.n_builds,
        "passed": bool(
            abs(slope) < MAX_DRIFT
            and TEMPERATURES[0] < mean < TEMPERATURES[1]
            and RATIO[0] <= ratio <= RATIO[1]
        ),
    }


def nve(
    start: ase.Atoms, calculator: Calculator, timestep: float, picoseconds: float, label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return total energy (eV) and temperature (K) of every step, from the same velocities."""
    n_steps = round(1e3 * picoseconds / timestep)
    begun = time.perf_counter()

    def look(step: int) -> bool:
        if step and step % max(1, n_steps // 10) == 0:
            each = 1e3 * (time.perf_counter() - begun) / step
            print_line(
                f"{label} {timestep:g} fs  {step * timestep * 1e-3:6.3f} ps  {each:.1f} ms/step"
            )
        return False

    course, _ = constant_energy(with_calculator(start, calculator), timestep, n_steps, look)
    return course.energy, course.temperature


def nearest_density(data: str) -> tuple[ase.Atoms, str, float]:
    """Return the structure whose density is nearest 1.00 g/cm^3, its origin and its density."""
    best = None
    for atoms, where in iter_atoms(data):
        if not atoms.pbc.all():
            continue
        density = atoms.get_masses().sum() / units.kg * 1e3 / (atoms.get_volume() * 1e-24)
        if best is None or abs(density - DENSITY) < abs(best[2] - DENSITY):
            best = atoms, where, float(density)
    if best is None:
        raise SystemExit(f"No structure of {data} is periodic in three dimensions.")
    return best


def report(results: list[dict]) -> None:
    print_line(
        "engine   precision  drift meV/atom/ps   T mean (min-max) K   RMS 0.5 / 0.25 fs meV/atom"
    )
    for r in results:
        print_line(
            f"{r['engine']:7}  {r['precision']:9}  {r['drift_meV_per_atom_per_ps']:+17.4f}"
            f"   {r['temperature_mean_K']:6.1f} ({r['temperature_min_K']:.0f}-"
            f"{r['temperature_max_K']:.0f})"
            f"   {r['rms_0.5fs_meV_per_atom']:.5f} / {r['rms_0.25fs_meV_per_atom']:.5f}"
            f" = {r['ratio']:.2f}"
            f"   {r['us_per_atom_step']:.1f} µs/atom/step   {'ok' if r['passed'] else 'FAILED'}"
        )


def print_line(text: str) -> None:
    print(text, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a .reann file")
    parser.add_argument("data", help="structures, of which one is taken")
    parser.add_argument("--time", type=float, default=2.0, help="ps of (a); 10 for the full claim")
    parser.add_argument("--short", type=float, default=1.0, help="ps of (b)")
    parser.add_argument("--warm-up", type=float, default=5.0, help="ps of Langevin dynamics")
    parser.add_argument("--fmax", type=float, default=0.05, help="eV/Å, end of the minimization")
    parser.add_argument("--relax-steps", type=int, default=500)
    parser.add_argument("--engines", nargs="+", default=["torch"], choices=["torch", "native"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file to write")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

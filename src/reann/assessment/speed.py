"""Speed of molecular dynamics on this machine."""

from __future__ import annotations

import os
import time

import ase
import numpy as np
import torch
from ase import units
from ase.md.verlet import VelocityVerlet

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.figures import curves
from reann.assessment.outcome import Outcome, Verdict
from reann.assessment.words import short
from reann.motion.dynamics import draw_velocities

N_STEPS, MOST_SECONDS = 200, 8.0
"""Steps and seconds of a measurement; the first limit reached ends it."""
SIZES, MOST_ATOMS = (1, 2, 3), 1500
"""Repeats of the supercells that are timed, and their largest number of atoms."""
SLOW = 0.1
"""ns/day; less is too slow for any equilibration."""
USEFUL = 1.0
HIGHEST = 2.5
"""Times the median, where the figure ends."""


def run(case: Case) -> Outcome:
    """Time steps of dynamics at constant energy, for periodic structures also in larger cells."""
    results = []
    cells = [case.start(case.calculator)]
    if case.kind.value in ("liquid", "crystal"):
        larger = (cells[0].repeat(n) for n in SIZES[1:] if len(cells[0]) * n**3 <= MOST_ATOMS)
        cells += list(larger)
    for number, atoms in enumerate(cells):
        atoms.calc = case.calculator
        milliseconds = measured(atoms, case)
        results.append((len(atoms), float(np.median(milliseconds)), milliseconds))
        case.advance((number + 1) / len(cells))
    n_atoms, first, each = results[0]
    per_day = nanoseconds_per_day(first, case.timestep)
    verdict = Verdict.passes if per_day >= USEFUL else Verdict.look
    if per_day < SLOW:
        verdict = Verdict.fails
    engine = getattr(case.calculator, "engine", type(case.calculator).__name__)
    threads = torch.get_num_threads()
    rows = [("atoms", "ms/step", "µs/atom/step", "ns/day")]
    rows += [
        (str(n), f"{ms:.3g}", f"{1e3 * ms / n:.3g}",
         short(nanoseconds_per_day(ms, case.timestep)))
        for n, ms, _ in results
    ]  # fmt: skip
    return Outcome(
        verdict,
        f"{1e3 * first / n_atoms:.3g} µs/atom/step: {short(per_day)} ns/day for {n_atoms} atoms"
        f" with steps of {case.timestep:g} fs in ASE (engine {engine}, {threads} of"
        f" {os.cpu_count()} threads). LAMMPS is faster for small systems.",
        f"At least {USEFUL:g} ns/day for the structure itself: equilibrating a liquid or a"
        f" molecule takes about 1 ns (fails below {SLOW:g}). Median of up to {N_STEPS} steps on"
        " this machine under its load at the time.",
        (
            curves(
                {"step": (np.arange(len(each)), np.minimum(each, HIGHEST * first))},
                xlabel="step",
                ylabel="time of a step, ms",
                y=(0.0, HIGHEST * first),
                caption=f"Time of each step, {n_atoms} atoms; peaks rebuild the neighbor list, and"
                " higher ones are cut off",
            ),
        ),
        {
            "us_per_atom_step": 1e3 * first / n_atoms,
            "ns_per_day": per_day,
            "engine": engine,
            "threads": threads,
            "sizes": [{"n_atoms": n, "ms_per_step": ms} for n, ms, _ in results],
        },
        tuple(rows),
    )


def measured(atoms: ase.Atoms, case: Case) -> list[float]:
    """Return the time of each step in ms, without the first ones."""
    draw_velocities(atoms, case.settings.temperature, case.rng("speed"))
    dynamics = VelocityVerlet(atoms, case.timestep * units.fs)
    dynamics.run(2)
    times: list[float] = []
    begun = last = time.perf_counter()
    for _ in range(N_STEPS):
        dynamics.run(1)
        now = time.perf_counter()
        times.append(1e3 * (now - last))
        last = now
        if now - begun > MOST_SECONDS:
            break
    return times


def nanoseconds_per_day(milliseconds: float, timestep: float) -> float:
    """Return simulated ns per day, with time steps in fs."""
    return 86_400.0 / (1e-3 * milliseconds) * timestep * 1e-6


CHECK = Check("speed", "Speed", "A potential that is too slow is of no use.", run)

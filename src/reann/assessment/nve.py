"""Conservation of energy: drift of NVE dynamics, and fluctuations that scale with dt^2."""

from __future__ import annotations

import ase
import numpy as np

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.dynamics import (
    Course,
    ExplosionError,
    OnStep,
    constant_energy,
    drift,
    thermalized,
    with_calculator,
)
from reann.assessment.figures import curves
from reann.assessment.outcome import Figure, Outcome, Verdict, exploded, graded, worst
from reann.assessment.words import short

WARM_UP = 1000.0
"""Langevin dynamics before the run, fs."""
ATOM_STEPS, FEWEST_STEPS, LONGEST = 2_000_000, 2000, 10_000.0
"""Steps times atoms of a run by default; its fewest steps; its largest time, fs."""
SHORT = 500.0
"""Length of the two runs that are compared, fs."""
DRIFT, LARGE_DRIFT = 0.026, 0.26
"""meV/atom/ps; kT at 300 K in 1 ns and in 100 ps."""
RATIO, WRONG_RATIO = (3.2, 4.8), (2.0, 8.0)
"""Ratio of the fluctuations at a time step and at half of it; 4 in theory."""
SMOOTHED = 50
"""Steps of the running mean in the figure."""


def n_steps(case: Case) -> int:
    """Return the steps of the long run, from the settings or from the number of atoms."""
    if case.settings.time is not None:
        return round(case.settings.time / case.timestep)
    longest = round(LONGEST / case.timestep)
    return min(max(ATOM_STEPS // len(case.atoms), FEWEST_STEPS), longest)


def run(case: Case) -> Outcome:
    """Thermalize, then run at constant energy: a long run, and short ones with dt and dt / 2."""
    temperature, dt = case.settings.temperature, case.timestep
    total = n_steps(case)
    try:
        warm = warmed(case, WARM_UP, 0.1)
        ratio, rms = ratio_of_fluctuations(warm, case, dt)
        course, _ = constant_energy(warm, dt, total, until_limit(case, total, 0.3, 1.0))
    except ExplosionError as error:
        return exploded(error, f"NVE dynamics at {temperature:g} K and {dt:g} fs")
    slope, error = drift(course, len(warm))
    if not np.isfinite(error):
        return Outcome(
            Verdict.look,
            f"The time limit ended the run at {course.time[-1]:.2g} ps, too early for a drift.",
            "At least ten steps are needed: allow more with --limit.",
        )
    cut = "" if len(course.energy) > total else ", stopped by the time limit"
    verdict = worst([graded(abs(slope), DRIFT, LARGE_DRIFT), verdict_of_ratio(ratio)])
    if error > DRIFT:  # a drift as large as the limit cannot be excluded
        verdict = worst([verdict, Verdict.look])
    times = f"{ratio:.2f} times smaller" if np.isfinite(ratio) else "unknown"
    return Outcome(
        verdict,
        f"The total energy drifts by {short(slope)} ± {short(error)} meV/atom/ps over"
        f" {course.time[-1]:.3g} ps at {course.temperature.mean():.0f} K and {dt:g} fs{cut}. Its"
        f" fluctuation is {times} at half the time step.",
        f"A drift below {DRIFT:g} meV/atom/ps changes the energy of an atom by less than kT at"
        f" 300 K in 1 ns (fails from {LARGE_DRIFT:g}); a larger error means that the run is too"
        " short to tell. With velocity Verlet and a smooth energy,"
        " the fluctuation is proportional to the square of the time step: a ratio of 4, accepted"
        f" from {RATIO[0]:g} to {RATIO[1]:g}.",
        (_figure(course, len(warm)),),
        {
            "drift_meV_per_atom_per_ps": slope,
            "drift_error_meV_per_atom_per_ps": error,
            "ratio_of_fluctuations": ratio if np.isfinite(ratio) else None,
            "rms_fluctuation_meV_per_atom": rms,
            "time_ps": float(course.time[-1]),
            "timestep_fs": dt,
            "temperature_K": float(course.temperature.mean()),
            "complete": not cut,
        },
    )


def warmed(case: Case, time: float, part: float) -> ase.Atoms:
    """Return the structure after thermalization with the default calculator."""
    total = round(time / case.timestep)
    return thermalized(
        case.start(case.calculator),
        case.settings.temperature,
        time,
        case.timestep,
        case.rng("velocities"),
        on_step=until_limit(case, total, 0.0, part),
    )


def until_limit(case: Case, total: int, first: float, last: float) -> OnStep:
    """Return the callback that reports progress from `first` to `last` and stops at the limit."""

    def on_step(step: int) -> bool:
        if step % 20 == 0:
            case.advance(first + (last - first) * step / max(total, 1))
        return step % 20 == 0 and case.is_late()

    return on_step


def ratio_of_fluctuations(warm: ase.Atoms, case: Case, dt: float) -> tuple[float, list[float]]:
    """Return the ratio of the RMS fluctuations at dt and dt / 2, and both, meV/atom.

    NaN if the time limit does not allow both runs.
    """
    rms = []
    for number, step in enumerate((dt, 0.5 * dt)):
        total = round(SHORT / step)
        first = 0.1 + 0.1 * number
        exact = with_calculator(warm, case.exact)
        course, _ = constant_energy(
            exact, step, total, until_limit(case, total, first, first + 0.1)
        )
        if len(course.energy) <= total:
            return float("nan"), rms
        rms.append(float(1e3 * course.energy.std() / len(warm)))
    return rms[0] / max(rms[1], 1e-300), rms


def verdict_of_ratio(ratio: float) -> Verdict:
    """Return the verdict on the scaling with dt^2."""
    if RATIO[0] <= ratio <= RATIO[1]:
        return Verdict.passes
    if not np.isfinite(ratio):
        return Verdict.look
    return Verdict.look if WRONG_RATIO[0] <= ratio <= WRONG_RATIO[1] else Verdict.fails


def _figure(course: Course, n_atoms: int) -> Figure:
    per_atom = 1e3 * (course.energy - course.energy[0]) / n_atoms
    shown = slice(None, None, max(1, len(per_atom) // 800))
    width = min(SMOOTHED, len(per_atom))
    mean = np.convolve(per_atom, np.ones(width) / width, "valid")
    times = course.time[: len(mean)] + 0.5e-3 * course.timestep * (width - 1)
    span = max(float(np.abs(per_atom).max()), 1e-4)
    low, high = float(per_atom.min()), float(per_atom.max())
    return curves(
        {
            "each step": (course.time[shown], per_atom[shown]),
            "mean of 50 steps": (times[shown], mean[shown]),
        },
        xlabel="time, ps",
        ylabel="change of the total energy, meV/atom",
        y=(low - 0.5 * span, high + 0.5 * span),
        zero=True,
        styles=("train", "valid"),
        caption="Total energy at constant energy",
    )


CHECK = Check(
    "nve",
    "Conservation of energy",
    "Without a thermostat the total energy must stay constant; a drift heats or cools the system.",
    run,
)

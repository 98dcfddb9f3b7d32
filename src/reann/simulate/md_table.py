"""Output of `reann md`: the start, rows of a table, averages at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reann.errors import counted
from reann.motion.dynamics import temperature_of
from reann.simulate.continuation import Start
from reann.simulate.md_units import density, microseconds_per_atom, ns_per_day
from reann.simulate.monitor import Monitor

SAME_ENERGY = 1e-4
"""eV per atom; precisions and devices differ by less, different potentials by more."""
SETTLING = 0.2
"""Fraction of a run, at its start, that averages exclude."""


def headings(ensemble: str, *, members: bool) -> list[str]:
    """Return names and units of the columns.

    Parameters
    ----------
    members
        Whether the spread of several potentials is known.
    """
    change = "drift" if ensemble == "nve" else "energy"
    columns = ["    time\n      ps", "T\nK", f"{change}\nmeV/atom"]
    if ensemble == "npt":
        columns += ["pressure\nbar", "  volume\n      Å³", "density\ng/cm³"]
    columns += ["extrap\n%", *(["spread\neV/Å"] if members else []), "speed\nns/day"]
    return columns if ensemble == "npt" else [*columns, "speed\nsteps/s", "cost\nµs/atom"]


def row(monitor: Monitor, step: int, outside: float, speed: float) -> list[str]:
    """Return the cells under `headings`.

    Parameters
    ----------
    outside
        Fraction of the atoms that extrapolates, or NaN.
    speed
        Steps per second, or NaN.
    """
    n_atoms = len(monitor.atoms)
    change = 1e3 * (monitor.total_energy[-1] - monitor.total_energy[0]) / n_atoms
    cells = [f"{1e-3 * monitor.time(step):.3f}", f"{monitor.temperature[-1]:.0f}", f"{change:.3f}"]
    if monitor.pressures:
        pressure, volume = monitor.pressure[-1], monitor.volume[-1]
        cells += [f"{pressure:.0f}", f"{volume:.1f}", f"{density(monitor.atoms, volume):.4f}"]
    cells.append(_or_dash(f"{1e2 * outside:.1f}", outside))
    if len(monitor.calculator.potential.members) > 1:
        cells.append(f"{monitor.spread:.3f}")
    cells.append(_or_dash(f"{ns_per_day(speed, monitor.timestep):.3f}", speed))
    if monitor.pressures:
        return cells
    cost = f"{microseconds_per_atom(speed, n_atoms):.1f}"
    return [*cells, _or_dash(f"{speed:.1f}", speed), _or_dash(cost, speed)]


def averages(monitor: Monitor) -> str:
    """Return a line of averages over a run without its first part."""
    first = int(SETTLING * len(monitor.temperature))
    parts = [f"{_mean(monitor.temperature, first):.0f} K"]
    if monitor.pressures:
        volume = _mean(monitor.volume, first)
        parts.append(f"{_mean(monitor.pressure, first):.0f} bar")
        parts.append(f"{density(monitor.atoms, volume):.4f} g/cm³")
    excluded = 1e-3 * first * monitor.timestep
    return f"Means without the first {excluded:g} ps: {', '.join(parts)}."


def _mean(values: Sequence[float], first: int) -> float:
    return float(np.mean(values[first:]))


def _or_dash(text: str, value: float) -> str:
    return "–" if np.isnan(value) else text


def about_start(first: Start, monitor: Monitor, *, drawn: bool) -> str:
    """Return a line about the velocities at the start."""
    if first.continued:
        return f"Continuing {first.origin}, {1e-3 * first.time:g} ps."
    temperature = temperature_of(monitor.atoms, monitor.freedom)
    if drawn:
        return f"Velocities are drawn at random: {temperature:.0f} K."
    return (
        f"Velocities are those of the start: {temperature:.0f} K (--new-velocities draws new ones)."
    )


def changes(first: Start, monitor: Monitor) -> list[str]:
    """Return lines about settings and potential that differ from those of the continued run."""
    if not first.continued:
        return []
    lines = []
    if not first.dynamics:
        lines.append("Time step and ensemble are not compared: the trajectory lacks them.")
    elif first.dynamics != monitor.dynamics:
        lines.append(f"The settings differ: {monitor.dynamics}; before: {first.dynamics}.")
    energy = float(monitor.atoms.get_potential_energy())
    if first.energy is None:
        lines.append("The potential is not compared: the trajectory lacks energies.")
    elif abs(energy - first.energy) > SAME_ENERGY * len(monitor.atoms):
        lines.append(
            f"The potential differs: the energy of the first structure is {energy:.4f} eV, in the "
            f"trajectory {first.energy:.4f} eV."
        )
    return lines


def about_output(output: str | Path | None, n_written: int) -> str:
    """Return a line about the file of the trajectory."""
    if output is None:
        return "No trajectory was written; -o md.xyz writes one."
    return f"Trajectory: {output}, {counted(n_written, 'structure')} written."

"""What `reann md` prints: the start, a row of numbers now and then, averages at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import units

from reann.errors import counted
from reann.motion.dynamics import temperature_of
from reann.simulate.continuation import Beginning
from reann.simulate.watch import Watch

GRAMS_PER_CM3 = 1000.0 * units.kg / units.m**3
"""In ASE's units of mass and length."""
SAME_ENERGY = 1e-4
"""eV per atom; more than precisions and devices differ by, less than potentials do."""
SETTLING = 0.2
"""Part of a run that averages leave out."""


def headings(ensemble: str, *, members: bool) -> list[str]:
    """Return names and units of the columns.

    Parameters
    ----------
    members
        Whether several potentials compute, so that their spread is known.
    """
    change = "drift" if ensemble == "nve" else "energy"
    columns = ["    time\n      ps", "T\nK", f"{change}\nmeV/atom"]
    if ensemble == "npt":
        columns += ["pressure\nbar", "  volume\n      Å³", "density\ng/cm³"]
    columns += ["extrap\n%", *(["spread\neV/Å"] if members else []), "speed\nns/day"]
    return columns if ensemble == "npt" else [*columns, "speed\nsteps/s", "cost\nµs/atom"]


def row(watch: Watch, step: int, outside: float, speed: float) -> list[str]:
    """Return the cells under `headings`.

    Parameters
    ----------
    outside
        Fraction of the atoms that extrapolates, or NaN.
    speed
        Steps per second, or NaN.
    """
    n_atoms = len(watch.atoms)
    change = 1e3 * (watch.total_energy[-1] - watch.total_energy[0]) / n_atoms
    cells = [f"{1e-3 * watch.time(step):.3f}", f"{watch.temperature[-1]:.0f}", f"{change:.3f}"]
    if watch.pressures:
        pressure, volume = watch.pressure[-1], watch.volume[-1]
        cells += [f"{pressure:.0f}", f"{volume:.1f}", f"{density(watch, volume):.4f}"]
    cells.append(_or_dash(f"{1e2 * outside:.1f}", outside))
    if len(watch.calculator.potential.members) > 1:
        cells.append(f"{watch.spread:.3f}")
    cells.append(_or_dash(f"{ns_per_day(speed, watch.timestep):.3f}", speed))
    if watch.pressures:
        return cells
    cost = f"{microseconds_per_atom(speed, n_atoms):.1f}"
    return [*cells, _or_dash(f"{speed:.1f}", speed), _or_dash(cost, speed)]


def averages(watch: Watch) -> str:
    """Return a line of averages over a run, its first part left out."""
    first = int(SETTLING * len(watch.temperature))
    parts = [f"{_mean(watch.temperature, first):.0f} K"]
    if watch.pressures:
        volume = _mean(watch.volume, first)
        parts.append(f"{_mean(watch.pressure, first):.0f} bar")
        parts.append(f"{density(watch, volume):.4f} g/cm³")
    left_out = 1e-3 * first * watch.timestep
    return f"Means without the first {left_out:g} ps: {', '.join(parts)}."


def density(watch: Watch, volume: float) -> float:
    """Return the density in g/cm³ of the atoms in a volume in Å³."""
    return float(watch.atoms.get_masses().sum()) / volume / GRAMS_PER_CM3


def ns_per_day(steps_per_second: float, timestep: float) -> float:
    """Return how many nanoseconds a day of computing gives; `timestep` in fs."""
    return steps_per_second * 86400.0 * timestep * 1e-6


def microseconds_per_atom(steps_per_second: float, n_atoms: int) -> float:
    """Return the time of a step for one atom in µs."""
    return 1e6 / steps_per_second / n_atoms


def _mean(values: Sequence[float], first: int) -> float:
    return float(np.mean(values[first:]))


def _or_dash(text: str, value: float) -> str:
    return "–" if np.isnan(value) else text


def about_start(first: Beginning, watch: Watch, *, drawn: bool) -> str:
    """Say which velocities the run starts with."""
    if first.continued:
        return f"Continuing {first.origin}, {1e-3 * first.time:g} ps."
    temperature = temperature_of(watch.atoms, watch.freedom)
    if drawn:
        return f"Velocities are drawn at random: {temperature:.0f} K."
    return f"Velocities are those of the start: {temperature:.0f} K. --new-velocities draws others."


def changes(first: Beginning, watch: Watch) -> list[str]:
    """Say in which settings a run differs from the one that it continues, and in its potential."""
    if not first.continued:
        return []
    lines = []
    if not first.dynamics:
        lines.append("The trajectory does not record its time step and ensemble: not compared.")
    elif first.dynamics != watch.dynamics:
        lines.append(f"Other settings than before: {watch.dynamics}; before {first.dynamics}.")
    energy = float(watch.atoms.get_potential_energy())
    if first.energy is None:
        lines.append("The trajectory does not record energies: the potential is not compared.")
    elif abs(energy - first.energy) > SAME_ENERGY * len(watch.atoms):
        lines.append(
            f"Another potential than before: the first structure has {energy:.4f} eV, in the "
            f"trajectory {first.energy:.4f} eV."
        )
    return lines


def about_output(output: str | Path | None, n_written: int) -> str:
    """Say where the trajectory is."""
    if output is None:
        return "No trajectory was kept: name a file with -o md.xyz."
    return f"Trajectory: {output}, {counted(n_written, 'structure')} written."

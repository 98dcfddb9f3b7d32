"""`Trajectory`: temperature, energy and more of each step of molecular dynamics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import ase
import numpy as np
from numpy.typing import NDArray

from reann.display import Displayed, Summary
from reann.error_measures import percentage
from reann.errors import counted
from reann.report.course import course
from reann.report.figure import Figure, figure_of
from reann.simulate.md_units import density, ns_per_day
from reann.table import Table

N_ROWS = 20


@dataclass(frozen=True, repr=False)
class Trajectory(Displayed):
    """The result of molecular dynamics; arrays have an entry for the start and for each step."""

    atoms: ase.Atoms
    """The last structure, with velocities and calculator."""
    timestep: float
    """fs."""
    temperature: NDArray[np.float64]
    """K, with the degrees of freedom that are not constrained."""
    total_energy: NDArray[np.float64]
    """Potential and kinetic energy, eV."""
    extrapolating: float
    """Largest fraction of extrapolating atoms among the rows of the table; NaN if unknown."""
    steps_per_second: float
    pressure: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.empty(0))
    """bar, with the kinetic part; npt only."""
    volume: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.empty(0))
    """Å^3; npt only."""
    first_time: float = 0.0
    """fs; not zero if the run continues an earlier one."""
    ensemble: str = ""
    """`langevin`, `nve` or `npt`."""
    drift: float = dataclasses.field(init=False)
    """Slope of a linear fit of the total energy, meV/atom/ps; an error only in NVE."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "drift", drift(self.total_energy, self.timestep, len(self.atoms)))

    @property
    def time(self) -> NDArray[np.float64]:
        """Time of each step, ps."""
        steps = np.arange(len(self.temperature), dtype=np.float64)
        return np.asarray(1e-3 * (self.first_time + self.timestep * steps), dtype=np.float64)

    def table(self, rows: int = N_ROWS) -> Table:
        """Return about as many rows at equal times."""
        interval = max(1, (len(self.temperature) - 1) // max(rows, 1))
        columns = list(self._columns())
        cells = zip(*(values[::interval].tolist() for _, values, _ in columns), strict=True)
        names, formats = [name for name, _, _ in columns], [form for _, _, form in columns]
        return Table(names, list(cells), formats)

    def plot(self) -> Figure:
        """Return temperature and energy over time; of npt also pressure and volume."""
        plots = [
            course(self.time, values, "time, ps", name)
            for name, values, _ in self._columns()
            if name != "time, ps"
        ]
        return figure_of("Molecular dynamics", plots)

    def _columns(self) -> Iterator[tuple[str, NDArray[np.float64], str]]:
        """Yield name, values and format."""
        yield "time, ps", self.time, ".4f"
        yield "temperature, K", self.temperature, ".1f"
        change = 1e3 * (self.total_energy - self.total_energy[0]) / len(self.atoms)
        yield "change of energy, meV/atom", change, ".3f"
        if len(self.volume):
            yield "pressure, bar", self.pressure, ".0f"
            yield "volume, Å³", self.volume, ".1f"

    def _summary(self) -> Summary:
        n_steps = len(self.temperature) - 1
        rows = [
            ("structure", f"{self.atoms.get_chemical_formula()}, {len(self.atoms)} atoms"),
            ("length", f"{counted(n_steps, 'step')} of {self.timestep:g} fs"),
            ("temperature", f"{self.temperature.mean():.0f} K on average"),
        ]
        if self.ensemble == "nve":
            rows.append(("drift", f"{self.drift:.4f} meV/atom/ps"))
        if len(self.volume):
            mean = density(self.atoms, float(self.volume.mean()))
            rows.append(("pressure", f"{self.pressure.mean():.0f} bar on average"))
            rows.append(("density", f"{mean:.4f} g/cm³ on average"))
        if np.isfinite(self.extrapolating):
            rows.append(
                ("extrapolating", f"at most {percentage(100 * self.extrapolating)} % of the atoms")
            )
        speed = ns_per_day(self.steps_per_second, self.timestep)
        rows.append(("speed", f"{self.steps_per_second:.1f} steps/s, {speed:.3f} ns/day"))
        return Summary("Molecular dynamics", rows)


def drift(total_energy: NDArray[np.float64], timestep: float, n_atoms: int) -> float:
    """Return the slope of a linear fit of the total energy (eV, each step), in meV/atom/ps."""
    if len(total_energy) < 2:
        return 0.0
    times = np.arange(len(total_energy)) * timestep * 1e-3
    slope = np.polyfit(times, total_energy - total_energy[0], 1)[0]
    return float(1e3 * slope / n_atoms)

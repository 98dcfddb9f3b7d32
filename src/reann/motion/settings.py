"""Settings of molecular dynamics, and checks of their limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reann.errors import UserError

LONGEST_TIMESTEP = 100.0
"""fs; no dynamics is stable with a longer time step."""
MOST_STEPS = 1e10
HIGHEST_TEMPERATURE = 1e6
"""K."""
LARGEST_PRESSURE = 1e8
"""Largest pressure, of compression or tension, bar: more than in the center of Jupiter."""


def check_number(
    name: str, value: float, unit: str = "", *, above: float = -math.inf, least: float = -math.inf,
    most: float = math.inf,
) -> None:  # fmt: skip
    """Raise `UserError` for a number that is not finite or outside its limits.

    Parameters
    ----------
    above, least, most
        The number must be greater than `above`, at least `least` and at most `most`.
    """
    if math.isfinite(value) and above < value and least <= value <= most:
        return
    words = [
        f"more than {above:g}" if above > -math.inf else "",
        f"at least {least:g}" if least > -math.inf else "",
        f"at most {most:g}" if most < math.inf else "",
    ]
    limits = " and ".join(word for word in words if word) or "a finite number"
    raise UserError(
        f"The {name} is {f'{value:g} {unit}'.strip()}.",
        fix=f"Use {limits}{f' {unit}' if unit else ''}.",
    )


@dataclass(frozen=True)
class Dynamics:
    """Settings of `run_md`, in its units."""

    ensemble: str
    temperature: float
    time: float
    timestep: float
    pressure: float
    friction: float
    interval: int | None
    seed: int
    max_extrapolating: float
    max_spread: float | None
    write: tuple[str, ...] = ()

    def described(self) -> str:
        """Return the settings that define the dynamics, as recorded in a trajectory."""
        parts = [self.ensemble, f"time step {self.timestep:g} fs"]
        if self.ensemble != "nve":
            parts += [f"{self.temperature:g} K", f"friction {self.friction:g} per fs"]
        if self.ensemble == "npt":
            parts.append(f"{self.pressure:g} bar")
        return ", ".join(parts)

    def check(self) -> None:
        """Raise `UserError` for the first invalid setting."""
        time, timestep = self.time, self.timestep
        check_number("temperature", self.temperature, "K", least=0.0, most=HIGHEST_TEMPERATURE)
        check_number("time step", timestep, "fs", above=0.0, most=LONGEST_TIMESTEP)
        check_number("time", time, "fs", above=0.0)
        if time < timestep:
            raise UserError(
                f"The time {time:g} fs is shorter than a time step of {timestep:g} fs.",
                fix="Use a longer time, or a shorter time step.",
            )
        largest = LARGEST_PRESSURE
        check_number("pressure", self.pressure, "bar", least=-largest, most=largest)
        check_number("friction", self.friction, "per fs", least=0.0, most=1.0 / timestep)
        extrapolating = self.max_extrapolating
        check_number("fraction of extrapolating atoms", extrapolating, least=0.0, most=1.0)
        check_number("seed", float(self.seed), least=0.0)
        if self.interval is not None:
            check_number("interval", float(self.interval), "steps", least=1.0)
        if self.max_spread is not None:
            check_number("largest spread", self.max_spread, "eV/Å", above=0.0)
        if time / timestep > MOST_STEPS:
            raise UserError(
                f"The time {time:g} fs is {time / timestep:.1g} steps of {timestep:g} fs.",
                fix=f"Use at most {MOST_STEPS:g} steps.",
            )

"""The potential and the structure under test, and results that several checks share."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import Calculator as AseCalculator

from reann.assessment.kinds import Decision, Kind
from reann.assessment.relaxed import Relaxed, relaxed
from reann.motion.start import time_step
from reann.potential import Ensemble, Potential


@dataclass(frozen=True)
class Settings:
    """Options of the user."""

    temperature: float = 300.0
    """K, of all dynamics."""
    time: float | None = None
    """fs of production dynamics; by default it follows from the number of atoms."""
    limit: float = 300.0
    """s; dynamics ends after this time and reports the length it reached."""
    seed: int = 1
    data: tuple[str, ...] = ()
    """Files with labels."""
    engine: str = "auto"


@dataclass
class Case:
    """A potential under test with a structure.

    Parameters
    ----------
    atoms
        The structure, without calculator.
    calculator
        The calculator as users run it, usually in mixed precision.
    exact
        The same in double precision, for finite differences.
    cutoff
        Å; beyond it, atoms do not interact directly.
    potential
        If the calculator is one of this package; for extrapolation and batched predictions.
    """

    atoms: ase.Atoms
    decision: Decision
    calculator: AseCalculator
    exact: AseCalculator
    cutoff: float
    settings: Settings = field(default_factory=Settings)
    potential: Potential | Ensemble | None = None
    model: str | None = None
    """File of the potential."""
    shared: dict[str, Any] = field(default_factory=dict)
    """Results that several checks use, by name."""
    advance: Callable[[float], None] = lambda _: None
    """Called with the fraction of the current check that is done, from 0 to 1."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def kind(self) -> Kind:
        """Kind of the structure."""
        return self.decision.kind

    @property
    def timestep(self) -> float:
        """Time step of dynamics, fs."""
        return time_step(self.atoms)

    def start(self, calculator: AseCalculator | None = None) -> ase.Atoms:
        """Return a copy of the structure with a calculator, by default the exact one."""
        atoms = self.atoms.copy()
        atoms.calc = self.exact if calculator is None else calculator
        return atoms

    def rng(self, name: str) -> np.random.Generator:
        """Return the generator of a check, independent of the other checks."""
        return np.random.default_rng([self.settings.seed, zlib.crc32(name.encode())])

    def begin(self, advance: Callable[[float], None]) -> None:
        """Start the clock of a check."""
        self.advance, self.begun = advance, time.monotonic()

    def is_late(self) -> bool:
        """Return whether the current check has reached its time limit."""
        return time.monotonic() - self.begun > self.settings.limit

    @cached_property
    def relaxed(self) -> Relaxed:
        """The structure at a minimum of the energy; of crystals the cell is relaxed, too."""
        return relaxed(self.start(), cell=self.kind is Kind.crystal, is_late=self.is_late)

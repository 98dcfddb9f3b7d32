"""`Quantity`: what the package knows of a label, an output or an input of a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ErrorUnit:
    """Unit in which errors of a quantity are reported."""

    shown: str
    """In tables and plots, as meV/Å."""
    suffix: str
    """In the names of numbers, as `meV_per_A`."""
    factor: float = 1.0
    """Error in this unit / error in the unit of the quantity."""


@dataclass(frozen=True)
class Quantity:
    """One row of the table.

    Errors of an extensive quantity of a system are divided by its number of atoms; in the loss, by
    the square root of it, because independent errors of atoms add up as this root.
    """

    name: str
    unit: str
    """Inside the package; energies are in eV, lengths in Å."""
    about: str
    """One line for the documentation: meaning and sign."""
    per_atom: bool = False
    """Whether there is a value for each atom, else one for each system."""
    shape: tuple[int, ...] = ()
    """Of the value of one atom or system."""
    rank: int = 0
    """Of the Cartesian tensor that it is under rotations."""
    parity: Literal[1, -1] = 1
    """Sign under inversion."""
    derivative_by: Literal["positions", "strain"] | None = None
    """The energy is differentiated with respect to this; None: an output of the model itself."""
    extensive: bool = False
    """Whether the value of two distant systems is the sum of their values."""
    needs_volume: bool = False
    """Whether it is defined for structures that are periodic in three dimensions only."""
    role: Literal["label", "output", "input"] = "label"
    """A label is predicted and can be trained on, an output is predicted only, an input is given
    with a structure."""
    read_as: str | None = None
    """The label that a file may hold in this form: a virial is read as a stress."""
    default: float | None = None
    """Of an input that a structure does not state."""
    reads_states: bool = False
    """Whether its head reads the states of equivariant messages."""
    needs: tuple[str, ...] = ()
    """Other outputs and inputs that it is computed from."""
    sign_is_arbitrary: bool = False
    """Whether a value and its negative mean the same: errors are those of the better sign."""
    is_sought: bool = True
    """Whether a label is looked for in files; else it is read where `data.keys` names its key.
    A model that has it as an output reads it under its own name."""
    aliases: str = ""
    """Regular expression of other names of its key in files, less words for the method."""
    symbol: str = ""
    """In narrow columns; by default the name."""
    has_spread: bool = False
    """Whether ensembles give its standard deviation."""
    errors: ErrorUnit | None = None
    """By default the unit of the quantity, per atom if it is extensive."""

    @property
    def short(self) -> str:
        """Its symbol, or its name."""
        return self.symbol or self.name

    @property
    def error_unit(self) -> ErrorUnit:
        """Unit of the errors."""
        if self.errors is not None:
            return self.errors
        shown = f"{self.unit}/atom" if self.per_size else self.unit
        suffix = shown.replace("Å", "A").replace("/", "_per_").replace("^", "")
        return ErrorUnit(shown, re.sub(r"\W+", "_", suffix))

    @property
    def per_size(self) -> bool:
        """Whether errors are divided by the number of atoms."""
        return self.extensive and not self.per_atom

    @property
    def from_energy(self) -> bool:
        """Whether it is the energy or a derivative of it, in the loss in units of one scale."""
        return self.name == "energy" or self.derivative_by is not None

    @property
    def verb(self) -> str:
        """`is`, or `are` for a plural name."""
        return "are" if self.name.endswith("s") and not self.name.endswith("ss") else "is"

    @property
    def value_unit(self) -> str:
        """Unit of the values in plots."""
        unit = self.unit.replace("^2", "²").replace("^3", "³")
        return f"{unit}/atom" if self.per_size else unit

    @property
    def kind_of_value(self) -> str:
        """What the values of a plot are: the quantity itself, or components of it."""
        singular = self.name.removesuffix("s") if self.verb == "are" else self.name
        return f"{singular} component" if self.shape else self.name

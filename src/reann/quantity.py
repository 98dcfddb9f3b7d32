"""`Quantity`: definition of a label, an output or an input of a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ErrorUnit:
    """Unit in which errors of a quantity are reported."""

    shown: str
    """Text in tables and plots, such as meV/Å."""
    suffix: str
    """Part of the names of errors, such as `meV_per_A`."""
    factor: float = 1.0
    """Error in this unit / error in the unit of the quantity."""


@dataclass(frozen=True)
class Quantity:
    """A row of the table of quantities.

    Errors of an extensive quantity of a system are divided by its number of atoms; in the loss, by
    its square root, because independent errors of atoms add up as the square root.
    """

    name: str
    unit: str
    """Unit in the package; energies are in eV, lengths in Å."""
    about: str
    """One line for the documentation: meaning and sign."""
    per_atom: bool = False
    """Whether there is a value for each atom, or one for each system."""
    shape: tuple[int, ...] = ()
    """Shape of the value of an atom or system."""
    rank: int = 0
    """Rank as a Cartesian tensor."""
    parity: Literal[1, -1] = 1
    """Sign under inversion."""
    derivative_by: Literal["positions", "strain"] | None = None
    """Variable of the derivative of the energy; None for an output of the model itself."""
    extensive: bool = False
    """Whether the value of two distant systems is the sum of their values."""
    needs_volume: bool = False
    """Whether it is defined only for structures that are periodic in three dimensions."""
    role: Literal["label", "output", "input"] = "label"
    """A label is predicted and can be trained on, an output is only predicted, an input belongs to
    a structure."""
    read_as: str | None = None
    """Label that is computed from this form in a file: a virial is read as a stress."""
    default: float | None = None
    """Default of an input."""
    reads_states: bool = False
    """Whether its head reads the states of equivariant messages."""
    needs: tuple[str, ...] = ()
    """Other outputs and inputs that it is computed from."""
    sign_is_arbitrary: bool = False
    """Whether a value and its negative are equivalent, so that the better sign is compared."""
    is_sought: bool = True
    """Whether its key is detected in files; otherwise it is read under the key in `data.keys` or,
    if it is an output of the model, under its own name."""
    aliases: str = ""
    """Regular expression of other names of its key in files, without words for the method."""
    symbol: str = ""
    """Short name for narrow columns; by default the name."""
    has_spread: bool = False
    """Whether ensembles return its standard deviation."""
    errors: ErrorUnit | None = None
    """Unit of errors; by default the unit of the quantity, per atom if it is extensive."""

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
        """Whether it is the energy or one of its derivatives."""
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
        """Name of the values in a plot: the quantity itself, or its components."""
        singular = self.name.removesuffix("s") if self.verb == "are" else self.name
        return f"{singular} component" if self.shape else self.name

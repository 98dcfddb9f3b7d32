"""The table of quantities: what structures are labeled with, and what a potential gives.

Everything that handles labels or outputs (keys of files, caches, loss, errors, tables, plots, the
calculator) goes through this table. An installed package adds a quantity through an entry point of
the group `reann.quantities`, whose name is that of the quantity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import entry_points
from typing import Literal

GROUP = "reann.quantities"
PREFIX = "reann_"
"""Before the keys of predictions in files, beside which the labels keep their keys."""


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


BUILT_IN = (
    Quantity(
        "energy",
        "eV",
        "total energy",
        extensive=True,
        aliases=r"energy|etot|e_tot|toten|potential_energy",
        symbol="E",
        has_spread=True,
        errors=ErrorUnit("meV/atom", "meV_per_atom", 1e3),
    ),
    Quantity("energies", "eV", "energies of the atoms", per_atom=True, role="output"),
    Quantity(
        "forces",
        "eV/Å",
        "forces on the atoms, -dE/dr",
        per_atom=True,
        shape=(3,),
        rank=1,
        parity=-1,
        derivative_by="positions",
        aliases=r"forces?",
        symbol="F",
        has_spread=True,
        errors=ErrorUnit("meV/Å", "meV_per_A", 1e3),
    ),
    Quantity(
        "stress",
        "eV/Å^3",
        "stress, +dE/d(strain) / volume: negative diagonal under compression",
        shape=(3, 3),
        rank=2,
        derivative_by="strain",
        needs_volume=True,
        aliases=r"stress",
        symbol="S",
        has_spread=True,
        errors=ErrorUnit("meV/Å³", "meV_per_A3", 1e3),
    ),
    Quantity(
        "virial",
        "eV",
        "virial, -dE/d(strain) = -volume * stress",
        shape=(3, 3),
        rank=2,
        derivative_by="strain",
        extensive=True,
        role="output",
        read_as="stress",
        aliases=r"virials?",
    ),
    Quantity(
        "virials",
        "eV",
        "parts of the virial that belong to the atoms",
        per_atom=True,
        shape=(3, 3),
        rank=2,
        derivative_by="strain",
        role="output",
    ),
    Quantity(
        "extrapolation",
        "widths",
        "distance of an atom's features from the range of the training, in widths of this range",
        per_atom=True,
        role="output",
    ),
)

_of_states = partial(Quantity, is_sought=False, reads_states=True)
OF_HEADS = (
    _of_states(
        "dipole",
        "e*Å",
        "dipole moment, of a charged system about its center of mass",
        shape=(3,),
        rank=1,
        parity=-1,
        extensive=True,
        needs=("charges",),
        symbol="µ",
        errors=ErrorUnit("me·Å/atom", "me_A_per_atom", 1e3),
    ),
    _of_states(
        "polarizability",
        "Å^3",
        "static electric polarizability, as a volume",
        shape=(3, 3),
        rank=2,
        extensive=True,
        symbol="α",
        errors=ErrorUnit("mÅ³/atom", "mA3_per_atom", 1e3),
    ),
    _of_states(
        "charges",
        "e",
        "charges of the atoms, whose sum is the total charge",
        per_atom=True,
        symbol="q",
        errors=ErrorUnit("me", "me", 1e3),
    ),
    _of_states(
        "transition_dipole",
        "e*Å",
        "transition dipole moment, of either sign",
        shape=(3,),
        rank=1,
        parity=-1,
        sign_is_arbitrary=True,
        symbol="µT",
        errors=ErrorUnit("me·Å", "me_A", 1e3),
    ),
    _of_states(
        "magmoms",
        "µB",
        "magnetic moments of the atoms",
        per_atom=True,
        errors=ErrorUnit("mµB", "milli_muB", 1e3),
    ),
    _of_states("shieldings", "ppm", "isotropic magnetic shieldings of the nuclei", per_atom=True),
    _of_states("gap", "eV", "energy gap", errors=ErrorUnit("meV", "meV", 1e3)),
)
"""Outputs of a model besides the energy, read off the states of equivariant messages."""


@cache
def table() -> dict[str, Quantity]:
    """Return all quantities by name, those of installed packages last."""
    added = [point.load() for point in entry_points(group=GROUP)]
    return {quantity.name: quantity for quantity in (*BUILT_IN, *OF_HEADS, *added)}


def named(name: str) -> Quantity:
    """Return a row of the table."""
    return table()[name]


@cache
def labels() -> tuple[Quantity, ...]:
    """Return what a potential is trained on and judged by."""
    return tuple(q for q in table().values() if q.role == "label")


@cache
def label_names() -> tuple[str, ...]:
    """Return the names of the labels."""
    return tuple(q.name for q in labels())


@cache
def readable() -> dict[str, str]:
    """Return the label that is read under each name of a key: the labels, and forms of them."""
    forms = {q.name: q.read_as for q in table().values() if q.read_as}
    return {name: name for name in label_names()} | forms


@cache
def forms_of(label: str) -> tuple[str, ...]:
    """Return the names under which a label is read, its own first."""
    return tuple(name for name, of in readable().items() if of == label)


@cache
def outputs() -> tuple[str, ...]:
    """Return the names of everything that a potential can be asked for."""
    return tuple(q.name for q in table().values() if q.role != "input")


def with_needs(names: Iterable[str]) -> list[str]:
    """Return quantities behind all that they are computed from, each once."""
    found: dict[str, None] = {}
    for name in names:
        found |= dict.fromkeys([*with_needs(named(name).needs), name])
    return list(found)


def is_per_atom(name: str) -> bool:
    """Whether a quantity, or its standard deviation `NAME_std`, has a value for each atom."""
    return named(name.removesuffix("_std")).per_atom

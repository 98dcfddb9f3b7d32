"""The table of quantities: labels of structures and outputs of potentials.

All code that handles labels or outputs (keys of files, caches, loss, errors, tables, plots, the
calculator) uses this table. An installed package adds a quantity through an entry point of the
group `reann.quantities` with the name of the quantity.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial
from importlib.metadata import entry_points

from reann.quantity import ErrorUnit, Quantity

GROUP = "reann.quantities"
PREFIX = "reann_"
"""Prefix of the keys of predictions in files, which may also contain labels."""


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
        "contributions of the atoms to the virial",
        per_atom=True,
        shape=(3, 3),
        rank=2,
        derivative_by="strain",
        role="output",
    ),
    Quantity(
        "extrapolation",
        "widths",
        "distance of an atom's features from the range of the training data, in widths of it",
        per_atom=True,
        role="output",
    ),
)

_of_states = partial(Quantity, is_sought=False, reads_states=True)
OF_HEADS = (
    _of_states(
        "dipole",
        "e*Å",
        "dipole moment; of a charged system, relative to its center of mass",
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
        needs=("charge",),
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
"""Outputs of a model besides the energy, computed from the states of equivariant messages."""

INPUTS = (
    Quantity(
        "charge",
        "e",
        "total charge",
        role="input",
        default=0.0,
        aliases=r"(?:(?:total|net|system)_?)?charge",
    ),
    Quantity(
        "spin",
        "",
        "spin multiplicity, 2S + 1",
        role="input",
        default=1.0,
        aliases=r"(?:total_?)?spin|(?:spin_?)?multiplicity",
    ),
    Quantity(
        "field",
        "V/Å",
        "external electric field",
        shape=(3,),
        rank=1,
        parity=-1,
        role="input",
        default=0.0,
        aliases=r"(?:(?:external|electric|ext|e)_?){0,2}field",
    ),
)
"""Inputs of a model besides atoms and cell."""
SOUGHT = "auto"
"""In place of the key of an input: the key is detected, and may be absent."""
ELECTRONEGATIVITIES, CORRECTION = "electronegativities", "charge_correction"
OF_CHARGES = (
    Quantity(
        ELECTRONEGATIVITIES,
        "V",
        "electronegativities of the atoms, which their charges follow",
        per_atom=True,
        role="output",
        reads_states=True,
    ),
    Quantity(
        CORRECTION,
        "e",
        "total charge less the sum of the charges that the surroundings of the atoms give",
        role="output",
    ),
)
"""Output from which equilibrated charges are computed, and correction of latent charges."""
BORN = "born_effective_charges"
OF_DIPOLES = (
    Quantity(
        BORN,
        "e",
        "derivatives of the dipole (rows) with respect to positions (columns)",
        per_atom=True,
        shape=(3, 3),
        rank=2,
        needs=("dipole",),
        reads_states=True,
        is_sought=False,
        symbol="Z*",
        errors=ErrorUnit("me", "me", 1e3),
    ),
)
"""Derivatives of a dipole, which is the output of a head or a derivative of the energy."""
RESPONSES = ("dipole", "polarizability", BORN)
"""Derivatives of the energy with respect to an electric field, for models that depend on it."""


@cache
def table() -> dict[str, Quantity]:
    """Return all quantities by name, those of installed packages last."""
    added = [point.load() for point in entry_points(group=GROUP)]
    return {q.name: q for q in (*BUILT_IN, *OF_HEADS, *INPUTS, *OF_CHARGES, *OF_DIPOLES, *added)}


def named(name: str) -> Quantity:
    """Return a row of the table."""
    return table()[name]


@cache
def labels() -> tuple[Quantity, ...]:
    """Return the quantities that a potential is trained on and evaluated with."""
    return tuple(q for q in table().values() if q.role == "label")


@cache
def label_names() -> tuple[str, ...]:
    """Return the names of the labels."""
    return tuple(q.name for q in labels())


@cache
def inputs() -> tuple[Quantity, ...]:
    """Return the possible inputs of a model."""
    return tuple(q for q in table().values() if q.role == "input")


@cache
def readable() -> dict[str, str]:
    """Return the label of each readable name: the labels themselves, and other forms of them."""
    forms = {q.name: q.read_as for q in table().values() if q.read_as}
    return {name: name for name in label_names()} | forms


@cache
def forms_of(label: str) -> tuple[str, ...]:
    """Return the names under which a label is read, its own name first."""
    return tuple(name for name, of in readable().items() if of == label)


@cache
def outputs() -> tuple[str, ...]:
    """Return the names of all outputs of potentials."""
    return tuple(q.name for q in table().values() if q.role != "input")


def with_needs(names: Iterable[str]) -> list[str]:
    """Return quantities, preceded by those that they are computed from; each once."""
    result: dict[str, None] = {}
    for name in names:
        result |= dict.fromkeys([*with_needs(named(name).needs), name])
    return list(result)


def needed_inputs(names: Iterable[str]) -> list[str]:
    """Return the inputs that known outputs of a model need."""
    required = with_needs(name for name in names if name in table())
    return [name for name in required if named(name).role == "input"]


def is_per_atom(name: str) -> bool:
    """Return whether a quantity, or its standard deviation `NAME_std`, has a value per atom."""
    return named(name.removesuffix("_std")).per_atom

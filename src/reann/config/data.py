"""The section `data`: structures and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from reann.config.section import Fraction, OfLabels, Section


class Units(Section):
    """Units of the files; unset: as the files state, else eV and Å. Inside, all is eV and Å."""

    energy: str = "eV"
    """eV, meV, Hartree, Rydberg, kcal/mol, kJ/mol or cm^-1."""
    length: str = "Ang"
    """Ang, Bohr or nm; positions, cells and labels derived from them."""
    forces: str | None = None
    """Such as eV/Ang; by default energy per length."""
    stress: str | None = None
    """eV/Ang^3, GPa, kbar or bar; by default energy per length cubed."""


class Keys(OfLabels):
    """Names of the labels in the files. Unset: found, or asked about. `null`: not used."""

    energy: str | None = None
    """Total energy of a structure."""
    forces: str | None = None
    """Forces on the atoms."""
    stress: str | None = None
    """Stress in ASE's sign: 3x3, 9 numbers, or 6 in Voigt order xx yy zz yz xz xy."""
    virial: str | None = None
    """Virial, -volume * stress; read where there is no stress."""
    weight: str | None = None
    """Weight of a structure in the loss; 1 where absent. `weight`, `config_weight` are found."""
    group: str | None = None
    """Name of the group of a structure, for error tables and splits; `config_type` is found."""
    head: str | None = None
    """Name of the head of the model that the labels of a structure belong to (`model.heads`); the
    first one where absent. Never found without being named here."""


class IndexSplit(Section):
    """The part given by the positions of its structures in the training files."""

    indices: list[int] | Path
    """Indices from 0 in reading order, or a text or JSON file of them."""


class GroupSplit(Section):
    """The part made of whole groups."""

    groups: list[str] | Annotated[float, Field(gt=0, lt=1)]
    """Names of groups, or the fraction of the groups to draw."""


Part = Fraction | str | list[str] | IndexSplit | GroupSplit


Accepted = Literal[
    "all-forces-zero",
    "all-stresses-zero",
    "coincident-atoms",
    "constant-energy",
    "energies-per-atom",
    "force-order",
    "forces-along-bonds",
    "forces-disagree",
    "net-torque",
    "stress-and-volume",
    "stress-beside-forces",
    "stress-components",
    "stress-size",
    "stresses-disagree",
    "zero-component",
]
"""Errors of `reann check` that a user can overrule."""


class DataConfig(Section):
    """Where the structures are and what is known about them."""

    train: str | list[str]
    """File, list of files or globs that ASE can read; extended XYZ first, .gz and .xz too."""
    valid: Part = 0.1
    """Fraction, files, `{indices: ...}` or `{groups: ...}`."""
    test: Part | None = None
    """As `valid`; evaluated once, after training."""
    keys: Keys = Keys()
    """Names of the labels; found automatically when unambiguous."""
    units: Units = Units()
    """Units of the files."""
    missing: Literal["error", "allow"] = "error"
    """`allow`: structures may lack a label, which is then masked in the loss."""
    reference_energies: Literal["auto", "fit", "isolated"] | dict[str, float] = "auto"
    """Energies of the elements in eV: given, of isolated atoms in the data, or a least-squares fit;
    `auto`: isolated when there is one of each element, else fit."""
    ignore_forces_of: str | None = None
    """`constrained`, or the name of a boolean per-atom array: forces not trained on. Unset:
    `force_mask`, where the files have it."""
    accept: list[Accepted] = Field(default=[])
    """Errors of `reann check` that do not stop a training, by name, because they are right for
    these data: `[constant-energy]`."""
    cache: Path | None = None
    """Folder of the neighbor-list cache; by default `.reann-cache` beside the run folder."""

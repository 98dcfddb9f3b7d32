"""The section `data`: structures and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from reann.config.section import Fraction, NonNegative, OfLabels, Section


class Units(Section):
    """Units of the files; unset: as the files state, else eV and Å. Inside, all is eV, Å and e."""

    energy: str = "eV"
    """eV, meV, Hartree, Rydberg, kcal/mol, kJ/mol or cm^-1."""
    length: str = "Ang"
    """Ang, Bohr or nm; positions, cells and labels derived from them."""
    forces: str | None = None
    """Such as eV/Ang; by default energy per length."""
    stress: str | None = None
    """eV/Ang^3, GPa, kbar or bar; by default energy per length cubed."""
    dipole: str | None = None
    """e*Ang, Debye or e*Bohr; by default e times length."""
    transition_dipole: str | None = None
    """As `dipole`."""
    polarizability: str | None = None
    """Ang^3, Bohr^3 or e*Ang^2/V; by default length cubed."""


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
    charge: str | None = None
    """Total charge of a structure in e, 0 where absent. Found where the model asks for it."""
    spin: str | None = None
    """Spin multiplicity 2S + 1, 1 where absent. Found where the model asks for it."""
    field: str | None = None
    """External electric field in V/Å, three numbers, 0 where absent. Found where the model asks for
    it."""


class IndexSplit(Section):
    """The part given by the positions of its structures in the training files."""

    indices: list[int] | Path
    """Indices from 0 in reading order, or a text or JSON file of them."""


class GroupSplit(Section):
    """The part made of whole groups."""

    groups: list[str] | Annotated[float, Field(gt=0, lt=1)]
    """Names of groups, or the fraction of the groups to draw."""


Part = Fraction | str | list[str] | IndexSplit | GroupSplit


ReferenceEnergies = Literal["auto", "fit", "isolated"] | dict[str, float]


class Source(Section):
    """Files of one origin: one code, one method, one way to name labels."""

    files: str | list[str]
    """File, list of files or globs, as `data.train`."""
    keys: Keys = Keys()
    """Names of the labels in these files; fields that are not set are those of `data.keys`."""
    units: Units = Units()
    """Units of these files; fields that are not set are those of `data.units`."""
    head: str | None = None
    """Name of the head of the model that the labels belong to (`model.heads`). Unset: as
    `keys.head` says, else the first head."""
    weight: NonNegative = 1.0
    """Multiplies the weight of each structure in the loss."""
    reference_energies: ReferenceEnergies | None = None
    """Energies of the elements of the head of these files, as `data.reference_energies`, which
    holds where this is not set."""

    @model_validator(mode="after")
    def _names_heads_once(self) -> Source:
        if self.head is not None and self.keys.head is not None:
            raise ValueError("a source has head and keys.head: remove one of the two")
        return self


Accepted = Literal[
    "all-forces-zero",
    "all-stresses-zero",
    "coincident-atoms",
    "constant-energy",
    "dipole-sign",
    "dipoles-disagree",
    "energy-groups",
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
    "varying-charge",
    "varying-spin",
    "zero-component",
]
"""Errors of `reann check` that a user can overrule."""


class DataConfig(Section):
    """Where the structures are and what is known about them."""

    train: str | list[str] | None = None
    """File, list of files or globs that ASE can read; extended XYZ first, .gz and .xz too."""
    valid: Part = 0.1
    """Fraction, files, `{indices: ...}` or `{groups: ...}`."""
    test: Part | None = None
    """As `valid`; evaluated once, after training."""
    keys: Keys = Keys()
    """Names of the labels; found automatically when unambiguous."""
    units: Units = Units()
    """Units of the files."""
    sources: list[Source] | None = Field(default=None, min_length=1)
    """Instead of `train`: files of several origins, each with keys, units, head and weight of its
    own: `[{files: a.xyz}, {files: b.xyz, units: {energy: Hartree}}]`."""
    missing: Literal["error", "allow"] = "error"
    """`allow`: structures may lack a label, which is then masked in the loss."""
    reference_energies: ReferenceEnergies = "auto"
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

    @model_validator(mode="after")
    def _has_one_origin(self) -> DataConfig:
        if self.train is not None and self.sources is not None:
            raise ValueError(
                "train and sources are both given: write all files into sources, or all into train"
            )
        if self.train is None and self.sources is None:
            absent: Any = {"type": "missing", "loc": ("train",), "input": {}}
            raise ValidationError.from_exception_data(type(self).__name__, [absent])
        return self

    def every_source(self) -> list[Source]:
        """Return the sources of the training files, with the fields of `data` that they lack.

        The short form `train` is one source.
        """
        if self.sources is None:
            return [self.source_of(self.train or [])]
        return [
            source.model_copy(
                update={
                    "keys": _with_defaults(source.keys, self.keys, source.head is not None),
                    "units": _with_defaults(source.units, self.units),
                }
            )
            for source in self.sources
        ]

    def files(self) -> list[str]:
        """Return the names and globs of the training files, of all sources."""
        named = (source.files for source in self.every_source())
        return [name for each in named for name in ([each] if isinstance(each, str) else each)]

    def all_files(self) -> list[str]:
        """Return the names and globs of the files of training, validation and test."""
        parts = ([part] if isinstance(part, str) else part for part in (self.valid, self.test))
        named = [name for part in parts if isinstance(part, list) for name in part]
        return [*self.files(), *named]

    def source_of(self, files: str | list[str]) -> Source:
        """Return files as a source that is read with the fields of `data`."""
        # Such as the files of a validation set; they need no name of a head to be valid.
        return Source.model_construct(files=files, keys=self.keys, units=self.units)

    def of(self, source: Source) -> DataConfig:
        """Return the settings for reading the files of a source of `every_source`."""
        update = {"train": source.files, "sources": None}
        return self.model_copy(update={**update, "keys": source.keys, "units": source.units})


SectionType = TypeVar("SectionType", Keys, Units)


def _with_defaults(own: SectionType, of_data: SectionType, has_head: bool = False) -> SectionType:
    """Return a section of a source, whose unset fields are those of `data`."""
    update = {name: getattr(own, name) for name in own.model_fields_set}
    if has_head:
        update["head"] = None  # all labels of the source belong to its head
    return of_data.model_copy(update=update)

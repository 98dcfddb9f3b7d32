"""The section `data`: structures and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from reann.config.section import Fraction, NonNegative, OfLabels, Section


class Units(Section):
    """Units of the files; by default those stated in the files, else eV and Å.

    All values are converted to eV, Å and e.
    """

    energy: str = "eV"
    """eV, meV, Hartree, Rydberg, kcal/mol, kJ/mol or cm^-1."""
    length: str = "Ang"
    """Ang, Bohr or nm; also the default for units derived from a length."""
    forces: str | None = None
    """For example eV/Ang; by default the unit of energy divided by that of length."""
    stress: str | None = None
    """eV/Ang^3, GPa, kbar or bar; by default energy divided by length cubed."""
    dipole: str | None = None
    """`e*Ang`, `Debye` or `e*Bohr`; by default e times length."""
    transition_dipole: str | None = None
    """Same choices as `dipole`."""
    polarizability: str | None = None
    """`Ang^3`, `Bohr^3` or `e*Ang^2/V`; by default length cubed."""


class Keys(OfLabels):
    """Keys of the labels in the files.

    By default they are detected; ambiguous keys are an error. `null`: the label is not used.
    """

    energy: str | None = None
    """Total energy of a structure."""
    forces: str | None = None
    """Forces on the atoms."""
    stress: str | None = None
    """Stress with ASE's sign convention: 3x3, 9 numbers, or 6 in Voigt order xx yy zz yz xz xy."""
    virial: str | None = None
    """Virial, -volume * stress; read if there is no stress."""
    weight: str | None = None
    """Weight of a structure in the loss; 1 if absent. `weight` and `config_weight` are detected."""
    group: str | None = None
    """Group of a structure, for error tables and splits; `config_type` is detected."""
    head: str | None = None
    """Head of the model (`model.heads`) to which the labels of a structure belong; the first head
    if absent. This key is never detected."""
    charge: str | None = None
    """Total charge of a structure in e, 0 if absent. Detected if the model needs it."""
    spin: str | None = None
    """Spin multiplicity 2S + 1, 1 if absent. Detected if the model needs it."""
    field: str | None = None
    """External electric field in V/Å, three numbers, 0 if absent. Detected if the model needs
    it."""


class IndexSplit(Section):
    """Structures selected by their indices in the training files."""

    indices: list[int] | Path
    """Indices in the order of the files, starting at 0, or a text or JSON file that contains
    them."""


class GroupSplit(Section):
    """Structures selected by groups."""

    groups: list[str] | Annotated[float, Field(gt=0, lt=1)]
    """Names of groups, or the fraction of groups to draw at random."""


Part = Fraction | str | list[str] | IndexSplit | GroupSplit


ReferenceEnergies = Literal["auto", "fit", "isolated"] | dict[str, float]


class Source(Section):
    """Files with the same keys, units and reference method."""

    files: str | list[str]
    """File, list of files or globs, like `data.train`."""
    keys: Keys = Keys()
    """Keys of the labels in these files; unset fields are taken from `data.keys`."""
    units: Units = Units()
    """Units of these files; unset fields are taken from `data.units`."""
    head: str | None = None
    """Head of the model (`model.heads`) to which the labels belong; by default the head that each
    structure states under `keys.head`, else the first head."""
    weight: NonNegative = 1.0
    """Factor that multiplies the weights of these structures in the loss."""
    reference_energies: ReferenceEnergies | None = None
    """Reference energies for the head of these files; by default `data.reference_energies`."""

    @model_validator(mode="after")
    def _names_heads_once(self) -> Source:
        if self.head is not None and self.keys.head is not None:
            raise ValueError("a source has both head and keys.head: remove one of them")
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
"""Errors of `reann check` that a user can accept."""


class DataConfig(Section):
    """Files of structures, and how their labels are read."""

    train: str | list[str] | None = None
    """Training data: a file, or a list of files or globs. All formats that ASE reads, preferably
    extended XYZ; files may be compressed (.gz, .xz)."""
    valid: Part = 0.1
    """Validation set: a fraction of the training data, files, `{indices: ...}` or
    `{groups: ...}`."""
    test: Part | None = None
    """Test set, with the same choices as `valid`; evaluated once, after training."""
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Train only on this fraction of the training structures. They are drawn by a hash, so that
    smaller fractions are subsets of larger ones. `reann curve` varies it."""
    keys: Keys = Keys()
    """Keys of the labels; detected if unambiguous."""
    units: Units = Units()
    """Units of the files."""
    sources: list[Source] | None = Field(default=None, min_length=1)
    """Instead of `train`: several sets of files, each with its own keys, units, head and weight:
    `[{files: a.xyz}, {files: b.xyz, units: {energy: Hartree}}]`."""
    missing: Literal["error", "allow"] = "error"
    """Whether a missing label is an error; with `allow`, structures are trained on their other
    labels."""
    reference_energies: ReferenceEnergies = "auto"
    """Energies of isolated atoms in eV: a number for each element, `isolated` (from single atoms in
    the data) or `fit` (least squares). `auto`: isolated if the data contain a single atom of each
    element, else fit."""
    ignore_forces_of: str | None = None
    """Atoms whose forces are left out of the training: `constrained`, or the name of a boolean
    per-atom array that is true for these atoms. By default `force_mask`, if the files have it."""
    accept: list[Accepted] = Field(default=[])
    """Errors of `reann check` that do not apply to these data and do not stop the training, for
    example `[constant-energy]`. `reann check` prints the name of each error."""
    cache: Path | None = None
    """Folder of the cache of neighbor lists; by default `.reann-cache` beside the run folder."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> DataConfig:
        if self.train is not None and self.sources is not None:
            raise ValueError("train and sources are both set: list all files in one of them")
        if self.train is None and self.sources is None:
            absent: Any = {"type": "missing", "loc": ("train",), "input": {}}
            raise ValidationError.from_exception_data(type(self).__name__, [absent])
        return self

    def all_sources(self) -> list[Source]:
        """Return the sources of the training files; unset fields are filled in from `data`.

        The short form `train` is a single source.
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
        named = (source.files for source in self.all_sources())
        return [name for each in named for name in ([each] if isinstance(each, str) else each)]

    def all_files(self) -> list[str]:
        """Return the names and globs of the files of training, validation and test."""
        parts = ([part] if isinstance(part, str) else part for part in (self.valid, self.test))
        named = [name for part in parts if isinstance(part, list) for name in part]
        return [*self.files(), *named]

    def source_of(self, files: str | list[str]) -> Source:
        """Return files as a source that is read with the fields of `data`."""
        # For example the files of a validation set, which need not name a head.
        return Source.model_construct(files=files, keys=self.keys, units=self.units)

    def of(self, source: Source) -> DataConfig:
        """Return the settings for reading the files of a source from `all_sources`."""
        update = {"train": source.files, "sources": None}
        return self.model_copy(update={**update, "keys": source.keys, "units": source.units})


SectionType = TypeVar("SectionType", Keys, Units)


def _with_defaults(
    section: SectionType, defaults: SectionType, has_head: bool = False
) -> SectionType:
    """Return a section of a source with its unset fields filled in from `data`."""
    update = {name: getattr(section, name) for name in section.model_fields_set}
    if has_head:
        update["head"] = None  # all labels of the source belong to its head
    return defaults.model_copy(update=update)

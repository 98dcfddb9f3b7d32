"""The whole configuration: four sections, each field documented where it is declared.

A complete file names only the training data. The docstring under a field is its documentation:
the reference page of the docs is generated from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reann.presets import of_preset

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of all sections: immutable, and a typo is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


# --- data -------------------------------------------------------------------------------------


class Units(Section):
    """Units of the labels in the files; everything is eV and Å inside."""

    energy: str = "eV"
    """eV, meV, Hartree, Rydberg, kcal/mol or kJ/mol."""
    length: str = "Ang"
    """Ang, Bohr or nm; positions, cells and labels derived from them."""
    forces: str | None = None
    """Such as eV/Ang; by default energy per length."""
    stress: str | None = None
    """eV/Ang^3, GPa, kbar or bar; by default energy per length cubed."""


class Keys(Section):
    """Names of the labels in the files. Unset: found automatically. `null`: not used."""

    energy: str | None = None
    """Total energy of a structure."""
    forces: str | None = None
    """Forces on the atoms."""
    stress: str | None = None
    """Stress in ASE's sign: 3x3, 9 numbers, or 6 in Voigt order xx yy zz yz xz xy."""
    virial: str | None = None
    """Virial, -volume * stress; read when there is no stress."""
    weight: str | None = None
    """Weight of a structure in the loss; 1 where absent."""
    group: str | None = None
    """Name of the group of a structure, for error tables and splits; `config_type` is found."""


class IndexSplit(Section):
    """The part given by the positions of its structures in the training files."""

    indices: list[int] | Path
    """Indices from 0 in reading order, or a text or JSON file of them."""


class GroupSplit(Section):
    """The part made of whole groups."""

    groups: list[str] | Annotated[float, Field(gt=0, lt=1)]
    """Names of groups, or the fraction of the groups to draw."""


Fraction = Annotated[float, Field(gt=0, lt=1)]
Part = Fraction | str | list[str] | IndexSplit | GroupSplit


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
    """`constrained`, or the name of a boolean per-atom array: forces not trained on."""
    cache: Path | None = None
    """Folder of the neighbor-list cache; by default `.reann-cache` beside the run folder."""


# --- model ------------------------------------------------------------------------------------


class NetworkConfig(Section):
    """A network per element: linear, residual blocks, activation, linear."""

    hidden: Annotated[list[Count], Field(min_length=1)] = [64, 64]
    """Width of the first layer, then of the layers of a block, which returns to the first."""
    blocks: Annotated[int, Field(ge=0)] = 1
    """How often the block is repeated."""
    residual: bool = True
    """Whether a block adds its input to its output."""
    activation: Literal["silu", "relu_like", "tanh_like"] = "silu"
    """`relu_like` a SiLU(b x) and `tanh_like` a x / sqrt(1 + (b x)^2) have learned a and b."""
    layer_norm: bool = False
    """Layer normalization after the activations of the blocks; never on the density itself."""

    @model_validator(mode="after")
    def _block_returns(self) -> NetworkConfig:
        repeated = self.residual or self.blocks > 1
        if self.blocks and repeated and self.hidden[-1] != self.hidden[0]:
            raise ValueError(f"such a block must end at its first width, unlike {self.hidden}")
        return self


class ZBLConfig(Section):
    """Screened nuclear repulsion at short range, part of the model while training."""

    inner: NonNegative = 0.35
    """Full repulsion below this fraction of the sum of the covalent radii."""
    outer: Positive = 0.7
    """No repulsion beyond this fraction of the sum of the covalent radii."""

    @model_validator(mode="after")
    def _ordered(self) -> ZBLConfig:
        if self.inner >= self.outer:
            raise ValueError(f"inner {self.inner} must be below outer {self.outer}")
        return self


class ModelConfig(Section):
    """The potential: density, recursion, readout."""

    preset: Literal["fast", "default", "accurate", "upstream"] = "default"
    """An evaluation by `fast` takes about half the time of `default`, by `accurate` 1.6 times it;
    `upstream`: the choices of the original REANN package."""
    host: str = "density"
    """What the recursion upgrades: the embedded `density`, `symmetry_functions`, `deep_pot`,
    `power_spectrum`, or a descriptor of an installed package."""
    host_options: dict[str, bool | int | float | str | list[int] | list[float]] = {}
    """What a host other than the density has of its own."""
    cutoff: Annotated[float, Field(ge=0.1, allow_inf_nan=False)] = 5.0
    """Å. The squared cosine is small beyond two thirds of it."""
    l_max: Annotated[int, Field(ge=0, le=4)] = 2
    """Highest angular momentum."""
    n_radial: Count = 12
    """Radial functions per neighbor element."""
    n_recursions: Annotated[int, Field(ge=0)] = 2
    """T: how often the neighbors' weights are updated; 0 is the host alone, such as EANN."""
    features: Literal["gram", "many_body", "orbitals"] = "many_body"
    """Products of two moments within each l; these and, from l_max 2 on, products of three and four
    contracted moments; or squares of contracted orbitals."""
    messages: Literal["scalar", "directional"] = "scalar"
    """What the recursion passes on: orbital coefficients, or also gated moments, which carry
    directions from neighbor to neighbor."""
    n_orbitals: Count | None = None
    """Contracted orbitals; by default as many as there are products, or 16 with many_body."""
    orbitals_per_l: bool = False
    """Whether the density of contracted orbitals keeps each l apart."""
    orbitals_per_recursion: bool = False
    """Whether each recursion has a contraction of its own."""
    angular: Literal["unit", "raw"] = "unit"
    """Unit vectors, or raw components, which carry r^l."""
    radial: Literal["neighbor", "pair"] = "neighbor"
    """Radial functions per neighbor element or per pair of elements."""
    radial_width: Literal["softplus", "free"] = "softplus"
    """Whether the width of a Gaussian is kept positive."""
    cutoff_function: Literal["squared_cosine", "polynomial"] = "squared_cosine"
    """Squared cosine (energy is C3 at the cutoff) or polynomial of order 6 (C2)."""
    standardize: bool = True
    """Fixed standardization of the density, per element, from the training structures."""
    coefficient_scale: Positive | None = None
    """Factor of the updates; by default 1/sqrt(mean number of neighbors)."""
    readout: NetworkConfig = NetworkConfig()
    """Density to atomic energy."""
    update: NetworkConfig = NetworkConfig()
    """Density to change of the orbital coefficients, and to gates of directional messages."""
    zbl: ZBLConfig | None = None
    """Screened nuclear repulsion; `{}` switches it on."""

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {**of_preset(values, cls.model_fields), **values}


# --- training ---------------------------------------------------------------------------------


class LossConfig(Section):
    """Weights of the parts of the loss, all in units of the force scale."""

    energy: NonNegative = 1.0
    """Weight of (dE)^2 / N."""
    forces: NonNegative = 1.0
    """Weight of the mean squared force component."""
    stress: NonNegative = 0.03
    """Weight of the mean squared virial component / N, in Å^-2."""
    huber: Positive | None = None
    """Residuals beyond this many force scales count linearly."""
    energy_emphasis: Positive = 20.0
    """Factor of the energy weight at the end of the training, and in every validation loss."""
    emphasis_start: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Progress at which the energy emphasis begins to grow."""


class CosineSchedule(Section):
    """Warm-up, then a cosine down to a fraction of the rate over the stated epochs."""

    name: Literal["cosine"] = "cosine"
    final: Fraction = 0.01
    """Fraction of the learning rate at the end."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Part of the training with a rising rate."""


class PlateauSchedule(Section):
    """The rate falls when the validation loss has not."""

    name: Literal["plateau"] = "plateau"
    factor: Fraction = 0.5
    """Factor of each fall."""
    patience: Count = 20
    """Epochs without improvement before a fall."""
    minimum: Positive = 1e-5
    """Training stops when the rate has fallen below."""


class TrainingConfig(Section):
    """How the weights are found."""

    epochs: Count = 300
    """Passes over the training structures."""
    batch_size: Count | Literal["auto"] = "auto"
    """Structures per step; `auto`: about 256 atoms, at most 32 structures."""
    max_edges: Count | None = None
    """Most neighbor pairs in memory at once: larger batches are split, the result is the same."""
    optimizer: Literal["soap", "adamw"] = "soap"
    """SOAP (Adam in the eigenbasis of the gradients) for the networks, AdamW for the rest; or
    AdamW for all."""
    learning_rate: Positive = 3e-3
    """Of the optimizer, at its highest."""
    weight_decay: NonNegative = 0.3
    """Of the networks' weights only, at the highest rate, with which it falls: what the data do not
    ask for is forgotten."""
    clip: Positive | None = 10.0
    """Largest norm of the gradient."""
    schedule: Annotated[CosineSchedule | PlateauSchedule, Field(discriminator="name")] = (
        CosineSchedule()
    )
    """`{name: cosine}` or `{name: plateau}`."""
    ema: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"
    """Decay of the averaged weights that are saved; `auto`: 0.99, above 5000 steps 0.999."""
    loss: LossConfig = LossConfig()
    """Weights of the loss."""
    precision: Literal["mixed", "float64"] = "mixed"
    """`mixed`: geometry and energy sums in float64, networks in float32."""
    patience: Count | None = None
    """Stop after so many epochs without a better validation loss."""


# --- run --------------------------------------------------------------------------------------


class RunConfig(Section):
    """Where and how it runs."""

    folder: Path | None = None
    """Folder of the run; by default `runs/` and the name of the configuration or data file."""
    seed: int = 1
    """Of the split, the initial weights and the order of the structures."""
    seeds: Count = 1
    """Train so many potentials with consecutive seeds and save them as one ensemble."""
    device: str = "auto"
    """auto, cpu or cuda."""
    engine: Literal["auto", "torch", "native"] = "auto"
    """What computes; auto: the native engine on CPUs, where it is installed."""
    threads: Count | None = None
    """Threads of the CPU; by default as many cores as the neighbor pairs of a step keep busy."""
    tracker: Literal["none", "tensorboard", "wandb"] = "none"
    """Where metrics are sent besides `log.csv`."""
    checkpoint_minutes: NonNegative = 10.0
    """Time between checkpoints inside an epoch; there is one after every epoch."""


class Config(Section):
    """Everything a training needs."""

    data: DataConfig
    """Structures and labels."""
    model: ModelConfig = ModelConfig()
    """The potential."""
    training: TrainingConfig = TrainingConfig()
    """The optimization."""
    run: RunConfig = RunConfig()
    """The run."""

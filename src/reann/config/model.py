"""The section `model`: host, recursion, networks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    field_validator,
    model_validator,
)

from reann.config.form import with_preset
from reann.config.section import NonNegative, Positive, Section, Width
from reann.facts import (
    DEFAULT_HEAD,
    DEFAULT_HOST,
    DEFAULT_MESSAGES,
    EQUIVARIANT_L_MAX,
    HIGHEST_L_MAX,
    LEAST_LIMIT,
    MOST_BASIS,
    Activation,
    Angular,
    CutoffFunction,
    Features,
    Messages,
    Radial,
    RadialBasis,
    RadialWidth,
)
from reann.quantities import RESPONSES, labels, named, needed_inputs, with_needs


def _is_output(name: str) -> str:
    names = [quantity.name for quantity in labels() if not quantity.from_energy]
    if name not in names:
        known = f"one of {', '.join(names)}" if names else "none: no installed package adds one"
        raise ValueError(f"'{name}' is not a quantity that a head gives, which are {known}")
    return name


HeadName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


class NetworkConfig(Section):
    """A network per element: linear, residual blocks, activation, linear."""

    hidden: list[Width] = Field(default=[64, 64], min_length=1, max_length=100)
    """Width of the first layer, then of the layers of a block, which returns to the first."""
    blocks: Annotated[int, Field(ge=0, le=100)] = 1
    """How often the block is repeated."""
    residual: bool = True
    """Whether a block adds its input to its output."""
    activation: Activation = "silu"
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


class LongRangeConfig(Section):
    """The energy of charges that the network gives the atoms."""

    kind: Literal["charges"] = "charges"
    """Latent charges."""
    smearing: Annotated[float, Field(ge=0.3, le=10)] = 1.0
    """σ in Å: charges act on each other as erf(r / (sqrt(2) σ)) / r."""


WITHOUT_STATES = ("dipole", "transition_dipole", "polarizability")
"""Outputs that have forms without the states of equivariant messages."""


class OutputForms(Section):
    """How the forms of the original package give outputs; not with equivariant messages."""

    dipole: Literal["center", "neighbors"] = "center"
    """Charges at positions from the center of mass, for molecules; or charges at the sum of the
    vectors from the neighbors of an atom, for periodic structures, too."""
    polarizability: Literal["reann", "eann"] = "reann"
    """That of REANN, or that of its predecessor."""


class ModelConfig(Section):
    """The potential: density, recursion, readout."""

    preset: Literal["fast", "density", "default", "accurate", "upstream"] = "default"
    """`default`, and `accurate` with more channels: equivariant messages. `density`: scalar
    messages; `fast`: the same with fewer radial functions, products and recursions. `upstream`: the
    choices of the original REANN package. Fields that are set beside it win. With another host than
    the density, `default` has scalar messages."""
    host: str = DEFAULT_HOST
    """What the recursion upgrades: the embedded `density`, `symmetry_functions`, `deep_pot`,
    `power_spectrum`, or a descriptor of an installed package."""
    host_options: dict[str, bool | int | float | str | list[int] | list[float]] = Field(default={})
    """What a host other than the density has of its own."""
    cutoff: Annotated[float, Field(ge=0.1, le=100)] = 5.0
    """Å. The squared cosine is small beyond two thirds of it."""
    l_max: Annotated[int, Field(ge=0, le=HIGHEST_L_MAX)] = 2
    """Highest angular momentum; 1 to 3 with equivariant messages."""
    n_radial: Annotated[int, Field(ge=1, le=1000)] = 12
    """Radial functions per neighbor element; with equivariant messages, functions of the basis."""
    n_recursions: Annotated[int, Field(ge=0, le=100)] = 2
    """T: how often the neighbors' weights are updated; 0 is the host alone, such as EANN."""
    features: Features = "many_body"
    """Products of two moments within each l; these and, from l_max 2 on, products of three and four
    contracted moments; or squares of contracted orbitals."""
    messages: Messages = DEFAULT_MESSAGES
    """What the recursion passes on: orbital coefficients (`scalar`); also gated moments, which
    carry directions from neighbor to neighbor (`directional`); or scalars, vectors and tensors, by
    which the weight of a neighbor depends on the direction in which it is seen (`equivariant`)."""
    channels: Width = 64
    """Channels of each moment and state; equivariant messages only."""
    radial_basis: RadialBasis = "bessel"
    """Bessel functions or Gaussians, which are not trained; equivariant messages only."""
    moment_limit: Annotated[float, Field(ge=LEAST_LIMIT, le=1e6)] | None = None
    """Size at which the moments of a channel are limited, in units of their root mean square at the
    start: then products of four of them stay bounded in unusual environments. Equivariant messages
    only."""
    n_orbitals: Width | None = None
    """Contracted orbitals; by default as many as there are products, or 16 with many_body."""
    orbitals_per_l: bool = False
    """Whether the density of contracted orbitals keeps each l apart."""
    orbitals_per_recursion: bool = False
    """Whether each recursion has a contraction of its own."""
    angular: Angular = "unit"
    """Unit vectors, or raw components, which carry r^l."""
    radial: Radial = "neighbor"
    """Radial functions per neighbor element or per pair of elements."""
    radial_width: RadialWidth = "softplus"
    """Whether the width of a Gaussian is kept positive."""
    cutoff_function: CutoffFunction = "squared_cosine"
    """Squared cosine (energy is C3 at the cutoff) or polynomial of order 6 (C2)."""
    standardize: bool = True
    """Fixed standardization of the density, per element, from the training structures."""
    coefficient_scale: Positive | None = None
    """Factor of the updates; by default 1/sqrt(mean number of neighbors)."""
    readout: NetworkConfig = NetworkConfig()
    """Density to atomic energy."""
    update: NetworkConfig = NetworkConfig()
    """Density to change of the orbital coefficients, and to gates of directional and equivariant
    messages."""
    outputs: list[Annotated[str, AfterValidator(_is_output)]] = Field(default=[])
    """Quantities besides those of the energy, with equivariant messages: `charges`, `dipole`,
    `polarizability`, `transition_dipole`, `magmoms`, `shieldings`, `gap`; or those of installed
    packages. Without equivariant messages, dipoles and polarizabilities have the forms of the
    original package, which make them of scalars and positions."""
    output_forms: OutputForms = OutputForms()
    """Which of the forms of the original package."""
    heads: Annotated[list[HeadName], Field(max_length=100)] = Field(default=[DEFAULT_HEAD])
    """Names of the energy heads, for labels of several methods; each has its own readout, reference
    energies and energy scale. The first one is that of structures that name none. `[]`: the model
    has no energy, only `outputs`."""
    field: bool = False
    """Whether the energy depends on an electric field; equivariant messages only. Dipoles and
    polarizabilities are then its derivatives."""
    inputs: list[Literal["charge", "spin"]] = Field(default=[])
    """What the energy depends on besides atoms and cell: the total charge, the spin multiplicity;
    equivariant messages only. Then one geometry has an energy for each charge."""
    long_range: LongRangeConfig | None = None
    """Energy of charges beyond the cutoff; `{}` switches it on. Equivariant messages only."""
    zbl: ZBLConfig | None = None
    """Screened nuclear repulsion; `{}` switches it on."""
    repulsion: bool = False
    """Whether pairs closer than all of their elements in the training structures repel each other,
    instead of what the network extrapolates; for all others nothing changes."""

    @property
    def responses(self) -> tuple[str, ...]:
        """Outputs that are derivatives of the energy with respect to the electric field."""
        return RESPONSES if self.field else ()

    @property
    def from_heads(self) -> list[str]:
        """Outputs that have heads, behind those that they are computed from."""
        of_heads = [name for name in self.outputs if name not in self.responses]
        of_heads += ["charges"] if self.long_range else []
        every = [*with_needs(self._needing), *of_heads]
        return [name for name in dict.fromkeys(every) if named(name).role == "label"]

    @property
    def every_input(self) -> list[str]:
        """What the model asks of a structure besides its atoms and its cell."""
        of_outputs = needed_inputs([*self._needing, *self.responses])
        return list(dict.fromkeys([*self.inputs, *of_outputs]))

    @property
    def reads_states(self) -> bool:
        """Whether an output is read off the states of equivariant messages."""
        return any(named(name).reads_states for name in self._needing)

    @property
    def _needing(self) -> list[str]:
        """Outputs with heads but those whose forms need neither states nor other quantities."""
        without = self.responses if self.messages == "equivariant" else WITHOUT_STATES
        of_terms = ["charges"] if self.long_range else []
        return [*(name for name in self.outputs if name not in without), *of_terms]

    @field_validator("heads")
    @classmethod
    def _heads_differ(cls, heads: list[str]) -> list[str]:
        if len(set(heads)) < len(heads):
            raise ValueError(f"two heads have the same name: {', '.join(heads)}")
        return heads

    @model_validator(mode="after")
    def _gives_something(self) -> ModelConfig:
        if self.heads:
            return self
        if not self.outputs:
            raise ValueError("heads are [], which is no energy, and there are no outputs")
        if self.zbl is not None or self.repulsion or self.field or self.long_range:
            raise ValueError(
                "heads are [], which is no energy: remove zbl, repulsion, field and long_range"
            )
        return self

    @model_validator(mode="after")
    def _charges_without_field(self) -> ModelConfig:
        if self.long_range and self.field:
            raise ValueError("long_range and field are not computed together: remove one of them")
        return self

    @field_validator("inputs")
    @classmethod
    def _inputs_differ(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError(f"an input is named twice: {', '.join(names)}")
        return names

    @model_validator(mode="after")
    def _fits_the_messages(self) -> ModelConfig:
        of_states = [name for name in self._needing if named(name).reads_states]
        if self.messages != "equivariant":
            if self.field:
                raise ValueError(
                    f"an electric field needs equivariant messages, and these are {self.messages}"
                )
            if self.long_range:
                raise ValueError(
                    f"long_range needs equivariant messages, and these are {self.messages}"
                )
            if self.inputs:
                raise ValueError(
                    f"the inputs {', '.join(self.inputs)} need equivariant messages, and these are"
                    f" {self.messages}"
                )
            if of_states:
                raise ValueError(
                    f"outputs are {', '.join(self.outputs)}, and the messages are {self.messages}:"
                    f" {', '.join(of_states)} need equivariant messages"
                )
            return self
        if self.l_max < 2 and (matrices := [n for n in of_states if named(n).shape == (3, 3)]):
            raise ValueError(f"{', '.join(matrices)} needs matrices: set l_max to 2 or 3")
        for name, least, most in (("l_max", 1, EQUIVARIANT_L_MAX), ("n_radial", 1, MOST_BASIS)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(
                    f"{name} is {value}, and equivariant messages need {least} to {most}:"
                    f" set {name} to one of these"
                )
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _apply_preset(
        cls, values: Any, handler: ModelWrapValidatorHandler[ModelConfig]
    ) -> ModelConfig:
        if not isinstance(values, dict):
            return handler(values)
        model = handler(with_preset(values, cls.model_fields))
        if "preset" not in values:  # what nobody asked for does not count as given
            model.model_fields_set.intersection_update(values)
        return model

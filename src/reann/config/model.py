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
from reann.config.model_sections import (
    DispersionConfig,
    LongRangeConfig,
    NetworkConfig,
    OutputForms,
    ZBLConfig,
)
from reann.config.section import Positive, Section, Width
from reann.facts import (
    DEFAULT_HEAD,
    DEFAULT_HOST,
    DEFAULT_MESSAGES,
    EQUIVARIANT_L_MAX,
    FIELD_DENSITY,
    HIGHEST_L_MAX,
    LEAST_LIMIT,
    MOST_BASIS,
    Angular,
    CutoffFunction,
    Features,
    Messages,
    Radial,
    RadialBasis,
    RadialWidth,
)
from reann.quantities import (
    BORN,
    ELECTRONEGATIVITIES,
    RESPONSES,
    labels,
    named,
    needed_inputs,
    with_needs,
)


def _is_output(name: str) -> str:
    names = [quantity.name for quantity in labels() if not quantity.from_energy]
    if name not in names:
        choices = f"use {', '.join(names)}" if names else "no installed package adds one"
        raise ValueError(f"the model has no output '{name}': {choices}")
    return name


HeadName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


WITHOUT_STATES = ("dipole", "transition_dipole", "polarizability", BORN)
"""Outputs that are also available without equivariant messages."""


class ModelConfig(Section):
    """The potential: descriptor, recursion, readout."""

    preset: Literal["fast", "density", "default", "accurate", "upstream"] = "default"
    """Named set of model settings; other fields of `model` override it. `default` and `accurate`,
    which has more channels, have equivariant messages. `density` has scalar messages; `fast` is the
    same with fewer radial functions, products and recursions. `upstream` is the architecture of the
    original REANN package. With a host other than `density`, `default` has scalar messages."""
    host: str = DEFAULT_HOST
    """Descriptor that the recursion is applied to: the embedded `density`, `symmetry_functions`,
    `deep_pot`, `power_spectrum`, or a descriptor of an installed package."""
    host_options: dict[str, bool | int | float | str | list[int] | list[float]] = Field(default={})
    """Options of the host; the host `density` has none."""
    cutoff: Annotated[float, Field(ge=0.1, le=100)] = 5.0
    """Cutoff radius in Å. The squared cosine is small beyond two thirds of it."""
    l_max: Annotated[int, Field(ge=0, le=HIGHEST_L_MAX)] = 2
    """Highest angular momentum l; 1 to 3 with equivariant messages."""
    n_radial: Annotated[int, Field(ge=1, le=1000)] = 12
    """Number of radial functions per neighbor element; with equivariant messages, size of the
    radial basis."""
    n_recursions: Annotated[int, Field(ge=0, le=100)] = 2
    """Number of recursions T; with 0, the model is the host alone, for example EANN."""
    features: Features = "many_body"
    """`gram`: products of two moments of equal l; `many_body`: also, from l_max = 2, products of
    three and four contracted moments; `orbitals`: squares of contracted orbitals."""
    messages: Messages = DEFAULT_MESSAGES
    """Numbers that atoms pass on to their neighbors. `scalar`: orbital coefficients; `directional`:
    also gated moments, which carry directions; `equivariant`: scalars, vectors and tensors, so that
    the weight of a neighbor depends on its direction."""
    channels: Width = 64
    """Number of channels of each moment and state; equivariant messages only."""
    radial_basis: RadialBasis = "bessel"
    """Bessel functions or Gaussians, fixed during training; equivariant messages only."""
    moment_limit: Annotated[float, Field(ge=LEAST_LIMIT, le=1e6)] | None = None
    """Upper limit of the moments of a channel, in units of their root mean square before training.
    It keeps products of four moments bounded in unusual neighborhoods. Equivariant messages
    only."""
    n_orbitals: Width | None = None
    """Number of contracted orbitals; by default the number of products, or 16 with many_body."""
    orbitals_per_l: bool = False
    """Keep the contributions of each l to the density of contracted orbitals separate."""
    orbitals_per_recursion: bool = False
    """Use a separate contraction in each recursion."""
    angular: Angular = "unit"
    """Angular functions are computed from unit vectors (`unit`), or from the vectors themselves,
    which adds a factor r^l (`raw`)."""
    radial: Radial = "neighbor"
    """Separate radial functions for each element of the neighbor, or for each pair of elements."""
    radial_width: RadialWidth = "softplus"
    """`softplus` keeps the widths of the Gaussians positive; `free` does not."""
    cutoff_function: CutoffFunction = "squared_cosine"
    """`squared_cosine`: three continuous derivatives of the energy at the cutoff; `polynomial` of
    order 6: two."""
    standardize: bool = True
    """Standardize the density of each element by its mean and standard deviation in the training
    set."""
    coefficient_scale: Positive | None = None
    """Factor of the updates of coefficients; by default 1/sqrt(mean number of neighbors)."""
    readout: NetworkConfig = NetworkConfig()
    """Network that computes the atomic energy from the density."""
    update: NetworkConfig = NetworkConfig()
    """Network that computes, from the density, the update of the orbital coefficients and the gates
    of directional and equivariant messages."""
    outputs: list[Annotated[str, AfterValidator(_is_output)]] = Field(default=[])
    """Predicted quantities besides the energy and its derivatives. With equivariant messages:
    `charges`, `dipole`, `polarizability`, `transition_dipole`, `born_effective_charges`, `magmoms`,
    `shieldings`, `gap`, or quantities of installed packages. Otherwise: dipoles, their derivatives,
    and polarizabilities, in the forms of the original package."""
    output_forms: OutputForms = OutputForms()
    """Forms of outputs of the original package; not used with equivariant messages."""
    induction: bool = False
    """Atomic polarizabilities polarize each other, without a cutoff, so that the output
    `polarizability` of a liquid or cluster contains the induced fields. Equivariant messages
    only."""
    heads: Annotated[list[HeadName], Field(max_length=100)] = Field(default=[DEFAULT_HEAD])
    """Names of the energy heads, for labels of several methods. Each head has its own readout,
    reference energies and energy scale. Structures that state no head belong to the first. `[]`:
    the model has no energy, only `outputs`."""
    field: bool = False
    """Make the energy depend on an electric field; dipoles and polarizabilities are then its
    derivatives. Equivariant messages only."""
    inputs: list[Literal["charge", "spin"]] = Field(default=[])
    """Quantities on which the energy depends in addition to the geometry: total charge, spin
    multiplicity. Equivariant messages only."""
    long_range: LongRangeConfig | None = None
    """Coulomb energy of predicted charges, without a cutoff; `{}` switches it on. Equivariant
    messages only."""
    dispersion: DispersionConfig | None = None
    """D3 or D4 dispersion, for example `{functional: pbe, labels: lack}`."""
    zbl: ZBLConfig | None = None
    """Screened nuclear repulsion; `{}` switches it on."""
    repulsion: bool = False
    """Add a repulsion between atoms that are closer than all pairs of these elements in the
    training set, where the network extrapolates. Other pairs are not affected."""

    @property
    def responses(self) -> tuple[str, ...]:
        """Outputs that are derivatives of the energy with respect to the electric field."""
        return RESPONSES if self.field else ()

    @property
    def from_heads(self) -> list[str]:
        """Outputs that have heads, each after the outputs it is computed from."""
        others = (name for name in self.outputs if name not in self.responses)
        computed_from = {BORN: "dipole"}
        if self.equilibrates:
            computed_from["charges"] = ELECTRONEGATIVITIES
        names = [computed_from.get(name, name) for name in (*with_needs(self._needing), *others)]
        return [name for name in dict.fromkeys(names) if named(name).role != "input"]

    @property
    def equilibrates(self) -> bool:
        """Whether charges are the solution of an equilibrium."""
        return self.long_range is not None and self.long_range.charges == "equilibrated"

    @property
    def every_input(self) -> list[str]:
        """Inputs that the model needs besides atoms and cell."""
        of_outputs = needed_inputs([*self._needing, *self.responses])
        d4 = self.dispersion is not None and self.dispersion.method == "d4"
        others = [*(["field"] if self.field else []), *(["charge"] if d4 else [])]
        return list(dict.fromkeys([*self.inputs, *of_outputs, *others]))

    @property
    def reads_states(self) -> bool:
        """Whether an output is computed from the states of equivariant messages."""
        return any(named(name).reads_states for name in self._needing)

    @property
    def _needing(self) -> list[str]:
        """Outputs that need states or other quantities."""
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
            raise ValueError("the model has neither heads nor outputs: add one of them")
        of_energy = {
            "zbl": self.zbl,
            "repulsion": self.repulsion,
            "field": self.field,
            "long_range": self.long_range,
            "dispersion": self.dispersion,
        }
        if outputs_set := [name for name, value in of_energy.items() if value]:
            raise ValueError(f"heads is [], so there is no energy: remove {', '.join(outputs_set)}")
        return self

    @model_validator(mode="after")
    def _no_field_beside_structure_terms(self) -> ModelConfig:
        for name in ("long_range", "dispersion"):
            if getattr(self, name) and self.field:
                raise ValueError(f"{name} and field cannot be combined: remove one of them")
        return self

    @field_validator("inputs")
    @classmethod
    def _inputs_differ(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError(f"an input is listed twice: {', '.join(names)}")
        return names

    @model_validator(mode="after")
    def _fits_the_messages(self) -> ModelConfig:
        of_states = [name for name in self._needing if named(name).reads_states]
        if self.messages != "equivariant":
            if self.field and self.host != FIELD_DENSITY:
                raise ValueError(
                    f"an electric field needs equivariant messages, not {self.messages} messages"
                )
            if self.long_range:
                raise ValueError(
                    f"long_range needs equivariant messages, not {self.messages} messages"
                )
            if self.inputs:
                raise ValueError(
                    f"inputs {', '.join(self.inputs)} need equivariant messages, not"
                    f" {self.messages}"
                )
            if of_states:
                raise ValueError(
                    f"outputs {', '.join(of_states)} need equivariant messages, not"
                    f" {self.messages} messages"
                )
            return self
        if self.l_max < 2 and (matrices := [n for n in of_states if named(n).shape == (3, 3)]):
            raise ValueError(f"{', '.join(matrices)} needs tensors of l = 2: set l_max to 2 or 3")
        for name, least, most in (("l_max", 1, EQUIVARIANT_L_MAX), ("n_radial", 1, MOST_BASIS)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(
                    f"{name} is {value}, but equivariant messages need {least} to {most}:"
                    f" change {name}"
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
        if "preset" not in values:  # only fields that the user set count as set
            model.model_fields_set.intersection_update(values)
        return model

"""Sections within the section `model`: networks, terms of the energy, forms of outputs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from reann.config.section import NonNegative, Positive, Section, Width
from reann.facts import Activation


class NetworkConfig(Section):
    """A network for each element: linear layer, residual blocks, activation, linear layer."""

    hidden: list[Width] = Field(default=[64, 64], min_length=1, max_length=100)
    """Width of the first layer, then of the other layers of a block; the last is equal to the
    first."""
    blocks: Annotated[int, Field(ge=0, le=100)] = 1
    """Number of blocks."""
    residual: bool = True
    """Add the input of a block to its output."""
    activation: Activation = "silu"
    """`silu`; or, with learned a and b, `relu_like`: a SiLU(b x), `tanh_like`:
    a x / sqrt(1 + (b x)^2)."""
    layer_norm: bool = False
    """Layer normalization after the activations in the blocks; never of the density itself."""

    @model_validator(mode="after")
    def _block_returns(self) -> NetworkConfig:
        repeated = self.residual or self.blocks > 1
        if self.blocks and repeated and self.hidden[-1] != self.hidden[0]:
            raise ValueError(f"the first and last width of a block must be equal: {self.hidden}")
        return self


class ZBLConfig(Section):
    """Screened nuclear repulsion at short range (ZBL), part of the model during training."""

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
    """Coulomb energy of charges that the network predicts."""

    kind: Literal["charges"] = "charges"
    """Charges of the atoms."""
    charges: Literal["latent", "equilibrated"] = "latent"
    """`latent`: the surroundings of an atom give its charge. `equilibrated`: they give its
    electronegativity, and charges flow between all atoms of a structure, however distant."""
    smearing: Annotated[float, Field(ge=0.3, le=10)] = 1.0
    """σ in Å: charges act on each other as erf(r / (sqrt(2) σ)) / r."""


class DispersionConfig(Section):
    """Dispersion by D3 or D4 with rational (Becke-Johnson) damping, which is not trained."""

    functional: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+$", max_length=40)]
    """Functional of the labels, as dftd3 and dftd4 name it: pbe, pbe0, b3lyp, revpbe, r2scan and so
    on."""
    labels: Literal["contain", "lack"]
    """Whether the labels contain dispersion. `contain`: it is subtracted before training;
    `lack`: the network is trained on the labels as they are. Predictions include it in both
    cases."""
    method: Literal["d3", "d4"] = "d3"
    """`d3`: D3(BJ), by dftd3; `d4`: D4, by dftd4, which depends on the total charge."""
    three_body: bool | None = None
    """Whether the three-body term is part of it; by default of D4 alone, as in most programs."""

    @property
    def has_three_body(self) -> bool:
        """Whether the three-body term is part of it."""
        return self.method == "d4" if self.three_body is None else self.three_body


class OutputForms(Section):
    """Expressions of the original package for outputs; not used with equivariant messages."""

    dipole: Literal["center", "neighbors"] = "center"
    """`center`: atomic charges times positions relative to the center of mass, for molecules;
    `neighbors`: times the sum of the vectors from the neighbors, also for periodic structures."""
    polarizability: Literal["reann", "eann"] = "reann"
    """Expression of REANN or of its predecessor EANN."""

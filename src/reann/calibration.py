"""Calibration of uncertainties: factors from a validation set, stored with a potential.

The spread of an ensemble, or of draws of the last layer, shows where errors are large. Their size
is calibrated on a validation set: 68 % of the errors are below the spread times a factor, 95 %
below this times another (split conformal prediction: Papadopoulos et al., ECML 2002; Vovk,
Gammerman, Shafer, Algorithmic Learning in a Random World (2005)). This holds for new structures
only if they are drawn from the same distribution as the validation set.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reann.errors import UserError
from reann.facts import HEAVIEST

RECORD = "uncertainty"
"""Entry of a potential's metadata."""
LEVEL = "68"
"""Percentage of errors below a calibrated standard deviation."""
LEVELS = ("50", LEVEL, "90", "95")

Kind = Literal["last layer", "ensemble"]


class Scale(BaseModel):
    """Ratio of errors to spreads of one quantity on the validation set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    factor: float = Field(gt=0, allow_inf_nan=False)
    """Standard deviation over spread."""
    bounds: dict[str, float]
    """Bounds of errors by percentage, in standard deviations."""
    coverage: dict[str, float]
    """Measured percentage of errors below each bound: bounds from one half of the validation set,
    errors from the other."""
    n: int = Field(gt=0)
    """Number of errors, of structures or atoms."""


class Calibration(BaseModel):
    """The record in the metadata of a potential."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    number: int = Field(ge=2)
    """Number of draws or members."""
    structures: int = Field(gt=0)
    """Number of structures of the validation set."""
    energy: Scale | None = None
    stress: Scale | None = None
    forces: dict[str, Scale] = {}
    """Scale of each element, and of all atoms under `all`."""
    draws: str = ""
    """Changes of the last layer, (number, weights), float32 in base64."""

    @classmethod
    def of(cls, metadata: Mapping[str, Any], kind: Kind) -> Calibration | None:
        """Return the record in metadata, None if there is none of this kind.

        Raises
        ------
        UserError
            If the record is damaged.
        """
        record = metadata.get(RECORD)
        if record is None:
            return None
        try:
            record = cls.model_validate(record)
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(
                f"The calibration of the potential is damaged: {first['msg']}.",
                ".".join(map(str, (RECORD, *first["loc"]))),
                "Calibrate it again: `reann calibrate`.",
            ) from error
        return record if record.kind == kind else None

    def metadata(self) -> dict[str, Any]:
        """Return the entry of the metadata."""
        return {RECORD: self.model_dump(mode="json", exclude_defaults=True)}

    def drawn(self, n_weights: int) -> NDArray[np.float64]:
        """Return the draws, (number, weights).

        Raises
        ------
        UserError
            If their number does not match the record or the last layer.
        """
        try:
            values = np.frombuffer(base64.b64decode(self.draws, validate=True), dtype="<f4")
            record = values.reshape(self.number, n_weights).astype(np.float64)
        except ValueError:
            record = np.full((1, 1), np.nan)
        if not np.isfinite(record).all():
            raise UserError(
                "The calibration of the potential does not fit its last layer.",
                RECORD,
                "Calibrate it again: `reann calibrate`.",
            )
        return record

    def scales(self) -> dict[str, Scale]:
        """Return the scales by their names in tables."""
        of_structures = {"energy": self.energy, "stress": self.stress}
        of_forces = {f"force on {s}": x for s, x in self.forces.items() if s != "all"}
        if len(of_forces) != 1 and "all" in self.forces:
            of_forces["all forces"] = self.forces["all"]
        return {name: x for name, x in {**of_structures, **of_forces}.items() if x is not None}

    def factor(self, name: str) -> float:
        """Return the factor of a quantity of structures; 1 if it was not calibrated."""
        scale = {"energy": self.energy, "stress": self.stress}.get(name)
        return 1.0 if scale is None else scale.factor

    def factors(self, numbers: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the factor of the force on each atom, given atomic numbers, (atoms, 1)."""
        of_all = self.forces["all"].factor if "all" in self.forces else 1.0
        table = np.full(HEAVIEST + 1, of_all)
        for symbol, scale in self.forces.items():
            if symbol in atomic_numbers:
                table[atomic_numbers[symbol]] = scale.factor
        return table[numbers][:, None]


def encoded(draws: NDArray[np.float64]) -> str:
    """Return draws as text for the record."""
    return base64.b64encode(draws.astype("<f4").tobytes()).decode()

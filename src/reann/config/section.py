"""What all sections are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reann import quantities

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Width = Annotated[int, Field(ge=1, le=10_000)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """Base of all sections: immutable; typos and numbers that are not finite are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class OfLabels(Section):
    """A section with a field for each label, also for those that installed packages add."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _knows_its_labels(self) -> OfLabels:
        added = self.model_extra or {}
        unknown = [name for name in added if name not in quantities.label_names()]
        if unknown:
            every = [
                {"type": "extra_forbidden", "loc": (name,), "input": added[name]}
                for name in unknown
            ]
            raise ValidationError.from_exception_data(type(self).__name__, every)  # type: ignore[arg-type]
        return self

    def of(self, label: str) -> Any:
        """Return the entry of a label, None where there is none."""
        return getattr(self, label, None)


def flat(values: Mapping[Any, Any], above: str = "") -> dict[str, Any]:
    """Return nested entries under dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found

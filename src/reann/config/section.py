"""Base classes and number types of all sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reann import quantities

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Width = Annotated[int, Field(ge=1, le=10_000)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class _Validated(type(BaseModel)):
    """Makes mistakes in the arguments of sections errors of the user."""

    def __call__(cls, **values: Any) -> Any:
        """Return a section; `UserError` with field, value, and the values that are allowed."""
        try:
            return super().__call__(**values)
        except ValidationError as error:
            from reann.config.errors import mistakes
            from reann.config.file import report

            name = f"reann.config.{cls.__name__}"
            section = cast("type[Section]", cls)
            raise report(mistakes(error, values, section), name, {}, {}) from None


class Section(BaseModel, metaclass=_Validated):
    """Base of all sections: immutable; unknown fields and non-finite numbers are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class OfLabels(Section):
    """A section with a field for each label, including labels of installed packages."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _knows_its_labels(self) -> OfLabels:
        added = self.model_extra or {}
        unknown = [name for name in added if name not in quantities.label_names()]
        if unknown:
            errors = [
                {"type": "extra_forbidden", "loc": (name,), "input": added[name]}
                for name in unknown
            ]
            raise ValidationError.from_exception_data(type(self).__name__, errors)  # type: ignore[arg-type]
        return self

    def of(self, label: str) -> Any:
        """Return the value for a label; None if it is unset."""
        return getattr(self, label, None)


def flat(values: Mapping[Any, Any], above: str = "") -> dict[str, Any]:
    """Return nested entries with dotted names."""
    flattened: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flattened |= flat(value, f"{above}{name}.")
        else:
            flattened[f"{above}{name}"] = value
    return flattened

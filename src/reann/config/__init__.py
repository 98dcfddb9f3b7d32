"""The configuration of a training: four sections, each field documented where it is declared.

Only the training data are required. The docstring below a field is its documentation; the
reference page is generated from these docstrings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from reann.config.data import DataConfig, GroupSplit, IndexSplit, Keys, Part, Source, Units
from reann.config.model import ModelConfig
from reann.config.model_sections import (
    DispersionConfig,
    LongRangeConfig,
    NetworkConfig,
    OutputForms,
    ZBLConfig,
)
from reann.config.run import RunConfig
from reann.config.section import Section
from reann.config.summary import rows_of
from reann.config.training import CosineSchedule, LossConfig, PlateauSchedule, TrainingConfig
from reann.display import Displayed, Summary
from reann.quantities import RESPONSES, SOUGHT, inputs, labels, named, needed_inputs, readable

__all__ = [
    "Config",
    "CosineSchedule",
    "DataConfig",
    "DispersionConfig",
    "GroupSplit",
    "IndexSplit",
    "Keys",
    "LongRangeConfig",
    "LossConfig",
    "ModelConfig",
    "NetworkConfig",
    "OutputForms",
    "Part",
    "PlateauSchedule",
    "RunConfig",
    "Section",
    "Source",
    "TrainingConfig",
    "Units",
    "ZBLConfig",
    "keys_of_model",
]


class Config(Displayed, Section):
    """Complete settings of a training."""

    data: DataConfig
    """Structures and labels."""
    model: ModelConfig = ModelConfig()
    """The potential."""
    training: TrainingConfig = TrainingConfig()
    """The optimization."""
    run: RunConfig = RunConfig()
    """Folder, device and seeds of the run."""

    def _summary(self) -> Summary:
        return Summary("Configuration of a training", rows_of(self))

    @model_validator(mode="before")
    @classmethod
    def _read_what_the_model_has(cls, values: Any) -> Any:
        """Set the keys of labels that depend on the model.

        An output without automatic key detection is read under its own name. Keys of the model's
        inputs are detected. Without an energy head, the energy and its derivatives are not read.
        """
        if not isinstance(values, Mapping):
            return values
        data, keys = values.get("data"), keys_of_model(values.get("model"))
        if not keys:
            return values
        if isinstance(data, DataConfig):
            added = {n: key for n, key in keys.items() if n not in data.keys.model_fields_set}
            data = data.model_copy(update={"keys": data.keys.model_copy(update=added)})
        elif isinstance(data, Mapping) and isinstance(data.get("keys"), Mapping | None):
            data = {**data, "keys": {**keys, **(data.get("keys") or {})}}
        return {**values, "data": data}

    @model_validator(mode="after")
    def _has_the_energy_that_it_names(self) -> Config:
        """Raise `ValueError` if `data` has settings of the energy and the model has no energy."""
        if self.model.heads:
            return self
        for about in (self.data, *self.data.all_sources()):
            wrong = [name for name in names_of_energy() if about.keys.of(name) is not None]
            if wrong or about.reference_energies not in (None, "auto"):
                what = f"keys.{wrong[0]}" if wrong else "reference_energies"
                raise ValueError(
                    f"model.heads is [], so the model has no energy: remove {what} from data,"
                    " or heads from model"
                )
        return self

    @model_validator(mode="after")
    def _uses_its_inputs(self) -> Config:
        keys = {q.name: self.data.keys.of(q.name) for q in inputs()}
        used = self.model.every_input
        for name in (n for n, key in keys.items() if key not in (None, SOUGHT) and n not in used):
            needing = [q.name for q in labels() if name in needed_inputs([q.name])]
            outputs = f", or add {' or '.join(needing)} to model.outputs" if needing else ""
            outputs += (
                ", or set model.field" if name == "field" else f", or add {name} to model.inputs"
            )
            raise ValueError(
                f"data.keys.{name} is '{keys[name]}', but no output of the model depends on"
                f" the {named(name).about}: remove it{outputs}"
            )
        return self


def names_of_energy() -> list[str]:
    """Return the names of the labels that are the energy or one of its derivatives."""
    return [name for name, label in readable().items() if named(label).from_energy]


def keys_of_model(model: Any) -> dict[str, str | None]:
    """Return the default keys that depend on a model, which may not have been validated yet."""
    outputs = _entry(model, "outputs") or []
    keys: dict[str, str | None]
    keys = {q.name: q.name for q in labels() if q.name in outputs and not q.is_sought}
    if _entry(model, "heads") == []:
        keys |= dict.fromkeys(names_of_energy())
    responses = RESPONSES if _entry(model, "field") else ()
    of_energy = [*(_entry(model, "inputs") or []), *(["field"] if responses else [])]
    of_charge = _entry(model, "long_range") is not None
    of_charge = of_charge or _entry(_entry(model, "dispersion"), "method") == "d4"
    of_energy += ["charge"] if of_charge else []
    return keys | dict.fromkeys([*of_energy, *needed_inputs([*outputs, *responses])], SOUGHT)


def _entry(section: Any, name: str) -> Any:
    """Return a field of a section that may not have been validated yet."""
    return section.get(name) if isinstance(section, Mapping) else getattr(section, name, None)

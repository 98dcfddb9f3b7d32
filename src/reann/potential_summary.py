"""Descriptions of potentials and ensembles in a console and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reann.config.presets import describe_host, describe_preset
from reann.error_measures import sentence
from reann.errors import counted

if TYPE_CHECKING:
    from reann.potential import Ensemble, Potential


def rows_of(potential: Potential | Ensemble) -> list[tuple[str, str]]:
    """Return names and values: model, labels, errors with units, training, device."""
    return list(_rows(potential))


def _rows(potential: Potential | Ensemble) -> Iterator[tuple[str, str]]:
    model, metadata = potential.model, potential.metadata
    parameters = counted(sum(p.numel() for p in model.parameters()), "parameter")
    recursions = counted(model.config.n_recursions, "recursion")
    yield "preset", describe_preset(model.config)
    yield "model", " · ".join([*describe_host(model.config), recursions, parameters])
    yield "cutoff", f"{potential.cutoff:g} Å"
    yield "predicts", ", ".join(potential.labels)
    errors = metadata.get("errors")
    if isinstance(errors, dict) and (text := sentence(errors.get("valid") or {})):
        yield "errors", f"{text} (RMSE, validation)"
    if isinstance(n_train := metadata.get("n_train"), int):
        yield "trained on", counted(n_train, "structure")
    if potential.calibration is not None:
        yield "uncertainty", "calibrated"
    if potential.device.type != "cpu":
        yield "device", str(potential.device)

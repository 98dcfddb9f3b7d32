"""Descriptions of configurations in a console and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reann.config.presets import describe_host, describe_preset
from reann.errors import counted, listed

if TYPE_CHECKING:
    from reann.config import Config


def rows_of(config: Config) -> list[tuple[str, str]]:
    """Return names and values: data, model, training, run."""
    return list(_rows(config))


def _rows(config: Config) -> Iterator[tuple[str, str]]:
    data, model, training, run = config.data, config.model, config.training, config.run
    yield "data", listed((file.rpartition("/")[2] for file in data.files()), 3)
    yield (
        "split",
        f"valid {_part(data.valid)}" + (f", test {_part(data.test)}" if data.test else ""),
    )
    yield "preset", describe_preset(model)
    size = [*describe_host(model), counted(model.n_recursions, "recursion")]
    yield "model", " · ".join([f"cutoff {model.cutoff:g} Å", *size])
    if outputs := ", ".join(model.outputs):
        yield "outputs", outputs
    duration = training.time or counted(training.epochs, "epoch")
    yield (
        "training",
        f"{duration}, batch size {training.batch_size}, learning rate {training.learning_rate}",
    )
    seeds = f", {run.seeds} seeds" if run.seeds > 1 else ""
    yield "run", f"{run.folder or 'runs/…'}, {run.device}, engine {run.engine}{seeds}"


def _part(part: Any) -> str:
    if isinstance(part, float):
        return f"{100 * part:g} %"
    if isinstance(part, str | list):
        files = [part] if isinstance(part, str) else part
        return listed((file.rpartition("/")[2] for file in files), 2)
    return " ".join(f"{name} {value}" for name, value in part)

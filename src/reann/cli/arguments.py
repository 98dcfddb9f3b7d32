"""Arguments that several verbs take: files of structures, and what their labels are called."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reann.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from reann.config import DataConfig

DataFiles = Annotated[
    list[str], typer.Argument(metavar="FILES", help="Files or globs that ASE can read.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")
]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="LABEL=KEY", help="As energy=DFT_energy; may be repeated."),
]
Units = Annotated[
    list[str] | None,
    typer.Option("--unit", metavar="LABEL=UNIT", help="As energy=kcal/mol; may be repeated."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="CONFIG", help="Take keys and units of labels from it."),
]


def label_options(
    config: Path | None, keys: list[str] | None, units: list[str] | None
) -> DataConfig | None:
    """Return what the options say about labels, None if nothing; `UserError` for wrong ones.

    Options replace fields of the configuration.
    """
    if config is None and not keys and not units:
        return None
    from reann import config as settings
    from reann.config.file import load_config
    from reann.quantities import label_names

    data = load_config(config).data if config else settings.DataConfig(train=[])
    known = list(dict.fromkeys([*settings.Keys.model_fields, *label_names()]))
    key_of = {
        label: None if key == "null" else key
        for label, key in _pairs(keys or [], "--key", known).items()
    }
    unit_of = _pairs(units or [], "--unit", settings.Units.model_fields)
    for name, unit in unit_of.items():
        _check_unit(name, unit)
    update = {
        "keys": data.keys.model_copy(update=key_of),
        "units": data.units.model_copy(update=unit_of),
    }
    return data.model_copy(update=update)


def inputs_of_energy(config: Path | None) -> list[str] | None:
    """Return `model.inputs` of a configuration, None without one."""
    if config is None:
        return None
    from reann.config.file import load_config

    return list(load_config(config).model.inputs)


@contextmanager
def told() -> Iterator[None]:
    """Let errors that name a field of the configuration name the option that does the same."""
    try:
        yield
    except UserError as error:
        from reann.data.check.finding import with_option

        fix = with_option(error.fix)
        if fix == error.fix:
            raise
        raise UserError(error.what, error.where, fix) from error


def _pairs(given: list[str], option: str, known: Collection[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and value):
            raise UserError(
                f"'{text}' lacks a name or a value.", option, f"Write {option} energy=…"
            )
        if name not in known:
            hint = did_you_mean(name, known)
            raise UserError(
                f"There is no '{name}' to set.{hint}",
                f"{option} {text}",
                f"Use one of {', '.join(known)}.",
            )
        if name in pairs:
            raise UserError(
                f"The {name} is given twice: {pairs[name]} and {value}.",
                option,
                "Remove one of them.",
            )
        pairs[name] = value
    return pairs


def _check_unit(name: str, unit: str) -> None:
    from reann import units

    known = {
        "energy": units.energy,
        "length": units.length,
        "forces": units.force,
        "stress": units.stress,
    }
    try:
        known[name](unit)
    except UserError as error:
        raise UserError(error.what, f"--unit {name}={unit}", error.fix) from None

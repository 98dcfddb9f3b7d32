"""Arguments shared by several commands: files of structures, keys and units of their labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reann.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from reann.config import DataConfig, ModelConfig

DataFiles = Annotated[
    list[str], typer.Argument(metavar="FILES", help="Files or globs, in any format ASE reads.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="LABEL=KEY",
        help="Key of a label in the files, e.g. energy=DFT_energy; may be repeated.",
    ),
]
Units = Annotated[
    list[str] | None,
    typer.Option(
        "--unit",
        metavar="LABEL=UNIT",
        help="Unit of a label in the files, e.g. energy=kcal/mol; may be repeated.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="CONFIG", help="Configuration with the keys and units of the labels."
    ),
]


def label_options(
    config: Path | None, keys: list[str] | None, units: list[str] | None
) -> DataConfig | None:
    """Return the keys and units of labels from the options; None if there are none.

    Options override the configuration.

    Raises
    ------
    UserError
        If an option is malformed or names an unknown label or unit.
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


def model_section(config: Path | None) -> ModelConfig | None:
    """Return the section `model` of a configuration, None without one."""
    if config is None:
        return None
    from reann.config.file import load_config

    return load_config(config).model


@contextmanager
def suggesting_options() -> Iterator[None]:
    """In the advice of errors, replace fields of the configuration by the equivalent options."""
    try:
        yield
    except UserError as error:
        from reann.data.check.finding import with_option

        fix = with_option(error.fix)
        if fix == error.fix:
            raise
        raise UserError(error.what, error.where, fix) from error


def _pairs(arguments: list[str], option: str, known: Collection[str]) -> dict[str, str]:
    pairs = {}
    for text in arguments:
        name, equals, value = text.partition("=")
        if not (equals and value):
            raise UserError(
                f"'{text}' is not of the form name=value.", option, f"Write {option} energy=…"
            )
        if name not in known:
            hint = did_you_mean(name, known)
            raise UserError(
                f"There is no label '{name}'.{hint}",
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
    from reann.data.labels.file_units import PARSERS

    try:
        PARSERS[name](unit)
    except UserError as error:
        raise UserError(error.what, f"--unit {name}={unit}", error.fix) from None

"""Verbs for data and files: check, convert, info."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reann.cli.arguments import (
    ConfigFile,
    JsonFile,
    Keys,
    Units,
    inputs_of_energy,
    label_options,
    told,
)


def check(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILES]",
            help="Files or globs that ASE can read; by default those of --config.",
        ),
    ] = None,
    json_path: JsonFile = None,
    *,
    key: Keys = None,
    unit: Units = None,
    config: ConfigFile = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    cutoff: Annotated[
        float,
        typer.Option(min=0, max=100, help="Å; atoms without a neighbor within it are reported."),
    ] = 5.0,
    fit: Annotated[
        bool,
        typer.Option(
            "--fit",
            help="Find single structures with wrong labels by a quick fit; up to 3 times slower.",
        ),
    ] = False,
) -> None:
    """Look for what is wrong with data: labels, units, duplicates, outliers.

    The files of the sources of a configuration are read with keys and units of their source.

    Example: reann check train.xyz valid.xyz
    """
    from reann.data.check import check_command
    from reann.output_files import check_outputs

    check_outputs({"--json": json_path}, [config])
    labels = label_options(config, key, unit)
    names = files or (labels.all_files() if config is not None and labels is not None else [])
    if not names:
        raise typer.BadParameter("Name files, or a configuration with --config.")
    with told():
        code = check_command(
            names,
            json_path,
            data=labels,
            strict=strict,
            cutoff=cutoff,
            fit=fit,
            inputs=inputs_of_energy(config),
        )
    raise typer.Exit(code)


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="REANN.pth with para/, an exported REANN_PES_DOUBLE.pt, a configuration, or a"
            " folder.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DST", help="File to write.")],
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            help="Of labels that are dipoles (e*Ang, Debye, e*Bohr) or polarizabilities (Ang^3,"
            " Bohr^3).",
        ),
    ] = None,
    dipole_definition: Annotated[
        str | None,
        typer.Option(
            "--dipole-definition",
            metavar="center|neighbors",
            help="Of a model of dipoles: REANN before 18 April 2022, or after.",
        ),
    ] = None,
) -> None:
    """Convert data and models of the original REANN package.

    A model is REANN.pth with its folder para/, or an exported model such as REANN_PES_DOUBLE.pt
    or PES.pt alone; it becomes .reann. Data are a file configuration; it becomes .xyz.

    Example: reann convert REANN.pth -o water.reann
    """
    from reann.upstream import convert

    convert(source, output, unit=unit, dipole_definition=dipole_definition)


def info(
    path: Annotated[
        Path | None, typer.Argument(metavar="MODEL|RUN", help="A .reann file or a run folder.")
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="Versions, processors and threads instead.")
    ] = False,
) -> None:
    """Show what a potential or a run is made of.

    Example: reann info water.reann
    """
    if path is None and not system:
        raise typer.BadParameter("Name a .reann file or a run folder, or ask for --system.")
    from reann.cli.info import info, system_info

    if system:
        system_info()
    if path is not None:
        info(path)

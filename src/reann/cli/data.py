"""Commands for data and files: check, convert, info."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reann.cli.arguments import (
    ConfigFile,
    JsonFile,
    Keys,
    Units,
    label_options,
    model_section,
    suggesting_options,
)
from reann.terminal import print_line


def check(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILES]",
            help="Files or globs, in any format ASE reads; by default those of --config.",
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
        typer.Option(min=0, max=100, help="Report atoms without neighbors within this radius (Å)."),
    ] = 5.0,
    fit: Annotated[
        bool,
        typer.Option(
            "--fit",
            help="Also fit a quick model to find single wrong labels; up to 3 times slower.",
        ),
    ] = False,
) -> None:
    """Check data for mistakes: labels, units, duplicates, outliers.

    With --config, the files of each source are read with the keys and units of that source.

    Example: reann check train.xyz valid.xyz
    """
    from reann.data.check import check_command
    from reann.output_files import check_outputs

    check_outputs({"--json": json_path}, [config])
    labels, model = label_options(config, key, unit), model_section(config)
    names = files or (labels.all_files() if config is not None and labels is not None else [])
    if not names:
        raise typer.BadParameter("Add files, or a configuration with --config.")
    with suggesting_options():
        code = check_command(
            names,
            json_path,
            data=labels,
            strict=strict,
            cutoff=cutoff,
            fit=fit,
            inputs=None if model is None else model.inputs,
            dispersion=None if model is None else model.dispersion,
        )
    raise typer.Exit(code)


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="REANN.pth (beside para/), an exported REANN_PES_DOUBLE.pt, a file"
            " configuration, or a folder with these.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DST", help="File to write.")],
    *,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            help="Unit of dipoles (e*Ang, Debye, e*Bohr) or polarizabilities (Ang^3, Bohr^3).",
        ),
    ] = None,
    dipole_definition: Annotated[
        str | None,
        typer.Option(
            "--dipole-definition",
            metavar="center|neighbors",
            help="For dipoles: center for REANN before 18 April 2022, else neighbors.",
        ),
    ] = None,
    fireann_version: Annotated[
        str | None,
        typer.Option(
            "--fireann-version",
            metavar="2022-01|2023-09|2024-01|2024-04",
            help="Version of FIREANN that trained a model in electric fields: the last of these"
            " dates that is not later than your version.",
        ),
    ] = None,
    coordinates: Annotated[
        str | None,
        typer.Option(
            "--coordinates",
            metavar="cartesian|fractional",
            help="Kind of coordinates of data, if no para/input_nn states table_coor.",
        ),
    ] = None,
) -> None:
    """Convert data and models of the original REANN package, and of FIREANN.

    A model is either REANN.pth with its folder para/ or an exported file such as
    REANN_PES_DOUBLE.pt or PES.pt; it is converted to .reann. Data in a file named configuration
    are converted to .xyz.

    Example: reann convert REANN.pth -o water.reann
    """
    from reann.upstream import convert

    for line in convert(
        source,
        output,
        unit=unit,
        dipole_definition=dipole_definition,
        fireann_version=fireann_version,
        coordinates=coordinates,
    ):
        print_line(line)


def info(
    path: Annotated[
        Path | None, typer.Argument(metavar="MODEL|RUN", help="A .reann file or a run folder.")
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="Check the installation: the same as `reann doctor`.")
    ] = False,
) -> None:
    """Describe a potential or a run.

    Example: reann info water.reann
    """
    if path is None and not system:
        raise typer.BadParameter("Add a .reann file or a run folder, or --system.")
    from reann.cli.doctor import doctor
    from reann.cli.info import info

    if path is not None:
        info(path)
    if system:
        doctor()

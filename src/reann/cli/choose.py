"""Commands about uncertainty: calibrate, select."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reann.cli.arguments import ConfigFile, Keys, Units, label_options, suggesting_options
from reann.cli.use import ComputedBy, Device, ModelFile, of_run
from reann.criteria import By

Validation = Annotated[
    list[str],
    typer.Option(
        "--validation",
        "--data",
        metavar="FILE",
        help="Labeled structures that MODEL was not trained on.",
    ),
]
Training = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE", help="Training structures; not needed for an ensemble. May be repeated."
    ),
]


def calibrate(
    model: ModelFile,
    *,
    data: Validation,
    training: Training = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Output file; by default MODEL is overwritten."
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=2, help="Number of draws of the last layer of a single potential.")
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 1,
    key: Keys = None,
    unit: Units = None,
    config: ConfigFile = None,
    engine: ComputedBy = "auto",
    device: Device = "auto",
) -> None:
    """Add an uncertainty to a potential, calibrated on structures with labels.

    The spread comes from the members of an ensemble, or from draws of the last layer of a single
    potential. `reann train` does the same with the validation set.

    Example: reann calibrate model.reann --validation valid.xyz --training train.xyz
    """
    from reann.uncertainty.command import calibrate_file

    labels = label_options(config, key, unit)
    with suggesting_options():
        calibrate_file(
            model,
            data,
            training or (),
            output,
            number=draws,
            seed=seed,
            engine=engine,
            keys=labels.keys if labels else None,
            units=labels.units if labels else None,
            device=device,
        )


def select(
    pool: Annotated[
        list[str], typer.Argument(metavar="POOL", help="Files to choose from; no labels needed.")
    ],
    *,
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            "--from",
            metavar="MODEL",
            callback=of_run,
            help="A .reann file or a run folder.",
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            "--training", "--data", metavar="FILE", help="Structures that MODEL was trained on."
        ),
    ],
    n: Annotated[int, typer.Option("-n", min=1, help="Number of structures to choose.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Write the chosen structures, .xyz."),
    ],
    by: Annotated[
        By,
        typer.Option(
            help="Prefer uncertain and diverse structures, or only one of these, or draw at random."
        ),
    ] = "both",
    show: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a map of the pool, as .html.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random choices and draws.")] = 0,
    device: Device = "auto",
) -> None:
    """Choose structures to label: uncertain and diverse, excluding known and unphysical ones.

    The file states the reasons in `info`: select_spread (eV/Å), select_atom, and others.

    Example: reann select md.xyz --model runs/water --training train.xyz -n 50 -o chosen.xyz
    """
    from reann.selection.command import select_files

    select_files(pool, model, data, n, output, by=by, show=show, seed=seed, device=device)

"""Commands that use a potential: evaluate, md, relax."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reann.cli.arguments import (
    ConfigFile,
    DataFiles,
    JsonFile,
    Keys,
    Units,
    label_options,
    suggesting_options,
)
from reann.cli.group import complain
from reann.errors import UserError
from reann.model_file import model_file
from reann.terminal import print_line


class Ensemble(str, Enum):
    """Thermodynamic ensembles of `reann md`."""

    langevin = "langevin"
    nve = "nve"
    npt = "npt"


class Optimizer(str, Enum):
    """Optimizers of `reann relax`."""

    lbfgs = "lbfgs"
    fire = "fire"


def of_run(path: Path) -> Path:
    """Return the potential in a run folder; other paths are returned unchanged."""
    return model_file(path)


ModelFile = Annotated[
    Path,
    typer.Argument(metavar="MODEL", callback=of_run, help="A .reann file or a run folder."),
]
StartFile = Annotated[
    str, typer.Argument(metavar="START", help="Initial structure: the last one of a file.")
]

ComputedBy = Annotated[
    str,
    typer.Option(
        help="native, triton, torch, or an engine of an installed package; auto: native on CPUs "
        "and triton on GPUs if available, else torch."
    ),
]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu or cuda.")]

# Options of md.
Duration = Annotated[
    str,
    typer.Option(
        help="Simulated time, e.g. 10ps or 500fs; with --continue, the total of all runs."
    ),
]
Timestep = Annotated[
    float | None,
    typer.Option(min=1e-6, help="Time step, fs; by default 0.5 with hydrogen, else 1."),
]
Trajectory = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Trajectory to write.")
]
Interval = Annotated[int | None, typer.Option(min=1, help="Steps between written structures.")]
RelaxFirst = Annotated[
    bool, typer.Option("--relax-first", help="Relax the positions before the dynamics.")
]
NewVelocities = Annotated[
    bool, typer.Option("--new-velocities", help="Draw new velocities even if START has velocities.")
]
Continued = Annotated[
    bool, typer.Option("--continue", help="Continue the run whose trajectory is -o.")
]
MostExtrapolating = Annotated[
    float,
    typer.Option(min=0, max=1, help="Stop if a larger fraction of the atoms extrapolates."),
]
LargestSpread = Annotated[
    float | None,
    typer.Option(
        help="Stop if the uncertainty of a force is larger, eV/Å; a step with a single calibrated"
        " potential then takes nine times as long."
    ),
]
WrittenOutputs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="OUTPUT",
        help="Output of the model to add to the trajectory, e.g. dipole; may be repeated.",
    ),
]

InField = Annotated[
    str | None, typer.Option("--field", metavar="X,Y,Z", help="Electric field, V/Å.")
]


def evaluate(
    model: ModelFile,
    files: DataFiles,
    *,
    json_path: JsonFile = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the predictions as .xyz."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Key of the groups of structures, for the tables."),
    ] = None,
    key: Keys = None,
    unit: Units = None,
    config: ConfigFile = None,
    engine: ComputedBy = "auto",
    device: Device = "auto",
) -> None:
    """Print the errors of a potential on structures with labels.

    If the files have the keys of the training data, these keys and their units are used; otherwise
    keys are detected and units are eV and Å. Options override both.

    Example: reann evaluate runs/water/model.reann test.xyz --json errors.json
    """
    from reann.evaluation.evaluate import evaluate as evaluate_files
    from reann.output_files import check_outputs

    check_outputs({"--output": output, "--json": json_path}, [config])
    labels = label_options(config, key, unit)
    with suggesting_options():
        evaluate_files(
            model,
            files,
            json_path=json_path,
            output=output,
            group=group,
            engine=engine,
            keys=labels.keys if labels else None,
            units=labels.units if labels else None,
            as_trained=config is None,
            device=device,
        )


def md(
    model: ModelFile,
    start: StartFile,
    *,
    temperature: Annotated[float, typer.Option(min=0, help="Temperature, K.")],
    time: Duration,
    ensemble: Annotated[Ensemble, typer.Option(help="Thermodynamic ensemble.")] = Ensemble.langevin,
    timestep: Timestep = None,
    pressure: Annotated[
        float | None, typer.Option(help="Pressure for npt, bar; by default 1.")
    ] = None,
    friction: Annotated[
        float | None,
        typer.Option(min=0, help="Friction for langevin and npt, 1/fs; by default 0.01."),
    ] = None,
    output: Trajectory = None,
    interval: Interval = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of velocities and thermostat.")] = 1,
    relax_first: RelaxFirst = False,
    new_velocities: NewVelocities = False,
    append: Continued = False,
    max_extrapolating: MostExtrapolating = 1.0,
    max_spread: LargestSpread = None,
    write: WrittenOutputs = None,
    field: InField = None,
    engine: ComputedBy = "auto",
    device: Device = "auto",
) -> None:
    """Run molecular dynamics and show a live table.

    Velocities are taken from START, or drawn at random if it has none.

    Example: reann md model.reann start.xyz --temperature 300 --time 10ps
    """
    duration = femtoseconds(time)
    from reann.simulate.field import numbers_of
    from reann.simulate.md import run_md

    try:
        run_md(
            model,
            start,
            temperature=temperature,
            time=duration,
            ensemble=ensemble.value,
            timestep=timestep,
            pressure=pressure,
            friction=friction,
            output=output,
            interval=interval,
            seed=seed,
            relax_first=relax_first,
            new_velocities=new_velocities,
            append=append,
            max_extrapolating=max_extrapolating,
            max_spread=max_spread,
            write=write or [],
            field=None if field is None else numbers_of(field),
            engine=engine,
            device=device,
        )
    except KeyboardInterrupt:
        if output is not None and output.exists():
            complain("Stopped. To continue, add --continue to the same command.")
            raise typer.Exit(130) from None
        raise


def relax(
    model: ModelFile,
    start: StartFile,
    *,
    fmax: Annotated[
        float, typer.Option(min=0, help="Largest force of a converged structure, eV/Å.")
    ] = 0.01,
    cell: Annotated[bool, typer.Option("--cell", help="Also relax the cell.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write.")
    ] = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Maximum number of steps.")] = 1000,
    optimizer: Annotated[
        Optimizer, typer.Option(help="fire is slower but more robust.")
    ] = Optimizer.lbfgs,
    engine: ComputedBy = "auto",
    device: Device = "auto",
) -> None:
    """Relax the positions of a structure, and with --cell also the cell.

    Exit code 1: not converged.

    Example: reann relax model.reann start.xyz --cell -o relaxed.xyz
    """
    from reann.simulate.relax import relax

    done = relax(
        model,
        start,
        fmax=fmax,
        cell=cell,
        output=output,
        max_steps=max_steps,
        optimizer=optimizer.value,
        engine=engine,
        device=device,
    )
    if output is None:
        print_line("The structure was not written: give a file with -o relaxed.xyz.")
    if not done.converged:
        raise typer.Exit(1)


def femtoseconds(text: str) -> float:
    """Return a time such as ``10ps`` in fs; raise `UserError` without a known unit."""
    units = {"fs": 1.0, "ps": 1e3, "ns": 1e6}
    number, unit = text.strip()[:-2], text.strip()[-2:]
    try:
        value = float(number) * units[unit]
    except (KeyError, ValueError):
        value = 0.0
    if not 0 < value < float("inf"):
        fix = "Write 10ps, 500fs or 1ns, without a space."
        raise UserError(f"'{text}' is not a time.", "--time", fix)
    return value

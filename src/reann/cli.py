"""The verbs of the command line.

Each verb translates its options into one call; torch, ase and numpy are imported inside it, so
that help opens at once. What a user can cause is a `UserError`, printed without a traceback:
exit code 1; 2 for wrong usage; 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from reann.errors import UserError

if TYPE_CHECKING:
    from reann.config import DataConfig

TRAIN, USE, DATA = "Train", "Use a potential", "Data and files"


class Verbs(TyperGroup):
    """The group of all verbs: errors of users become one message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            if ctx.params.get("debug"):
                raise
            _complain(str(error))
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            _complain("Stopped.")
            raise typer.Exit(130) from None


@contextmanager
def resumable(folder: Path | None) -> Iterator[None]:
    """Say after Ctrl-C how to go on, when something was saved in the folder of the run."""
    try:
        yield
    except KeyboardInterrupt:
        # The members of an ensemble have folders of their own.
        if folder is None or not any(folder.glob("**/last.ckpt.safetensors")):
            raise
        _complain(f"Stopped. Go on with: reann resume {folder}")
        raise typer.Exit(130) from None


app = typer.Typer(
    name="reann",
    cls=Verbs,
    help="Recursively embedded atom neural network potentials: train, check, run.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Ensemble(str, Enum):
    """Thermodynamic ensembles of `reann md`."""

    langevin = "langevin"
    nve = "nve"
    npt = "npt"


class Engine(str, Enum):
    """What computes energies and forces."""

    auto = "auto"
    native = "native"
    torch = "torch"


ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="A .reann file.")]
DataFiles = Annotated[
    list[str], typer.Argument(metavar="FILES...", help="Files or globs that ASE can read.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")
]
LabelsOf = Annotated[
    Path | None,
    typer.Option("--config", metavar="CONFIG", help="Take keys and units of labels from it."),
]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; `--debug` may stand anywhere."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    given.sort(key=lambda word: word != "--debug")
    app(given, prog_name="reann")


def _version(asked: bool) -> bool:
    if asked:
        from reann import __version__

        typer.echo(f"reann {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Recursively embedded atom neural network potentials: train, check, run."""


# --- train ------------------------------------------------------------------------------------


@app.command(rich_help_panel=TRAIN)
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path("reann-demo"),
) -> None:
    """Train a small potential on bundled data and use it, in three minutes.

    Example: reann demo
    """
    from reann.demo import demo

    demo(folder)


@app.command(rich_help_panel=TRAIN)
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The file to write.")],
    from_file: Annotated[
        str, typer.Option("--from", metavar="DATA", help="File or glob of structures.")
    ],
) -> None:
    """Write a commented configuration for your data.

    Example: reann new water.yaml --from train.xyz
    """
    from reann.new import new_config

    typer.echo(new_config(file, from_file))


@app.command(rich_help_panel=TRAIN)
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Fields that replace those of the file."),
    ] = None,
    from_model: Annotated[
        Path | None, typer.Option("--from", metavar="MODEL", help="Start from its weights.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is in the folder.")
    ] = False,
) -> None:
    """Train a potential; Ctrl-C saves and says how to go on.

    Example: reann train water.yaml training.epochs=20 model.cutoff=5
    """
    from reann.config_file import load_config

    settings = load_config(config, overrides or [])
    with resumable(settings.run.folder):
        from reann.training.run import train

        train(settings, warm_start=from_model, overwrite=overwrite)


@app.command(rich_help_panel=TRAIN)
def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the run.")],
) -> None:
    """Continue a run exactly where it stopped or was killed.

    Example: reann resume runs/water
    """
    with resumable(run):
        from reann.training.run import resume

        resume(run)


# --- use --------------------------------------------------------------------------------------


@app.command(rich_help_panel=USE)
def evaluate(
    model: ModelFile,
    files: DataFiles,
    *,
    json_path: JsonFile = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the predictions, as .xyz."),
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="KEY", help="Label that names the group of a structure.")
    ] = None,
    config: LabelsOf = None,
    engine: Annotated[Engine, typer.Option(help="What computes.")] = Engine.auto,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Print the errors of a potential on structures with labels.

    Example: reann evaluate runs/water/model.reann test.xyz --json errors.json
    """
    from reann.evaluate import evaluate_command

    labels = _labels_of(config)
    evaluate_command(
        model,
        files,
        json_path=json_path,
        output=output,
        group=group,
        engine=engine.value,
        keys=labels.keys if labels else None,
        units=labels.units if labels else None,
        device=device,
    )


@app.command(rich_help_panel=USE)
def md(
    model: ModelFile,
    start: Annotated[
        str, typer.Argument(metavar="START", help="Structure to start from; the last of a file.")
    ],
    *,
    temperature: Annotated[float, typer.Option(min=0, help="K.")],
    time: Annotated[str, typer.Option(help="Such as 10ps or 500fs.")],
    ensemble: Annotated[Ensemble, typer.Option(help="Kind of dynamics.")] = Ensemble.langevin,
    timestep: Annotated[
        float | None, typer.Option(min=1e-6, help="fs; by default 0.5 with hydrogen, else 1.")
    ] = None,
    pressure: Annotated[float, typer.Option(help="bar, for npt.")] = 1.0,
    friction: Annotated[float, typer.Option(min=0, help="1/fs, for langevin and npt.")] = 0.01,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Trajectory to write.")
    ] = None,
    interval: Annotated[
        int | None, typer.Option(min=1, help="Steps between structures that are written.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the velocities and the thermostat.")] = 1,
    relax_first: Annotated[
        bool, typer.Option("--relax-first", help="Relax the positions before.")
    ] = False,
    max_extrapolating: Annotated[
        float, typer.Option(min=0, max=1, help="Stop when more of the atoms extrapolate.")
    ] = 1.0,
    engine: Annotated[Engine, typer.Option(help="What computes.")] = Engine.auto,
) -> None:
    """Run short molecular dynamics with a live table.

    Example: reann md model.reann start.xyz --temperature 300 --time 10ps
    """
    duration = femtoseconds(time)
    from reann.engines.md import run_md

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
        max_extrapolating=max_extrapolating,
        engine=engine.value,
    )


@app.command(rich_help_panel=USE)
def relax(
    model: ModelFile,
    start: Annotated[
        str, typer.Argument(metavar="START", help="Structure to start from; the last of a file.")
    ],
    *,
    fmax: Annotated[float, typer.Option(min=0, help="Largest force at the end, eV/Å.")] = 0.01,
    cell: Annotated[bool, typer.Option("--cell", help="Relax the cell, too.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write.")
    ] = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Give up after so many steps.")] = 1000,
    engine: Annotated[Engine, typer.Option(help="What computes.")] = Engine.auto,
) -> None:
    """Relax the positions of a structure, and its cell if asked.

    Example: reann relax model.reann start.xyz --cell -o relaxed.xyz
    """
    from reann.engines.relax import relax

    relax(
        model,
        start,
        fmax=fmax,
        cell=cell,
        output=output,
        max_steps=max_steps,
        engine=engine.value,
    )


# --- data and files ---------------------------------------------------------------------------


@app.command(rich_help_panel=DATA)
def check(
    files: DataFiles,
    json_path: JsonFile = None,
    config: LabelsOf = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    cutoff: Annotated[float, typer.Option(min=0, help="Å; who has no neighbor within it?")] = 5.0,
) -> None:
    """Look for what is wrong with data: labels, units, duplicates, outliers.

    Example: reann check train.xyz valid.xyz
    """
    from reann.data.check import check_command

    labels = _labels_of(config)
    raise typer.Exit(check_command(files, json_path, data=labels, strict=strict, cutoff=cutoff))


@app.command(rich_help_panel=DATA)
def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="File or folder to convert.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DST", help="To write.")],
) -> None:
    """Convert data and models of the original REANN package.

    Example: reann convert REANN.pth -o water.reann
    """
    from reann.upstream import convert

    convert(source, output)


@app.command(rich_help_panel=DATA)
def info(
    path: Annotated[
        Path | None, typer.Argument(metavar="[MODEL|RUN]", help="A .reann file or a run folder.")
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
    from reann.info import info, system_info

    if system:
        system_info()
    if path is not None:
        info(path)


# --- helpers of the verbs ---------------------------------------------------------------------


def femtoseconds(text: str) -> float:
    """Return a time such as ``10ps`` in fs; `UserError` for a time without a known unit."""
    units = {"fs": 1.0, "ps": 1e3, "ns": 1e6}
    number, unit = text.strip()[:-2], text.strip()[-2:]
    try:
        value = float(number) * units[unit]
    except (KeyError, ValueError):
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"'{text}' is not a time.", "--time", "Write 10ps, 500fs or 1ns.")
    return value


def _labels_of(config: Path | None) -> DataConfig | None:
    if config is None:
        return None
    from reann.config_file import load_config

    return load_config(config).data


def _complain(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(message), style="red", soft_wrap=True)

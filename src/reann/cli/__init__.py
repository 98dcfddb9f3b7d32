"""The commands of the command line.

Each command translates its options into one call; torch, ase and numpy are imported inside it, so
that the help appears at once. Errors of the user are `UserError`s, printed without a traceback.
Exit codes: 1 after an error, 2 for wrong usage, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from inspect import cleandoc
from typing import Annotated

import typer

from reann.cli import assess, choose, data, doctor, export, lammps, spectrum, train, use
from reann.cli.group import Commands
from reann.cli.help import Command
from reann.terminal import replace_unknown_characters

PANELS = {
    "Train": (train.demo, train.new, train.train, train.resume, train.curve, train.learn),
    "Use a potential": (
        use.evaluate,
        assess.assess,
        use.md,
        use.relax,
        spectrum.spectrum,
        export.export,
        lammps.lammps,
    ),
    "Uncertainty": (choose.calibrate, choose.select),
    "Data and files": (data.check, data.convert, data.info),
    "Installation": (doctor.doctor,),
}
"""The commands below each heading of the help."""
NAMES = {"assess": "test"}
"""Functions with another name than their command: pytest would collect one called `test`."""

app = typer.Typer(
    name="reann",
    cls=Commands,
    help="Recursively embedded atom neural network potentials: train, check, simulate.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _paragraphs(docstring: str | None) -> str:
    """Return a docstring with one line per paragraph, to be wrapped by the terminal."""
    return "\n\n".join(" ".join(p.split()) for p in cleandoc(docstring or "").split("\n\n"))


for panel, verbs in PANELS.items():
    for verb in verbs:
        name = NAMES.get(verb.__name__)
        app.command(name, cls=Command, rich_help_panel=panel, help=_paragraphs(verb.__doc__))(verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; `--debug` may be given anywhere."""
    replace_unknown_characters()
    words = list(sys.argv[1:] if arguments is None else arguments)
    words.sort(key=lambda word: word != "--debug")
    app(words, prog_name="reann")


def _version(requested: bool) -> bool:
    if requested:
        from reann import __version__

        typer.echo(f"reann {__version__}")
        raise typer.Exit
    return requested


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Recursively embedded atom neural network potentials: train, check, simulate."""

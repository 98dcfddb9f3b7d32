"""The verbs of the command line.

Each verb translates its options into one call; torch, ase and numpy are imported inside it, so
that help opens at once. What a user can cause is a `UserError`, printed without a traceback:
exit code 1; 2 for wrong usage; 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from inspect import cleandoc
from typing import Annotated

import typer

from reann.cli import assess, choose, data, export, lammps, spectrum, train, use
from reann.cli.group import Verbs
from reann.terminal import replace_unknown_characters

PANELS = {
    "Train": (train.demo, train.new, train.train, train.resume, train.learn),
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
}
"""The verbs under the headings of the help."""
NAMES = {"assess": "test"}
"""Functions that are not named as their verb: pytest would take `test` for one of its own."""

app = typer.Typer(
    name="reann",
    cls=Verbs,
    help="Recursively embedded atom neural network potentials: train, check, run.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _paragraphs(docstring: str | None) -> str:
    """Return a docstring with one line for each paragraph, which the terminal breaks."""
    return "\n\n".join(" ".join(p.split()) for p in cleandoc(docstring or "").split("\n\n"))


for panel, verbs in PANELS.items():
    for verb in verbs:
        name = NAMES.get(verb.__name__)
        app.command(name, rich_help_panel=panel, help=_paragraphs(verb.__doc__))(verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; `--debug` may stand anywhere."""
    replace_unknown_characters()
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

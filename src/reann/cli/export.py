"""The command that prepares the input of other programs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reann.cli.use import ModelFile
from reann.errors import UserError
from reann.terminal import print_line


class Target(str, Enum):
    """Programs of `reann export`."""

    lammps = "lammps"
    ipi = "i-pi"
    metatomic = "metatomic"


def export(
    model: ModelFile,
    start: Annotated[
        Path,
        typer.Argument(metavar="START", help="Structure: the last one of a file."),
    ],
    to: Annotated[Target, typer.Option("--to", help="Program that runs the potential.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder to write; by default named after the program.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Overwrite existing files that differ.")
    ] = False,
) -> None:
    """Write the input files for running a potential in another program.

    Masses, velocities and fixed atoms are included. LAMMPS and metatomic then compute the
    structure once: the difference from Python is printed, and if they fail or disagree, nothing is
    written.

    Example: reann export water.reann start.xyz --to lammps
    """
    folder = folder or Path(to.value)
    if to is Target.ipi:
        from reann.interfaces.ipi.export import export as for_ipi

        dropped = for_ipi(model, start, folder, overwrite=overwrite)
        print_line(f"{folder}/input.xml")
        _say_dropped(dropped)
        print_line(f"Run it with: cd {folder} && i-pi input.xml")
        return
    if to is Target.metatomic:
        try:
            from reann.interfaces.metatomic.export import export as for_metatomic
        except ImportError as error:
            fix = "pip install metatomic-torch metatomic-ase, and a PyTorch that they allow"
            what = f"metatomic is not installed: {error}."
            raise UserError(what, "--to metatomic", fix) from error

        file, difference = for_metatomic(model, start, folder, overwrite=overwrite)
        print_line(f"{file}\nmetatomic agrees with Python: {difference}.")
        return
    from reann.interfaces.lammps.export import export as for_lammps

    exported = for_lammps(model, start, folder, overwrite=overwrite)
    print_line(f"{folder}/in.lammps")
    if exported.difference is None:
        print_line("Not checked: LAMMPS is not installed in this environment.")
    else:
        print_line(f"LAMMPS agrees with Python: {exported.difference}.")
    if exported.all_fixed:
        print_line("All atoms are fixed, so the input computes energy and forces once.")
    _say_dropped(exported.dropped)
    print_line(f"Run it with: cd {folder} && {exported.command}")


def _say_dropped(names: list[str]) -> None:
    """Print the properties of the structure that are not exported."""
    for name in names:
        print_line(f"Not exported: {name}.")

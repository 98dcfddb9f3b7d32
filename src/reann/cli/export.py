"""The verb that prepares other programs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reann.errors import UserError
from reann.terminal import say


class Target(str, Enum):
    """Programs that `reann export` writes for."""

    lammps = "lammps"
    ipi = "i-pi"
    metatomic = "metatomic"


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .reann file.")],
    start: Annotated[Path, typer.Argument(metavar="START", help="A structure; its last frame.")],
    to: Annotated[Target, typer.Option("--to", help="The program.")],
    folder: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="By default its name.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that differ from the new ones.")
    ] = False,
) -> None:
    """Write everything that another program needs to start with a potential.

    Masses, velocities and fixed atoms go along. LAMMPS and metatomic compute the structure: the
    difference from Python is printed, and nothing is written where they fail or differ.

    Example: reann export water.reann start.xyz --to lammps
    """
    folder = folder or Path(to.value)
    if to is Target.ipi:
        from reann.interfaces.ipi.export import export as for_ipi

        dropped = for_ipi(model, start, folder, overwrite=overwrite)
        say(f"{folder}/input.xml")
        _say_dropped(dropped)
        say(f"Run it with: cd {folder} && i-pi input.xml")
        return
    if to is Target.metatomic:
        try:
            from reann.interfaces.metatomic.export import export as for_metatomic
        except ImportError as error:
            fix = "pip install metatomic-torch metatomic-ase, and a PyTorch that they allow"
            raise UserError(f"metatomic is not there: {error}.", "--to metatomic", fix) from error

        file, found = for_metatomic(model, start, folder, overwrite=overwrite)
        say(f"{file}\nmetatomic computes the same: {found}.")
        return
    from reann.interfaces.lammps.export import export as for_lammps

    exported = for_lammps(model, start, folder, overwrite=overwrite)
    say(f"{folder}/in.lammps")
    if exported.difference is None:
        say("Not checked: there is no LAMMPS in this environment.")
    else:
        say(f"LAMMPS computes the same: {exported.difference}.")
    if exported.all_fixed:
        say("All atoms are fixed: the input computes energy and forces once.")
    _say_dropped(exported.dropped)
    say(f"Run it with: cd {folder} && {exported.command}")


def _say_dropped(names: list[str]) -> None:
    """Name what of the structure the other program does not get."""
    for name in names:
        say(f"Not exported: {name}.")

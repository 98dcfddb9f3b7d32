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
) -> None:
    """Write everything that another program needs to start with a potential.

    LAMMPS and metatomic compute the structure at once, and what differs from Python is told.

    Example: reann export water.reann start.xyz --to lammps
    """
    folder = folder or Path(to.value)
    if to is Target.ipi:
        from reann.ipi.export import export as for_ipi

        for_ipi(model, start, folder)
        say(f"{folder}/input.xml\nRun it with: cd {folder} && i-pi input.xml")
        return
    if to is Target.metatomic:
        try:
            from reann.metatomic.export import export as for_metatomic
        except ImportError as error:
            fix = "pip install metatomic-torch metatomic-ase, and a PyTorch that they allow"
            raise UserError(f"metatomic is not there: {error}.", "--to metatomic", fix) from error

        file, found = for_metatomic(model, start, folder)
        say(f"{file}\nmetatomic computes the same: {found}.")
        return
    from reann.lammps.export import export as for_lammps

    found = for_lammps(model, start, folder)
    say(f"{folder}/in.lammps")
    if isinstance(found, str):
        say(f"LAMMPS did not compute it: {found}\nAsk `reann lammps doctor`.")
    else:
        say(f"LAMMPS computes the same: {found}.")
    say(f"Run it with: cd {folder} && mpirun -n 2 lmp -in in.lammps")

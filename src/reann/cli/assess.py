"""The verb `test`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reann.cli.use import ComputedBy, Device, ModelFile, femtoseconds
from reann.errors import UserError


class KindOfSystem(str, Enum):
    """Kinds of systems."""

    molecule = "molecule"
    liquid = "liquid"
    crystal = "crystal"
    surface = "surface"


Start = Annotated[
    str | None,
    typer.Argument(
        metavar="START", help="Last structure of this file; by default a training structure."
    ),
]
As = Annotated[
    KindOfSystem | None,
    typer.Option("--as", help="Kind of system; by default determined from the structure."),
]
Only = Annotated[
    str | None, typer.Option(metavar="CHECKS", help="Run only these checks, such as nve,dimers.")
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--test", "--data", metavar="FILE", help="Structures with labels; may be repeated."
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FOLDER", help="Folder of the results; by default NAME-test."
    ),
]
Duration = Annotated[
    str | None,
    typer.Option(
        help="Simulated time, such as 20ps; by default 1 to 10 ps, shorter for more atoms."
    ),
]
Limit = Annotated[float, typer.Option(min=1, help="Time limit of the MD in one check, s.")]


def assess(
    model: ModelFile,
    start: Start = None,
    *,
    data: Data = None,
    only: Only = None,
    kind: As = None,
    temperature: Annotated[float, typer.Option(min=1, help="Temperature of the MD, K.")] = 300.0,
    time: Duration = None,
    limit: Limit = 300.0,
    output: Folder = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of velocities and directions.")] = 1,
    engine: ComputedBy = "auto",
    device: Device = "auto",
) -> None:
    """Test whether a potential is good: common physical tests, on one page.

    Conservation of energy, symmetry, smoothness, short distances, relaxation, and what fits the
    structure: vibrations, phonons, elastic constants, diffusion. A failed check is not an error:
    the exit code is 0 unless a check could not run.

    Example: reann test runs/water/model.reann start.xyz --test test.xyz
    """
    from reann.assessment.case import Settings
    from reann.assessment.command import exit_code
    from reann.assessment.command import run_test as run

    settings = Settings(
        temperature=temperature,
        time=None if time is None else femtoseconds(time),
        limit=limit,
        seed=seed,
        data=tuple(data or ()),
        engine=engine,
    )
    names = [name.strip() for name in (only or "").split(",") if name.strip()]
    if only is not None and not names:
        raise UserError("No check is named.", "--only", "Write --only nve,dimers.")
    entries = run(
        model,
        start,
        kind=None if kind is None else kind.value,
        only=names,
        folder=output,
        settings=settings,
        device=device,
    )
    if code := exit_code(entries):
        raise typer.Exit(code)

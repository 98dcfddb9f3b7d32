"""The verb `spectrum`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reann.cli.arguments import JsonFile
from reann.cli.use import ComputedBy, Device, ModelFile


class Correction(str, Enum):
    """Quantum corrections of the spectrum of a trajectory."""

    harmonic = "harmonic"
    none = "none"


Structures = Annotated[
    str,
    typer.Argument(metavar="START|TRAJECTORY", help="One structure, or those of a trajectory."),
]
Width = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="cm^-1, of a line at half of its height; by default 10, of a trajectory 20.",
    ),
]
CurveFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the curves, as .csv."),
]
FigureFile = Annotated[
    Path | None, typer.Option("--figure", metavar="FILE", help="Draw the curves, as .svg.")
]
Harmonic = Annotated[
    bool, typer.Option("--harmonic", help="Of the last structure, where there are several.")
]
NoRelax = Annotated[bool, typer.Option("--no-relax", help="Take the structure as it is.")]
Fmax = Annotated[
    float | None,
    typer.Option(min=0, help="Largest force after the relaxation, eV/Å; by default 1e-4."),
]
Displacement = Annotated[
    float | None,
    typer.Option(min=0, help="Å, of the finite differences; by default 0.002."),
]
Timestep = Annotated[
    float | None,
    typer.Option(min=1e-6, help="fs between structures, where the trajectory does not record it."),
]
Temperature = Annotated[
    float | None, typer.Option(min=0, help="K; by default that of the velocities.")
]
Blocks = Annotated[
    int | None,
    typer.Option(min=2, help="Parts of a trajectory that give the errors; by default 5."),
]
QuantumCorrection = Annotated[
    Correction | None,
    typer.Option(help="For quantum effects, of a trajectory; by default harmonic."),
]


def spectrum(
    model: ModelFile,
    start: Structures,
    *,
    width: Width = None,
    output: CurveFile = None,
    json_path: JsonFile = None,
    figure: FigureFile = None,
    harmonic: Harmonic = False,
    no_relax: NoRelax = False,
    fmax: Fmax = None,
    displacement: Displacement = None,
    timestep: Timestep = None,
    temperature: Temperature = None,
    blocks: Blocks = None,
    correction: QuantumCorrection = None,
    engine: ComputedBy = "auto",
    device: Device = "auto",
) -> None:
    """Compute infrared and Raman spectra with a model of dipoles and polarizabilities.

    Of one structure: relaxed, then by normal modes. Of a trajectory: by the fluctuations along it.

    Example: reann spectrum model.reann start.xyz --figure spectrum.svg
    """
    from reann.spectra.command import spectrum as compute
    from reann.spectra.settings import Settings

    settings = Settings(
        harmonic=harmonic,
        width=width,
        no_relax=no_relax,
        fmax=fmax,
        displacement=displacement,
        timestep=timestep,
        temperature=temperature,
        blocks=blocks,
        correction=None if correction is None else correction.value,
    )
    compute(
        model,
        start,
        settings,
        output=output,
        json_path=json_path,
        figure_path=figure,
        engine=engine,
        device=device,
    )

"""The command `spectrum`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from reann.cli.arguments import JsonFile
from reann.cli.use import ComputedBy, Device, ModelFile


class Correction(str, Enum):
    """Quantum corrections for spectra of trajectories."""

    harmonic = "harmonic"
    none = "none"


Structures = Annotated[
    list[str],
    typer.Argument(
        metavar="START|TRAJECTORY...", help="A structure, or one or more independent trajectories."
    ),
]
Width = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Full width of a line at half maximum, cm^-1; by default 10, for trajectories 20.",
    ),
]
CurveFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the spectra as .csv."),
]
FigureFile = Annotated[
    Path | None, typer.Option("--figure", metavar="FILE", help="Draw the spectra as .svg.")
]
Harmonic = Annotated[
    bool,
    typer.Option("--harmonic", help="Harmonic spectrum of the last structure of a file."),
]
NoRelax = Annotated[bool, typer.Option("--no-relax", help="Do not relax the structure.")]
Fmax = Annotated[
    float | None,
    typer.Option(min=0, help="Largest force after the relaxation, eV/Å; by default 1e-4."),
]
Displacement = Annotated[
    float | None,
    typer.Option(min=0, help="Step of the finite differences, Å; by default 0.002."),
]
Timestep = Annotated[
    float | None,
    typer.Option(
        min=1e-6, help="Time between structures, fs, if the trajectory does not record it."
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(min=0, help="Temperature, K; by default from the velocities."),
]
Blocks = Annotated[
    int | None,
    typer.Option(
        min=2, help="Number of parts of a trajectory, for statistical errors; by default 5."
    ),
]
QuantumCorrection = Annotated[
    Correction | None,
    typer.Option(help="Quantum correction for trajectories; by default harmonic."),
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
    """Compute infrared and Raman spectra with a model for dipoles and polarizabilities.

    A single structure is relaxed, and its spectra are computed from its normal modes. The spectra
    of a trajectory are computed from the fluctuations along it.

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

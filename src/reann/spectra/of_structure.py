"""`reann spectrum` for one structure: relaxes it, and prints its harmonic spectrum."""

from __future__ import annotations

from pathlib import Path

import ase

from reann.errors import UserError
from reann.evaluation.progress import progress_bar
from reann.interfaces.ase import Calculator
from reann.motion.constraints import fixed_directions
from reann.motion.start import read_start
from reann.potential import Ensemble, Potential
from reann.simulate.relax import relax
from reann.spectra import tables
from reann.spectra.figure import Lines
from reann.spectra.files import modes_as_json
from reann.spectra.lines import Curve, broadened, grid, peak_height
from reann.spectra.result import Result
from reann.spectra.settings import Settings
from reann.spectra.vibrations import DISPLACEMENT, HarmonicSpectrum, harmonic
from reann.terminal import Terminal

FMAX = 1e-4
"""eV/Å; soft vibrations need a tightly converged minimum."""
ALLOWED_FORCE = 10.0
"""Largest force at a minimum, in units of the limit of the relaxation."""
WIDTH = 10.0
"""Default width of the lines, cm^-1."""


def spectrum_of_structure(
    model: Potential | Ensemble | Path,
    start: ase.Atoms | str,
    settings: Settings,
    console: Terminal,
    *,
    engine: str = "auto",
    device: str | None = None,
) -> Result:
    """Relax the last structure of a file unless settings say otherwise, and print its vibrations.

    Raises
    ------
    UserError
        As `relax` and `harmonic`; if the relaxation does not converge.
    """
    settings.check(harmonic=True)
    # Finite differences are too noisy in single precision.
    calculator = Calculator(model, engine=engine, device=device, precision="float64")
    potential = calculator.potential
    fmax = FMAX if settings.fmax is None else settings.fmax
    width = WIDTH if settings.width is None else settings.width
    displacement = DISPLACEMENT if settings.displacement is None else settings.displacement
    if settings.no_relax:
        atoms, _ = read_start(start)
    else:
        relaxed = relax(potential, start, fmax, engine=engine)
        if not relaxed.converged:
            raise UserError(
                f"The relaxation did not converge: the largest force is {relaxed.fmax:.2g} eV/Å.",
                str(start),
                "Relax it with `reann relax`, or give a larger --fmax.",
            )
        atoms = relaxed.atoms
        atoms.calc = None
    n_free = int((~fixed_directions(atoms)[0]).sum())
    with progress_bar(2 * n_free + 1) as (bar, task):
        spectrum = harmonic(
            potential,
            atoms,
            displacement=displacement,
            engine=engine,
            progress=lambda n: bar.advance(task, n),
        )
    console.print(tables.modes(spectrum))
    for line in tables.notes(spectrum, ALLOWED_FORCE * fmax):
        console.write(line)
    return _result(spectrum, atoms, width, displacement)


def _result(
    spectrum: HarmonicSpectrum, atoms: ase.Atoms, width: float, displacement: float
) -> Result:
    real = ~spectrum.imaginary
    lines = spectrum.wavenumbers[real]
    at = grid(float(lines.max(initial=0.0)), width)
    strengths = {
        ("infrared absorption", "km/mol per cm^-1"): spectrum.infrared,
        ("Raman activity", "Å^4/u per cm^-1"): spectrum.raman,
    }
    curves, sticks = [], {}
    for (name, unit), values in strengths.items():
        if values is not None:
            curves.append(Curve(name, unit, broadened(at, lines, values[real], width)))
            sticks[name] = Lines(lines, values[real] * peak_height(width))
    content = {
        "kind": "harmonic",
        "line_width_per_cm": width,
        "line_shape": "Gaussian, full width at half maximum",
        "displacement_A": displacement,
        **modes_as_json(spectrum, atoms),
    }
    about = f"harmonic; Gaussian lines, full width at half maximum {width:g} cm^-1"
    return Result(at, curves, about, content, sticks)

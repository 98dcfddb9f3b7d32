"""`reann spectrum` for a trajectory: dipoles and polarizabilities along it, and their spectra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ase

from reann.errors import UserError, counted
from reann.evaluation.progress import progress_bar
from reann.evaluation.stream import evaluated
from reann.interfaces.ase import Calculator
from reann.potential import Ensemble, Potential
from reann.spectra import tables
from reann.spectra.charges import of_charges
from reann.spectra.constants import CM_PER_FS
from reann.spectra.rates import CORRECTIONS
from reann.spectra.recorded import Recorded
from reann.spectra.result import Result
from reann.spectra.settings import Settings
from reann.spectra.trajectory import N_BLOCKS, WIDTH, from_trajectory
from reann.spectra.vibrations import ACTIVE
from reann.terminal import Terminal

FASTEST = {True: 4000.0, False: 2500.0}
"""cm^-1; about the highest wavenumber of vibrations with and without hydrogen."""


def spectrum_of_trajectory(
    model: Potential | Ensemble | Path,
    frames: Iterable[tuple[ase.Atoms, str]],
    settings: Settings,
    console: Terminal,
    *,
    engine: str = "auto",
    device: str | None = None,
) -> Result:
    """Compute what the model has of dipole and polarizability, and print the peaks.

    Raises
    ------
    UserError
        For a model that has neither, a trajectory without times or temperature where they are not
        stated, and what `from_trajectory` raises.
    """
    settings.check(harmonic=False)
    potential = Calculator(model, engine=engine, device=device).potential
    names = [name for name in ACTIVE if name in potential.labels]
    by_charges = "dipole" not in names and "charges" in potential.labels
    names += ["charges"] * by_charges
    if not names:
        raise UserError(
            "The model has neither dipoles nor polarizabilities.",
            fix="Train one that has: model.outputs=[dipole].",
        )
    recorded = Recorded(keeps_motion=by_charges)
    with progress_bar() as (bar, task):
        values = evaluated(
            potential,
            recorded.of(frames),
            names,
            engine=engine,
            progress=lambda n: bar.advance(task, n),
        )
    timestep = recorded.timestep(settings.timestep)
    temperature = recorded.temperature(settings.temperature)
    width = WIDTH if settings.width is None else settings.width
    blocks = N_BLOCKS if settings.blocks is None else settings.blocks
    correction = settings.correction or CORRECTIONS[0]
    moved = of_charges(values["charges"], recorded) if by_charges else {}
    spectrum = from_trajectory(
        timestep,
        temperature,
        dipoles=moved.get("dipoles", values.get("dipole")),
        currents=moved.get("currents"),
        polarizabilities=values.get("polarizability"),
        volume=recorded.volume,
        width=width,
        n_blocks=blocks,
        correction=correction,
    )
    content = {
        "kind": "dynamics",
        "n_structures": len(recorded.times),
        "timestep_fs": timestep,
        "temperature_K": temperature,
        "volume_A3": recorded.volume,
        "line_width_per_cm": width,
        "window": "Gaussian",
        "quantum_correction": correction,
        "n_blocks": blocks,
        "infrared_by": next(iter(moved), "dipoles"),
    }
    source = "of the velocities" if settings.temperature is None else "as stated"
    for line in _facts(content, source, recorded.has_hydrogen):
        console.write(line)
    for curve in (spectrum.infrared, spectrum.raman):
        if curve is not None:
            console.print(tables.peaks(spectrum.wavenumbers, curve))
    length = 1e-3 * (len(recorded.times) - 1) * timestep
    about = f"{length:.3g} ps at {temperature:.0f} K; Gaussian lines, {width:g} cm^-1 wide at half"
    return Result(spectrum.wavenumbers, spectrum.curves(), f"{about} of their height", content)


def _facts(content: Mapping[str, Any], source: str, has_hydrogen: bool) -> Iterator[str]:
    """Yield how the spectrum was computed, and a warning where structures are too far apart."""
    timestep, width = content["timestep_fs"], content["line_width_per_cm"]
    n_frames = counted(content["n_structures"], "structure")
    yield f"trajectory   {n_frames}, {timestep:g} fs apart"
    yield f"temperature  {content['temperature_K']:.1f} K, {source}"
    if content["infrared_by"] == "currents":
        yield "infrared     by the current of the charges of the atoms"
    yield f"window       Gaussian; lines are {width:g} cm^-1 wide at half of their height"
    yield f"correction   {content['quantum_correction']}, for quantum effects"
    yield f"errors       standard errors from {content['n_blocks']} blocks"
    highest, fastest = 0.5 / (CM_PER_FS * timestep), FASTEST[has_hydrogen]
    if highest < fastest:
        yield (
            f"Warning: structures every {timestep:g} fs show vibrations up to {highest:.0f} cm^-1;"
            " faster ones appear at wrong wavenumbers. Write structures at least every"
            f" {0.5 / (CM_PER_FS * fastest):.1f} fs: `reann md --interval`."
        )

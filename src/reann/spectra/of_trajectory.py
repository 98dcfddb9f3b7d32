"""`reann spectrum` for a trajectory: spectra from dipoles and polarizabilities along it."""

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
"""Highest wavenumber of vibrations with and without hydrogen, about, cm^-1."""


def spectrum_of_trajectory(
    model: Potential | Ensemble | Path,
    frames: Iterable[tuple[ase.Atoms, str]],
    settings: Settings,
    console: Terminal,
    *,
    engine: str = "auto",
    device: str | None = None,
) -> Result:
    """Compute the spectra that the outputs of the model allow, and print their peaks.

    Raises
    ------
    UserError
        For a model without dipoles, charges and polarizabilities; for a trajectory without times or
        temperature if these are not set; and as `from_trajectory`.
    """
    settings.check(harmonic=False)
    potential = Calculator(model, engine=engine, device=device).potential
    names = [name for name in ACTIVE if name in potential.labels]
    by_charges = "dipole" not in names and "charges" in potential.labels
    names += ["charges"] * by_charges
    if not names:
        raise UserError(
            "The model has no dipoles, charges or polarizabilities.",
            fix="Train a model with dipoles: model.outputs=[dipole].",
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
    source = "from the velocities" if settings.temperature is None else "from --temperature"
    for line in _facts(content, source, recorded.has_hydrogen):
        console.write(line)
    for curve in (spectrum.infrared, spectrum.raman):
        if curve is not None:
            console.print(tables.peaks(spectrum.wavenumbers, curve))
    length = 1e-3 * (len(recorded.times) - 1) * timestep
    about = f"{length:.3g} ps at {temperature:.0f} K; Gaussian lines, full width at half maximum"
    return Result(spectrum.wavenumbers, spectrum.curves(), f"{about} {width:g} cm^-1", content)


def _facts(content: Mapping[str, Any], source: str, has_hydrogen: bool) -> Iterator[str]:
    """Yield how the spectrum was computed, and a warning if the interval is too long."""
    timestep, width = content["timestep_fs"], content["line_width_per_cm"]
    n_frames = counted(content["n_structures"], "structure")
    yield f"trajectory   {n_frames}, {timestep:g} fs apart"
    yield f"temperature  {content['temperature_K']:.1f} K, {source}"
    if content["infrared_by"] == "currents":
        yield "infrared     from the current of the atomic charges"
    yield f"window       Gaussian; full width of lines at half maximum {width:g} cm^-1"
    yield f"correction   {content['quantum_correction']} (quantum effects)"
    yield f"errors       standard errors from {content['n_blocks']} blocks"
    highest, fastest = 0.5 / (CM_PER_FS * timestep), FASTEST[has_hydrogen]
    if highest < fastest:
        yield (
            f"Warning: with structures every {timestep:g} fs, vibrations above {highest:.0f} cm^-1"
            " appear at wrong wavenumbers. Write structures at least every"
            f" {0.5 / (CM_PER_FS * fastest):.1f} fs: `reann md --interval`."
        )

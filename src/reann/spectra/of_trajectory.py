"""`reann spectrum` for trajectories: spectra from dipoles and polarizabilities along them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from reann.errors import UserError, counted
from reann.evaluation.progress import progress_bar
from reann.evaluation.stream import evaluated
from reann.interfaces.ase import Calculator
from reann.potential import Ensemble, Potential
from reann.spectra import tables
from reann.spectra.charges import of_charges
from reann.spectra.constants import CM_PER_FS
from reann.spectra.rates import CORRECTIONS
from reann.spectra.recorded import SAME, Recorded
from reann.spectra.result import Result
from reann.spectra.settings import Settings
from reann.spectra.trajectory import N_BLOCKS, WIDTH, from_trajectory, mean_of
from reann.spectra.vibrations import ACTIVE
from reann.terminal import Terminal

FASTEST = {True: 4000.0, False: 2500.0}
"""Highest wavenumber of vibrations with and without hydrogen, about, cm^-1."""


@dataclass(frozen=True)
class Series:
    """What one trajectory gives."""

    recorded: Recorded
    values: Mapping[str, NDArray[np.float64]]
    timestep: float
    """fs."""
    temperature: float
    """K."""


def spectrum_of_trajectory(
    model: Potential | Ensemble | Path,
    frames: Iterable[tuple[ase.Atoms, str]],
    settings: Settings,
    console: Terminal,
    *,
    engine: str = "auto",
    device: str | None = None,
) -> Result:
    """Compute the spectra of one trajectory; see `spectrum_of_trajectories`."""
    return spectrum_of_trajectories(
        model, [frames], settings, console, engine=engine, device=device
    )


def spectrum_of_trajectories(
    model: Potential | Ensemble | Path,
    trajectories: Sequence[Iterable[tuple[ase.Atoms, str]]],
    settings: Settings,
    console: Terminal,
    *,
    engine: str = "auto",
    device: str | None = None,
) -> Result:
    """Compute the spectra that the outputs of the model allow, and print their peaks.

    The spectrum of several trajectories is the mean of theirs, and their differences give the
    error.

    Raises
    ------
    UserError
        For a model without dipoles, charges and polarizabilities; for a trajectory without times or
        temperature if these are not set; for trajectories with different time steps or systems; and
        as `from_trajectory`.
    """
    settings.check(harmonic=False)
    potential = Calculator(model, engine=engine, device=device).potential
    all_series = [_series(potential, frames, settings, engine) for frames in trajectories]
    check_alike([(series.timestep, series.recorded.volume is None) for series in all_series])
    width = WIDTH if settings.width is None else settings.width
    blocks = N_BLOCKS if settings.blocks is None else settings.blocks
    correction = settings.correction or CORRECTIONS[0]
    spectra = [
        from_trajectory(
            series.timestep,
            series.temperature,
            dipoles=series.values.get("dipoles", series.values.get("dipole")),
            currents=series.values.get("currents"),
            polarizabilities=series.values.get("polarizability"),
            volume=series.recorded.volume,
            width=width,
            n_blocks=blocks,
            correction=correction,
        )
        for series in all_series
    ]
    spectrum = spectra[0] if len(spectra) == 1 else mean_of(spectra)
    content = _of_series(all_series) | {
        "line_width_per_cm": width,
        "window": "Gaussian",
        "quantum_correction": correction,
        "n_blocks": blocks if len(all_series) == 1 else None,
    }
    source = "from the velocities" if settings.temperature is None else "from --temperature"
    for line in _facts(content, source, all_series[0].recorded.has_hydrogen):
        console.write(line)
    for curve in (spectrum.infrared, spectrum.raman):
        if curve is not None:
            console.print(tables.peaks(spectrum.wavenumbers, curve))
    lengths = [(len(series.recorded.times) - 1) * series.timestep for series in all_series]
    about = (
        f"{1e-3 * sum(lengths):.3g} ps at {content['temperature_K']:.0f} K; Gaussian lines, full"
        f" width at half maximum {width:g} cm^-1"
    )
    return Result(spectrum.wavenumbers, spectrum.curves(), about, content)


def _series(
    potential: Potential | Ensemble,
    frames: Iterable[tuple[ase.Atoms, str]],
    settings: Settings,
    engine: str,
) -> Series:
    """Compute the quantities of one trajectory."""
    names, by_charges = _names(potential)
    recorded = Recorded(keeps_motion=by_charges)
    with progress_bar() as (bar, task):
        values = evaluated(
            potential,
            recorded.of(frames),
            names,
            engine=engine,
            progress=lambda n: bar.advance(task, n),
        )
    moved = of_charges(values["charges"], recorded) if by_charges else {}
    timestep = recorded.timestep(settings.timestep)
    temperature = recorded.temperature(settings.temperature)
    return Series(recorded, {**values, **moved}, timestep, temperature)


def _of_series(all_series: Sequence[Series]) -> dict[str, Any]:
    """Return what the JSON file says about the trajectories."""
    volumes = [v for series in all_series if (v := series.recorded.volume) is not None]
    return {
        "kind": "dynamics",
        "n_trajectories": len(all_series),
        "n_structures": sum(len(series.recorded.times) for series in all_series),
        "timestep_fs": all_series[0].timestep,
        "temperature_K": float(np.mean([series.temperature for series in all_series])),
        "volume_A3": float(np.mean(volumes)) if volumes else None,
        "infrared_by": "currents" if "currents" in all_series[0].values else "dipoles",
    }


def _names(potential: Potential | Ensemble) -> tuple[list[str], bool]:
    """Return the quantities to compute, and whether charges stand for dipoles."""
    names = [name for name in ACTIVE if name in potential.labels]
    by_charges = "dipole" not in names and "charges" in potential.labels
    names += ["charges"] * by_charges
    if not names:
        raise UserError(
            "The model has no dipoles, charges or polarizabilities.",
            fix="Train a model with dipoles: model.outputs=[dipole].",
        )
    return names, by_charges


def check_alike(sampled: Sequence[tuple[float, bool]]) -> None:
    """Raise `UserError` if trajectories cannot be averaged.

    Parameters
    ----------
    sampled
        Time step in fs of each trajectory, and whether it has no volume.
    """
    timestep, is_molecule = sampled[0]
    for i, (other, other_is) in enumerate(sampled[1:], 2):
        if abs(other - timestep) > SAME * timestep:
            raise UserError(
                f"Structures of trajectory 1 are {timestep:g} fs apart, those of trajectory {i}"
                f" {other:g} fs.",
                fix="Give trajectories with the same interval.",
            )
        if other_is != is_molecule:
            raise UserError(
                f"Only one of the trajectories 1 and {i} is periodic in three dimensions.",
                fix="Give trajectories of the same system.",
            )


def _facts(content: Mapping[str, Any], source: str, has_hydrogen: bool) -> Iterator[str]:
    """Yield how the spectrum was computed, and a warning if the interval is too long."""
    timestep, width = content["timestep_fs"], content["line_width_per_cm"]
    n_frames = counted(content["n_structures"], "structure")
    runs = content["n_trajectories"]
    source_of = "" if runs == 1 else f" in {runs} trajectories"
    yield f"trajectory   {n_frames}{source_of}, {timestep:g} fs apart"
    yield f"temperature  {content['temperature_K']:.1f} K, {source}"
    if content["infrared_by"] == "currents":
        yield "infrared     from the current of the atomic charges"
    yield f"window       Gaussian; full width of lines at half maximum {width:g} cm^-1"
    yield f"correction   {content['quantum_correction']} (quantum effects)"
    parts = f"{content['n_blocks']} blocks" if runs == 1 else f"{runs} trajectories"
    yield f"errors       standard errors from {parts}"
    highest, fastest = 0.5 / (CM_PER_FS * timestep), FASTEST[has_hydrogen]
    if highest < fastest:
        yield (
            f"Warning: with structures every {timestep:g} fs, vibrations above {highest:.0f} cm^-1"
            " appear at wrong wavenumbers. Write structures at least every"
            f" {0.5 / (CM_PER_FS * fastest):.1f} fs: `reann md --interval`."
        )

"""The command `spectrum`: harmonic for one structure, from fluctuations for a trajectory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import ase

from reann import atomic_file, strict_json
from reann.data.files.read import iter_atoms
from reann.errors import UserError
from reann.output_files import check_outputs
from reann.spectra.figure import figure
from reann.spectra.files import as_csv, curves_as_json
from reann.spectra.of_structure import spectrum_of_structure
from reann.spectra.of_trajectory import spectrum_of_trajectories
from reann.spectra.recorded import no_time
from reann.spectra.result import Result
from reann.spectra.settings import Settings
from reann.terminal import Terminal


def spectrum(
    model: Path,
    start: str | Sequence[str],
    settings: Settings,
    *,
    output: Path | None = None,
    json_path: Path | None = None,
    figure_path: Path | None = None,
    engine: str = "auto",
    device: str | None = None,
    console: Terminal | None = None,
) -> Result:
    """Print a spectrum, and write its curves as CSV, everything as JSON, and a figure as SVG.

    Parameters
    ----------
    start
        File with one structure (harmonic spectrum) or with several (spectrum of a trajectory,
        unless `settings.harmonic`). Several files are independent trajectories.
    engine, device
        As for `Calculator`.

    Raises
    ------
    UserError
        For input that cannot be used, and outputs that cannot be written or would replace an input.
    """
    console = console or Terminal()
    outputs = {"--output": output, "--json": json_path, "--figure": figure_path}
    files = [start] if isinstance(start, str) else list(start)
    check_outputs(outputs, [model, *files])
    opened = [_opened(file) for file in files]
    if len(files) == 1 and (settings.harmonic or not opened[0].is_trajectory):
        result = spectrum_of_structure(
            model, files[0], settings, console, engine=engine, device=device
        )
    else:
        _check_trajectories(files, opened, settings)
        trajectories = [each.frames for each in opened]
        result = spectrum_of_trajectories(
            model, trajectories, settings, console, engine=engine, device=device
        )
    origin = {"model": str(model), "file": files[0] if len(files) == 1 else files}
    _write(result, origin, output, json_path, figure_path)
    if not any(outputs.values()):
        console.write(
            "No file was written. Use -o spectrum.csv, --json spectrum.json or --figure"
            " spectrum.svg."
        )
    return result


class Opened(NamedTuple):
    """The structures of a file, of which the first ones have been read."""

    frames: Iterable[tuple[ase.Atoms, str]]
    is_trajectory: bool
    has_times: bool


def _opened(file: str) -> Opened:
    frames = iter_atoms(file)
    first = list(islice(frames, 2))
    return Opened(chain(first, frames), len(first) > 1, "time_fs" in first[0][0].info)


def _check_trajectories(files: Sequence[str], opened: Sequence[Opened], settings: Settings) -> None:
    """Raise `UserError` if one of the files is no trajectory with times, or for other options."""
    if len(files) > 1 and (settings.harmonic or settings.blocks):
        option = "--harmonic" if settings.harmonic else "--blocks"
        raise UserError(
            f"The spectrum of several trajectories has no option {option}: its errors are those of"
            " the mean of the trajectories.",
            fix="Leave it out, or give one file.",
        )
    for file, each in zip(files, opened, strict=True):
        if not each.is_trajectory:
            raise UserError(
                "The file contains one structure and is no trajectory.",
                file,
                "Several files must all be trajectories.",
            )
        if settings.timestep is None and not each.has_times:
            raise no_time()


def _write(
    result: Result,
    origin: Mapping[str, object],
    output: Path | None,
    json_path: Path | None,
    figure_path: Path | None,
) -> None:
    if output is not None:
        atomic_file.write_text(output, as_csv(result.wavenumbers, result.curves))
    if json_path is not None:
        content = (
            dict(origin) | dict(result.content) | curves_as_json(result.wavenumbers, result.curves)
        )
        text = strict_json.dumps(content, indent=1, ensure_ascii=False)
        atomic_file.write_text(json_path, text + "\n")
    if figure_path is not None:
        drawn = figure(result.wavenumbers, result.curves, result.about, result.lines)
        atomic_file.write_text(figure_path, drawn)

"""The command `spectrum`: harmonic for one structure, from fluctuations for a trajectory."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path

from reann import atomic_file, strict_json
from reann.data.files.read import iter_atoms
from reann.output_files import check_outputs
from reann.spectra.figure import figure
from reann.spectra.files import as_csv, curves_as_json
from reann.spectra.of_structure import spectrum_of_structure
from reann.spectra.of_trajectory import spectrum_of_trajectory
from reann.spectra.recorded import no_time
from reann.spectra.result import Result
from reann.spectra.settings import Settings
from reann.terminal import Terminal


def spectrum(
    model: Path,
    start: str,
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
        unless `settings.harmonic`).
    engine, device
        As for `Calculator`.

    Raises
    ------
    UserError
        For input that cannot be used, and outputs that cannot be written or would replace an input.
    """
    console = console or Terminal()
    outputs = {"--output": output, "--json": json_path, "--figure": figure_path}
    check_outputs(outputs, [model, start])
    frames = iter_atoms(start)
    first = list(islice(frames, 2))
    if settings.harmonic or len(first) == 1:
        result = spectrum_of_structure(
            model, start, settings, console, engine=engine, device=device
        )
    else:
        if settings.timestep is None and "time_fs" not in first[0][0].info:
            raise no_time()
        result = spectrum_of_trajectory(
            model, chain(first, frames), settings, console, engine=engine, device=device
        )
    _write(result, {"model": str(model), "file": start}, output, json_path, figure_path)
    if not any(outputs.values()):
        console.write(
            "No file was written. Use -o spectrum.csv, --json spectrum.json or --figure"
            " spectrum.svg."
        )
    return result


def _write(
    result: Result,
    origin: dict[str, str],
    output: Path | None,
    json_path: Path | None,
    figure_path: Path | None,
) -> None:
    if output is not None:
        atomic_file.write_text(output, as_csv(result.wavenumbers, result.curves))
    if json_path is not None:
        content = origin | dict(result.content) | curves_as_json(result.wavenumbers, result.curves)
        text = strict_json.dumps(content, indent=1, ensure_ascii=False)
        atomic_file.write_text(json_path, text + "\n")
    if figure_path is not None:
        drawn = figure(result.wavenumbers, result.curves, result.about, result.lines)
        atomic_file.write_text(figure_path, drawn)

"""`reann info`: describe a potential or a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.table import Table

from reann.calibration import RECORD as UNCERTAINTY
from reann.calibration import Calibration
from reann.checkpoint import read_header
from reann.config import Config
from reann.config.presets import describe_host, describe_preset
from reann.config.section import flat
from reann.error_measures import sentence
from reann.errors import UserError, counted
from reann.model_file import restore_advice
from reann.potential import Ensemble, Potential, load
from reann.quantities import named
from reann.terminal import Terminal
from reann.training.folder import REPORT, run_files
from reann.training.journal import Row, read_log
from reann.training.state import FILE
from reann.training.warm_start import RECORD
from reann.uncertainty.scales import FEWEST

NAMES = {"n_train": "training structures", "epoch": "best epoch"}
"""What is printed instead of the names of metadata."""
Line = tuple[str, str]
"""Name and value."""


def info(path: str | Path) -> None:
    """Describe a `.reann` file or a run folder.

    Raises
    ------
    UserError
        If the path is neither of them, or the file is damaged.
    """
    path = Path(path)
    show(run_lines(path) if path.is_dir() else model_lines(path))


def show(lines: Iterator[Line]) -> None:
    """Print lines in two columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines:
        table.add_row(name, value)
    Terminal(markup=False).print(table)


# --- a potential ------------------------------------------------------------------------------


def model_lines(path: Path) -> Iterator[Line]:
    """Describe a `.reann` file; `UserError` if it is absent or damaged."""
    header, potential = read_header(path), load(path)
    members = len(potential.members)
    yield "file", f"{path}, format {header['format']}, {path.stat().st_size / 1024:.0f} KiB"
    yield "potential", f"ensemble of {members}" if members > 1 else "one model"
    yield "elements", ", ".join(potential.elements)
    yield "cutoff", f"{potential.cutoff:g} Å"
    yield from architecture(potential)
    outputs = (f"{name} ({named(name).unit})" for name in potential.model.output_names)
    if listed := ", ".join(outputs):
        yield "outputs", listed
    yield "units", f"{header['units']['energy']}, {header['units']['length']}"
    yield "precision", f"networks {header['precision']}, energies float64"
    if len(potential.model.heads):
        yield from reference_energies(potential)
    else:
        yield "energy", "none"
    if (calibration := potential.calibration) is not None:
        yield "uncertainty", described(calibration, potential.elements)
    yield from provenance(potential.metadata)


def described(calibration: Calibration, elements: Sequence[str] = ()) -> str:
    """Return a description of an uncertainty: its source and its coverage."""
    source = {"last layer": "draws of the last layer", "ensemble": "members"}[calibration.kind]
    n = counted(calibration.structures, "structure")
    lines = [f"{calibration.number} {source}, calibrated on {n}"]
    for name, scale in calibration.scales().items():
        covered = [
            f"{measured:g} % within the {p} % bound" for p, measured in scale.coverage.items()
        ]
        lines.append(f"{name}: {', '.join(covered[1:])}" if covered else name)
    few = [symbol for symbol in elements if calibration.forces and symbol not in calibration.forces]
    if few:
        reason = f"those of all forces; fewer than {FEWEST} such atoms in the validation set"
        lines.append(f"force on {', '.join(few)}: {reason}")
    return "\n".join(lines)


def architecture(potential: Potential | Ensemble) -> Iterator[Line]:
    """Describe the model."""
    model, config = potential.model, potential.model.config
    parameters = sum(p.numel() for p in model.parameters())
    size = ", ".join([counted(config.n_recursions, "recursion"), *describe_host(config)])
    features = f", {config.features}" if config.host == "density" else ""
    if config.messages == "equivariant":
        features = ", equivariant messages"
    yield "model", f"{size}{features}, {counted(parameters, 'parameter')}"
    yield "preset", describe_preset(config)
    if config.zbl is not None:
        yield "repulsion", f"ZBL within {config.zbl.outer:g} of the sum of covalent radii"
    if config.repulsion:
        yield "repulsion", "for pairs closer than in the training set"


def reference_energies(potential: Potential | Ensemble) -> Iterator[Line]:
    """Describe the reference energies and how well they are determined."""
    values = potential.model.reference_energies.tolist()
    source = potential.metadata.get("reference_energies_source", "unknown")
    listed = ", ".join(f"{e} {v:.4f}" for e, v in zip(potential.elements, values, strict=True))
    yield "reference energies", f"{listed} eV (source: {source})"
    heads = potential.model.heads
    for name, head in list(zip(heads, heads.as_list(), strict=True))[1:]:
        values = head.reference_energies.tolist()
        listed = ", ".join(f"{e} {v:.4f}" for e, v in zip(potential.elements, values, strict=True))
        yield "", f"{listed} eV of the head {name}"
    rank = potential.metadata.get("reference_energies_rank")
    if source == "fit" and rank is not None and rank < len(values):
        yield (
            "",
            f"The compositions of the structures determine only {rank} of {len(values)} energies,",
        )
        yield "", "so energies of dissociation into atoms are an extrapolation."


def provenance(metadata: Mapping[str, Any]) -> Iterator[Line]:
    """Describe the other metadata of the file."""
    for name, value in metadata.items():
        if name.startswith("reference_energies") or name in (RECORD, UNCERTAINTY):
            continue
        if name == "errors" and isinstance(value, Mapping):
            yield from _errors_of_training(value)
            continue
        if isinstance(value, Mapping):
            if name == "settings":
                value = _changed(value)  # noqa: PLW2901
            lines = [f"{k} {_short(x)}" for k, x in flat(value).items() if x is not None]
            yield name, "\n".join(lines)
        elif value is not None:
            yield NAMES.get(name, name), _short(value)


def _errors_of_training(errors: Mapping[str, Any]) -> Iterator[Line]:
    """Describe the errors of the validation set, and those without a network."""
    for part, title in {"valid": "errors", "baseline": "without a network"}.items():
        if text := sentence(errors.get(part) or {}):
            yield title, f"{text} (RMSE, validation)"


# --- a run ------------------------------------------------------------------------------------


def run_lines(folder: Path) -> Iterator[Line]:
    """Describe a run folder; `UserError` if it is none."""
    rows, model = read_log(folder / "log.csv"), folder / "model.reann"
    if not rows and not (folder / "config.yaml").exists():
        raise UserError(
            "This is not a run folder: it has neither config.yaml nor log.csv.",
            str(folder),
            restore_advice(folder)
            or "Use a folder that `reann train` wrote, such as runs/water, or a .reann file.",
        )
    yield "run", str(folder)
    if rows:
        yield "epochs", f"{rows[-1]['epoch']:.0f} in {rows[-1]['seconds']:.0f} s"
        best = min(rows, key=lambda row: row.get("valid_loss", float("inf")))
        title = "lowest" if _is_warned_of(model) else "best"
        yield title, f"epoch {best['epoch']:.0f}: {_errors(best)}"
    report = folder / REPORT
    checkpoints = [f.stat().st_mtime for f in run_files(folder) if f.name == FILE]
    # The report is written at the end; a run that is being continued has a later checkpoint.
    if report.exists() and report.stat().st_mtime >= max(checkpoints, default=0.0):
        yield "complete", f"report {report}"
    elif checkpoints:
        yield "continue", f"reann resume {folder}"
    if (earlier := restore_advice(folder)) is not None:
        yield "earlier run", earlier
    if model.exists():
        yield from model_lines(model)
    else:
        yield "file", "no potential has been saved yet"


def _is_warned_of(model: Path) -> bool:
    """Return whether the training recorded a warning that nothing was learned."""
    return model.exists() and any("warning" in about for about in read_header(model)["members"])


def _errors(row: Row) -> str:
    """Return the validation errors of an epoch with their units."""
    parts = []
    for name, value in row.items():
        if name.startswith("valid_") and "_rmse_" in name:
            label, unit = name.removeprefix("valid_").split("_rmse_")
            parts.append(f"{label} {value:.2f} {_unit(unit)}")
    return ", ".join(parts)


# --- formatting -------------------------------------------------------------------------------


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):  # for example a source of data
        return " ".join(f"{k} {_short(x)}" for k, x in flat(value).items() if x is not None)
    text = ", ".join(_short(item) for item in value) if isinstance(value, list) else str(value)
    return text if len(text) < 200 else f"{text[:200]} …"


def _changed(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings that are not defaults; all of them if another program wrote them."""
    try:
        config = Config.model_validate(settings)
    except ValidationError:
        return settings
    return config.model_dump(mode="json", exclude_defaults=True)


def _unit(name: str) -> str:
    return name.replace("_per_", "/").replace("A3", "Å³").replace("/A", "/Å")

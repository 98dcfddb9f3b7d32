"""The command `test`: reads potential and structure, selects the checks and runs them."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import ase
import torch

from reann.assessment.assess import assess
from reann.assessment.case import Case, Settings
from reann.assessment.kinds import Decision, Kind, kind_of
from reann.assessment.page import HTML, JSON, About, Entry, could_not_run, summary
from reann.data.files.read import iter_atoms
from reann.errors import UserError, counted
from reann.interfaces.ase import Calculator
from reann.model_file import MODEL
from reann.motion.settings import check_number
from reann.motion.start import at_start, read_start
from reann.output_files import check_folder, check_outputs, training_files
from reann.potential import Ensemble, Potential
from reann.terminal import Terminal


def run_test(
    model: Path,
    start: str | None = None,
    *,
    kind: str | None = None,
    only: Sequence[str] = (),
    folder: Path | None = None,
    settings: Settings | None = None,
    device: str | None = None,
    console: Terminal | None = None,
) -> list[Entry]:
    """Test a potential, and write a page and a JSON file into a folder.

    Parameters
    ----------
    start
        File of which the last structure is used; by default the first training structure.
    kind
        Kind of system; by default derived from the structure.
    only
        Names of checks; by default all that apply.
    folder
        Output folder; by default `NAME-test` with the name of the potential.

    Returns
    -------
    list
        Checks with their outcomes.

    Raises
    ------
    UserError
        For input that cannot be used, and outputs that cannot be written or would replace an input.
    """
    console = console or Terminal()
    settings = settings or Settings()
    check_settings(settings)
    name = model.parent.name if model.name == MODEL and model.parent.name else model.stem
    folder = Path(f"{name}-test") if folder is None else folder
    check_folder(folder)
    atoms, origin = structure(model, start)
    if folder.exists():
        outputs = {"--output": folder / HTML, "--json": folder / JSON}
        check_outputs(outputs, [model, start, *settings.data])
    decision = kind_of(atoms) if kind is None else Decision(Kind(kind), "given with --as")
    case = case_of(model, atoms, decision, settings, device)
    if case.potential is not None:
        case.potential.input_keys.rename(atoms, origin)
    with at_start(origin):
        case.start().get_potential_energy()
    about = About(name, atoms, origin, decision, facts_of(case), provenance_of(case, model))
    console.write(f"{origin}: {atoms.get_chemical_formula()}, tested as a {decision.kind.value}:")
    console.write(f"{decision.reason}. Dynamics at {settings.temperature:g} K ends after"
                f" {settings.limit:g} s per check.")  # fmt: skip
    entries = assess(case, about, folder, only, console)
    console.write(f"{summary(entries)[1]} Page: {folder / HTML}")
    return entries


def exit_code(entries: Sequence[Entry]) -> int:
    """Return 1 if a check ended with an error; a bad verdict is not an error."""
    return 1 if could_not_run(entries) else 0


def check_settings(settings: Settings) -> None:
    """Raise `UserError` for the first invalid setting."""
    check_number("temperature", settings.temperature, "K", above=0.0, most=1e5)
    check_number("time limit", settings.limit, "s", above=0.0)
    if settings.time is not None:
        check_number("time", settings.time, "fs", above=0.0)


def structure(model: Path, start: str | None) -> tuple[ase.Atoms, str]:
    """Return the structure to test, and its origin."""
    if start is not None:
        return read_start(start)
    for file in training_files([model]):
        atoms, origin = next(iter_atoms(str(file)))
        return read_start(atoms)[0], f"{origin}, from the training data"
    raise UserError(
        "No structure is given, and the training files no longer exist.",
        str(model),
        "Add a structure: reann test model.reann start.xyz",
    )


def case_of(
    model: Path, atoms: ase.Atoms, decision: Decision, settings: Settings, device: str | None
) -> Case:
    """Return the case for a potential in a file."""
    calculator = Calculator(model, engine=settings.engine, device=device)
    calculator.potential.model.heads.require()
    exact = Calculator(calculator.potential, engine=settings.engine, precision="float64")
    return Case(
        atoms,
        decision,
        calculator,
        exact,
        calculator.potential.cutoff,
        settings,
        calculator.potential,
        str(model),
    )


def facts_of(case: Case) -> str:
    """Return the line below the title of the page."""
    potential = case.potential
    assert potential is not None
    parts = [
        "-".join(potential.elements),
        f"cutoff {case.cutoff:g} Å",
        counted(len(case.atoms), "atom"),
        f"{case.settings.temperature:g} K",
    ]
    return " · ".join(parts)


def provenance_of(case: Case, model: Path) -> dict[str, str]:
    """Return the data needed to repeat the test."""
    potential: Potential | Ensemble | None = case.potential
    precision = "" if potential is None else str(potential.model.dtype).removeprefix("torch.")
    settings = case.settings
    return {
        "potential": str(model),
        "engine": f"{getattr(case.calculator, 'engine', '')}, {precision}; finite differences in"
        " float64",
        "seed": str(settings.seed),
        "time limit": f"{settings.limit:g} s per check",
        "data": ", ".join(settings.data) or "none",
        **{name: version(name) for name in ("reann", "torch", "ase", "numpy")},
        "machine": f"{platform.machine()} {platform.system()}, {torch.get_num_threads()} of"
        f" {os.cpu_count()} threads",
    }

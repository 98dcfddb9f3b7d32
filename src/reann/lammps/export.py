"""`reann export`: a folder with which LAMMPS starts, and a check that it computes the same."""

from __future__ import annotations

from pathlib import Path

import ase
import numpy as np
from ase.io.lammpsdata import write_lammps_data

from reann.engines.files import at_start, copy_of, read_start, time_step
from reann.engines.parity import Difference, checked
from reann.errors import UserError
from reann.lammps.doctor import run
from reann.model.hosts.embedded_density import EmbeddedDensity
from reann.potential import Ensemble, Potential, Prediction, load

INPUT = """# {title}
#   mpirun -n 2 lmp -in in.lammps
#   mpirun -n 2 lmp -in in.lammps -var ensemble npt -var temperature 350
variable ensemble index nvt
variable temperature index 300   # K
variable pressure index 1        # bar, with npt
variable steps index 2000

units metal
boundary {boundary}
read_data start.data
pair_style reann
pair_coeff * * {model} {elements}

timestep {timestep}   # ps
neighbor 1.0 bin
velocity all create ${{temperature}} 4711 mom yes rot yes
variable heat string "temp ${{temperature}} ${{temperature}} 0.1"
if "${{ensemble}} == npt" then &
    "fix md all npt ${{heat}} aniso ${{pressure}} ${{pressure}} 1.0" &
else &
    "fix md all nvt ${{heat}}"
thermo 100
thermo_style custom step temp pe etotal press vol
dump trajectory all custom 100 trajectory.dump id element x y z fx fy fz
dump_modify trajectory element {elements} sort id
run ${{steps}}
"""
CHECK = """units metal
boundary {boundary}
read_data start.data
pair_style reann
pair_coeff * * {model} {elements}
thermo_style custom pe
thermo_modify format float %.12g
dump 1 all custom 1 check.dump id fx fy fz
dump_modify 1 sort id format float %.12g
run 0
"""


def export(model: Path, start: Path, folder: Path) -> Difference | str:
    """Write `in.lammps`, `start.data` and the potential into a folder, and run one step.

    Returns the difference of LAMMPS from Python, or why it could not be asked.

    Raises
    ------
    UserError
        If the structure or the potential cannot be read or do not fit, or LAMMPS and Python differ.
    """
    potential = load(model)
    atoms, origin = read_start(start)
    atoms = _with_room(atoms)
    if type(potential.model.recursion.host) is not EmbeddedDensity:
        raise UserError(
            f"The pair style computes the host density only, not {potential.model.config.host}.",
            str(model),
            "Run it with `reann md`, or export it to i-PI or metatomic.",
        )
    with at_start(origin):
        expected = potential.predict(atoms, ["energy", "forces"])
    assert isinstance(expected, dict)
    folder.mkdir(parents=True, exist_ok=True)
    name = copy_of(model, folder)
    words = _write(potential, atoms, folder, name, f"{model.name}, {start}")
    (folder / "in.check").write_text(CHECK.format(**words))
    done = run(["-in", "in.check", "-log", "check.log"], folder)
    (folder / "in.check").unlink()
    if done.returncode:
        wrong = [line for line in done.stdout.splitlines() if "ERROR" in line]
        return (wrong or done.stderr.splitlines() or ["no answer"])[-1]
    return checked(_compare(folder, expected), "LAMMPS", folder)


def _with_room(atoms: ase.Atoms) -> ase.Atoms:
    """Give atoms a box along axes that have none, as LAMMPS needs one."""
    for axis in np.flatnonzero(~atoms.pbc):
        if not atoms.cell.array[axis].any():
            atoms.center(vacuum=5.0, axis=int(axis))
    return atoms


def _write(
    potential: Potential | Ensemble, atoms: ase.Atoms, folder: Path, model: str, title: str
) -> dict[str, str]:
    """Write structure and input; return the words that were filled in."""
    present = set(atoms.get_chemical_symbols())
    elements = [symbol for symbol in potential.elements if symbol in present]
    with (folder / "start.data").open("w") as file:
        write_lammps_data(
            file, atoms, specorder=elements, masses=True, atom_style="atomic", units="metal"
        )
    words = {
        "title": title,
        "boundary": " ".join("p" if periodic else "s" for periodic in atoms.pbc),
        "model": model,
        "elements": " ".join(elements),
        "timestep": f"{1e-3 * time_step(atoms):g}",
    }
    (folder / "in.lammps").write_text(INPUT.format(**words))
    return words


def _compare(folder: Path, expected: Prediction) -> Difference:
    lines = (folder / "check.log").read_text().splitlines()
    head = next(i for i, line in enumerate(lines) if line.split() == ["PotEng"])
    energy = float(lines[head + 1])
    table = (folder / "check.dump").read_text().split("ITEM: ATOMS id fx fy fz\n")[1]
    forces = np.array([line.split()[1:] for line in table.splitlines()], dtype=float)
    (folder / "check.log").unlink()
    (folder / "check.dump").unlink()
    # The cell of LAMMPS has another orientation, unless it is one along x: compare lengths.
    found, wanted = (np.linalg.norm(f, axis=1) for f in (forces, expected["forces"]))
    return Difference(
        abs(energy - float(expected["energy"])) / len(forces), float(np.abs(found - wanted).max())
    )

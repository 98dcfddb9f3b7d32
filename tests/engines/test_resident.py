"""Dynamics whose atoms stay on a device equals ASE's; the device here is the CPU."""

from contextlib import nullcontext

import ase
import numpy as np
import pytest
import torch
from ase import units
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.motion.dynamics import draw_velocities
from reann.motion.lists import SkinPairs
from reann.motion.resident import Integrator, Resident
from reann.simulate import resident_run
from reann.simulate.md import run_md
from reann.simulate.monitor import ExplosionError
from reann.simulate.resident_run import SKIN, forces_of

DT = 0.5 * units.fs
FRICTION, KT = 0.02 / units.fs, 300.0 * units.kB


@pytest.fixture
def moving(box):
    draw_velocities(box, 300.0, np.random.default_rng(1))
    return box


def resident(potential, atoms, integrator, skin=SKIN, seed=0):
    calculator = Calculator(potential)
    graph = graph_from_atoms(atoms, potential.cutoff)
    pairs = SkinPairs(graph, potential.cutoff, skin)
    rng = np.random.default_rng(seed)

    def noise(steps):
        return torch.tensor(rng.standard_normal((steps, 2, len(atoms), 3)))

    return Resident(atoms, pairs, forces_of(calculator, pairs), integrator, noise)


def by_ase(potential, atoms, dynamics, n_steps, **settings):
    atoms = atoms.copy()
    atoms.calc = Calculator(potential)
    own = dynamics(atoms, DT, **settings)
    energies = [atoms.get_potential_energy() for _ in own.irun(n_steps)]
    return atoms, energies[1:]


@pytest.mark.parametrize("skin", [SKIN, 0.1])
def test_velocity_verlet_is_that_of_ase(potential, moving, skin):
    """Also with a skin that does not last for a block, which is then repeated."""
    own = resident(potential, moving, Integrator(DT), skin)
    energies = own.advance(16).energy + own.advance(8).energy
    atoms, expected = by_ase(potential, moving, VelocityVerlet, 24)
    np.testing.assert_allclose(energies, expected, atol=1e-9)
    np.testing.assert_allclose(own.positions, atoms.positions, atol=1e-9)
    np.testing.assert_allclose(own.velocities, atoms.get_velocities(), atol=1e-9)
    assert own.pairs.n_builds >= (1 if skin == SKIN else 4)


def test_langevin_dynamics_is_that_of_ase_with_the_same_random_numbers(potential, moving):
    own = resident(potential, moving, Integrator(DT, FRICTION, KT), seed=3)
    records = own.advance(10)
    settings = {"temperature_K": 300.0, "friction": FRICTION, "fixcm": False}
    rng = np.random.default_rng(3)
    atoms, expected = by_ase(potential, moving, Langevin, 10, rng=rng, **settings)
    np.testing.assert_allclose(records.energy, expected, atol=1e-9)
    np.testing.assert_allclose(own.positions, atoms.positions, atol=1e-9)
    assert records.kinetic[-1] == pytest.approx(atoms.get_kinetic_energy(), abs=1e-9)


def test_the_first_steps_of_a_block_can_be_repeated(potential, moving):
    own = resident(potential, moving, Integrator(DT, FRICTION, KT))
    own.advance(4)
    at_four = own.positions.clone()
    own.advance(6)
    own.repeat(0)
    assert torch.equal(own.positions, at_four)
    own.repeat(6)
    again = resident(potential, moving, Integrator(DT, FRICTION, KT))
    again.advance(10)
    np.testing.assert_allclose(own.positions, again.positions, atol=1e-9)


def test_capturing_a_step_changes_nothing(potential, moving, monkeypatch):
    """What stands for a CUDA graph takes the step once; where it is impossible, steps go on."""

    def taken_once(step):
        step()
        return step

    def impossible(step):
        step()
        raise RuntimeError("operation not permitted when stream is capturing")

    expected = resident(potential, moving, Integrator(DT))
    expected.advance(6)
    for capture, warns in ((taken_once, False), (impossible, True)):
        monkeypatch.setattr("reann.motion.resident.captured", capture)
        dynamics = resident(potential, moving, Integrator(DT))
        with pytest.warns(UserWarning, match="not captured") if warns else nullcontext():
            dynamics.capture()
        dynamics.advance(6)
        assert torch.equal(dynamics.positions, expected.positions)


def test_an_atom_that_leaves_the_skin_in_one_step_is_an_error(potential, moving):
    moving.set_velocities(np.full((9, 3), [1.0 / units.fs, 0.0, 0.0]))
    own = resident(potential, moving, Integrator(DT))
    with pytest.raises(UserError, match=r"farther than 0\.3 Å within one step"):
        own.advance(4)


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_a_run_writes_what_a_run_of_ase_writes(potential, box, tmp_path, monkeypatch, ensemble):
    settings = {"temperature": 300.0, "time": 25.0, "timestep": 0.5, "ensemble": ensemble}
    settings |= {"interval": 20, "quiet": True, "engine": "auto"}
    expected = run_md(potential, box, output=tmp_path / "a.xyz", **settings)
    monkeypatch.setattr(resident_run, "stays_on_device", lambda *_: True)
    found = run_md(potential, box, output=tmp_path / "b.xyz", **settings)
    assert found.total_energy.shape == expected.total_energy.shape == (51,)
    frames = [ase.io.read(tmp_path / name, ":") for name in ("a.xyz", "b.xyz")]
    assert [len(x) for x in frames] == [3, 3]
    if ensemble == "langevin":
        assert 10.0 < found.temperature[-20:].mean() < 2000.0
        return
    np.testing.assert_allclose(found.total_energy, expected.total_energy, atol=1e-8)
    np.testing.assert_allclose(found.temperature, expected.temperature, atol=1e-5)
    for a, b in zip(*frames, strict=True):
        assert a.info == pytest.approx(b.info, abs=1e-8) or a.info["step"] == b.info["step"]
        np.testing.assert_allclose(b.get_forces(), a.get_forces(), atol=1e-7)


def test_an_explosion_is_told_at_its_step(potential, box, tmp_path, monkeypatch):
    monkeypatch.setattr(resident_run, "stays_on_device", lambda *_: True)
    box.set_velocities(np.full((9, 3), [0.58 / units.fs, 0.0, 0.0]))
    with pytest.raises(ExplosionError, match="The dynamics exploded"):
        run_md(
            potential, box, temperature=300.0, time=25.0, timestep=0.5, ensemble="nve",
            output=tmp_path / "a.xyz", quiet=True
        )  # fmt: skip
    assert len(ase.io.read(tmp_path / "a.xyz", ":")) >= 1

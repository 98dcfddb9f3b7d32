"""Exploration gives possible structures, the same ones for the same seed."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.constraints import FixAtoms

import reann
from loops import waters
from reann.errors import UserError
from reann.learning.explore.bonds import Bonds
from reann.learning.explore.command import run_command
from reann.learning.explore.displacements import displaced
from reann.learning.explore.dynamics import Conditions, run_dynamics
from reann.learning.explore.trajectory import Trajectory, is_possible
from reann.learning.explore.uncertainty import UncertaintyLimit
from reann.learning.settings import CommandConfig, DisplacementsConfig
from reann.selection.known import known_from
from runs import DATA, small


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> bytes:
    from reann.training.run import train

    folder = tmp_path_factory.mktemp("model") / "run"
    train(small(folder, epochs=2))
    return (folder / "model.reann").read_bytes()


def conditions(**changes) -> Conditions:
    usual = {
        "temperature": 300.0,
        "pressure": None,
        "time": 50.0,
        "timestep": None,
        "frames": 5,
        "keep_bonds": False,
        "max_extrapolating": 1.0,
        "seed": 3,
        "engine": "torch",
    }
    return Conditions(**usual | changes)


def test_dynamics_gives_structures_at_equal_times(model) -> None:
    start = molecule("CH3CH2OH")
    trajectory = run_dynamics(model, start, conditions(keep_bonds=True))
    if not trajectory.ended:
        assert [atoms.info["time_fs"] for atoms in trajectory.frames] == [10, 20, 30, 40, 50]
    again = run_dynamics(model, start, conditions(keep_bonds=True))
    assert [(a.positions == b.positions).all() for a, b in pairs(trajectory, again)] != []
    assert all((a.positions == b.positions).all() for a, b in pairs(trajectory, again))
    other = run_dynamics(model, start, conditions(keep_bonds=True, seed=4))
    assert not np.allclose(other.frames[0].positions, trajectory.frames[0].positions)


def pairs(one, other):
    return zip(one.frames, other.frames, strict=True)


def test_dynamics_ends_where_it_makes_no_sense_and_keeps_what_was_before(model) -> None:
    start = molecule("CH3CH2OH")
    hot = run_dynamics(model, start, conditions(temperature=30_000.0, keep_bonds=True))
    assert hot.ended
    assert hot.time < 50.0
    assert all(is_possible(atoms) for atoms in hot.frames)
    outside = run_dynamics(model, start, conditions(max_extrapolating=0.0, temperature=2000.0))
    assert "extrapolate" in outside.ended or "exploded" in outside.ended


def test_a_trajectory_ends_with_its_first_uncertain_structure(model, tmp_path: Path) -> None:
    (tmp_path / "model.reann").write_bytes(model)
    known = ase.io.read(DATA, ":14")
    potential = reann.load(tmp_path / "model.reann")
    ensemble = known_from(known[:10], potential, 1, lambda _: None).ensemble
    limit = UncertaintyLimit(potential, known[:10], ensemble)
    squeezed = known[10].copy()
    squeezed.positions *= 0.6
    frames = [known[11], known[12], squeezed, known[13]]
    for number, atoms in enumerate(frames):
        atoms.info["time_fs"] = 10.0 * (number + 1)
    trajectory = Trajectory(frames, time=50.0)
    cut = limit.cut(trajectory)
    assert cut.frames == frames[:3]
    assert cut.time == 30.0
    assert "times that of the training data" in cut.ended
    usual = Trajectory([known[11], known[12], known[13]], "a bond broke", time=50.0)
    assert limit.cut(usual) == usual
    displacements = Trajectory(frames)
    assert limit.cut(displacements) == displacements


def test_bonds_break_and_form() -> None:
    water = molecule("H2O")
    bonds = Bonds(water)
    assert bonds.bonded.sum() == 2
    assert bonds.change(water) == ""
    stretched = water.copy()
    stretched.set_distance(0, 1, 1.9, fix=0)
    assert bonds.change(stretched) == "a bond broke"
    closed = water.copy()
    closed.set_distance(1, 2, 0.6, fix=0)
    assert bonds.change(closed) in ("a bond formed", "a bond broke")


def test_atoms_that_overlap_are_not_possible() -> None:
    assert is_possible(molecule("H2O"))
    assert is_possible(ase.Atoms("H"))
    assert not is_possible(ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.2]]))
    assert not is_possible(ase.Atoms("H2", [[0, 0, 0], [0, 0, np.nan]]))
    wrapped = ase.Atoms("Si2", [[0, 0, 0], [0, 0, 4.9]], cell=[5, 5, 5], pbc=True)
    assert not is_possible(wrapped)


def test_displacements_respect_constraints_and_strain_periodic_directions_only() -> None:
    slab = bulk("Ni", cubic=True) * (2, 1, 1)
    slab.pbc = (True, True, False)
    slab.set_constraint(FixAtoms([0]))
    settings = DisplacementsConfig(number=3, standard_deviation=0.05, strain=0.02)
    trajectory = displaced([slab] * 3, settings, seed=5)
    assert len(trajectory.frames) == 3
    for atoms in trajectory.frames:
        assert np.allclose(atoms.cell[2], slab.cell[2])
        assert not np.allclose(atoms.cell[0], slab.cell[0])
        assert np.allclose(atoms.get_scaled_positions()[0], slab.get_scaled_positions()[0])
    still = displaced([slab], DisplacementsConfig(standard_deviation=0.05), seed=5).frames[0]
    assert (still.positions[0] == slab.positions[0]).all()
    moved = still.positions[1:] - slab.positions[1:]
    assert 0.01 < np.abs(moved).mean() < 0.1


def test_a_command_of_the_user(tmp_path: Path) -> None:
    (atoms,) = waters(1)
    command = "cp start.xyz out-{seed}.xyz && test -s {model} && test -d {folder}"
    settings = CommandConfig(run=command, output="out-*.xyz")
    done = run_command(b"model", atoms, settings, {"seed": "7"}, str(tmp_path))
    assert np.allclose(done.frames[0].positions, atoms.positions)
    for wrong, what in (("false", "exit code 1"), ("echo {sed}", "A placeholder of the command")):
        with pytest.raises(UserError, match=what):
            run_command(
                b"", atoms, CommandConfig(run=wrong, output="*"), {"seed": "7"}, str(tmp_path)
            )
    atoms.info |= {"charge": -1, "spin": 2}
    ase.io.write(tmp_path / "other.xyz", ase.Atoms("OH", [[0, 0, 0], [0, 0, 1]]))
    settings = CommandConfig(
        run="echo 3 > a.xyz; echo net_charge=1 >> a.xyz; tail -n 3 start.xyz >> a.xyz;"
        " cp start.xyz b.xyz; sed -i 's/charge=-1//; s/spin=2//' b.xyz;"
        " cp {folder}/other.xyz c.xyz",
        output="[abc].xyz",
    )
    frames = run_command(b"", atoms, settings, {}, str(tmp_path)).frames
    states = [(frame.info.get("charge"), frame.info.get("spin")) for frame in frames]
    assert states == [(1, 2), (-1, 2), (None, None)]
    slow = CommandConfig(run="sleep 20", output="*", timeout="1s")
    with pytest.raises(UserError, match="did not end within 1 s"):
        run_command(b"", atoms, slow, {"seed": "7"}, str(tmp_path))

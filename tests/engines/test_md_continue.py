"""Runs continue: velocities, step and time go on, and nothing that was written is lost."""

from __future__ import annotations

import ase
import ase.io
import numpy as np
import pytest
from ase.constraints import FixAtoms
from typer.testing import CliRunner

from reann.cli import app
from reann.errors import UserError
from reann.motion.dynamics import draw_velocities, temperature_of
from reann.simulate.md import run_md
from reann.simulate.monitor import ExplosionError
from reann.simulate.relax import relax


def run(potential, start, time, **settings):
    usual = {"temperature": 300.0, "timestep": 0.5, "ensemble": "nve", "interval": 2, "quiet": True}
    return run_md(potential, start, time=time, **(usual | settings))


@pytest.fixture
def start(potential, box):
    return potential, box


def moving(box: ase.Atoms, temperature: float = 500.0) -> ase.Atoms:
    draw_velocities(box, temperature, np.random.default_rng(9))
    return box


@pytest.mark.parametrize("ensemble", ["nve", "langevin", "npt"])
def test_velocities_of_the_start_are_used(potential, box, ensemble, capsys):
    start = moving(box)
    done = run(potential, start, 1.0, ensemble=ensemble, quiet=False)
    assert done.temperature[0] == pytest.approx(temperature_of(start, 27))
    assert "Velocities are those of the start" in capsys.readouterr().out
    other = run(potential, start, 1.0, ensemble=ensemble, new_velocities=True, quiet=False)
    assert abs(other.temperature[0] - done.temperature[0]) > 1.0
    assert "Velocities are drawn" in capsys.readouterr().out


def test_a_start_at_rest_gets_velocities(potential, box):
    box.set_momenta(np.zeros((9, 3)))
    assert run(potential, box, 1.0).temperature[0] > 50.0


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_velocities_of_fixed_atoms_do_not_count(potential, box, ensemble):
    start = moving(box)
    start.set_constraint(FixAtoms([0, 4]))
    done = run(potential, start, 1.0, ensemble=ensemble)
    assert np.array_equal(done.atoms.positions[[0, 4]], box.positions[[0, 4]])
    free = [i for i in range(9) if i not in (0, 4)]
    assert done.temperature[0] == pytest.approx(temperature_of(start[free], 21))


def test_a_relaxed_structure_has_no_velocities(new_potential, box):
    start = moving(box)
    relaxed = relax(new_potential(zbl={}), start, fmax=5.0, quiet=True).atoms
    assert not relaxed.has("momenta")
    assert start.has("momenta")


@pytest.mark.parametrize("name", ["md.xyz", "md.traj"])
def test_nve_continues_as_if_it_had_not_stopped(potential, box, tmp_path, name, capsys):
    box.set_masses([18.0, *box.get_masses()[1:]])
    whole = run(potential, box, 20.0, output=tmp_path / f"whole-{name}")
    output = tmp_path / name
    run(potential, box, 8.0, output=output)
    run(potential, box, 20.0, output=output, append=True)
    expected, found = (ase.io.read(p, ":") for p in (tmp_path / f"whole-{name}", output))
    assert [a.info["step"] for a in found] == list(range(0, 41, 2))
    assert [a.info["time_fs"] for a in found] == [0.5 * step for step in range(0, 41, 2)]
    for one, other in zip(expected, found, strict=True):
        assert np.allclose(one.positions, other.positions, rtol=0, atol=1e-12)
        assert np.allclose(one.get_velocities(), other.get_velocities(), rtol=0, atol=1e-12)
    again = run(potential, box, 20.0, output=output, append=True, quiet=False)
    assert "have been run before" in capsys.readouterr().out
    assert len(ase.io.read(output, ":")) == 21
    assert again.total_energy[-1] == pytest.approx(whole.total_energy[-1], abs=1e-9)


def test_random_numbers_of_a_continued_run_are_others_and_repeatable(potential, box, tmp_path):
    output, ends = tmp_path / "md.xyz", []
    run(potential, box, 4.0, output=output, ensemble="langevin")
    written = output.read_bytes()
    for seed in (1, 1, 2):
        output.write_bytes(written)
        settings = {"ensemble": "langevin", "append": True, "seed": seed}
        ends.append(run(potential, box, 8.0, output=output, **settings).atoms.positions)
    assert np.array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - ends[2]).max() > 1e-4
    # The same numbers in both halves would push each atom twice in the same way.
    first = np.random.default_rng([1, 0]).standard_normal(5)
    assert not np.allclose(first, np.random.default_rng([1, 8]).standard_normal(5))


def test_a_continued_run_keeps_constraints_that_the_trajectory_does_not_hold(
    potential, box, tmp_path
):
    from ase.constraints import FixBondLength

    box.set_constraint(FixBondLength(0, 1))
    run(potential, box, 2.0, output=tmp_path / "md.xyz")
    done = run(potential, box, 4.0, output=tmp_path / "md.xyz", append=True)
    assert done.atoms.get_distance(0, 1) == pytest.approx(box.get_distance(0, 1), abs=1e-6)


def test_a_trajectory_may_be_the_start_of_its_own_continuation(potential, box, tmp_path):
    output = tmp_path / "md.xyz"
    run(potential, box, 4.0, output=output)
    output.write_bytes(output.read_bytes()[:-5])  # killed while it wrote
    run(potential, output, 8.0, output=output, append=True)
    assert [a.info["step"] for a in ase.io.read(output, ":")] == list(range(0, 17, 2))


def test_what_cannot_be_continued_is_an_error(potential, box, tmp_path):
    output = tmp_path / "md.xyz"
    with pytest.raises(UserError, match="trajectory to continue is not given"):
        run(potential, box, 2.0, append=True)
    ase.io.write(output, box)
    with pytest.raises(UserError, match="lacks velocities, step or time"):
        run(potential, box, 2.0, output=output, append=True)
    output.unlink()
    run(potential, box, 1.0, output=output, append=True)  # there is nothing to continue yet
    with pytest.raises(UserError, match="differ in atoms"):
        run(potential, box[:6], 2.0, output=output, append=True)
    box.pbc = ~box.pbc
    with pytest.raises(UserError, match="differ in atoms or periodicity"):
        run(potential, box, 2.0, output=output, append=True)


def test_a_continued_run_has_the_cell_of_the_trajectory(potential, box, tmp_path):
    output, settings = tmp_path / "md.xyz", {"ensemble": "npt", "pressure": 1e5}
    before = run(potential, box, 4.0, output=output, **settings).atoms
    assert abs(before.cell.volume / box.cell.volume - 1.0) > 1e-6
    run(potential, box, 6.0, output=output, append=True, ensemble="nve")
    last = ase.io.read(output, -1)
    assert last.cell.array == pytest.approx(before.cell.array, abs=1e-6)


@pytest.mark.parametrize("name", ["md.xyz", "md.traj"])
def test_a_run_that_fails_at_once_leaves_the_old_trajectory(potential, box, tmp_path, name):
    output = tmp_path / name
    run(potential, box, 4.0, output=output)
    before = output.read_bytes()
    with pytest.raises(ExplosionError, match="exploded"):
        run(potential, box, 500.0, output=output, timestep=90.0)
    same = box.copy()
    same.positions[1] = same.positions[0]
    with pytest.raises(UserError, match="coincide"):
        run(potential, same, 5.0, output=output)
    with pytest.raises(UserError, match="coincide"):
        relax(potential, same, output=output, quiet=True)
    assert output.read_bytes() == before


def test_labels_of_the_start_are_not_those_of_its_trajectory(potential, box, tmp_path):
    box.info |= {"DFT_energy": -1.0, "config_type": "water", "reann_energy": 1.0, "step": 1000}
    box.arrays["ref_forces"] = np.ones((9, 3))
    run(potential, box, 1.0, output=tmp_path / "md.xyz")
    relax(potential, box, max_steps=2, output=tmp_path / "relaxed.xyz", quiet=True)
    for name in ("md.xyz", "relaxed.xyz"):
        atoms = ase.io.read(tmp_path / name)
        assert not {"DFT_energy", "reann_energy"} & set(atoms.info), name
        assert "ref_forces" not in atoms.arrays
        assert atoms.info["config_type"] == "water"
        assert atoms.info["step"] == 2


def test_the_command_continues(potential, box, tmp_path):
    potential.save(tmp_path / "a.reann")
    ase.io.write(tmp_path / "start.xyz", box)
    command = ["md", tmp_path / "a.reann", tmp_path / "start.xyz", "--temperature", 300]
    command += ["-o", tmp_path / "md.xyz", "--interval", 2, "--continue", "--time"]
    for time in ("2fs", "4fs"):
        result = CliRunner().invoke(app, [str(word) for word in [*command, time]])
        assert result.exit_code == 0, result.output
    assert "Continuing" in result.output
    assert "step 4" in result.output.replace("\n", "")
    assert [a.info["step"] for a in ase.io.read(tmp_path / "md.xyz", ":")] == [0, 2, 4, 6, 8]


def test_ctrl_c_says_how_to_go_on(potential, box, tmp_path, monkeypatch):
    def stopped(*given, output, **settings):
        output.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("reann.simulate.md.run_md", stopped)
    words = ["md", "a.reann", "a.xyz", "--temperature", "300", "--time", "1ps", "-o"]
    result = CliRunner().invoke(app, [*words, str(tmp_path / "md.xyz")])
    assert result.exit_code == 130
    assert "add --continue to the same command" in result.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ensemble": "langevin"}, "The settings differ: langevin, time step 0.5 fs, 300 K"),
        ({"timestep": 0.25}, "nve, time step 0.25 fs; before: nve, time step 0.5 fs"),
        ({}, ""),
    ],
)
def test_a_continued_run_names_settings_that_differ(start, tmp_path, settings, words, capsys):
    output = tmp_path / "md.xyz"
    run(*start, 2.0, output=output)
    run(*start, 4.0, output=output, append=True, quiet=False, **settings)
    text = " ".join(capsys.readouterr().out.split())
    assert words in text
    assert ("differ" in text) == bool(words)


@pytest.mark.parametrize("name", ["md.xyz", "md.traj"])
def test_a_run_continued_with_another_potential_says_so(new_potential, box, tmp_path, name, capsys):
    output = tmp_path / name
    run(new_potential(seed=2), box, 2.0, output=output)
    run(new_potential(seed=3), box, 4.0, output=output, append=True, quiet=False)
    assert "The potential differs: " in " ".join(capsys.readouterr().out.split())


def test_what_an_old_trajectory_does_not_record_is_not_compared(potential, box, tmp_path, capsys):
    output = tmp_path / "md.traj"
    run(potential, box, 2.0, output=output)
    last = ase.io.read(output)
    del last.info["dynamics"]
    last.calc = None
    ase.io.write(output, last)
    run(potential, box, 4.0, output=output, append=True, quiet=False)
    text = " ".join(capsys.readouterr().out.split())
    assert "Time step and ensemble are not compared" in text
    assert "The potential is not compared" in text


@pytest.mark.parametrize(
    ("ensemble", "setting", "where"),
    [
        ("nve", "friction", "--friction"),
        ("nve", "pressure", "--pressure"),
        ("langevin", "pressure", "--pressure"),
    ],
)
def test_a_setting_that_the_ensemble_does_not_use_is_an_error(
    potential, box, ensemble, setting, where
):
    with pytest.raises(UserError, match="has no effect") as error:
        run(potential, box, 1.0, ensemble=ensemble, **{setting: 0.02})
    assert error.value.where == where

"""Dynamics conserve what they should, keep constraints, and stop when they explode."""

from functools import partial

import ase.io
import numpy as np
import pytest
import torch
from ase import units
from ase.constraints import FixAtoms

from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.motion.dynamics import degrees_of_freedom, draw_velocities
from reann.simulate.md import run_md
from reann.simulate.md_result import drift
from reann.simulate.monitor import ExplosionError
from reann.simulate.relax import relax


def nve(potential, box, timestep, time=10.0, **settings):
    return run_md(
        potential,
        box,
        temperature=300.0,
        time=time,
        ensemble="nve",
        timestep=timestep,
        quiet=True,
        **settings,
    )


def test_energy_fluctuations_fall_as_the_square_of_the_time_step(potential, box):
    # Fails when forces are not the derivative of the energy, or when the list loses an edge.
    coarse, fine = (nve(potential, box, timestep, time=40.0) for timestep in (1.0, 0.5))
    ratio = coarse.total_energy.std() / fine.total_energy.std()
    assert 3.2 < ratio < 4.8
    assert fine.total_energy.std() < 1e-3
    kinetic = 0.5 * fine.temperature * units.kB * degrees_of_freedom(box, "nve")
    assert kinetic.std() > 20 * fine.total_energy.std()


def test_single_precision_conserves_energy_too(new_potential, box):
    run = nve(new_potential(dtype=torch.float32), box, 0.5)
    double = nve(new_potential(), box, 0.5)
    assert run.total_energy.std() < 1.2 * double.total_energy.std() + 1e-4


def test_nve_keeps_the_center_of_mass_at_rest(potential, box):
    run = nve(potential, box, 0.5)
    assert np.abs(run.atoms.get_momenta().sum(0)).max() < 1e-10
    moved = run.atoms.get_center_of_mass() - box.get_center_of_mass()
    assert np.abs(moved).max() < 1e-10


@pytest.mark.parametrize("ensemble", ["langevin", "nve", "npt"])
def test_the_same_seed_gives_the_same_run_and_another_one_another(potential, box, ensemble):
    def run(seed):
        settings = {"temperature": 300.0, "time": 5.0, "ensemble": ensemble, "quiet": True}
        return run_md(potential, box, seed=seed, **settings).atoms.positions

    assert np.array_equal(run(1), run(1))
    assert np.abs(run(1) - run(2)).max() > 1e-3


def test_the_start_stays_as_it_is(potential, box):
    given = box.copy()
    nve(potential, box, 0.5)
    assert box == given
    assert box.calc is None


def test_langevin_reaches_the_temperature_with_constraints_counted(potential, box):
    # Strong friction, so that a short run averages over many independent velocities.
    box.set_constraint(FixAtoms([0, 3, 6]))
    run = run_md(
        potential, box, temperature=300.0, time=160.0, timestep=1.0, friction=0.2, quiet=True
    )
    assert np.array_equal(run.atoms.positions[[0, 3, 6]], box.positions[[0, 3, 6]])
    # 18 degrees of freedom, some 28 independent samples: 300 K * sqrt(2 / 500) = 19 K;
    # with the fixed atoms counted it would be 200 K.
    assert abs(run.temperature[20:].mean() - 300.0) < 50.0


def test_drawn_velocities_have_the_temperature_of_the_free_atoms(box):
    box = box * (4, 4, 4)
    box.set_constraint(FixAtoms(range(300)))
    draw_velocities(box, 300.0, np.random.default_rng(0))
    freedom = degrees_of_freedom(box, "nve")
    assert freedom == 3 * (len(box) - 300)
    assert 2 * box.get_kinetic_energy() / (freedom * units.kB) == pytest.approx(300.0, rel=0.1)
    assert np.all(box.get_velocities()[:300] == 0)


def test_degrees_of_freedom(box):
    assert degrees_of_freedom(box, "langevin") == 27
    assert degrees_of_freedom(box, "nve") == 24
    assert degrees_of_freedom(box[:1], "nve") == 3
    box.set_constraint(FixAtoms(range(9)))
    with pytest.raises(UserError, match="No atom can move"):
        degrees_of_freedom(box, "langevin")


def test_pressure_shrinks_and_tension_widens_the_cell(potential, box):
    def volume(pressure):
        return run_md(
            potential,
            box,
            temperature=100.0,
            time=40.0,
            timestep=1.0,
            ensemble="npt",
            pressure=pressure,
            quiet=True,
        ).atoms

    squeezed, pulled = volume(1e6), volume(-1e6)
    assert squeezed.get_volume() < box.get_volume() < pulled.get_volume()
    # The shape stays.
    assert np.allclose(squeezed.cell.angles(), box.cell.angles())


def test_constant_pressure_says_what_it_cannot_do(potential, box, molecule):
    with pytest.raises(UserError, match="three dimensions"):
        run_md(potential, molecule, temperature=300.0, ensemble="npt", quiet=True)
    box.set_constraint(FixAtoms([0]))
    with pytest.raises(UserError, match="Constraints"):
        run_md(potential, box, temperature=300.0, ensemble="npt", quiet=True)


def test_an_explosion_stops_with_step_atom_and_advice(potential, box, tmp_path):
    with pytest.raises(
        ExplosionError, match=r"exploded(.|\n)*step \d+(.|\n)*atom is(.|\n)*time step"
    ):
        run_md(
            potential,
            box,
            temperature=50.0,
            time=2000.0,
            timestep=8.0,
            ensemble="nve",
            output=tmp_path / "md.xyz",
            quiet=True,
        )
    assert len(ase.io.read(tmp_path / "md.xyz", ":")) >= 2


def test_a_potential_that_breaks_during_the_run_is_an_explosion(potential, box, monkeypatch):
    calls = []

    evaluated = type(potential).evaluate

    def evaluate(self, graph, names, engine):
        calls.append(1)
        found = evaluated(self, graph, names, engine)
        return found | {"forces": found["forces"] * torch.nan} if len(calls) > 4 else found

    monkeypatch.setattr(type(potential), "evaluate", evaluate)
    with pytest.raises(ExplosionError, match=r"step \d"):
        nve(potential, box, 0.5, engine="torch")


def test_too_little_memory_is_no_explosion(potential, box, monkeypatch):
    calls = []

    evaluated = type(potential).evaluate

    def evaluate(self, graph, names, engine):
        calls.append(1)
        if len(calls) > 3:
            raise UserError("no memory") from torch.cuda.OutOfMemoryError()
        return evaluated(self, graph, names, engine)

    monkeypatch.setattr(type(potential), "evaluate", evaluate)
    with pytest.raises(UserError, match="no memory") as caught:
        nve(potential, box, 0.5, engine="torch")
    assert not isinstance(caught.value, ExplosionError)


@pytest.mark.parametrize("verb", [relax, partial(run_md, temperature=300.0)])
def test_an_error_of_the_start_names_the_file_and_the_structure(potential, box, tmp_path, verb):
    same = box.copy()
    same.positions[4] = same.positions[1]
    ase.io.write(tmp_path / "start.xyz", [box, same])
    with pytest.raises(UserError, match=r"Atoms 1 and 4 coincide(.|\n)*start\.xyz#1"):
        verb(potential, tmp_path / "start.xyz", quiet=True)


@pytest.mark.parametrize("verb", [relax, partial(run_md, temperature=300.0)])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("masses", 0.0, "The mass of atom 2 is not a positive number"),
        ("masses", -1.0, "The mass of atom 2 is not a positive number"),
        ("masses", np.nan, "The mass of atom 2 is not a positive number"),
        ("momenta", np.nan, "The velocity of atom 2 is not finite"),
        ("momenta", np.inf, "The velocity of atom 2 is not finite"),
    ],
)
def test_masses_and_velocities_with_which_nothing_moves_are_an_error(
    potential, box, *, verb, name, value, said
):
    values = box.get_masses() if name == "masses" else np.zeros((len(box), 3))
    values[2] = value
    box.set_array(name, values)
    with pytest.raises(UserError, match=said):
        verb(potential, box, quiet=True)


def test_too_many_extrapolating_atoms_stop_the_run_if_asked(potential, box):
    potential.model.density_min.zero_()
    potential.model.density_max.zero_()
    assert nve(potential, box, 1.0).extrapolating == 1.0
    with pytest.raises(ExplosionError, match="100% of the atoms extrapolate"):
        nve(potential, box, 1.0, max_extrapolating=0.5)


def test_an_unknown_element_is_an_error_of_the_start(potential, box, tmp_path):
    box.numbers[2] = 6
    with pytest.raises(UserError, match="also has C") as caught:
        nve(potential, box, 0.5, output=tmp_path / "md.xyz")
    assert not isinstance(caught.value, ExplosionError)
    assert not (tmp_path / "md.xyz").exists()


@pytest.mark.parametrize("name", ["md.xyz", "md.traj"])
def test_the_trajectory_holds_what_the_potential_says(potential, box, tmp_path, name):
    run = nve(potential, box, 1.0, output=tmp_path / name, interval=2)
    frames = ase.io.read(tmp_path / name, ":")
    assert len(frames) == 6
    assert np.allclose(frames[0].positions, box.positions, atol=1e-7)
    last = frames[-1]
    assert last.get_potential_energy() == pytest.approx(potential.predict(last)["energy"], abs=1e-5)
    assert np.allclose(last.get_forces(), run.atoms.get_forces(), atol=1e-6)
    kinetic = last.get_kinetic_energy()
    assert last.get_potential_energy() + kinetic == pytest.approx(run.total_energy[-1], abs=1e-4)


def test_a_start_from_a_file_is_its_last_structure(potential, box, tmp_path):
    other = box.copy()
    other.positions[0, 0] += 0.1
    ase.io.write(tmp_path / "start.xyz", [other, box])
    run = nve(potential, str(tmp_path / "start.xyz"), 0.5)
    # Start files have eight digits.
    assert run.total_energy[0] == pytest.approx(nve(potential, box, 0.5).total_energy[0], abs=1e-6)


def test_plain_lines_show_the_table(potential, molecule, capsys):
    run_md(potential, molecule, temperature=100.0, time=5.0, ensemble="nve")
    lines = capsys.readouterr().out.splitlines()
    assert "Velocities are drawn" in lines[0]
    assert lines[1].split()[:3] == ["time", "T", "drift"]
    assert lines[2].split()[:3] == ["ps", "K", "meV/atom"]
    assert len(lines) == 1 + 2 + 11 + 3
    assert lines[-3].startswith("0.005 ps in ")
    assert "No trajectory was written; -o md.xyz writes one." in lines[-1]


def test_wrong_settings_say_what_is_right(potential, molecule, tmp_path):
    for settings, message in [
        ({"ensemble": "nvt"}, "nve"),
        ({"temperature": -1.0}, "temperature"),
        ({"time": 0.0}, "time"),
        ({"timestep": -1.0}, "time step"),
        ({"output": tmp_path / "md.pdb"}, r"\.traj"),
        ({"output": tmp_path / "absent" / "md.xyz"}, "cannot be written"),
    ]:
        with pytest.raises(UserError, match=message):
            run_md(potential, molecule, quiet=True, **({"temperature": 300.0} | settings))
    with pytest.raises(UserError, match="absent"):
        run_md(potential, "absent.xyz", temperature=300.0, quiet=True)


def test_drift_is_the_slope_of_the_energy():
    energy = 5.0 + 2e-3 * np.arange(101)  # 2 meV per step of 0.5 fs
    assert drift(energy, 0.5, 10) == pytest.approx(1e3 * 2e-3 / 0.5e-3 / 10)


def test_relaxation_ends_where_forces_vanish(new_potential, box):
    # ZBL keeps the atoms of a random potential apart.
    potential = new_potential(zbl={})
    box.set_constraint(FixAtoms([0]))
    result = relax(potential, box, fmax=0.02, quiet=True)
    assert result.converged
    assert result.energy < potential.predict(box)["energy"]
    forces = potential.predict(result.atoms)["forces"]
    assert np.linalg.norm(forces[1:], axis=1).max() < 0.02
    assert np.array_equal(result.atoms.positions[0], box.positions[0])


def test_relaxation_of_the_cell_ends_without_stress(new_potential, box, tmp_path):
    result = relax(
        new_potential(zbl={}), box, fmax=0.05, cell=True, output=tmp_path / "r.xyz", quiet=True
    )
    assert result.converged
    virial = result.atoms.get_stress() * result.atoms.get_volume()
    assert np.abs(virial).max() / len(box) < 0.05
    assert not np.allclose(result.atoms.cell.array, box.cell.array)
    assert np.allclose(ase.io.read(tmp_path / "r.xyz").positions, result.atoms.positions, atol=1e-6)


def test_relaxation_says_when_it_did_not_end(potential, box, molecule, capsys):
    result = relax(potential, box, fmax=1e-6, max_steps=2)
    assert not result.converged
    assert result.steps == 2
    assert "Not relaxed after 2 steps" in capsys.readouterr().out
    with pytest.raises(UserError, match="three dimensions"):
        relax(potential, molecule, cell=True)


def test_an_md_run_can_start_with_a_relaxation(new_potential, box):
    potential = new_potential(zbl={})
    settings = {"temperature": 0.0, "time": 1.0, "ensemble": "nve", "quiet": True}
    relaxed = run_md(potential, box, relax_first=True, **settings)
    relaxed.atoms.calc = Calculator(potential)
    assert np.linalg.norm(relaxed.atoms.get_forces(), axis=1).max() < 0.06

"""The calculator gives what `Potential.predict` gives, whatever happens to the structure."""

import copy
import pickle
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.constraints import FixAtoms
from ase.stress import full_3x3_to_voigt_6_stress

from models import each_engine
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.interfaces.ase import Calculator
from reann.potential import Ensemble, load


def assert_as_predicted(atoms, potential, tolerance=1e-10):
    names = ["energy", "energies", "forces", "virial"]
    expected = potential.predict(atoms, names, engine="torch")
    scale = max(1.0, np.abs(expected["forces"]).max())
    assert abs(atoms.get_potential_energy() - expected["energy"]) < tolerance
    assert np.abs(atoms.get_potential_energies() - expected["energies"]).max() < tolerance
    forces = atoms.get_forces(apply_constraint=False)
    assert np.abs(forces - expected["forces"]).max() < tolerance * scale
    if atoms.pbc.all():
        stress = full_3x3_to_voigt_6_stress(-expected["virial"] / atoms.get_volume())
        assert np.abs(atoms.get_stress(apply_constraint=False) - stress).max() < tolerance


@each_engine
def test_calculator_equals_predict(potential, box, engine):
    box.calc = Calculator(potential, engine=engine)
    assert box.calc.engine == engine
    assert_as_predicted(box, potential)
    assert box.get_potential_energy(force_consistent=True) == box.get_potential_energy()


@pytest.mark.parametrize("given", ["run", "run/model.reann"])
@pytest.mark.parametrize("kind", [str, Path])
def test_calculator_reads_a_file_and_a_run_folder(potential, box, tmp_path, given, kind):
    potential.save(tmp_path / "run" / "model.reann")
    box.calc = Calculator(kind(tmp_path / given))
    assert_as_predicted(box, potential)


@each_engine
def test_a_reused_list_gives_what_a_new_one_gives(potential, box, engine):
    # Steps of up to 0.08 Å in each direction: edges enter and leave the cutoff inside one list.
    box.calc = Calculator(potential, engine, skin=0.5)
    rng, steps = np.random.default_rng(1), 60
    start = box.positions.copy()
    edges = set()
    for _ in range(steps):
        kick = 0.08 * rng.uniform(-1, 1, box.positions.shape)
        box.positions += kick - 0.1 * (box.positions - start)
        assert_as_predicted(box, potential)
        edges.add(box.calc.neighbors.graph(box).n_edges)
    assert len(edges) > 5
    assert 1 < box.calc.neighbors.n_builds < steps / 2


@each_engine
def test_the_list_lasts_until_an_atom_has_moved_half_the_skin(potential, box, engine):
    box.calc = Calculator(potential, engine, skin=0.6)
    box.get_forces()
    box.positions[4, 1] += 0.29
    assert_as_predicted(box, potential)
    assert box.calc.neighbors.n_builds == 1
    box.positions[4, 1] += 0.02
    assert_as_predicted(box, potential)
    assert box.calc.neighbors.n_builds == 2


@each_engine
def test_two_atoms_that_approach_from_beyond_the_cutoff_are_seen(new_potential, engine):
    potential = new_potential(cutoff=3.0)
    pair = ase.Atoms(
        "OH", [[0, 0, 0], [3.6, 0, 0]], calculator=Calculator(potential, engine, skin=2.0)
    )
    alone = pair.get_potential_energy()
    pair.positions[0, 0] += 0.8
    pair.positions[1, 0] -= 0.8
    assert_as_predicted(pair, potential)
    assert pair.calc.neighbors.n_builds == 1
    assert abs(pair.get_potential_energy() - alone) > 1e-6


def stretched(atoms):
    atoms.set_cell(1.03 * atoms.cell.array, scale_atoms=True)


def cell_alone(atoms):
    cell = atoms.cell.array.copy()
    cell[2, 0] += 0.2
    atoms.set_cell(cell, scale_atoms=False)


def open_along_b(atoms):
    atoms.pbc = [True, False, True]


def one_more(atoms):
    atoms += ase.Atoms("H", [[4.0, 4.0, 4.2]])


def one_less(atoms):
    del atoms[3]


def another_element(atoms):
    atoms.numbers[2] = 8


def exchanged(atoms):
    atoms.numbers[[0, 1]] = atoms.numbers[[1, 0]]


@each_engine
@pytest.mark.parametrize(
    "change",
    [stretched, cell_alone, open_along_b, one_more, one_less, another_element, exchanged],
)
def test_a_change_of_the_structure_is_noticed(potential, box, change, engine):
    box.calc = Calculator(potential, engine)
    before = box.get_potential_energy()
    change(box)
    assert_as_predicted(box, potential)
    assert abs(box.get_potential_energy() - before) > 1e-6


@each_engine
def test_wrapping_changes_nothing_and_positions_stay_untouched(potential, box, engine):
    box.calc = Calculator(potential, engine)
    energy, forces = box.get_potential_energy(), box.get_forces()
    rng = np.random.default_rng(3)
    box.positions += rng.integers(-2, 3, (9, 3)) @ box.cell.array
    given = box.positions.copy()
    assert abs(box.get_potential_energy() - energy) < 1e-10
    assert np.abs(box.get_forces() - forces).max() < 1e-10
    assert np.array_equal(box.positions, given)
    box.wrap()
    assert_as_predicted(box, potential)


@each_engine
def test_one_calculator_serves_structures_in_turn(potential, box, molecule, engine):
    calculator = Calculator(potential, engine)
    for atoms in (box, molecule, box):
        atoms.calc = calculator
        assert_as_predicted(atoms, potential)


@each_engine
def test_forces_are_numerical_derivatives_of_the_energy(potential, box, engine):
    box.calc = Calculator(potential, engine)
    numerical = calculate_numerical_forces(box, eps=1e-4)
    assert np.abs(box.get_forces()).max() > 0.5
    assert np.abs(numerical - box.get_forces()).max() < 1e-6


@each_engine
def test_stress_is_the_numerical_derivative_in_a_triclinic_cell(potential, box, engine):
    box.calc = Calculator(potential, engine)
    numerical = calculate_numerical_stress(box, eps=1e-5)
    assert np.abs(box.get_stress()).max() > 1e-3
    assert np.abs(numerical - box.get_stress()).max() < 1e-7


def test_stress_is_refused_where_it_is_not_defined(potential, box):
    box.pbc = [True, True, False]
    box.calc = Calculator(potential)
    box.get_forces()
    with pytest.raises(PropertyNotImplementedError, match="three dimensions"):
        box.get_stress()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])  # noqa: S301
def test_a_calculator_is_copied_with_its_structure(potential, box, again):
    box.calc = Calculator(potential)
    forces = box.get_forces()
    other = again(box)
    assert np.array_equal(other.get_forces(), forces)
    other.positions[0] += 0.1
    box.positions[0] += 0.1
    assert np.array_equal(other.get_forces(), box.get_forces())
    assert not np.array_equal(other.get_forces(), forces)


def test_constraints_are_left_to_ase(potential, box):
    box.set_constraint(FixAtoms([0, 1]))
    box.calc = Calculator(potential)
    raw = box.calc.get_property("forces", box)
    assert np.abs(raw[:2]).min() > 0
    assert np.all(box.get_forces()[:2] == 0)
    assert np.array_equal(box.get_forces(apply_constraint=False), raw)


@each_engine
def test_a_single_atom_has_its_reference_energy(potential, engine):
    atom = ase.Atoms("O", calculator=Calculator(potential, engine))
    assert atom.get_potential_energy() == -430.0
    assert np.all(atom.get_forces() == 0)


@each_engine
def test_a_dummy_cell_of_a_molecule_does_not_matter(potential, molecule, engine):
    molecule.calc = Calculator(potential, engine)
    energy = molecule.get_potential_energy()
    molecule.cell = [1.0, 1.0, 1.0]
    assert_as_predicted(molecule, potential)
    assert abs(molecule.get_potential_energy() - energy) < 1e-12


def test_unknown_elements_are_named_with_their_atoms(potential, molecule):
    molecule.calc = Calculator(potential)
    molecule.get_potential_energy()
    molecule.numbers[1] = 6
    with pytest.raises(UserError, match=r"also has C(.|\n)*atoms 1"):
        molecule.get_potential_energy()


@each_engine
@pytest.mark.parametrize("unknown", [(6, "has C"), (0, "has X"), (200, "has Z = 200")])
def test_unknown_elements_of_a_batch_are_named_with_their_atoms(
    potential, box, molecule, engine, unknown
):
    z, said = unknown
    graphs = [graph_from_atoms(atoms, potential.cutoff) for atoms in (molecule, box)]
    graphs[1].atomic_numbers[2] = z
    for one in (potential, Ensemble([potential, potential])):
        with pytest.raises(UserError, match=f"also {said}(.|\n)*atoms 5"):
            one.evaluate(Graph.batch(graphs), ["energy"], engine)


@pytest.mark.parametrize("change", [{"preset": "accurate"}, {"l_max": 1}])
def test_members_of_an_ensemble_have_the_same_settings_whatever_preset_gave_them(
    new_potential, change
):
    one, other = new_potential(seed=0), new_potential(seed=1)
    other.model.config = other.model.config.model_copy(update=change)
    if "preset" in change:
        assert len(Ensemble([one, other]).members) == 2
    else:
        with pytest.raises(UserError, match="differ in elements, settings or precision"):
            Ensemble([one, other])


@each_engine
def test_members_of_ensembles_count_alike_in_an_ensemble_of_them(
    new_potential, box, tmp_path, engine
):
    every = [new_potential(seed) for seed in range(3)]
    together, nested = Ensemble(every), Ensemble([Ensemble(every[:2]), every[2]])
    nested.save(tmp_path / "nested.reann")
    for potential in (nested, load(tmp_path / "nested.reann")):
        assert len(potential.members) == 3
        box.calc = Calculator(potential, engine)
        for name in ("forces", "forces_std"):
            expected = together.predict(box)[name]
            np.testing.assert_allclose(potential.predict(box, engine=engine)[name], expected)
            np.testing.assert_allclose(box.calc.get_property(name, box), expected, atol=1e-10)


@each_engine
def test_atoms_that_meet_inside_a_reused_list_are_named(potential, box, engine):
    box.calc = Calculator(potential, engine, skin=4.0)
    box.get_forces()
    box.positions[1] = box.positions[0]
    with pytest.raises(UserError, match="Atoms 0 and 1 coincide"):
        box.get_forces()
    assert box.calc.neighbors.n_builds == 1


@each_engine
def test_positions_that_are_no_numbers_are_named(potential, box, engine):
    box.calc = Calculator(potential, engine)
    box.get_forces()
    box.positions[5, 0] = np.nan
    with pytest.raises(UserError, match="atom 5"):
        box.get_forces()


def test_wrong_settings_say_what_is_right(potential):
    with pytest.raises(UserError, match="Did you mean 'torch'"):
        Calculator(potential, engine="toch")
    with pytest.raises(UserError, match="float64"):
        Calculator(potential, precision="double")
    with pytest.raises(UserError, match="skin"):
        Calculator(potential, skin=-1.0)


def test_precision_is_chosen_without_touching_the_potential(new_potential, box):
    single = new_potential(dtype=torch.float32)
    box.calc = Calculator(single, precision="float64")
    more = box.get_forces()
    assert single.model.dtype == torch.float32
    assert_as_predicted(box, box.calc.potential)
    difference = np.abs(more - single.predict(box)["forces"]).max()
    assert 0 < difference < 1e-4


@each_engine
def test_an_ensemble_gives_means_and_spreads(new_potential, box, tmp_path, engine):
    members = [new_potential(seed) for seed in range(3)]
    box.calc = Calculator(Ensemble(members), engine)
    energies = [member.predict(box)["energy"] for member in members]
    forces = np.array([member.predict(box)["forces"] for member in members])
    assert box.get_potential_energy() == pytest.approx(np.mean(energies), abs=1e-10)
    assert box.calc.get_property("energy_std", box) == pytest.approx(np.std(energies, ddof=1))
    spread = box.calc.get_property("forces_std", box)
    assert np.allclose(spread, forces.std(0, ddof=1), atol=1e-12)
    assert box.calc.get_property("stress_std", box).shape == (6,)
    for name in ("box.xyz", "box.traj"):
        ase.io.write(tmp_path / name, box)
        again = ase.io.read(tmp_path / name)
        assert again.get_potential_energy() == pytest.approx(np.mean(energies), abs=1e-6)


@each_engine
def test_extrapolating_atoms_are_counted(potential, box, engine):
    model = potential.model
    box.calc = Calculator(potential, engine)
    box.get_forces()
    assert np.isnan(box.calc.fraction_extrapolating())  # no range was recorded
    with torch.no_grad():
        graph = box.calc.neighbors.graph(box)
        rho = model.embed(graph, graph.edge_vectors()).density
        model.density_min[:] = rho.min(0).values
        model.density_max[:] = rho.max(0).values
    box.calc = Calculator(potential, engine)
    box.get_forces()
    assert box.calc.fraction_extrapolating() == 0.0
    with torch.no_grad():  # the training had no hydrogen
        model.density_min[0], model.density_max[0] = -torch.inf, torch.inf
    assert model.has_range
    box.calc = Calculator(potential, engine)
    box.get_forces()
    assert box.calc.fraction_extrapolating() == pytest.approx(6 / 9)
    box.positions[1] = box.positions[0] + [0.5, 0.0, 0.0]
    energy = box.get_potential_energy()
    assert 6 / 9 < box.calc.fraction_extrapolating() <= 1
    assert box.calc.results["energy"] == energy
    box.positions[2] += 0.1
    box.calc.calculate(box, ["extrapolation"])  # by itself it asks for all of a new structure
    assert box.calc.results["energy"] == pytest.approx(potential.predict(box)["energy"])


def test_a_device_is_chosen_without_moving_the_potential(potential, tmp_path, monkeypatch):
    file = tmp_path / "box.reann"
    potential.save(file)
    assert Calculator(file).potential.device.type == "cpu"
    with pytest.raises(UserError, match="'tpu' is not a device"):
        Calculator(file, device="tpu")
    # A device other than the CPU that every computer has.
    monkeypatch.setattr("reann.interfaces.ase.device_named", lambda *_: torch.device("meta"))
    assert Calculator(file, device="cuda").potential.device.type == "meta"
    assert Calculator(potential, device="cuda").potential.device.type == "meta"
    assert potential.device.type == "cpu"


def test_too_little_memory_of_the_gpu_is_said_with_a_way_out(potential, box, monkeypatch):
    def full(*_):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(potential.model.recursion, "forward", full)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**29, 2**30))
    box.calc = Calculator(potential, engine="torch")
    for compute in (box.get_forces, lambda: Ensemble([potential]).predict(box, engine="torch")):
        with pytest.raises(
            UserError, match=r"not have enough memory for 9 atoms(.|\n)*--device cpu"
        ):
            compute()


@each_engine
def test_a_calculator_keeps_the_last_structure_and_no_results_of_another(potential, box, engine):
    calculator = Calculator(potential, engine)
    box.calc = calculator
    before = box.get_forces()
    moved = box.copy()
    moved.positions += np.random.default_rng(0).normal(scale=0.05, size=(9, 3))
    expected = calculator.get_property("forces", moved)
    np.testing.assert_allclose(expected, potential.predict(moved)["forces"], atol=1e-9)
    assert not np.shares_memory(calculator.atoms.positions, moved.positions)
    moved.positions[1] = moved.positions[0]
    for compute in (calculator.calculate, lambda atoms: calculator.get_property("energy", atoms)):
        with pytest.raises(UserError):
            compute(moved)
        assert calculator.results == {}
        assert np.array_equal(calculator.atoms.positions, moved.positions)
    np.testing.assert_allclose(box.get_forces(), before, atol=1e-12)

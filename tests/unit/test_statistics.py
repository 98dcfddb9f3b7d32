"""Reference energies, scales and the error without a network."""

from __future__ import annotations

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from reann.config import DataConfig, Keys
from reann.data import statistics
from reann.data.dataset import Subset, open_dataset
from reann.data.statistics import (
    SMALLEST_SCALE,
    baseline_errors,
    force_scale,
    mean_neighbors,
    reference_energies,
    reference_sum,
)
from reann.errors import UserError
from reann.training.references import fitted

HYDROGEN, OXYGEN = -13.6, -2041.8


def molecule(formula, seed=0, **results):
    n = len(ase.Atoms(formula))
    positions = np.random.default_rng(seed).uniform(-0.1, 0.1, (n, 3))
    positions[:, 2] += np.arange(n)
    atoms = ase.Atoms(formula, positions=positions)
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def subset_of(tmp_path, made, **fields):
    ase.io.write(tmp_path / "a.traj", made)
    data = DataConfig(train="", **fields)
    dataset = open_dataset(str(tmp_path / "a.traj"), data, 3.0, tmp_path / "cache")
    return Subset(dataset, np.arange(len(dataset)))


def energy_of(formula):
    numbers = ase.Atoms(formula).numbers
    return HYDROGEN * (numbers == 1).sum() + OXYGEN * (numbers == 8).sum()


def test_a_fit_finds_the_energies_that_the_structures_are_made_of(tmp_path):
    made = [molecule(formula, energy=energy_of(formula)) for formula in ("H2", "OH2", "O2", "O2H2")]
    reference = reference_energies(subset_of(tmp_path, made), "fit")
    assert reference.values == pytest.approx({1: HYDROGEN, 8: OXYGEN})
    assert (reference.source, reference.rank, reference.n_elements) == ("fit", 2, 2)


def test_one_composition_gives_rank_one_and_the_smallest_norm(tmp_path):
    made = [molecule("OH2", seed, energy=-10.0) for seed in range(3)]
    reference = reference_energies(subset_of(tmp_path, made), "fit")
    assert (reference.rank, reference.n_elements) == (1, 2)
    # Minimum norm: proportional to the composition (2 H, 1 O).
    assert reference.values == pytest.approx({1: -4.0, 8: -2.0})


def test_a_fit_leaves_isolated_atoms_out(tmp_path):
    made = [molecule("H2", energy=-32.0), molecule("H4", energy=-64.0), molecule("H", energy=-13.6)]
    subset = subset_of(tmp_path, made)
    assert reference_energies(subset, "fit").values == pytest.approx({1: -16.0})
    assert reference_energies(subset, "isolated").values == {1: -13.6}


def test_a_set_of_isolated_atoms_alone_is_fitted_to_them(tmp_path):
    subset = subset_of(tmp_path, [molecule("H", energy=-13.6)])
    assert reference_energies(subset, "fit").values == pytest.approx({1: -13.6})


def test_isolated_atoms_are_found_outside_the_training_part(tmp_path):
    made = [molecule("OH", energy=-1.0), molecule("O", energy=OXYGEN), molecule("H", energy=-13.6)]
    whole = subset_of(tmp_path, made)
    reference = reference_energies(Subset(whole.dataset, np.array([0])), "isolated")
    assert reference.values == {1: -13.6, 8: OXYGEN}
    assert reference.source == "isolated"


def test_the_ground_state_of_an_isolated_atom_is_taken(tmp_path):
    made = [molecule("O", energy=OXYGEN + 2.0), molecule("O", energy=OXYGEN)]
    assert reference_energies(subset_of(tmp_path, made), "isolated").values == {8: OXYGEN}


def test_an_anion_is_not_the_ground_state_of_an_atom(tmp_path):
    made = [molecule("O", energy=energy) for energy in (OXYGEN, OXYGEN - 1.5, OXYGEN + 13.6)]
    for atoms, charge in zip(made, (0, -1, 1), strict=True):
        atoms.info["charge"] = charge
    subset = subset_of(tmp_path, made, keys=Keys(charge="charge"))
    assert reference_energies(subset, "isolated").values == {8: OXYGEN}
    assert reference_energies(subset_of(tmp_path, made), "isolated").values == {8: OXYGEN - 1.5}
    ions = subset_of(tmp_path, made[1:], keys=Keys(charge="charge"))
    assert reference_energies(ions, "isolated").values == {8: OXYGEN - 1.5}


def test_a_one_atom_crystal_is_not_an_isolated_atom(tmp_path):
    crystal = ase.Atoms("H", cell=[2.0, 2.0, 2.0], pbc=True)
    crystal.calc = SinglePointCalculator(crystal, energy=-15.0)
    subset = subset_of(tmp_path, [crystal])
    assert reference_energies(subset, "fit").values == pytest.approx({1: -15.0})
    with pytest.raises(UserError, match="no isolated atom with an energy for H"):
        reference_energies(subset, "isolated")


def test_elements_without_an_isolated_atom_are_named(tmp_path):
    made = [molecule("OHC", energy=-1.0), molecule("O", energy=OXYGEN)]
    with pytest.raises(UserError, match="no isolated atom with an energy for H, C"):
        reference_energies(subset_of(tmp_path, made), "isolated")


def test_given_energies_are_taken_as_they_are(tmp_path):
    subset = subset_of(tmp_path, [molecule("OH2", energy=-1.0)])
    reference = reference_energies(subset, {"H": -13.6, "O": OXYGEN, "C": -1.0})
    assert reference.values == {1: -13.6, 8: OXYGEN}
    assert reference.source == "given"
    with pytest.raises(UserError, match="There is no reference energy for O"):
        reference_energies(subset, {"H": -13.6})
    with pytest.raises(UserError, match="'Hy' is not a chemical element"):
        reference_energies(subset, {"Hy": -13.6, "O": 1.0})


def test_without_energies_the_reference_is_zero(tmp_path):
    subset = subset_of(tmp_path, [molecule("OH", forces=np.ones((2, 3)))])
    reference = reference_energies(subset, "fit")
    assert (reference.values, reference.source) == ({1: 0.0, 8: 0.0}, "none")
    assert set(baseline_errors(subset, reference)) == {"forces_rmse_meV_per_A"}


def test_missing_energies_are_left_out_of_the_fit(tmp_path):
    forces = np.ones((2, 3))
    made = [molecule("H2", energy=-2.0, forces=forces), molecule("H2", 1, forces=forces)]
    subset = subset_of(tmp_path, made, missing="allow")
    reference = reference_energies(subset, "fit")
    assert reference.values == pytest.approx({1: -1.0})
    errors = baseline_errors(subset, reference)
    assert errors["energy_rmse_meV_per_atom"] == pytest.approx(0.0, abs=1e-9)


@given(scale=st.floats(0.01, 100))
def test_the_force_scale_is_the_root_mean_square(tmp_path_factory, scale):
    forces = scale * np.random.default_rng(0).normal(size=(4, 3))
    made = [molecule("H4", energy=0.0, forces=forces)]
    subset = subset_of(tmp_path_factory.mktemp("scale"), made)
    assert force_scale(subset) == pytest.approx(np.sqrt(np.mean(forces**2)))


def rattled(n: int = 24) -> list[ase.Atoms]:
    random = np.random.default_rng(3)
    return [molecule("H8", i, energy=0.0, forces=random.normal(size=(8, 3))) for i in range(n)]


@pytest.mark.parametrize("wrong", [50.0, 1e2, 1e3, 1e4, 1e8])
@pytest.mark.parametrize("count", [1, 3])
def test_single_wrong_forces_leave_the_scale_as_it_is(tmp_path, wrong, count):
    made = rattled()
    (tmp_path / "right").mkdir()
    right = force_scale(subset_of(tmp_path / "right", made))
    for atoms in made[:count]:
        atoms.calc.results["forces"][5] = [wrong, -wrong, wrong]
    assert force_scale(subset_of(tmp_path, made)) == pytest.approx(right, rel=0.02)


@pytest.mark.parametrize("largest", [1.0, 10.0, 60.0])
def test_without_outliers_the_scale_is_the_plain_mean_to_the_last_bit(tmp_path, largest):
    made = rattled()
    for atoms, factor in zip(made, np.geomspace(1.0, largest, len(made)), strict=True):
        atoms.calc.results["forces"] *= factor
    forces = np.concatenate([atoms.calc.results["forces"] for atoms in made])
    assert force_scale(subset_of(tmp_path, made)) == float(np.sqrt(np.sum(forces**2) / forces.size))


def test_a_part_of_the_structures_with_much_larger_forces_counts(tmp_path):
    made = rattled()
    for atoms in made[:21]:
        atoms.calc.results["forces"] *= 1e-3
    forces = np.concatenate([atoms.calc.results["forces"] for atoms in made])
    assert force_scale(subset_of(tmp_path, made)) == pytest.approx(np.sqrt(np.mean(forces**2)))


def test_forces_that_are_mostly_zero_are_no_outliers(tmp_path):
    forces = np.zeros((8, 3))
    forces[0] = [0.5, -0.5, 0.2]
    made = [molecule("H8", i, energy=0.0, forces=forces) for i in range(5)]
    assert force_scale(subset_of(tmp_path, made)) == pytest.approx(np.sqrt(np.mean(forces**2)))


def test_forces_that_are_masked_do_not_count(tmp_path):
    forces = np.array([[1.0, 1.0, 1.0], [np.nan, np.nan, np.nan]])
    subset = subset_of(tmp_path, [molecule("H2", energy=0.0, forces=forces)], missing="allow")
    assert force_scale(subset) == pytest.approx(1.0)


def test_without_forces_the_scale_is_the_spread_of_the_energies(tmp_path):
    made = [molecule("H4", seed, energy=energy) for seed, energy in enumerate((-1.0, 1.0))]
    assert force_scale(subset_of(tmp_path, made)) == pytest.approx(0.5)


def test_the_scale_never_vanishes(tmp_path):
    subset = subset_of(tmp_path, [molecule("H2", energy=0.0, forces=np.zeros((2, 3)))])
    assert force_scale(subset) == SMALLEST_SCALE


def test_the_baseline_is_the_error_of_the_reference_with_no_forces(tmp_path):
    forces = np.full((2, 3), 0.25)
    made = [
        molecule("H2", energy=-1.0, forces=forces),
        molecule("H2", 1, energy=1.0, forces=forces),
    ]
    subset = subset_of(tmp_path, made)
    reference = reference_energies(subset, {"H": 0.1})
    assert reference_sum(subset.dataset, reference) == pytest.approx([0.2, 0.2])
    errors = baseline_errors(subset, reference)
    expected = 1e3 * np.sqrt((0.6**2 + 0.4**2) / 2)
    assert errors["energy_rmse_meV_per_atom"] == pytest.approx(expected)
    assert errors["forces_rmse_meV_per_A"] == pytest.approx(250.0)


def test_reading_forces_in_chunks_changes_nothing(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    made = [molecule("H3", i, energy=0.0, forces=random.normal(size=(3, 3))) for i in range(5)]
    subset = subset_of(tmp_path, made)
    whole = force_scale(subset)
    monkeypatch.setattr(statistics, "CHUNK", 2)
    assert force_scale(subset) == pytest.approx(whole, rel=1e-14)


def test_mean_neighbors_counts_both_ends_of_each_pair(tmp_path):
    made = [molecule("H2", energy=0.0), molecule("H", energy=0.0)]
    assert mean_neighbors(subset_of(tmp_path, made)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("labels", [{}, {"forces": np.full((2, 3), np.nan)}])
def test_without_any_label_the_scale_of_forces_is_one(tmp_path, labels):
    made = [molecule("H2", seed, **labels) for seed in range(2)]
    made[0].calc.results["energy"] = np.nan
    assert force_scale(subset_of(tmp_path, made, missing="allow")) == 1.0


def test_the_baseline_does_not_count_binding_energies(tmp_path):
    """Compared with the energies of isolated atoms, any model of bound structures is good."""
    binding = {"H2": -4.5, "OH2": -9.5, "O2": -5.1, "O2H2": -11.0}
    atoms = [molecule("H", energy=HYDROGEN), molecule("O", energy=OXYGEN)]
    bound = [molecule(formula, energy=energy_of(formula) + e) for formula, e in binding.items()]
    train = subset_of(tmp_path, [*atoms, *bound])
    valid = Subset(train.dataset, np.arange(2, len(train.dataset)))
    isolated = reference_energies(train, "auto")
    assert isolated.source == "isolated"
    (fit,) = fitted(train, [isolated])
    assert fit.source == "fit"
    name = "energy_rmse_meV_per_atom"
    assert baseline_errors(valid, fit)[name] < 0.5 * baseline_errors(valid, isolated)[name]
    assert fitted(train, [fit]) == [fit]

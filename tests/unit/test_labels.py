"""Labels are found wherever they sit, in eV and Å, and what is wrong with them is said."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from reann import units
from reann.config import DataConfig, Keys, Units
from reann.data.labels.extract import Extractor, extract, resolve_keys
from reann.errors import UserError

FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
STRESS = np.array([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]])


def dimer(info=None, arrays=None, *, pbc=False, **results):
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], cell=[4, 5, 6], pbc=pbc)
    atoms.info.update(info or {})
    for name, array in (arrays or {}).items():
        atoms.set_array(name, np.asarray(array))
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def config(**fields):
    return DataConfig(train="a.xyz", **fields)


def labels_of(atoms, data=None):
    data = data or config()
    return extract(atoms, resolve_keys([atoms], data, "a.xyz"), data, "a.xyz#0")


def error_of(samples, data=None):
    data = data or config()

    def read():
        keys = resolve_keys(samples, data, "a.xyz")
        for number, atoms in enumerate(samples):
            extract(atoms, keys, data, f"a.xyz#{number}")

    with pytest.raises(UserError) as info:
        read()
    return info.value


# --- where labels sit -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "atoms",
    [
        dimer(energy=-1.5, forces=FORCES),
        dimer({"energy": -1.5}, {"forces": FORCES}),
        dimer({"REF_energy": -1.5}, {"REF_forces": FORCES}),
        dimer({"DFT_energy": -1.5}, {"dft_force": FORCES}),
        dimer({"energy_dft": -1.5}, {"force": FORCES}),
        dimer({"total_energy": np.array([-1.5])}, {"forces_ref": FORCES}),
    ],
)
def test_energy_and_forces_are_found_wherever_they_sit(atoms):
    labels = labels_of(atoms)
    assert labels["energy"].shape == ()
    assert labels["energy"] == -1.5
    assert (labels["forces"] == FORCES).all()
    assert (labels["weight"], labels["group"]) == (1.0, "")


def test_a_key_that_is_not_the_usual_one_is_reported():
    keys = resolve_keys([dimer({"REF_energy": -1.5})], config(), "a.xyz")
    assert keys.of("energy") == "REF_energy"
    assert keys.notes == ("Energy: read from 'REF_energy'.",)


@pytest.mark.parametrize("key", ["energy_std", "energy_cutoff", "kinetic_energy", "Fermi_energy"])
def test_keys_that_only_resemble_a_label_are_not_taken(key):
    keys = resolve_keys([dimer({key: 1.0}, forces=FORCES)], config(), "a.xyz")
    assert keys.of("energy") is None


def test_forces_on_fixed_atoms_are_read_as_they_are():
    atoms = dimer(energy=-1.5, forces=FORCES)
    atoms.set_constraint(FixAtoms([0]))
    assert (atoms.get_forces()[0] == 0).all()
    assert (labels_of(atoms)["forces"] == FORCES).all()


def test_named_keys_are_used_in_place_of_the_usual_ones():
    atoms = dimer({"odd": -3.0}, {"push": 2 * FORCES}, energy=-1.5, forces=FORCES)
    labels = labels_of(atoms, config(keys=Keys(energy="odd", forces="push")))
    assert labels["energy"] == -3.0
    assert (labels["forces"] == 2 * FORCES).all()


def test_a_key_set_to_null_is_not_used():
    atoms = dimer(energy=-1.5, forces=FORCES)
    labels = labels_of(atoms, config(keys=Keys(energy=None)))
    assert "energy" not in labels
    assert "forces" in labels


def test_weights_and_groups_are_found():
    labels = labels_of(dimer({"config_type": "bulk", "weight": 2.5}, energy=-1.5))
    assert (labels["weight"], labels["group"]) == (2.5, "bulk")


@pytest.mark.parametrize("results", [{"energy": -1.5}, {"forces": FORCES}])
def test_sets_with_energies_only_or_forces_only_are_normal(results):
    labels = labels_of(dimer(**results))
    assert set(labels) == {*results, "weight", "group"}


# --- ambiguous, absent ------------------------------------------------------------------------


def test_several_keys_for_one_label_are_an_error_with_counts():
    samples = [dimer({"REF_energy": -1.0, "DFT_energy": -2.0}), dimer({"REF_energy": -1.0})]
    error = error_of(samples)
    assert error.what == (
        "Several keys could be the energy: 'DFT_energy' (in 1 structure),"
        " 'REF_energy' (in 2 structures)."
    )
    assert "data.keys.energy" in error.fix


def test_two_keys_that_disagree_are_an_error_even_if_one_is_the_usual_name():
    error = error_of([dimer({"REF_energy": -1.0}, energy=-2.0)])
    assert "Several keys could be the energy: 'energy'" in error.what


def test_two_keys_that_agree_are_one_label():
    assert labels_of(dimer({"REF_energy": -2.0}, energy=-2.0))["energy"] == -2.0


def test_a_wrong_key_is_an_error_that_lists_what_is_there():
    samples = [dimer({"REF_energy": -1.0}, forces=FORCES), dimer(forces=FORCES)]
    error = error_of(samples, config(keys=Keys(energy="RFE_energy")))
    assert error.what == (
        "None of 2 structures has the key 'RFE_energy' for the energy. Did you mean 'REF_energy'?"
    )
    assert "'forces' (2), 'REF_energy' (1)" in error.fix


def test_forces_that_are_asked_for_and_absent_are_an_error():
    error = error_of([dimer(energy=-1.5)], config(keys=Keys(forces="forces")))
    assert "None of 1 structures has the key 'forces' for the forces" in error.what


def test_no_labels_at_all_are_an_error():
    error = error_of([dimer({"color": "red"})])
    assert "No energies, forces or stresses" in error.what
    assert "'color' (1)" in error.fix


def test_a_label_missing_in_some_structures_is_an_error_unless_allowed():
    samples = [dimer(energy=-1.0, forces=FORCES), dimer(energy=-1.0), dimer(energy=-1.0)]
    error = error_of(samples)
    assert error.what == (
        "The forces ('forces') are missing in 2 of 3 structures; the first is a.xyz#1."
    )
    assert "data.missing" in error.fix
    data = config(missing="allow")
    keys = resolve_keys(samples, data, "a.xyz")
    assert keys.counts == {"energy": 3, "forces": 1}
    labels = extract(samples[1], keys, data, "a.xyz#1")
    assert labels["energy"] == -1.0
    assert np.isnan(labels["forces"]).all()
    assert labels["forces"].shape == (2, 3)


def test_an_isolated_atom_needs_no_forces():
    atom = ase.Atoms("H")
    atom.calc = SinglePointCalculator(atom, energy=-13.6)
    samples = [dimer(energy=-1.0, forces=FORCES), atom]
    keys = resolve_keys(samples, config(), "a.xyz")
    assert np.isnan(extract(atom, keys, config(), "a.xyz#1")["forces"]).all()


# --- values that are wrong --------------------------------------------------------------------


def test_a_nan_force_is_an_error_with_the_atom():
    forces = FORCES.copy()
    forces[1, 2] = np.nan
    error = error_of([dimer(energy=-1.0, forces=FORCES), dimer(energy=-1.0, forces=forces)])
    assert error.what == "The forces are nan at atom 1."
    assert error.where == "a.xyz#1"


@pytest.mark.parametrize("missing", ["error", "allow"])
def test_an_infinite_energy_is_always_an_error(missing):
    error = error_of([dimer(energy=np.inf)], config(missing=missing))
    assert error.what == "The energy is inf."


def test_nan_is_masked_where_labels_may_be_missing():
    forces = FORCES.copy()
    forces[1] = np.nan
    labels = labels_of(dimer(energy=-1.0, forces=forces), config(missing="allow"))
    assert np.isfinite(labels["forces"]).all(axis=1).tolist() == [True, False]


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (dimer({"energy": [1.0, 2.0]}), "The shape of 'energy' is (2,); expected a single number"),
        (dimer({"energy": "low"}), "'energy' is not numeric."),
        (dimer({}, {"forces": np.zeros((2, 2))}), "is (2, 2); expected (2, 3)"),
        (dimer({"stress": np.zeros(5)}, pbc=True), "is (5,); expected (6,) or (9,)"),
    ],
)
def test_a_label_of_the_wrong_shape_or_type_is_an_error(atoms, message):
    error = error_of([atoms])
    assert message in error.what
    assert error.where.removesuffix(" ('low')") == "a.xyz#0"


@pytest.mark.parametrize("weight", [-1.0, np.nan])
def test_a_weight_below_zero_is_an_error(weight):
    assert "weight" in error_of([dimer({"weight": weight}, energy=1.0)]).what


# --- stress -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [STRESS, STRESS.ravel(), np.array([1.0, 2.0, 3.0, 0.4, 0.5, 0.6])],
    ids=["3x3", "9", "6 (Voigt)"],
)
def test_stress_of_any_shape_becomes_the_same_matrix(given):
    labels = labels_of(dimer({"stress": given}, energy=-1.0, pbc=True))
    assert np.allclose(labels["stress"], STRESS, rtol=0, atol=1e-15)


def test_voigt_order_is_that_of_ase():
    labels = labels_of(dimer(stress=np.arange(6.0), energy=-1.0, pbc=True))
    atoms = dimer(stress=np.arange(6.0), energy=-1.0, pbc=True)
    assert (labels["stress"] == atoms.get_stress(voigt=False)).all()


def test_a_virial_is_minus_the_stress_times_the_volume():
    atoms = dimer({"virial": -120.0 * STRESS}, energy=-1.0, pbc=True)
    assert atoms.get_volume() == pytest.approx(120.0)
    assert np.allclose(labels_of(atoms)["stress"], STRESS, rtol=1e-14)


def test_a_left_handed_cell_has_the_same_stress():
    atoms = dimer({"virial": -120.0 * STRESS}, energy=-1.0, pbc=True)
    atoms.cell[0] *= -1
    assert np.allclose(labels_of(atoms)["stress"], STRESS, rtol=1e-14)


def test_stress_goes_before_virial():
    labels = labels_of(dimer({"virial": np.eye(3)}, stress=np.zeros(6), energy=-1.0, pbc=True))
    assert (labels["stress"] == 0).all()


def test_stress_of_a_structure_that_is_not_a_crystal_is_left_out_and_reported():
    samples = [dimer(energy=-1.0, stress=np.zeros(6))]
    keys = resolve_keys(samples, config(), "a.xyz")
    assert keys.of("stress") is None
    assert "no structure is periodic in 3D" in keys.notes[0]
    assert "periodic in 3D" in error_of(samples, config(keys=Keys(stress="stress"))).what


@pytest.mark.parametrize("label", ["stress", "virial"])
def test_a_note_says_that_the_stress_of_a_molecule_is_not_used(label):
    keys = resolve_keys([dimer({label: np.eye(3)}, energy=-1.0)], config(), "a.xyz")
    assert keys.notes == (f"'{label}' is not used: no structure is periodic in 3D.",)


def test_a_virial_beside_a_stress_everywhere_has_no_part():
    atoms = dimer({"virial": np.eye(3)}, energy=-1.0, stress=np.zeros(6), pbc=True)
    assert resolve_keys([atoms], config(), "a.xyz").of("virial") is None


def test_molecules_beside_crystals_need_no_stress():
    samples = [dimer(energy=-1.0, stress=np.ones(6), pbc=True), dimer(energy=-1.0)]
    keys = resolve_keys(samples, config(), "a.xyz")
    assert keys.counts["stress"] == 1
    assert np.isnan(extract(samples[1], keys, config(), "a.xyz#1")["stress"]).all()


# --- free energy ------------------------------------------------------------------------------


def test_the_free_energy_is_used_where_it_differs_because_forces_belong_to_it():
    atoms = dimer(energy=-1.0, free_energy=-1.1, forces=FORCES)
    keys = resolve_keys([atoms], config(), "a.xyz")
    assert keys.of("energy") == "free_energy"
    assert "differ by up to 50.0 meV/atom: 'free_energy' is used" in keys.notes[0]
    assert labels_of(atoms)["energy"] == -1.1


def test_the_gap_to_the_free_energy_is_judged_in_the_unit_that_the_file_states():
    info = {"energy-unit": "Hartree"}
    atoms = dimer(info, energy=-1.0, free_energy=-1.001)
    assert resolve_keys([atoms], config(), "a.xyz").of("energy") == "free_energy"


def test_a_free_energy_that_hardly_differs_changes_nothing():
    keys = resolve_keys([dimer(energy=-1.0, free_energy=-1.001)], config(), "a.xyz")
    assert (keys.of("energy"), keys.notes) == ("energy", ())


def test_the_energy_that_was_asked_for_is_used_and_the_difference_reported():
    atoms = dimer(energy=-1.0, free_energy=-1.1)
    keys = resolve_keys([atoms], config(keys=Keys(energy="energy")), "a.xyz")
    assert keys.of("energy") == "energy"
    assert "used as set" in keys.notes[0]


def test_free_energies_in_some_structures_only_are_an_error():
    samples = [dimer(energy=-1.0, free_energy=-1.1), dimer(energy=-1.0)]
    assert "only 1 of 2 structures have 'free_energy'" in error_of(samples).what


def test_a_free_energy_alone_is_the_energy():
    assert labels_of(dimer(free_energy=-1.1))["energy"] == -1.1


# --- units ------------------------------------------------------------------------------------


def test_labels_are_converted_with_the_units_of_energy_and_length():
    atoms = dimer(energy=-1.0, forces=FORCES, stress=np.ones(6), pbc=True)
    labels = labels_of(atoms, config(units=Units(energy="Hartree", length="Bohr")))
    hartree, bohr = units.energy("Hartree"), units.length("Bohr")
    assert labels["energy"] == pytest.approx(-hartree)
    assert np.allclose(labels["forces"], FORCES * hartree / bohr)
    assert np.allclose(labels["stress"], hartree / bohr**3)


def test_units_of_forces_and_stress_may_be_given():
    atoms = dimer(energy=-1.0, forces=FORCES, stress=np.ones(6), pbc=True)
    data = config(units=Units(energy="Hartree", forces="meV/Ang", stress="GPa"))
    labels = labels_of(atoms, data)
    assert np.allclose(labels["forces"], 1e-3 * FORCES)
    assert np.allclose(labels["stress"], units.stress("GPa"))


def test_a_virial_in_other_units_gives_the_stress_in_them():
    atoms = dimer({"virial": -120.0 * STRESS}, energy=-1.0, pbc=True)
    labels = labels_of(atoms, config(units=Units(energy="Hartree", length="Bohr")))
    assert np.allclose(labels["stress"], STRESS * units.stress("Hartree/Bohr^3"))


# --- forces that are not trained on -----------------------------------------------------------


def test_forces_of_constrained_atoms_can_be_left_out():
    atoms = dimer(energy=-1.0, forces=FORCES)
    atoms.set_constraint(FixAtoms([0]))
    forces = labels_of(atoms, config(ignore_forces_of="constrained"))["forces"]
    assert np.isnan(forces[0]).all()
    assert (forces[1] == FORCES[1]).all()


def test_forces_of_masked_atoms_can_be_left_out():
    atoms = dimer({}, {"frozen": np.array([False, True])}, energy=-1.0, forces=FORCES)
    forces = labels_of(atoms, config(ignore_forces_of="frozen"))["forces"]
    assert np.isnan(forces).all(axis=1).tolist() == [False, True]


def test_an_absent_or_unsuitable_mask_is_an_error():
    mask = {"frozen": np.array([False, True]), "speed": np.array([0.5, 1.0])}
    atoms = dimer({}, mask, energy=-1.0, forces=FORCES)
    error = error_of([atoms], config(ignore_forces_of="forzen"))
    assert "Did you mean 'frozen'?" in error.what
    assert "is not boolean" in error_of([atoms], config(ignore_forces_of="speed")).what


# --- a look at unknown files ------------------------------------------------------------------


def test_the_extractor_shows_each_structure_by_itself_and_stops_at_nothing_missing():
    extractor = Extractor(None)
    assert extractor(dimer({"REF_energy": -1.0}), "a.xyz#0")["energy"] == -1.0
    forces = np.full((2, 3), np.nan)
    assert np.isnan(extractor(dimer(forces=forces), "a.xyz#1")["forces"]).all()
    assert set(extractor(dimer({"color": "red"}), "a.xyz#2")) == {"weight", "group"}


SIZES = {
    units.energy: {
        "eV": 1.0,
        "meV": 1e-3,
        "Hartree": 27.211386,
        "Ha": 27.211386,
        "Rydberg": 13.605693,
        "Ry": 13.605693,
        "kcal/mol": 0.043364106,
        "kJ/mol": 0.010364270,
        "cm^-1": 1.2398420e-4,
    },
    units.length: {"Ang": 1.0, "Å": 1.0, "A": 1.0, "Bohr": 0.529177211, "nm": 10.0},
    units.force: {
        "eV/Ang": 1.0,
        "meV/Å": 1e-3,
        "Ha/Bohr": 51.422067,
        "kcal/mol/Ang": 0.043364106,
        "kJ/mol/nm": 0.0010364270,
        "cm^-1/Bohr": 2.3429618e-4,
        "mHa/Bohr": 0.051422067,
    },
    units.stress: {
        "kPa": 6.2415091e-9,
        "eV/Ang^3": 1.0,
        "GPa": 6.2415091e-3,
        "kbar": 6.2415091e-4,
        "bar": 6.2415091e-7,
        "Ha/Bohr^3": 183.63154,
        "kcal/mol/A^3": 0.043364106,
    },
}
"""eV, Å, eV/Å and eV/Å^3, from the CODATA values of the constants."""


@pytest.mark.parametrize(
    ("size_of", "name", "size"),
    [(f, name, size) for f, sizes in SIZES.items() for name, size in sizes.items()],
)
def test_every_unit_has_its_size(size_of, name, size):
    assert size_of(name) == pytest.approx(size, rel=1e-6)


def test_no_unit_is_left_out_of_the_table_of_sizes():
    assert SIZES[units.energy].keys() == units.ENERGY.keys()
    assert SIZES[units.length].keys() == units.LENGTH.keys()
    assert SIZES[units.stress].keys() >= units.PRESSURE.keys()


def test_a_virial_counts_as_the_stress_and_is_missed_where_others_have_it():
    with_virial = dimer({"virial": -120.0 * STRESS}, energy=-1.0, pbc=True)
    without = dimer(energy=-1.0, pbc=True)
    molecule = dimer(energy=-1.0)
    keys = resolve_keys([with_virial, molecule, with_virial], config(), "a.xyz")
    assert keys.counts["stress"] == 2
    assert keys.counts["energy"] == 3
    error = error_of([with_virial, without, with_virial])
    assert "missing in 1 of 3 structures" in error.what
    assert "virial" in error.what


def test_the_free_energy_stands_in_for_an_energy_that_is_absent():
    extractor = Extractor(None)
    assert extractor(dimer(free_energy=-2.0), "a.xyz#0")["energy"] == -2.0
    assert extractor(dimer(energy=-1.0, free_energy=-2.0), "a.xyz#0")["energy"] == -1.0


@pytest.mark.parametrize(("value", "allowed"), [(np.nan, True), (np.inf, False)])
def test_the_fix_for_a_label_that_is_not_finite_allows_nan_only(value, allowed):
    error = error_of([dimer(energy=-1.0), dimer(energy=value)])
    assert error.where == "a.xyz#1"
    assert ("data.missing" in error.fix) == allowed

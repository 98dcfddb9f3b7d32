"""A label under an unknown key is never left out without a word."""

from __future__ import annotations

import re
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import yaml
from ase.calculators.singlepoint import SinglePointCalculator

from reann.config import Config, DataConfig, Keys
from reann.data.check.finding import with_option
from reann.data.dataset import open_dataset
from reann.data.labels.extract import extract, resolve_keys
from reann.data.labels.names import label_meant, unit_of_name
from reann.data.labels.resolved import ResolvedKeys
from reann.errors import UserError
from reann.training.describe import describe
from reann.training.distributed import World
from reann.training.setup import open_parts, start_model

FORCES = np.array([[0.3, -0.1, 0.2], [0.1, 0.4, -0.5], [-0.4, -0.3, 0.3]])
STRESS = np.array([[0.02, 0.001, 0.0], [0.001, 0.01, 0.002], [0.0, 0.002, -0.03]])


def molecule(info=None, arrays=None, *, pbc=False, **results) -> ase.Atoms:
    atoms = ase.Atoms("OH2", np.eye(3), cell=[5, 5, 5], pbc=pbc)
    atoms.info.update(info or {})
    for name, array in (arrays or {}).items():
        atoms.set_array(name, np.asarray(array))
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def resolved(*samples: ase.Atoms, **fields) -> ResolvedKeys:
    fields["keys"] = Keys(**fields.pop("keys", {}))
    return resolve_keys(samples, DataConfig(train="a.xyz", **fields), "a.xyz")


def error_of(*samples: ase.Atoms, **fields) -> UserError:
    with pytest.raises(UserError) as info:
        resolved(*samples, **fields)
    return info.value


def keys_of(fix: str) -> dict[str, str | None]:
    """Return `data.keys` of the configuration that a message says to write."""
    (text,) = re.findall(r"`(data: .*?)`", fix)
    return yaml.safe_load(text)["data"]["keys"]


ENERGIES = (
    "DFT_E E En U energy_U0 pot CalcEnergy E_dft EDFT Etot_new my_energy vaspenergy mace_energy"
)
FORCE_NAMES = (
    "F fxyz grad_dft dft_grad gradient dE/dr de_dx vaspforces forces_new F_ref energy_gradient"
)
STRESSES = "sigma str pressure_tensor P my_stress virial_stress dft_vir virial_new press"


@pytest.mark.parametrize("missing", ["error", "allow"])
@pytest.mark.parametrize(
    ("label", "key", "sample"),
    [
        *(("energy", key, molecule({key: -76.4}, forces=FORCES)) for key in ENERGIES.split()),
        *(("forces", key, molecule({}, {key: FORCES}, energy=-1)) for key in FORCE_NAMES.split()),
        *(
            ("stress", key, molecule({key: STRESS}, energy=-1, pbc=True))
            for key in STRESSES.split()
        ),
        ("stress", "sigma", molecule({"sigma": STRESS.ravel()}, energy=-1, pbc=True)),
        ("stress", "sigma", molecule({"sigma": np.arange(6.0)}, energy=-1, pbc=True)),
        ("forces", "F", molecule({"F": FORCES.ravel()}, energy=-1)),
        ("weight", "sample_weight", molecule({"sample_weight": 2.0}, energy=-1)),
        ("weight", "w", molecule({"w": 2.0}, energy=-1)),
        ("group", "configType", molecule({"configType": "bulk"}, energy=-1)),
        ("group", "group_name", molecule({"group_name": "bulk"}, energy=-1)),
    ],
)
def test_a_name_that_speaks_for_a_label_is_asked_about(label, key, sample, missing):
    error = error_of(sample, missing=missing)
    assert f"The {label} may be under an unknown key: '{key}' (1 struct" in error.what
    named = resolved(sample, missing=missing, keys=keys_of(error.fix))
    assert key in named.chosen.values()
    silent = resolved(sample, missing=missing, keys={label: None})
    assert silent.of(label) is None


@pytest.mark.parametrize(
    "sample",
    [
        molecule({"kinetic_energy": 1.2, "fermi_energy": -3.1, "band_gap": 0.5}, forces=FORCES),
        molecule({"energy_sigma": 0.1, "energy_std": 0.2, "energy_cutoff": 500.0}, forces=FORCES),
        molecule({"reann_energy": -5.0, "E_field": 0.1, "step": 3, "time": 1.5}, forces=FORCES),
        molecule({"energy_committee": np.ones(3), "temperature": 300.0}, forces=FORCES),
        molecule({"total_charge": 1, "HOMO": -6.1, "e_note": "text"}, forces=FORCES),
        molecule({}, {"momenta": FORCES, "velocities": FORCES, "magmoms": FORCES}, energy=-1),
        molecule({}, {"force_std": FORCES, "reann_forces": FORCES, "disp": FORCES}, energy=-1),
        molecule({"polarizability": np.eye(3), "strain": np.eye(3)}, energy=-1, pbc=True),
        molecule({"pressure": 1.0, "sigma": 0.1, "spacegroup": "P1"}, energy=-1, pbc=True),
        molecule({"stress_gpa": STRESS}, energy=-1),  # a molecule has no stress
        molecule({"molecular_weight": 18.0, "unit_cell": "conventional"}, energy=-1),
        molecule({"energy_A": -3.0, "inter_energy": -0.1}, energy=-1),  # the energy is known
    ],
)
def test_other_numbers_are_named_in_one_line_and_stop_nothing(sample):
    notes = resolved(sample).notes
    keys = {*sample.info, *sample.arrays} - {"numbers", "positions", "stress_gpa"}
    (line,) = [note for note in notes if note.startswith("Not used: ")]
    for key in sorted(keys - {"unit_cell"})[:8]:
        assert key in line


@pytest.mark.parametrize("key", ["y", "result", "F_el"])
def test_values_that_look_like_total_energies_are_asked_about(key):
    samples = [molecule({key: -76.4 - 0.01 * i}, forces=FORCES) for i in range(4)]
    assert (
        f"'{key}' (4 structures: -76.43 to -76.4 in the unit of the file)"
        in error_of(*samples).what
    )


def test_values_that_add_up_to_zero_like_forces_are_asked_about():
    samples = [molecule({}, {"vectors": (1 + i) * FORCES}, energy=-1) for i in range(4)]
    assert "The forces may be" in error_of(*samples).what
    shifted = [
        molecule({}, {"vectors": FORCES + i}, energy=-1) for i in range(4)
    ]  # the first adds up
    assert resolved(*shifted).notes == ("Not used: vectors.",)


def test_labels_that_a_model_could_have_are_mentioned():
    sample = molecule({"dipole": np.ones(3), "mu": np.ones(3), "gap": 2.0}, energy=-1)
    notes = resolved(sample).notes
    assert notes == ("Not used: dipole, gap, mu.", "Possible values of model.outputs: dipole, gap.")
    ignored = resolved(sample, keys={"dipole": None, "gap": None}).notes
    assert ignored == ("Not used: dipole, gap, mu.",)


@pytest.mark.parametrize("value", [5.1, -7, 0.0])
def test_values_that_do_not_look_like_energies_are_not_asked_about(value):
    samples = [molecule({"y": value}, forces=FORCES) for _ in range(4)]
    assert resolved(*samples).notes == ("Not used: y.",)


@pytest.mark.parametrize("missing", ["error", "allow"])
@pytest.mark.parametrize(
    ("label", "known", "other"),
    [
        ("energy", molecule(energy=-1, forces=FORCES), molecule({"DFT_E": -1}, forces=FORCES)),
        ("energy", molecule(energy=-1), molecule(free_energy=-1.0)),
        ("forces", molecule(energy=-1, forces=FORCES), molecule({}, {"grad": FORCES}, energy=-1)),
        (
            "stress",
            molecule(energy=-1, stress=np.ones(6), pbc=True),
            molecule({"sigma": STRESS}, energy=-1, pbc=True),
        ),
        ("weight", molecule({"weight": 2.0}, energy=-1), molecule({"w": 3.0}, energy=-1)),
        ("group", molecule({"group": "a"}, energy=-1), molecule({"my_group": "b"}, energy=-1)),
    ],
)
def test_a_label_under_different_keys_in_different_structures_is_an_error(
    label, known, other, missing
):
    error = error_of(known, known, other, missing=missing)
    assert f"1 structure has no {label} under" in error.what
    assert "the first is a.xyz#2" in error.what
    assert f"data.keys.{label}" in error.fix


@pytest.mark.parametrize("label", ["energy", "weight", "group"])
def test_two_names_that_are_recognized_in_equally_many_structures_are_an_error(label):
    names = {"energy": ("energy", "REF_energy"), "weight": ("weight", "config_weight")}
    first, second = names.get(label, ("group", "config_type"))
    samples = [molecule({name: 1.0 if label != "group" else "a"}) for name in (first, second)]
    for sample in samples:
        sample.arrays["forces"] = FORCES
    error = error_of(*samples, missing="allow")
    assert f"Several keys could be the {label}" in error.what
    assert f"'{first}' (in 1 structure)" in error.what
    assert f"'{second}' (in 1 structure)" in error.what


def test_a_key_that_was_asked_for_silences_the_error_and_leaves_a_note():
    samples = [molecule(energy=-1, forces=FORCES), molecule({"DFT_E": -2.0}, forces=FORCES)]
    notes = resolved(*samples, missing="allow", keys={"energy": "energy"}).notes
    assert any("has no energy under 'energy'" in note and "'DFT_E'" in note for note in notes)


def test_stress_and_virial_of_different_structures_are_one_label():
    samples = [
        molecule({"virial": -125.0 * STRESS}, energy=-1, pbc=True),
        molecule({"stress": STRESS}, energy=-1, pbc=True),
    ]
    data = DataConfig(train="a.xyz")
    keys = resolve_keys(samples, data, "a.xyz")
    assert keys.counts["stress"] == 2
    for sample in samples:
        assert np.allclose(extract(sample, keys, data, "a.xyz#0")["stress"], STRESS)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (molecule({}, {"gradient": FORCES}, energy=-1), "'gradient' is a gradient"),
        (molecule({"pressure": STRESS}, energy=-1, pbc=True), "'pressure' is a pressure"),
        (molecule({"energy_per_atom": -3.0}, forces=FORCES), "'energy_per_atom' is per atom"),
    ],
)
def test_what_cannot_be_read_as_it_is_comes_with_a_caution(sample, words):
    assert words in error_of(sample).fix


@pytest.mark.parametrize(
    ("label", "sample", "words"),
    [
        *(
            ("forces", molecule({}, {key: FORCES[:, 2]}, energy=-1), "one property, forces:R:3")
            for key in ("fz", "force_x", "REF_fy", "dft_forces_z", "F_x")
        ),
        *(
            ("stress", molecule({key: 0.01}, energy=-1, pbc=True), "as nine numbers")
            for key in ("stress_xx", "virial_xy", "dft_stress_zz", "sxx", "pressure_yz")
        ),
        ("energy", molecule({}, {"energies": FORCES[:, 0]}, forces=FORCES), "per atom"),
        (
            "stress",
            molecule({}, {"stresses": np.tile(STRESS.ravel(), (3, 1))}, energy=-1, pbc=True),
            "has values per atom",
        ),
    ],
)
def test_a_label_in_parts_is_an_error_that_says_how_to_join_them(label, sample, words):
    error = error_of(sample)
    assert f"The {label} may be under an unknown key" in error.what
    assert words in error.fix
    assert keys_of(error.fix) == {label: None}


def test_parts_of_a_label_that_is_known_are_not_asked_about():
    energies, stresses = np.full(3, -0.3), np.tile(STRESS.ravel(), (3, 1))
    sample = molecule({"stress_xx": 0.1}, {"energies": energies, "stresses": stresses}, pbc=True)
    sample.calc = SinglePointCalculator(sample, energy=-1, stress=STRESS)
    assert resolved(sample).notes == ("Not used: energies, stress_xx, stresses.",)


def test_one_configuration_names_all_labels_that_are_asked_about():
    sample = molecule({"my energy": -3.0, "dft_vir": STRESS}, {"F": FORCES}, pbc=True)
    keys = keys_of(error_of(sample).fix)
    assert keys == {"energy": "my energy", "forces": "F", "virial": "dft_vir"}
    assert with_option(error_of(sample).fix).endswith(
        "--key 'energy=my energy' --key forces=F --key virial=dft_vir."
    )


@pytest.mark.parametrize(
    ("label", "key", "value", "unit", "field"),
    [
        ("energy", "energy_Ha", -3.0, "Hartree", "energy"),
        ("energy", "E (kcal/mol)", -3.0, "kcal/mol", "energy"),
        ("energy", "energy_meV", -3.0, "meV", "energy"),
        ("stress", "stress_GPa", STRESS, "GPa", "stress"),
        ("stress", "stress_kbar", STRESS, "kbar", "stress"),
        ("virial", "virial_Ry", STRESS, "Rydberg", "energy"),
    ],
)
def test_a_unit_in_the_name_of_a_key_is_not_passed_over(label, key, value, unit, field):
    sample = molecule({key: value}, {"forces": FORCES}, pbc=True)
    said = f"According to its name, '{key}' is in {unit}"
    assert f"{said}: if so, also set data.units.{field}" in error_of(sample).fix
    (note,) = [n for n in resolved(sample, keys={label: key}).notes if said in n]
    assert f"set data.units.{field}" in note
    size = {field: "GPa" if field == "stress" else "Ha"}
    assert not [n for n in resolved(sample, keys={label: key}, units=size).notes if said in n]


@pytest.mark.parametrize("key", ["REF_energy", "energy_eV", "E_a", "energy_pbe", "Pa", "bar"])
def test_names_without_another_unit_state_none(key):
    assert unit_of_name(key) is None


def test_a_weight_is_described_without_a_unit():
    assert "'w' (1 structure: 2)" in error_of(molecule({"w": 2.0}, energy=-1)).what


def test_the_key_that_is_proposed_is_one_that_can_be_read_as_it_is():
    sample = molecule({"energy_per_atom": -3.0, "my_energy": -9.0}, forces=FORCES)
    assert keys_of(error_of(sample).fix) == {"energy": "my_energy"}


def test_isolated_atoms_lack_no_forces():
    atom = ase.Atoms("H")
    atom.info |= {"energy": -13.6}
    atom.arrays["F"] = np.zeros((1, 3))
    assert resolved(atom, molecule(energy=-1, forces=FORCES)).of("forces") == "forces"


def test_an_array_of_three_by_three_is_what_its_name_says():
    assert label_meant("my_stress") == "stress"
    sample = molecule({"my_stress": STRESS}, {"F": FORCES}, energy=-1, pbc=True)
    what = error_of(sample).what
    assert "The stress may be under an unknown key: 'my_stress'" in what
    assert "The forces may be under an unknown key: 'F'" in what


@pytest.mark.parametrize("n_usual", [0, 3, 25])
def test_a_training_stops_wherever_in_the_files_the_other_key_is(tmp_path, n_usual):
    usual = [molecule(energy=-1.0 - i, forces=FORCES) for i in range(n_usual)]
    others = [molecule({"DFT_E": -1.0 - i}, forces=FORCES) for i in range(3)]
    ase.io.write(tmp_path / "a.xyz", [*usual, *others], format="extxyz")
    data = DataConfig(train="a.xyz", missing="allow")
    with pytest.raises(UserError, match=r"'DFT_E' \(3 structures: -3 to -1 in the unit"):
        open_dataset(str(tmp_path / "a.xyz"), data, 3.0, tmp_path / "cache")


def test_the_lines_before_a_training_hold_the_notes_about_all_its_files(tmp_path):
    frames = ase.io.read(Path(__file__).parents[1] / "data" / "ethanol.xyz", ":")
    ase.io.write(tmp_path / "a.xyz", frames[:10])
    for step, atoms in enumerate(frames):
        atoms.info["step"] = step
    ase.io.write(tmp_path / "b.xyz", frames[10:])
    files = {"train": str(tmp_path / "a.xyz"), "valid": str(tmp_path / "b.xyz")}
    config = Config.model_validate({"data": files})
    parts = open_parts(config, tmp_path / "run", World(), lambda _: None, as_split=False)
    lines = describe(config, parts, start_model(config, parts, None)[0])
    assert "note      Not used: OH_dist." in lines
    assert "note      valid: Not used: OH_dist, step." in lines


def test_a_constant_is_never_proposed_as_the_energy():
    samples = [molecule({"U": 1.0, "E": -76.4 - i}, {"F": FORCES}) for i in range(4)]
    error = error_of(*samples)
    assert keys_of(error.fix) == {"energy": "E", "forces": "F"}
    assert "'U' is 1 in all structures: it is not the total energy" in error.fix
    constant = [molecule({"U": 1.0}, forces=FORCES) for _ in range(4)]
    assert keys_of(error_of(*constant).fix) == {"energy": None}


def test_of_several_keys_that_vary_none_is_proposed():
    samples = [
        molecule({"DFT_E": -1.0 - i, "my_energy": -2.0 - i}, forces=FORCES) for i in range(4)
    ]
    error = error_of(*samples)
    assert keys_of(error.fix) == {"energy": "KEY"}
    assert "Replace KEY by the key of the energy: DFT_E or my_energy." in error.fix

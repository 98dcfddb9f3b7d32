"""Units that files state: used where nothing else is said, an error where something else is."""

from __future__ import annotations

import ase
import ase.db
import ase.io
import numpy as np
import pytest
from ase import units as ase_units
from ase.calculators.singlepoint import SinglePointCalculator

from reann.config import Config, DataConfig, Units
from reann.config.file import load_config, save_config
from reann.config.new import new_config
from reann.data.check import survey
from reann.data.dataset import open_dataset
from reann.data.files.read import iter_atoms
from reann.data.labels.extract import Extractor, extract, resolve_keys
from reann.data.labels.file_units import angstrom, to_angstrom
from reann.errors import UserError

CELL = np.array([[4.0, 0.3, 0.0], [0.0, 5.0, -0.2], [0.1, 0.0, 6.0]])
POSITIONS = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 1.2]])
FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
KCAL = ase_units.kcal / ase_units.mol
FORCE = ase_units.Hartree / ase_units.Bohr


def crystal(**info) -> ase.Atoms:
    atoms = ase.Atoms("H2", positions=POSITIONS, cell=CELL, pbc=True)
    atoms.info |= {"energy": -1.0, "stress": np.eye(3), **info}
    atoms.arrays["forces"] = FORCES.copy()
    return atoms


def read(atoms: ase.Atoms, **units) -> dict:
    data = DataConfig(train="a.xyz", units=Units(**units))
    return extract(atoms, resolve_keys([atoms], data, "a.xyz"), data, "a.xyz#0")


@pytest.mark.parametrize(
    ("info", "energy", "forces", "stress"),
    [
        ({"energy-unit": "hartree", "force-unit": "hartree/bohr"}, ase_units.Hartree, FORCE, None),
        ({"energy_unit": "Eh"}, ase_units.Hartree, ase_units.Hartree, ase_units.Hartree),
        ({"unit_energy": "kcal/mol", "units_forces": "kcal/mol/Ang"}, KCAL, KCAL, KCAL),
        ({"forcesUnits": "Ha/Bohr"}, 1.0, FORCE, 1.0),
        ({"stress_unit": "GPa"}, 1.0, 1.0, ase_units.GPa),
        ({"units": {"energy": "kcal mol^-1", "forces": "eV/A"}}, KCAL, 1.0, KCAL),
        ({"units": "real"}, KCAL, KCAL, 101325e-9 * ase_units.GPa),
        ({"units": "kcal/mol Angstrom"}, KCAL, KCAL, KCAL),
        ({"units": "eV"}, 1.0, 1.0, 1.0),
        ({"_property_unit_dict": {"energy": "Hartree"}}, ase_units.Hartree, None, None),
        ({"dipole_unit": "furlong", "formula_units": 4, "unit_cell": "primitive"}, 1.0, 1.0, 1.0),
    ],
)
def test_labels_are_converted_from_the_units_that_the_file_states(info, energy, forces, stress):
    labels = read(crystal(**info))
    assert labels["energy"] == pytest.approx(-energy)
    if forces is not None:
        assert np.allclose(labels["forces"], forces * FORCES, rtol=1e-12)
    if stress is not None:
        assert np.allclose(labels["stress"], stress * np.eye(3), rtol=1e-12)


def test_a_unit_may_be_stated_for_the_key_of_a_label():
    atoms = crystal(DFT_energy_unit="Hartree")
    atoms.info["DFT_energy"] = atoms.info.pop("energy")
    assert read(atoms)["energy"] == pytest.approx(-ase_units.Hartree)


def test_the_virial_is_converted_from_its_own_unit_with_the_volume_in_angstrom():
    atoms = crystal(virial_unit="kcal/mol", length_unit="bohr")
    del atoms.info["stress"]
    atoms.info["virial"] = np.eye(3)
    volume = np.linalg.det(CELL) * ase_units.Bohr**3
    assert np.allclose(read(atoms)["stress"], -KCAL / volume * np.eye(3), rtol=1e-12)


@pytest.mark.parametrize(
    ("info", "units", "what"),
    [
        ({"energy-unit": "hartree"}, {"energy": "eV"}, "unit 'hartree' of the energy, but data.u"),
        ({"force_unit": "Ha/Bohr"}, {"forces": "eV/Ang"}, "unit 'Ha/Bohr' of the forces, but data"),
        (
            {"length_unit": "nm"},
            {"length": "Ang"},
            "unit 'nm' of the length, but data.units.length",
        ),
        ({"stress_unit": "GPa"}, {"stress": "kbar"}, "unit 'GPa' of the stress, but data.units"),
        ({"pos_unit": "bohr", "cell_unit": "Ang"}, {}, "'bohr' of the length, but also 'Ang'"),
        ({"energy-unit": "eV/atom"}, {}, "unknown unit of the energy: 'eV/atom'"),
        ({"length_unit": "parsec"}, {}, "unknown unit of the length: 'parsec'"),
        ({"units": "imperial"}, {}, "unknown unit of the energy: 'imperial'"),
    ],
)
def test_a_unit_that_contradicts_or_is_not_known_is_an_error_everywhere(
    info, units, what, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ase.io.write("a.xyz", crystal(**info))
    data = DataConfig(train="a.xyz", units=Units(**units))
    with pytest.raises(UserError, match=what):
        open_dataset("a.xyz", data, 3.0, tmp_path / "cache")
    findings = survey(["a.xyz"], data, 3.0).findings
    assert any(f.severity == "error" and what in f.message for f in findings)
    if not units:
        assert what in new_config("a.yaml", "a.xyz")


@pytest.mark.parametrize(
    ("info", "units", "energy", "forces"),
    [
        ({"energy-unit": "hartree"}, {"energy": "Ha"}, ase_units.Hartree, ase_units.Hartree),
        ({"force_unit": "hartree/a0"}, {"forces": "Ha/Bohr"}, 1.0, FORCE),
        ({"energy-unit": "furlong"}, {"energy": "kcal/mol"}, KCAL, KCAL),
    ],
)
def test_units_that_agree_or_are_said_for_one_that_is_not_known_are_used(
    info, units, energy, forces
):
    labels = read(crystal(**info), **units)
    assert labels["energy"] == pytest.approx(-energy)
    assert np.allclose(labels["forces"], forces * FORCES, rtol=1e-12)


@pytest.mark.parametrize("unit", ["Bohr", "nm"])
@pytest.mark.parametrize("is_stated", [True, False])
def test_positions_and_cell_are_both_scaled_to_angstrom(unit, is_stated):
    size = {"Bohr": ase_units.Bohr, "nm": 10.0}[unit]
    given = Units() if is_stated else Units(length=unit)
    info = {"length_unit": unit} if is_stated else {}
    atoms = crystal(**info)
    to_angstrom(atoms, given, "a.xyz#0")
    (streamed,) = [a for a, _ in angstrom(iter([(crystal(**info), "a.xyz#0")]), given)]
    for scaled in (atoms, streamed):
        assert np.allclose(scaled.positions, size * POSITIONS, rtol=1e-14)
        assert np.allclose(scaled.cell.array, size * CELL, rtol=1e-14)
        assert np.allclose(scaled.get_scaled_positions(), crystal().get_scaled_positions())


@pytest.mark.parametrize("is_stated", [True, False])
def test_a_data_set_and_a_survey_have_positions_and_cells_in_angstrom(tmp_path, is_stated):
    info = {"length_unit": "nm"} if is_stated else {}
    atoms = crystal(**info)
    atoms.positions /= 10
    atoms.set_cell(CELL / 10)
    ase.io.write(tmp_path / "a.xyz", atoms)
    file = str(tmp_path / "a.xyz")
    data = DataConfig(train=file, units=Units() if is_stated else Units(length="nm"))
    dataset = open_dataset(file, data, 3.0, tmp_path / "cache")
    assert np.allclose(dataset.atoms(0).positions, POSITIONS)
    assert np.allclose(dataset.atoms(0).cell.array, CELL)
    (summary,) = survey([file], data, 3.0).files
    assert summary.nearest == pytest.approx(np.linalg.norm(POSITIONS[1] - POSITIONS[0]), rel=1e-6)


@pytest.mark.parametrize("name", ["a.db", "a.json"])
@pytest.mark.parametrize(
    "metadata",
    [
        {
            "_property_unit_dict": {"energy": "kcal/mol", "F": "kcal/mol/Bohr"},
            "_distance_unit": "nm",
        },
        {
            "key_descriptions": {"energy": ["Energy", "Total energy", "kcal/mol"]},
            "units": {"F": "kcal/mol/Bohr", "distance": "nm"},
        },
    ],
    ids=["SchNetPack", "ASE"],
)
def test_units_in_the_metadata_of_a_database_are_used(tmp_path, name, metadata):
    with ase.db.connect(tmp_path / name) as database:
        molecule = ase.Atoms("H2", positions=POSITIONS)
        database.write(molecule, data={"energy": np.array([-1.0]), "F": FORCES})
        database.metadata = metadata
    (atoms,) = [atoms for atoms, _ in iter_atoms(str(tmp_path / name))]
    data = DataConfig(train=str(tmp_path / name), keys={"forces": "F"})
    keys = resolve_keys([atoms], data, name)
    labels = extract(atoms, keys, data, name)
    assert labels["energy"] == pytest.approx(-KCAL)
    assert np.allclose(labels["forces"], KCAL / ase_units.Bohr * FORCES)
    to_angstrom(atoms, Units(), name)
    assert np.allclose(atoms.positions, 10 * POSITIONS)
    assert not any("unit" in note.lower() for note in keys.notes if note.startswith("Not used"))


def test_a_note_says_what_is_converted_and_nothing_where_units_are_the_usual_ones():
    data = DataConfig(train="a.xyz")
    samples = [crystal(**{"energy-unit": "hartree", "force-unit": "eV/Å"}), crystal()]
    (note,) = resolve_keys(samples, data, "a.xyz").notes
    assert "1 of 2 structures" in note
    assert "energy in hartree" in note
    assert "forces in eV/Å" in note
    assert resolve_keys([crystal(**{"energy-unit": "ev"})], data, "a.xyz").notes == ()


def test_a_unit_is_that_of_all_files_only_where_all_structures_state_it():
    data = DataConfig(train="a.xyz")
    stated, silent = crystal(**{"energy-unit": "hartree"}), crystal()
    assert resolve_keys([stated, stated], data, "a.xyz").units["energy"] == "hartree"
    assert resolve_keys([silent, silent], data, "a.xyz").units == {}
    for samples in ([stated, silent], [silent, stated]):
        assert resolve_keys(samples, data, "a.xyz").units == {}


def test_a_new_configuration_holds_the_stated_units_and_a_saved_one_only_those_that_were_set(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ase.io.write("a.xyz", [crystal(**{"energy-unit": "hartree", "force-unit": "Ha/Bohr"})] * 2)
    assert "are converted: energy in hartree" in new_config("a.yaml", "a.xyz")
    written = load_config("a.yaml").data
    assert (written.units.energy, written.units.forces) == ("hartree", "Ha/Bohr")
    plain = DataConfig(train="a.xyz")
    opened = [open_dataset("a.xyz", data, 3.0, tmp_path / "cache") for data in (written, plain)]
    assert opened[0].label("energy")[0] == opened[1].label("energy")[0] != -1.0
    save_config(Config(data=plain), "saved.yaml", {})
    assert load_config("saved.yaml").data.units.model_fields_set == set()
    save_config(Config(data=written), "saved.yaml", {})
    assert load_config("saved.yaml").data.units.energy == "hartree"


def test_a_cache_read_without_units_is_not_used_when_units_are_set(tmp_path):
    ase.io.write(tmp_path / "a.xyz", crystal(**{"energy-unit": "hartree"}))
    file = str(tmp_path / "a.xyz")
    open_dataset(file, DataConfig(train=file), 3.0, tmp_path / "cache")
    data = DataConfig(train=file, units={"energy": "eV"})
    with pytest.raises(UserError, match="'hartree' of the energy"):
        open_dataset(file, data, 3.0, tmp_path / "cache")


def test_the_extractor_of_a_check_converts_too():
    atoms = ase.Atoms("H2", positions=POSITIONS)
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    atoms.info["energy_unit"] = "Hartree"
    assert Extractor(None)(atoms, "a.xyz#0")["energy"] == pytest.approx(-ase_units.Hartree)

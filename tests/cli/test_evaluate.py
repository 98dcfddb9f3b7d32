"""`reann evaluate`: tables for people, JSON for programs, predictions for everybody."""

import gzip
import json
from importlib import resources
from pathlib import Path

import ase.io
import ase.units
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reann.cli import app
from reann.config import Config, DataConfig, Keys, ModelConfig, Units
from reann.errors import UserError
from reann.evaluation.evaluate import evaluate as evaluate_command
from reann.model import build
from reann.potential import Potential, load
from reann.terminal import Terminal


@pytest.fixture
def model(tmp_path) -> Path:
    """Return the file of an untrained potential for ethanol, on the scale of its energies."""
    config = ModelConfig(preset="density", cutoff=4.0, n_radial=3, l_max=1)
    net = build(config, [1, 6, 8], 6.0, seed=3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "last" in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
        net.reference_energies.copy_(torch.tensor([-16.0, -1037.0, -2041.0]))
    path = tmp_path / "ethanol.reann"
    Potential(net).save(path)
    return path


@pytest.fixture
def ethanol(tmp_path) -> Path:
    """Return a file of 12 structures in two groups, the last without labels."""
    packed = resources.files("reann.demo") / "ethanol_unseen.xyz.gz"
    with resources.as_file(packed) as file, gzip.open(file, "rt") as text:
        structures = ase.io.read(text, index=":12", format="extxyz")
    for i, atoms in enumerate(structures):
        atoms.info = {"config_type": "warm" if i % 3 else "cold"}
    structures[-1].calc = None
    path = tmp_path / "test.xyz"
    ase.io.write(path, structures, format="extxyz")
    return path


def quiet() -> Terminal:
    return Terminal(width=140, record=True, quiet=True)


def test_the_command_prints_units_and_writes_json_and_predictions(model, ethanol, tmp_path):
    report, output = tmp_path / "errors.json", tmp_path / "predictions.xyz"
    arguments = ["evaluate", str(model), str(ethanol), "--json", str(report), "-o", str(output)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    for word in ("meV/atom", "meV/Å", "Per element", "Per group", "warm", "cold"):
        assert word in result.output
    found = json.loads(report.read_text())
    assert found["n_structures"] == 12
    assert set(found["by_element"]) == {"H", "C", "O"}
    assert set(found["by_group"]) == {"cold", "warm"}

    structures = ase.io.read(output, ":")
    predicted = load(model).predict([atoms.copy() for atoms in structures])
    errors = []
    for atoms, expected in zip(structures, predicted, strict=True):
        assert atoms.info["reann_energy"] == pytest.approx(expected["energy"], abs=1e-4)
        np.testing.assert_allclose(atoms.arrays["reann_forces"], expected["forces"], atol=1e-4)
        if atoms.calc is not None:
            errors.append(atoms.info["reann_energy"] - atoms.get_potential_energy())
    assert len(errors) == 11
    rmse = 1e3 / 9 * np.sqrt(np.mean(np.square(errors)))
    assert found["energy_rmse_meV_per_atom"] == pytest.approx(rmse, rel=1e-4)


def test_reference_labels_survive_beside_the_predictions(model, ethanol, tmp_path):
    output = tmp_path / "predictions.extxyz.gz"
    evaluate_command(model, [str(ethanol)], output=output, console=quiet())
    with gzip.open(output, "rt") as text:
        after = ase.io.read(text, ":", format="extxyz")
    before = ase.io.read(ethanol, ":")
    assert after[-1].calc is None
    for old, new in zip(before[:-1], after[:-1], strict=True):
        assert new.get_potential_energy() == pytest.approx(old.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(new.get_forces(), old.get_forces(), atol=1e-6)
        assert new.info["config_type"] == old.info["config_type"]


def test_structures_without_labels_are_predicted(model, ethanol, tmp_path):
    bare = ase.io.read(ethanol, ":3")
    for atoms in bare:
        atoms.calc = None
    ase.io.write(tmp_path / "bare.xyz", bare, format="extxyz")
    console, output = quiet(), tmp_path / "predictions.xyz"
    evaluate_command(model, [str(tmp_path / "bare.xyz")], output=output, console=console)
    structures = ase.io.read(output, ":")
    assert len(structures) == 3
    assert all("reann_energy" in atoms.info and atoms.calc is None for atoms in structures)


def test_an_unknown_element_is_one_message_without_a_traceback(model, ethanol, tmp_path):
    structures = ase.io.read(ethanol, ":3")
    structures[1].numbers[2] = 16
    ase.io.write(tmp_path / "sulfur.xyz", structures, format="extxyz")
    result = CliRunner().invoke(app, ["evaluate", str(model), str(tmp_path / "sulfur.xyz")])
    assert result.exit_code == 1
    assert "supports the elements H, C, O" in result.stderr
    assert "sulfur.xyz#1" in result.stderr
    assert "Traceback" not in result.stderr


def test_predictions_in_another_format_are_refused_before_the_work(model, ethanol, tmp_path):
    with pytest.raises(UserError, match=r"extended XYZ; 'out\.traj'"):
        evaluate_command(model, [str(ethanol)], output=tmp_path / "out.traj", console=quiet())


def test_an_output_that_cannot_be_written_is_an_error(model, ethanol, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        evaluate_command(
            model, [str(ethanol)], output=tmp_path / "file" / "out.xyz", console=quiet()
        )


# --- keys and units of other files ------------------------------------------------------------


KCAL = 23.060547830619026
"""kcal/mol in one eV."""


def renamed(ethanol: Path, path: Path, keys: dict[str, str], factor: float) -> Path:
    """Write the labels under other keys, in another unit of energy."""
    structures = []
    for atoms in ase.io.read(ethanol, ":5"):
        labels = atoms.calc.results
        atoms.calc = None
        atoms.info[keys["energy"]] = factor * labels["energy"]
        atoms.arrays[keys["forces"]] = factor * labels["forces"]
        structures.append(atoms)
    ase.io.write(path, structures, format="extxyz")
    return path


def trained_on(model: Path, keys: dict, units: dict) -> Path:
    """Write into the header what a training on such files leaves there."""
    potential = load(model)
    data = DataConfig(train="a.xyz", keys=Keys(**keys), units=Units(**units))
    Potential(potential.model, {"settings": Config(data=data).model_dump(mode="json")}).save(model)
    return model


def summary(model: Path, file: Path, *options: str) -> tuple[dict, str]:
    errors = file.with_suffix(".json")
    words = ["evaluate", str(model), str(file), "--json", str(errors), *options]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    found = json.loads(errors.read_text())
    shown = next(line for line in result.output.splitlines() if line.startswith("Labels: "))
    return {k: v for k, v in found.items() if "_rmse_" in k}, shown


@pytest.fixture
def expected(model, ethanol, tmp_path):
    ase.io.write(tmp_path / "five.xyz", ase.io.read(ethanol, ":5"), format="extxyz")
    return summary(model, tmp_path / "five.xyz")[0]


OWN = {"energy": "E_kcal", "forces": "F_kcal"}


def test_keys_and_units_are_those_of_the_training(model, ethanol, tmp_path, expected):
    file = renamed(ethanol, tmp_path / "kcal.xyz", OWN, KCAL)
    found, shown = summary(trained_on(model, OWN, {"energy": "kcal/mol"}), file)
    assert found == pytest.approx(expected, rel=1e-4)
    assert "energy 'E_kcal' in kcal/mol · forces 'F_kcal' in kcal/mol/Ang" in shown
    assert "as in the training" in shown


def test_files_with_other_keys_are_not_read_in_the_units_of_the_training(
    model, ethanol, tmp_path, expected
):
    trained_on(model, OWN, {"energy": "kcal/mol"})
    found, shown = summary(model, tmp_path / "five.xyz")
    assert found == pytest.approx(expected)
    assert "energy 'energy' in eV" in shown
    assert "training" not in shown


def test_units_of_the_training_hold_where_it_found_the_keys_too(model, ethanol, tmp_path, expected):
    keys = {"energy": "dft_energy", "forces": "dft_forces"}
    file = renamed(ethanol, tmp_path / "kcal.xyz", keys, KCAL)
    found, _ = summary(trained_on(model, {}, {"energy": "kcal/mol"}), file)
    assert found == pytest.approx(expected, rel=1e-4)


def test_options_name_keys_and_units(model, ethanol, tmp_path, expected):
    file = renamed(ethanol, tmp_path / "kcal.xyz", OWN, KCAL)
    trained_on(model, {"energy": "E"}, {"energy": "Ha", "length": "Bohr"})
    options = ["--key", "energy=E_kcal", "--key", "forces=F_kcal", "--unit", "energy=kcal/mol"]
    found, shown = summary(model, file, *options)
    assert found == pytest.approx(expected, rel=1e-4)
    assert "training" not in shown


def test_one_option_replaces_one_setting_of_the_training(model, ethanol, tmp_path, expected):
    file = renamed(ethanol, tmp_path / "kcal.xyz", OWN, KCAL)
    trained_on(model, OWN, {"energy": "Ha"})
    found, shown = summary(model, file, "--unit", "energy=kcal/mol")
    assert found == pytest.approx(expected, rel=1e-4)
    assert "training" not in shown


def test_unlabeled_positions_in_bohr_are_predicted_as_in_angstrom(model, ethanol, tmp_path):
    bare = ase.io.read(ethanol, ":2")
    energies = [one["energy"] for one in load(model).predict([atoms.copy() for atoms in bare])]
    for atoms in bare:
        atoms.calc = None
        atoms.positions /= ase.units.Bohr
    ase.io.write(tmp_path / "bohr.xyz", bare, format="extxyz")
    output = tmp_path / "predictions.xyz"
    summary(model, tmp_path / "bohr.xyz", "--unit", "length=Bohr", "-o", str(output))
    found = [atoms.info["reann_energy"] for atoms in ase.io.read(output, ":")]
    assert found == pytest.approx(energies, abs=1e-3)
    for atoms in bare:
        atoms.info["length_unit"] = "bohr"
    ase.io.write(tmp_path / "stated.xyz", bare, format="extxyz")
    _, shown = summary(model, tmp_path / "stated.xyz", "-o", str(output))
    assert shown == "Labels: none; positions in bohr"
    found = [atoms.info["reann_energy"] for atoms in ase.io.read(output, ":")]
    assert found == pytest.approx(energies, abs=1e-3)


@pytest.mark.parametrize("as_trained", [False, True])
@pytest.mark.parametrize(
    ("keys", "named", "options"),
    [
        ({"energy": "DFT_E", "forces": "my_grad"}, "energy forces", ["energy=null", "forces=null"]),
        ({"energy": "energy", "forces": "my_grad"}, "forces", ["forces=null"]),
        ({"energy": "E_kcal", "forces": "my_grad"}, "forces", ["energy=E_kcal", "forces=null"]),
    ],
)
def test_labels_that_would_not_be_compared_are_an_error(
    model, ethanol, tmp_path, *, keys, named, options, as_trained
):
    if as_trained:
        trained_on(model, OWN, {"energy": "kcal/mol"})
    file = renamed(ethanol, tmp_path / "other.xyz", keys, KCAL)
    result = CliRunner().invoke(app, ["evaluate", str(model), str(file)])
    assert result.exit_code == 1
    for label in named.split():
        assert f"The {label} may be under an unknown key" in result.stderr
        assert f"--key {label}=" in result.stderr
    summary(model, file, *(word for option in options for word in ("--key", option)))


def test_labels_under_two_keys_are_never_compared_in_part_without_a_word(model, ethanol, tmp_path):
    own = renamed(ethanol, tmp_path / "own.xyz", OWN, KCAL)
    usual = tmp_path / "five.xyz"
    ase.io.write(usual, ase.io.read(ethanol, ":5"), format="extxyz")
    trained_on(model, OWN, {"energy": "kcal/mol"})
    words = ["evaluate", str(model), str(own), str(usual)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert "Note: 5 structures have no energy under 'E_kcal'" in result.output
    assert "Note: 5 structures have no forces under 'F_kcal'" in result.output


def test_units_that_the_file_states_go_before_those_of_the_training(
    model, ethanol, tmp_path, expected
):
    structures = ase.io.read(renamed(ethanol, tmp_path / "own.xyz", OWN, 1.0), ":")
    for atoms in structures:
        atoms.info |= {"energy-unit": "eV", "force_unit": "eV/Angstrom"}
    ase.io.write(tmp_path / "stated.xyz", structures, format="extxyz")
    trained_on(model, OWN, {"energy": "kcal/mol"})
    found, shown = summary(model, tmp_path / "stated.xyz")
    assert found == pytest.approx(expected, rel=1e-4)
    assert "energy 'E_kcal' in eV · forces 'F_kcal' in eV/Angstrom" in shown
    words = ["evaluate", str(model), str(tmp_path / "stated.xyz"), "--unit", "energy=kcal/mol"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "'eV' of the energy, but data.units.energy is 'kcal/mol'" in result.stderr


def test_a_free_energy_alone_is_compared(model, ethanol, tmp_path):
    structures = ase.io.read(ethanol, ":3")
    for atoms in structures:
        atoms.info["free_energy"] = atoms.get_potential_energy()
        atoms.calc = None
    ase.io.write(tmp_path / "free.xyz", structures, format="extxyz")
    assert "energy_rmse_meV_per_atom" in summary(model, tmp_path / "free.xyz")[0]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--key", "enrgy=E"], "Did you mean 'energy'?"),
        (["--key", "energy"], "is not of the form name=value"),
        (["--key", "energy=a", "--key", "energy=b"], "The energy is given twice: a and b"),
        (["--unit", "energy=eV", "--unit", "energy=Ha"], "The energy is given twice"),
        (["--unit", "energy=kcal"], "--unit energy=kcal"),
        (["--unit", "dipole=eV"], "--unit dipole=eV"),
        (["--key", "energy=nothing"], "--key energy=KEY"),
    ],
)
def test_a_wrong_option_is_named_with_its_fix(model, ethanol, option, said):
    result = CliRunner().invoke(app, ["evaluate", str(model), str(ethanol), *option])
    assert result.exit_code == 1
    assert said in result.stderr

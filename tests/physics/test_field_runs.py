"""Structures in electric fields: from files to a potential, its calculator and dynamics."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from data_files import opened, written
from models import random_model
from reann.cli import app
from reann.config import Config
from reann.errors import UserError
from reann.evaluation.evaluate import evaluate
from reann.interfaces.ase import Calculator
from reann.potential import Potential
from reann.quantities import SOUGHT
from reann.simulate.md import run_md
from reann.training.run import Run, train
from reann.units import COULOMB

pytestmark = pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")
CHARGES = np.array([-0.8, 0.4, 0.4])
"""e, of O and H in the molecules that the labels are of."""
SMALL = {"channels": 6, "l_max": 2, "cutoff": 4.0, "field": True}


def waters(n: int, key: str = "external_field") -> list[ase.Atoms]:
    """Point charges in a field: E = -mu.F, forces q F; every other structure states no field."""
    rng, frames = np.random.default_rng(1), []
    for number in range(n):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(size=(3, 3), scale=0.05)
        field = rng.normal(size=3, scale=0.2) * (number % 2)
        mu = CHARGES @ atoms.positions
        forces = CHARGES[:, None] * field
        atoms.calc = SinglePointCalculator(atoms, energy=-mu @ field, forces=forces)
        atoms.info["dipole"] = mu
        if number % 2:
            atoms.info[key] = field
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("fields")
    values = {
        "data": {"train": str(written(waters(60), folder)), "valid": 0.2},
        "model": SMALL | {"outputs": ["dipole"]},
        "training": {"batch_size": 8, "epochs": 40},
        "run": {"folder": str(folder / "run"), "threads": 1},
    }
    return train(Config.model_validate(values))


@pytest.mark.parametrize("key", ["field", "external_field", "efield", "Electric_Field"])
def test_fields_are_read_under_any_of_their_names(tmp_path: Path, key: str) -> None:
    frames = waters(4, key)
    graph = opened(written(frames, tmp_path), field=SOUGHT).graph([0, 1, 2, 3])
    assert graph.field is not None
    given = [atoms.info.get(key, np.zeros(3)) for atoms in frames]
    np.testing.assert_allclose(graph.field, given, atol=1e-8)


def test_fields_are_not_read_for_a_model_that_does_not_ask(tmp_path: Path) -> None:
    assert opened(written(waters(4), tmp_path)).graph([0, 1]).field is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros(2), r"is \(2,\); expected \(3,\)"),
        (np.array([0.0, np.nan, 0.0]), "The field is nan"),
        ("strong", "is not numeric"),
    ],
)
def test_an_impossible_field_is_an_error(tmp_path: Path, value: object, says: str) -> None:
    frames = waters(4)
    frames[3].info["external_field"] = value
    with pytest.raises(UserError, match=says):
        opened(written(frames, tmp_path), field=SOUGHT)


def test_two_keys_that_could_be_the_field_are_asked_about(tmp_path: Path) -> None:
    frames = waters(4)
    frames[0].info["efield"] = np.ones(3)
    with pytest.raises(UserError, match="Several keys could be the external electric field"):
        opened(written(frames, tmp_path), field=SOUGHT)


def test_energies_forces_and_dipoles_in_fields_are_learned(run: Run) -> None:
    errors = run.evaluations["valid"].summary()
    assert errors["dipole_rmse_me_A_per_atom"] < 10.0
    assert errors["forces_rmse_meV_per_A"] < 20.0  # of 80
    atoms = waters(2)[1]
    atoms.info = {"field": np.array([0.1, 0.0, -0.2])}
    found = run.potential.predict(atoms, ["dipole", "born_effective_charges"])
    np.testing.assert_allclose(found["born_effective_charges"].sum(0), 0.0, atol=1e-5)
    assert np.linalg.norm(found["dipole"] - CHARGES @ atoms.positions) < 0.05


def test_polarizabilities_are_learned_in_weak_fields(tmp_path: Path) -> None:
    """If fields were the unit of the model, it would start hundreds of standard deviations off."""
    frames, alpha = waters(60), 1.5
    for atoms in frames:
        field = 0.1 * atoms.info.pop("external_field", np.zeros(3))
        bonds = atoms.positions[1:] - atoms.positions[0]
        r = np.linalg.norm(bonds, axis=1, keepdims=True)
        pulls = 30.0 * (r - 0.97) * bonds / r  # eV/Å
        static, induced = CHARGES @ atoms.positions, alpha / COULOMB * field
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=15.0 * ((r - 0.97) ** 2).sum() - (static + 0.5 * induced) @ field,
            forces=CHARGES[:, None] * field + np.concatenate([pulls.sum(0)[None], -pulls]),
        )
        atoms.info |= {"dipole": static + induced, "field": field}
        atoms.info["polarizability"] = alpha * np.eye(3).ravel()
    values = {
        "data": {"train": str(written(frames, tmp_path)), "valid": 0.2},
        "model": SMALL | {"outputs": ["dipole", "polarizability"]},
        "training": {"batch_size": 8, "epochs": 40},
        "run": {"folder": str(tmp_path / "run"), "threads": 1, "uncertainty": False},
    }
    errors = train(Config.model_validate(values)).evaluations["valid"].summary()
    assert errors["polarizability_rmse_mA3_per_atom"] < 30.0  # of 290
    assert errors["dipole_rmse_me_A_per_atom"] < 10.0


def test_files_are_evaluated_in_their_fields(run: Run, tmp_path: Path) -> None:
    path, output = written(waters(10), tmp_path), tmp_path / "out.xyz"
    errors = evaluate(run.folder / "model.reann", [str(path)], output=output).summary()
    assert errors["forces_rmse_meV_per_A"] < 20.0
    frames = ase.io.read(output, ":")
    np.testing.assert_allclose(
        frames[1].info["field"], waters(2)[1].info["external_field"], atol=1e-8
    )


def test_the_calculator_notices_another_field() -> None:
    model = random_model(messages="equivariant", l_max=2, n_recursions=1, field=True)
    atoms = molecule("H2O")
    atoms.calc = Calculator(Potential(model))
    energies = []
    for field in (None, [0.0, 0.0, 0.3], [0.0, 0.3, 0.0], [0.0, 0.0, 0.0]):
        atoms.info.pop("field", None)
        if field is not None:
            atoms.info["field"] = field
        energies.append(atoms.get_potential_energy())
    assert len({round(e, 8) for e in energies[:3]}) == 3
    assert energies[3] == pytest.approx(energies[0], abs=1e-10)


def test_the_calculator_notices_a_field_that_is_modified_in_place() -> None:
    model = random_model(messages="equivariant", l_max=2, n_recursions=1, field=True)
    atoms = molecule("H2O")
    atoms.info["field"] = np.array([0.0, 0.0, 0.3])
    atoms.calc = Calculator(Potential(model))
    before = atoms.get_potential_energy()
    atoms.info["field"][:] = 0.0, 0.3, 0.0
    expected = Potential(model).predict(atoms, ["energy"])["energy"]
    assert atoms.get_potential_energy() == pytest.approx(float(expected), abs=1e-10)
    assert abs(before - float(expected)) > 1e-6


def test_the_calculator_pulls_an_ion_as_predictions_do() -> None:
    model = random_model(messages="equivariant", l_max=2, n_recursions=1, field=True)
    ion = molecule("H2O")
    ion.info |= {"charge": 1, "field": [0.0, 0.0, 0.3]}
    expected = Potential(model).predict(ion, ["energy", "forces"])
    ion.calc = Calculator(Potential(model))
    assert ion.get_potential_energy() == pytest.approx(float(expected["energy"]), abs=1e-10)
    np.testing.assert_allclose(ion.get_forces(), expected["forces"], atol=1e-10)
    np.testing.assert_allclose(ion.get_forces().sum(0), [0.0, 0.0, 0.3], atol=1e-10)


def test_dynamics_in_a_field_conserve_the_energy(tmp_path: Path) -> None:
    # Weights of a random model are scaled down: a water molecule holds together.
    model = random_model(messages="equivariant", l_max=2, n_recursions=1, field=True)
    with torch.no_grad():
        for head in model.heads.as_list():
            head.energy_scale.mul_(1e-3)
    still, pulled = (
        run_md(
            Potential(model),
            molecule("H2O"),
            temperature=10.0,
            time=10.0,
            timestep=0.1,
            ensemble="nve",
            field=field,
            output=tmp_path / "out.xyz",
            quiet=True,
        )
        for field in (None, (0.0, 0.0, 0.5))
    )
    assert np.ptp(pulled.total_energy) < 1e-3
    assert np.abs(still.atoms.positions - pulled.atoms.positions).max() > 1e-4
    np.testing.assert_allclose(pulled.atoms.info["field"], (0.0, 0.0, 0.5))


def test_a_field_acts_on_a_relaxation_before_dynamics_and_on_its_continuation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = random_model(messages="equivariant", l_max=2, n_recursions=1, field=True, zbl={})
    model.heads.first.energy_scale.mul_(1e-2)
    potential, atoms = Potential(model), molecule("H2O")
    settings = {"temperature": 10.0, "timestep": 0.1, "ensemble": "nve", "interval": 1}
    field, output = (0.0, 0.0, 0.5), tmp_path / "md.xyz"
    run_md(potential, atoms, time=1.0, field=field, output=output, relax_first=True, **settings)
    relaxed = ase.io.read(output, 0)
    assert np.linalg.norm(relaxed.get_forces(), axis=1).max() < 0.05
    capsys.readouterr()
    done = run_md(potential, atoms, time=2.0, output=output, append=True, **settings)
    np.testing.assert_allclose(done.atoms.info["field"], field)
    assert "The potential differs" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("field", "says"),
    [("0,0", "not three finite numbers"), ("0,0,inf", "not three finite"), ("up", "not a field")],
)
def test_an_impossible_field_on_the_command_line(
    run: Run, tmp_path: Path, field: str, says: str
) -> None:
    words = ["md", run.folder / "model.reann", written(waters(1), tmp_path), "--temperature", "10"]
    words += ["--time", "1fs", "--field", field]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert says in result.stderr


def test_a_model_without_fields_refuses_one() -> None:
    potential = Potential(random_model())
    with pytest.raises(UserError, match="does not depend on electric fields"):
        run_md(potential, molecule("H2O"), temperature=1.0, time=1.0, field=(0.0, 0.0, 1.0))

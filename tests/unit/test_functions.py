"""The functions of Python: any form of configuration, potential and structures; results."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
import yaml

import reann
from reann.config import ModelConfig
from reann.config.from_values import configuration
from reann.errors import UserError

DATA = Path(__file__).parents[1] / "data" / "ethanol.xyz"
SETTINGS = {
    "data": {"train": str(DATA), "valid": 0.3},
    "model": {"preset": "fast", "cutoff": 3.0, "n_radial": 3, "l_max": 1},
    "training": {"epochs": 1, "batch_size": 4},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ethanol"
    changes = {"run.folder": folder, "training.epochs": 2}
    run = reann.train(SETTINGS, **changes)
    assert run.folder == folder
    assert [row["epoch"] for row in run.history] == [0, 1, 2]
    return folder


@pytest.fixture(scope="module")
def structures() -> list[ase.Atoms]:
    return ase.io.read(DATA, ":3")


def test_every_form_of_a_configuration_means_the_same(tmp_path):
    file = tmp_path / "ethanol.yaml"
    file.write_text(yaml.safe_dump(SETTINGS))
    changes = {"training.epochs": 7, "training.learning_rate": 1e-5, "run.folder": tmp_path / "x"}
    forms = [file, str(file), SETTINGS, reann.Config(**SETTINGS)]
    first, *others = [configuration(form, changes) for form in forms]
    assert first.training.epochs == 7
    assert first.training.learning_rate == 1e-5
    assert first.run.folder == tmp_path / "x"
    assert all(other == first for other in others)


def test_a_changed_preset_takes_effect():
    config = reann.Config(data={"train": "a.xyz"}, model={"preset": "fast"})
    assert configuration(config, {"model.preset": "accurate"}).model.channels == 64


MISTAKES = {
    "unknown section": (
        lambda: reann.Config(data={"train": "a"}, modle={}),
        "Did you mean 'model'",
    ),
    "unknown field": (
        lambda: reann.Config(data={"train": "a"}, model={"cutof": 3}),
        "'model' has no field 'cutof'. Did you mean 'cutoff'",
    ),
    "wrong value": (
        lambda: reann.Config(data={"train": "a"}, model={"l_max": "three"}),
        "model.l_max cannot be 'three'.",
    ),
    "a section alone": (lambda: ModelConfig(l_max=99), "at least 0 and at most 4"),
    "nothing": (reann.Config, "data.train is missing"),
    "dictionary": (
        lambda: configuration({"data": {"train": "a"}, "run": {"seed": -1}}, {}),
        "run.seed cannot be -1",
    ),
    "no section": (
        lambda: configuration(SETTINGS, {"epochs": 3}),
        "Did you mean 'training.epochs'",
    ),
    "change": (
        lambda: configuration(SETTINGS, {"training.epochs": "many"}),
        "argument training.epochs='many'",
    ),
    "two": (
        lambda: reann.Config(data={"train": "a"}, model={"l_max": 9}, training={"epochs": 0}),
        "has 2 mistakes",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_errors_of_the_user(mistake):
    make, message = MISTAKES[mistake]
    with pytest.raises(UserError) as error:
        make()
    assert message in str(error.value)
    assert "pydantic" not in str(error.value)
    assert error.value.__cause__ is None


def test_evaluate_takes_files_and_structures(folder, structures, tmp_path, capsys):
    file = tmp_path / "three.xyz"
    ase.io.write(file, structures)
    of_file = reann.evaluate(folder, file, quiet=True)
    of_structures = reann.evaluate(reann.load(folder), structures, quiet=True)
    assert capsys.readouterr().out == ""
    forces = [e.summary()["forces_rmse_meV_per_A"] for e in (of_file, of_structures)]
    assert forces[0] == pytest.approx(forces[1], rel=1e-5)
    reann.evaluate(folder, structures[0], json_path=tmp_path / "errors.json")
    assert "Errors of 1 structure" in capsys.readouterr().out
    assert (tmp_path / "errors.json").exists()
    with pytest.raises(UserError, match="together"):
        reann.evaluate(folder, [file, structures[0]])


def test_relax_returns_energies_and_forces(folder, structures):
    start = structures[0].copy()
    start.rattle(0.1, seed=1)
    result = reann.relax(folder, start, fmax=0.2, max_steps=3, quiet=True)
    table = result.table()
    assert table["step"] == list(range(result.steps + 1))
    assert result.energy == table["energy, eV"][-1] == result.atoms.get_potential_energy()
    assert result.fmax == np.linalg.norm(result.atoms.get_forces(), axis=1).max()
    assert f"{result.energy:.5f} eV" in repr(result)
    assert result.plot().svg.count('class="line valid"') == 2


def test_molecular_dynamics_returns_each_step(folder, structures):
    run = reann.run_md(
        folder, structures[0], temperature=300.0, time=30.0, ensemble="nve", quiet=True
    )
    table = run.table(rows=6)
    assert table["time, ps"] == pytest.approx([0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03])
    assert table["temperature, K"] == run.temperature[::10].tolist()
    assert run.plot().svg.count('class="line valid"') == 2
    text = repr(run)
    assert "60 steps of 0.5 fs" in text
    assert f"{run.drift:.4f} meV/atom/ps" in text
    assert len(run._repr_html_()) < 2000

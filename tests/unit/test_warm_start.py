"""Warm starts: no setting is ignored, and no structure of an earlier training validates."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from tests.models import random_model

from reann.config import Config, ModelConfig
from reann.errors import UserError
from reann.potential import Ensemble, Potential
from reann.training.describe import describe
from reann.training.distributed import World
from reann.training.setup import Parts, open_parts, start_model
from reann.training.warm_start import RECORD, with_model_of

SECOND_SEED = 2


def structures(n: int) -> list[ase.Atoms]:
    made = []
    for number in range(n):
        atoms = ase.Atoms("HO", positions=[[0, 0, 0], [0, 0, 0.8 + 0.01 * number]])
        atoms.info["config_type"] = f"g{number % 9}"
        atoms.calc = SinglePointCalculator(atoms, energy=float(number), forces=np.zeros((2, 3)))
        made.append(atoms)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("warm")
    for n in (30, 40, 90):
        ase.io.write(folder / f"{n}.traj", structures(n))
    return folder


def parts_of(folder: Path, n: int, start: Path | None = None, seed: int = 1, **data) -> Parts:
    data = {"train": str(folder / f"{n}.traj"), "valid": 0.2, **data}
    config = Config(data=data, model={"cutoff": 3.0}, run={"seed": seed})
    return open_parts(config, folder, World(), print, as_split=False, warm_start=start)


def saved(path: Path, record: object = None, **metadata) -> Path:
    about = metadata if record is None else {RECORD: record, **metadata}
    Potential(random_model([1, 8]), about).save(path)
    return path


def geometries(part) -> set[int]:
    return set(part.fingerprints.tolist())


# --- structures -------------------------------------------------------------------------------


@pytest.mark.parametrize("valid", [0.2, {"groups": 0.3}])
def test_no_structure_of_an_earlier_training_validates_the_next(folder, tmp_path, valid):
    first = parts_of(folder, 40, valid=valid)
    start = saved(tmp_path / "first.reann", first.record)
    second = parts_of(folder, 90, start, SECOND_SEED, valid=valid)
    assert geometries(second.valid)
    assert not geometries(second.valid) & geometries(first.train)
    # Without the record another seed would have put them there.
    alone = parts_of(folder, 90, seed=SECOND_SEED)
    assert geometries(alone.valid) & geometries(first.train)
    assert not second.notes


@pytest.mark.parametrize("digits", [3, 4])
def test_structures_that_were_written_with_fewer_digits_do_not_validate(folder, tmp_path, digits):
    first = parts_of(folder, 40)
    start = saved(tmp_path / "first.reann", first.record)
    frames = ase.io.read(folder / "90.traj", ":")
    for atoms in frames:
        calc, atoms.positions = atoms.calc, np.round(atoms.positions, digits)
        atoms.calc = SinglePointCalculator(atoms, **calc.results)
    ase.io.write(folder / "91.traj", frames)
    second = parts_of(folder, 91, start, SECOND_SEED)
    trained = set(first.train.indices.tolist())
    assert len(second.valid)
    assert not set(second.valid.indices.tolist()) & trained
    (note,) = parts_of(folder, 91, start, valid={"indices": list(range(40))}).notes
    assert note.startswith(f"{len(trained)} of 40 validation structures")


def test_a_record_that_does_not_find_rounded_structures_is_noted(folder, tmp_path):
    record = {**parts_of(folder, 30).record}
    del record["rounded"]
    parts = parts_of(folder, 90, saved(tmp_path / "old.reann", record), SECOND_SEED)
    assert any("have been rounded" in note for note in parts.notes)
    child = parts_of(folder, 90, saved(tmp_path / "child.reann", parts.record), SECOND_SEED)
    assert any("have been rounded" in note for note in child.notes)


def test_structures_of_all_earlier_trainings_are_remembered(folder, tmp_path):
    first = parts_of(folder, 40)
    start = saved(tmp_path / "first.reann", first.record)
    ase.io.write(folder / "50.traj", structures(90)[40:])
    second = parts_of(folder, 50, start)
    start = saved(tmp_path / "second.reann", second.record)
    third = parts_of(folder, 90, start, SECOND_SEED)
    assert geometries(third.valid)
    assert not geometries(third.valid) & (geometries(first.train) | geometries(second.train))


@pytest.mark.parametrize(
    "record",
    [None, {}, 3, {"version": 0}, {"version": 1, "complete": True, "fingerprints": "?"}],
)
def test_a_potential_without_a_record_is_noted_and_its_children_pass_it_on(
    folder, tmp_path, record
):
    parts = parts_of(folder, 30, saved(tmp_path / "old.reann", record))
    assert any("does not record all" in note for note in parts.notes)
    child = saved(tmp_path / "child.reann", parts.record)
    notes = parts_of(folder, 90, child, SECOND_SEED).notes
    assert any("does not record all" in note for note in notes)


def test_given_validation_structures_that_the_potential_knows_are_counted(folder, tmp_path):
    start = saved(tmp_path / "first.reann", parts_of(folder, 30).record)
    (note,) = parts_of(folder, 90, start, valid={"indices": list(range(30))}).notes
    n = len(parts_of(folder, 30).train)
    assert note.startswith(f"{n} of 30 validation structures")


def test_what_is_noted_is_said_before_the_training(folder, tmp_path):
    start = saved(tmp_path / "old.reann")
    config = Config(data={"train": "x"}, model={"cutoff": 3.0})
    parts = parts_of(folder, 30, start)
    model, _ = start_model(config, parts, start)
    text = "\n".join(describe(config, parts, model))
    assert "note      the potential does not record all its training structures" in text


# --- settings ---------------------------------------------------------------------------------


def asked(**model) -> Config:
    return Config(data={"train": "x"}, model=model)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return saved(tmp_path_factory.mktemp("small") / "small.reann")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n_radial": 12}, "model.n_radial 4 (not 12)"),
        ({"cutoff": 5.0}, "model.cutoff 3.0 (not 5.0)"),
        ({"preset": "fast"}, "model.preset density (not fast)"),
        ({"preset": "fast"}, "model.n_recursions 2 (not 1)"),
        ({"readout": {"hidden": [16, 16]}}, "model.readout.hidden [8, 8] (not [16, 16])"),
        ({"zbl": {}}, "model.zbl null (not set)"),
        ({"host": "deep_pot"}, "model.host density (not deep_pot)"),
        ({"preset": "default"}, "model.messages scalar (not equivariant)"),
        ({"messages": "equivariant"}, "model.messages scalar (not equivariant)"),
        ({"l_max": 3}, "model.l_max 2 (not 3)"),
    ],
)
def test_a_setting_of_the_model_that_would_be_ignored_is_an_error(small, fields, named):
    with pytest.raises(UserError) as error:
        with_model_of(asked(**fields), small)
    assert named in error.value.what


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"l_max": 2},
        {"messages": "scalar"},
        {"n_radial": 4},
        {"readout": {"hidden": [8, 8]}},
        {"preset": "density", "l_max": 2},
    ],
)
def test_settings_that_are_those_of_the_potential_are_no_mistake(small, fields):
    config = with_model_of(asked(**fields), small)
    assert config.model.n_radial == 4
    assert config.model == with_model_of(asked(), small).model
    assert isinstance(config.model, ModelConfig)


def test_an_ensemble_is_refused(tmp_path):
    pair = tmp_path / "pair.reann"
    Ensemble([Potential(random_model([1, 8], seed=seed)) for seed in (0, 1)]).save(pair)
    with pytest.raises(UserError, match="ensemble"):
        with_model_of(asked(), pair)


def test_reference_energies_that_are_said_are_those_of_the_model(folder, tmp_path):
    start = saved(tmp_path / "first.reann", reference_energies_source="isolated")
    parts = parts_of(folder, 30, start)
    model, source = start_model(asked(), parts, start)
    assert source == parts.reference.source == "isolated"
    assert not model.reference_energies.requires_grad
    assert list(parts.reference.values.values()) == model.reference_energies.tolist()
    given = parts_of(folder, 30, start, reference_energies={"H": -1.0, "O": -2.0})
    model, source = start_model(asked(), given, start)
    assert (model.reference_energies.tolist(), source) == ([-1.0, -2.0], "given")


@pytest.mark.parametrize(("source", "refused"), [("isolated", True), ("fit", False)])
def test_a_fit_of_energies_that_would_be_ignored_is_an_error(folder, tmp_path, source, refused):
    start = saved(tmp_path / "first.reann", reference_energies_source=source)
    if not refused:
        assert parts_of(folder, 30, start, reference_energies="fit").reference.source == "fit"
        return
    with pytest.raises(UserError, match="a fit would have no effect"):
        parts_of(folder, 30, start, reference_energies="fit")


def test_members_of_an_ensemble_from_the_same_weights_are_noted(folder, tmp_path):
    start = saved(tmp_path / "first.reann", parts_of(folder, 30).record)
    config = Config(
        data={"train": str(folder / "40.traj"), "valid": 0.2},
        model={"cutoff": 3.0},
        run={"seeds": 2},
    )
    parts = open_parts(config, folder, World(), print, as_split=False, warm_start=start)
    assert any("start from the same weights" in note for note in parts.notes)

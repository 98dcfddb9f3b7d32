"""What a model asks of a structure besides its atoms and its cell: total charge and field."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from pydantic import ValidationError

from reann.config import Config, DataConfig, Keys
from reann.data.dataset import Dataset, open_dataset
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.quantities import SOUGHT

FIELD = np.array([0.1, -0.2, 0.3])


def written(folder: Path, *infos: dict[str, object]) -> Path:
    """Write waters with these entries of `info`."""
    frames = []
    for number, info in enumerate(infos):
        atoms = molecule("H2O")
        atoms.positions[0, 0] += 0.01 * number
        atoms.calc = SinglePointCalculator(atoms, energy=float(number))
        atoms.info.update(info)
        frames.append(atoms)
    path = folder / "water.xyz"
    ase.io.write(path, frames, format="extxyz")
    return path


def opened(path: Path, **keys: str) -> Dataset:
    data = DataConfig(train=str(path), keys=Keys(**keys))
    return open_dataset(str(path), data, 4.0, path.parent / "cache")


@pytest.mark.parametrize("key", ["field", "external_field", "efield", "Electric_Field"])
def test_fields_are_found_under_their_names_and_may_be_absent(tmp_path: Path, key: str) -> None:
    graph = opened(written(tmp_path, {}, {key: FIELD}), field=SOUGHT).graph([1, 0])
    np.testing.assert_allclose(graph.fields(), [FIELD, np.zeros(3)])


@pytest.mark.parametrize("key", ["charge", "total_charge", "netcharge", "Charge"])
def test_charges_are_found_under_their_names(tmp_path: Path, key: str) -> None:
    dataset = opened(written(tmp_path, {key: -1}, {}), charge=SOUGHT)
    assert dataset.graph([0, 1]).charges().tolist() == [-1.0, 0.0]
    assert dataset.atoms(0).info == {"charge": -1.0}


def test_they_are_not_read_without_being_asked_for(tmp_path: Path) -> None:
    graph = opened(written(tmp_path, {"charge": 1, "field": FIELD})).graph([0])
    assert (graph.charge, graph.field) == (None, None)


def test_an_absent_key_that_is_named_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, {"Q": 1})
    assert opened(path, charge="Q").graph([0]).charges().tolist() == [1.0]
    with pytest.raises(UserError, match="has the key 'q' for the charge"):
        opened(path, charge="q")


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"field": np.zeros(2)}, r"is \(2,\); expected \(3,\)"),
        ({"field": np.array([0.0, np.nan, 0.0])}, "The field is nan"),
        ({"field": "strong"}, "is not numeric"),
        ({"charge": FIELD}, "expected a single number"),
        ({"field": FIELD, "efield": FIELD}, "Several keys could be the external electric field"),
    ],
)
def test_impossible_inputs_are_errors(tmp_path: Path, info: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        opened(written(tmp_path, {}, info), field=SOUGHT, charge=SOUGHT)


def test_data_sets_with_and_without_have_caches_of_their_own(tmp_path: Path) -> None:
    path = written(tmp_path, {"charge": 1})
    assert opened(path).graph([0]).charge is None
    assert opened(path, charge=SOUGHT).graph([0]).charge is not None
    assert opened(path).graph([0]).charge is None


def test_a_dipole_asks_for_the_charge() -> None:
    model = {"outputs": ["dipole"], "l_max": 1}
    config = Config.model_validate({"data": {"train": "x.xyz"}, "model": model})
    assert config.data.keys.charge == SOUGHT
    assert config.model.every_input == ["charge"]
    own = {"train": "x.xyz", "keys": {"charge": None}}
    assert Config.model_validate({"data": own, "model": model}).data.keys.charge is None
    assert Config.model_validate({"data": own}).model.inputs == []


def test_a_charge_that_nothing_depends_on_is_not_named_in_vain() -> None:
    data = {"train": "x.xyz", "keys": {"charge": "Q"}}
    with pytest.raises(ValidationError, match="remove it, or add dipole or charges or born"):
        Config.model_validate({"data": data})
    outputs = {"outputs": ["charges"]}
    assert Config.model_validate({"data": data, "model": outputs}).data.keys.charge == "Q"


def test_graphs_take_them_from_info_where_a_model_asks() -> None:
    ion, neutral = molecule("OH"), molecule("H2O")
    ion.info |= {"charge": -1, "field": list(FIELD)}
    assert graph_from_atoms(ion, 4.0).charge is None
    graphs = [graph_from_atoms(a, 4.0, inputs=["charge", "field"]) for a in (ion, neutral)]
    batch = Graph.batch(graphs)
    assert batch.charges().tolist() == [-1.0, 0.0]
    np.testing.assert_allclose(batch.to("cpu").fields(), [FIELD, np.zeros(3)])
    assert Graph.batch([graphs[1], graphs[1]]).charge is None
    ion.info["charge"] = "minus one"
    with pytest.raises(UserError, match="'charge' is not numeric"):
        graph_from_atoms(ion, 4.0, inputs=["charge"])
    assert graph_from_atoms(ion, 4.0).charge is None

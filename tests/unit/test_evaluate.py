"""Evaluations: errors are those of the numbers, however the structures are batched."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from reann.config import DataConfig, ModelConfig
from reann.data.dataset import Dataset, Subset, open_dataset
from reann.errors import UserError
from reann.evaluation.compare import compare
from reann.evaluation.comparison import Evaluation
from reann.model import build
from reann.potential import Ensemble, Potential

SMALL = ModelConfig(cutoff=4.0, n_radial=3, l_max=1, n_recursions=1)


def perturbed(elements: list[int], seed: int = 1) -> Potential:
    """Return a potential that is not zero: last layers start there."""
    model = build(SMALL, elements, 5.0, seed=seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise, alpha=0.1)
    return Potential(model)


def water(rng: np.random.Generator, n: int, *, bulk: bool = False) -> Atoms:
    """Return n scattered water molecules with random labels."""
    one = np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    positions = np.concatenate([one + 3.1 * np.array([k, k % 2, 0]) for k in range(n)])
    positions += 0.05 * rng.normal(size=positions.shape)
    atoms = Atoms("OHH" * n, positions, cell=[9.0, 9.0, 9.0] if bulk else None, pbc=bulk)
    labels = {"energy": rng.normal(), "forces": rng.normal(size=(3 * n, 3))}
    if bulk:
        labels["stress"] = 0.01 * rng.normal(size=6)
    atoms.calc = SinglePointCalculator(atoms, **labels)
    atoms.info["config_type"] = "bulk" if bulk else "cluster"
    return atoms


def opened(folder: Path, structures: list[Atoms]) -> Dataset:
    ase.io.write(folder / "data.xyz", structures, format="extxyz")
    data = DataConfig(train=str(folder / "data.xyz"), missing="allow")
    return open_dataset([str(folder / "data.xyz")], data, SMALL.cutoff, folder / "cache")


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    return opened(tmp_path, [water(rng, 1 + k % 3, bulk=k % 4 == 0) for k in range(9)])


def everything(dataset: Dataset) -> Subset:
    return Subset(dataset, np.arange(len(dataset)))


def by_hand() -> Evaluation:
    """Return two molecules, one of them without an energy, whose errors are easily seen."""
    nan = np.nan
    return Evaluation(
        origins=["a.xyz#0", "a.xyz#1", "a.xyz#2"],
        groups=["one", "two", "two"],
        n_atoms=np.array([1, 2, 1]),
        numbers=np.array([1, 1, 8, 8]),
        reference={
            "energy": np.array([1.0, nan, 5.0]),
            "forces": np.array([[0.0, 0, 0], [1, 1, 1], [2, 2, 2], [nan, nan, nan]]),
        },
        predicted={
            "energy": np.array([1.003, 7.0, 4.996]),
            "forces": np.array([[0.0, 0, 0.003], [1, 1, 1], [2.004, 2, 2], [9, 9, 9]]),
        },
    )


def test_errors_are_per_atom_and_leave_out_what_has_no_reference():
    summary = by_hand().summary()
    assert summary["energy_rmse_meV_per_atom"] == pytest.approx(np.sqrt((9 + 16) / 2))
    assert summary["energy_mae_meV_per_atom"] == pytest.approx(3.5)
    assert summary["forces_rmse_meV_per_A"] == pytest.approx(np.sqrt((9 + 16) / 9))
    assert summary["n_structures"] == 3
    assert not any("stress" in name for name in summary)


def test_errors_of_elements_and_groups_are_those_of_their_atoms():
    table = by_hand().by_element()
    assert table["H"]["forces_rmse_meV_per_A"] == pytest.approx(np.sqrt(9 / 6))
    assert table["O"]["forces_rmse_meV_per_A"] == pytest.approx(np.sqrt(16 / 3))
    assert (table["H"]["n_atoms"], table["O"]["n_atoms"]) == (2, 2)
    groups = by_hand().by_group()
    assert groups["one"]["energy_rmse_meV_per_atom"] == pytest.approx(3.0)
    assert groups["two"]["energy_rmse_meV_per_atom"] == pytest.approx(4.0)
    assert groups["two"]["n_structures"] == 2


def test_the_worst_structure_has_the_worst_force_and_names_its_atom():
    first, second, third = by_hand().worst(10)
    assert (first.origin, first.group, first.atom) == ("a.xyz#1", "two", 1)
    assert first.atom_error == pytest.approx(4.0)
    assert first.forces == pytest.approx(np.sqrt(16 / 6))
    assert np.isnan(first.energy)
    assert second.origin == "a.xyz#0"
    # Without forces a structure is ranked last, by its energy.
    assert (third.origin, third.atom) == ("a.xyz#2", None)
    assert third.energy == pytest.approx(-4.0)
    assert len(by_hand().worst(2)) == 2


def test_batches_do_not_change_predictions(dataset):
    potential, done = perturbed(dataset.elements), []
    together = compare(potential, everything(dataset))
    alone = compare(potential, everything(dataset), max_edges=1, progress=done.append)
    assert done == [1] * len(dataset)
    for name, value in together.predicted.items():
        np.testing.assert_allclose(alone.predicted[name], value, rtol=1e-10, atol=1e-12)


def test_predictions_stand_beside_the_structures_they_belong_to(dataset):
    potential = perturbed(dataset.elements)
    subset = Subset(dataset, np.array([7, 4, 0]))
    found = compare(potential, subset, max_edges=40)
    for place, index in enumerate(subset.indices):
        expected = potential.predict(dataset.atoms(int(index)))
        assert found.predicted["energy"][place] == pytest.approx(expected["energy"])
        rows = found.rows(place)
        np.testing.assert_allclose(found.predicted["forces"][rows], expected["forces"], atol=1e-10)
        assert found.reference["energy"][place] == dataset.label("energy")[index]
        assert (found.numbers[rows] == dataset.atoms(int(index)).numbers).all()
        assert found.origins[place] == dataset.origin(int(index))
    assert found.groups == [dataset.groups[i] for i in subset.indices]


def test_stress_is_compared_where_structures_are_periodic(dataset):
    found = compare(perturbed(dataset.elements), everything(dataset))
    bulk = np.array(found.groups) == "bulk"
    assert np.isfinite(found.predicted["stress"][bulk]).all()
    assert np.isnan(found.predicted["stress"][~bulk]).all()
    assert "stress_rmse_meV_per_A3" in found.summary()


def test_an_ensemble_evaluates_to_the_mean_and_says_how_far_it_disagrees(dataset):
    members = [perturbed(dataset.elements, seed) for seed in (1, 2)]
    both = compare(Ensemble(members), everything(dataset))
    first, second = (compare(member, everything(dataset)) for member in members)
    mean = 0.5 * (first.predicted["forces"] + second.predicted["forces"])
    spread = np.abs(first.predicted["energy"] - second.predicted["energy"]) / np.sqrt(2)
    np.testing.assert_allclose(both.predicted["forces"], mean, atol=1e-10)
    np.testing.assert_allclose(both.std["energy"], spread, atol=1e-10)
    assert not any(name.endswith("_std") for name in both.predicted)
    assert not first.std


def test_extrapolation_is_known_only_when_ranges_were_recorded(dataset):
    potential = perturbed(dataset.elements)
    assert compare(potential, everything(dataset)).extrapolating is None
    with torch.no_grad():
        potential.model.density_min.fill_(-1e9)
        potential.model.density_max.fill_(1e9)
    assert not compare(potential, everything(dataset)).extrapolating.any()
    with torch.no_grad():
        potential.model.density_max.fill_(-1e8)
    assert compare(potential, everything(dataset)).extrapolating.all()


def test_an_unknown_element_is_an_error_that_names_the_structure(tmp_path):
    rng = np.random.default_rng(1)
    odd = water(rng, 1)
    odd.numbers[0] = 16
    dataset = opened(tmp_path, [water(rng, 1), odd])
    with pytest.raises(UserError, match=r"elements H, O, but the data also have S") as error:
        compare(perturbed([1, 8]), everything(dataset))
    assert "data.xyz#1" in error.value.where

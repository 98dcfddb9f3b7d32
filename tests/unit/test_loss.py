"""The loss is the stated formula, and what is missing has no influence on it."""

from __future__ import annotations

from dataclasses import replace

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from models import CUTOFF, random_atoms, random_model
from reann import properties
from reann.config import DataConfig, LossConfig
from reann.data.dataset import Subset, open_dataset
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.training.loss import ALL, Loss, label_counts
from reann.training.validation import (
    counts_as_if_all_had_each,
    misfits_of,
    of_judged_labels,
    of_most,
)

SCALE = 1.7
NAMES = ("energy", "forces", "stress")


def labeled(structures: list[ase.Atoms], seed: int = 0) -> Graph:
    """Return a batch with random labels and weights."""
    rng = np.random.default_rng(seed)
    graphs = [graph_from_atoms(atoms, CUTOFF) for atoms in structures]
    for graph in graphs:
        stress = rng.normal(size=(1, 3, 3))
        values = {
            "energy": rng.normal(size=1),
            "forces": rng.normal(size=(graph.n_atoms, 3)),
            "stress": stress + stress.swapaxes(1, 2),
            "weight": rng.uniform(0.2, 3.0, size=1),
        }
        graph.labels.update({name: torch.from_numpy(value) for name, value in values.items()})
    return Graph.batch(graphs)


def crystals(n: int = 3, seed: int = 0) -> list[ase.Atoms]:
    return [random_atoms(seed + k, 2 + k, (True, True, True)) for k in range(n)]


def guesses(graph: Graph, seed: int = 1) -> dict[str, torch.Tensor]:
    """Return predictions that are wrong at random."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: 2.0 * torch.randn(graph.labels[name].shape, generator=generator, dtype=torch.float64)
        for name in NAMES
    }


def finite(graph: Graph) -> dict[str, float]:
    return {name: float(torch.isfinite(graph.labels[name]).sum()) for name in NAMES}


def by_hand(predicted, graph: Graph, config: LossConfig, emphasis: float) -> float:
    """Return the loss of a whole batch, structure by structure and number by number."""

    def square(x: float) -> float:
        if config.huber is None or abs(x) <= config.huber:
            return x * x
        return 2.0 * config.huber * (abs(x) - config.huber / 2.0)

    sums, counts = dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 0)

    def add(name: str, weight: float, x: float) -> None:
        if np.isfinite(x):
            sums[name] += weight * square(x)
            counts[name] += 1

    guess = {name: value.numpy() for name, value in predicted.items()}
    label = {name: value.numpy() for name, value in graph.labels.items()}
    for s in range(graph.n_systems):
        atoms = np.flatnonzero(graph.system.numpy() == s)
        n, weight = len(atoms), label["weight"][s]
        volume = abs(np.linalg.det(graph.cell[s].numpy()))
        add("energy", weight, (guess["energy"][s] - label["energy"][s]) / SCALE / np.sqrt(n))
        for x in (guess["forces"][atoms] - label["forces"][atoms]).ravel():
            add("forces", weight, x / SCALE)
        for x in (guess["stress"][s] - label["stress"][s]).ravel():
            add("stress", weight, volume * x / SCALE / np.sqrt(n))
    weights = {"energy": emphasis * config.energy, "forces": config.forces, "stress": config.stress}
    return sum(weights[name] * sums[name] / counts[name] for name in NAMES if counts[name])


@given(
    seed=st.integers(0, 1000),
    huber=st.sampled_from([None, 0.3, 2.0]),
    emphasis=st.sampled_from([1.0, 7.0]),
)
def test_the_loss_is_the_formula(seed, huber, emphasis):
    config = LossConfig(energy=0.7, forces=1.9, stress=0.4, huber=huber)
    graph = labeled(crystals(seed=seed), seed)
    predicted = guesses(graph, seed)
    loss = Loss(config, SCALE)(predicted, graph, finite(graph), emphasis)
    assert loss.item() == pytest.approx(by_hand(predicted, graph, config, emphasis), rel=1e-12)


@given(seed=st.integers(0, 1000))
def test_missing_labels_leave_the_formula_for_the_others(seed):
    graph = labeled(crystals(seed=seed), seed)
    graph.labels["energy"][0] = torch.nan
    graph.labels["forces"][2] = torch.nan
    graph.labels["stress"][1:] = torch.nan
    predicted = guesses(graph, seed)
    loss = Loss(LossConfig(), SCALE)(predicted, graph, finite(graph))
    assert loss.item() == pytest.approx(by_hand(predicted, graph, LossConfig(), 1.0), rel=1e-12)


def test_the_loss_of_a_structure_is_that_of_a_batch_of_its_own():
    structures = crystals(4)
    graph = labeled(structures)
    graph.labels["forces"][1] = torch.nan
    predicted, counts, loss = guesses(graph), finite(graph), Loss(LossConfig(), SCALE)
    of_structures = loss.of_structures(predicted, graph, counts, 3.0)
    assert of_structures.sum().item() == loss(predicted, graph, counts, 3.0).item()
    for i in range(len(structures)):
        weight = torch.zeros(len(structures), dtype=torch.float64)
        weight[i] = graph.labels["weight"][i]
        alone = replace(graph, labels=graph.labels | {"weight": weight})
        expected = loss(predicted, alone, counts, 3.0)
        assert of_structures[i].item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_largest_twentieth_does_not_count():
    losses = np.arange(1.0, 41.0)
    assert of_most(losses, losses) == of_most(losses[::-1], losses[::-1]) == sum(range(1, 39))
    losses[38:] = [1e3, 1e9]
    assert of_most(losses, losses) == sum(range(1, 39))
    assert of_most(np.ones(19), np.ones(19)) == 19.0
    for wrong in (np.nan, np.inf):
        assert np.isnan(of_most(np.array([*losses, wrong]), np.array([*losses, wrong])))


def test_a_label_of_few_structures_chooses_the_best_epoch_like_other_labels():
    """Else all structures with a label of a twentieth of them would be left out."""
    squares, n = np.linspace(0.5, 1.5, 40), 40
    few = np.zeros(n)
    few[[10, 20]] = 1.0
    counts = {"forces": 9.0 * n, "gap": 2.0, ALL: float(n)}
    of_structures = {"forces": np.full(n, 9.0), "gap": few}
    as_if_all = counts_as_if_all_had_each(counts, of_structures)
    assert as_if_all == {"forces": 9.0 * n, "gap": 40.0, ALL: 40.0}
    losses, sums = (squares / n + few / c["gap"] for c in (counts, as_if_all))
    misfits = misfits_of(sums, {"forces": 1.0, "gap": 1.0}, of_structures)
    assert misfits[[10, 11]] == pytest.approx(np.array([squares[10] + 1, 2 * squares[11]]) / 2 / n)
    kept = of_most(losses, misfits)
    assert kept == pytest.approx(losses.sum() - losses[[38, 39]].sum())
    assert kept > of_most(losses, losses) + 0.9
    none = misfits_of(np.zeros(2), {"gap": 1.0}, {"gap": np.zeros(2)})
    assert none.tolist() == [0.0, 0.0]


def test_energies_do_not_choose_the_best_epoch_of_a_training_without_energies():
    valid = {"energy": 9.0, "forces": 30.0, ALL: 9.0}
    assert of_judged_labels(valid, {"energy": 3.0, "forces": 9.0}) == valid
    assert of_judged_labels(valid, {"forces": 9.0}) == {"forces": 30.0, ALL: 9.0}


@pytest.mark.parametrize("huber", [None, 0.5])
def test_missing_labels_have_no_gradient_and_no_nan(huber):
    graph = labeled(crystals())
    predicted = guesses(graph)
    missing = {"energy": 1, "forces": 3, "stress": 0}
    for name, row in missing.items():
        graph.labels[name][row] = torch.nan
        predicted[name].requires_grad_()
    Loss(LossConfig(huber=huber), SCALE)(predicted, graph, finite(graph)).backward()
    for name, row in missing.items():
        gradient = predicted[name].grad
        assert gradient is not None
        present = torch.isfinite(graph.labels[name])
        assert (gradient[row] == 0).all()
        assert (gradient[present] != 0).all()


def test_a_molecule_beside_a_crystal_leaves_gradients_of_the_weights_finite():
    """A molecule has no volume, no stress and no stress label."""
    water = ase.Atoms("OH2", [[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    atom = ase.Atoms("C", [[0.0, 0, 0]])
    graph = labeled([water, *crystals(2), atom])
    graph.labels["stress"][[0, 3]] = torch.nan
    model = random_model(n_recursions=1, zbl={})
    predicted = properties.evaluate(model, graph, NAMES, create_graph=True)
    loss = Loss(LossConfig(), SCALE)(predicted, graph, finite(graph))
    loss.backward()
    assert loss.isfinite()
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    # As if the molecules had never had a row in the stress.
    bulk = {name: value.detach() for name, value in predicted.items()}
    assert loss.item() == pytest.approx(by_hand(bulk, graph, LossConfig(), 1.0), rel=1e-12)


def test_parts_of_a_batch_add_up_to_the_batch():
    structures = crystals(5)
    whole = labeled(structures)
    whole.labels["forces"][1] = torch.nan
    predicted, counts, loss = guesses(whole), finite(whole), Loss(LossConfig(huber=1.0), SCALE)
    total = 0.0
    for some in ([0, 3], [1], [2, 4]):
        part = Graph.batch([graph_from_atoms(structures[i], CUTOFF) for i in some])
        of_atoms = torch.cat([torch.where(whole.system == i)[0] for i in some])
        rows = {"forces": of_atoms}
        for name in (*NAMES, "weight"):
            part.labels[name] = whole.labels[name][rows.get(name, torch.tensor(some))]
        guess = {name: predicted[name][rows.get(name, torch.tensor(some))] for name in NAMES}
        total += loss(guess, part, counts).item()
    assert total == pytest.approx(loss(predicted, whole, counts).item(), rel=1e-12)


def test_a_structure_of_weight_zero_counts_only_in_the_mean():
    graph = labeled(crystals())
    graph.labels["weight"][1] = 0.0
    predicted = guesses(graph)
    before = Loss(LossConfig(), SCALE)(predicted, graph, finite(graph))
    predicted["energy"][1] += 100.0
    predicted["forces"][graph.system == 1] += 100.0
    predicted["stress"][1] += 100.0
    assert Loss(LossConfig(), SCALE)(predicted, graph, finite(graph)) == before
    predicted["energy"][0] += 100.0
    assert Loss(LossConfig(), SCALE)(predicted, graph, finite(graph)) > before


def test_the_loss_has_no_units():
    """Labels, predictions and scale in other units of energy give the same number."""
    graph = labeled(crystals())
    predicted = guesses(graph)
    before = Loss(LossConfig(huber=0.5), SCALE)(predicted, graph, finite(graph))
    for name in NAMES:
        graph.labels[name] *= 23.06
        predicted[name] *= 23.06
    after = Loss(LossConfig(huber=0.5), 23.06 * SCALE)(predicted, graph, finite(graph))
    assert after.item() == pytest.approx(before.item(), rel=1e-12)


def test_copies_of_independent_atoms_weigh_like_one():
    """(dE)^2 / N: errors that add up at random count alike in small and in large structures."""
    rng = np.random.default_rng(0)
    loss, mean = Loss(LossConfig(), 1.0), []
    for n in (1, 16):
        graph = labeled([ase.Atoms("H" * n, rng.uniform(0, 9, (n, 3)))])
        graph.labels["weight"][:] = 1.0
        values = []
        for error in rng.normal(size=(2000, n)).sum(1):
            guess = {"energy": graph.labels["energy"] + error}
            values.append(loss(guess, graph, {"energy": 1.0}).item())
        mean.append(np.mean(values))
    assert mean[0] == pytest.approx(1.0, rel=0.1)
    assert mean[1] == pytest.approx(1.0, rel=0.1)


def test_labels_without_weight_or_values_are_not_wanted():
    counts = {"energy": 3.0, "forces": 0.0, "stress": 9.0}
    assert Loss(LossConfig(), 1.0).labels_used(counts) == ["energy", "stress"]
    assert Loss(LossConfig(energy=0.0), 1.0).labels_used(counts) == ["stress"]
    assert Loss(LossConfig(), 1.0).labels_used({}) == []


def test_huber_is_smooth_and_grows_linearly():
    graph = labeled([ase.Atoms("H")])
    graph.labels["energy"][:] = 0.0
    graph.labels["weight"][:] = 1.0
    loss = Loss(LossConfig(huber=0.5), 1.0)

    def at(x: float) -> tuple[float, float]:
        energy = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        value = loss({"energy": energy}, graph, {"energy": 1.0})
        value.backward()
        assert energy.grad is not None
        return value.item(), energy.grad.item()

    below, above = at(0.5 - 1e-9), at(0.5 + 1e-9)
    assert below == pytest.approx(above, abs=1e-8)
    assert at(0.2) == pytest.approx((0.04, 0.4))
    # The gradient of an outlier is that of a residual of the threshold.
    assert at(50.0)[1] == pytest.approx(1.0)
    assert at(-50.0)[1] == pytest.approx(-1.0)


def test_the_emphasis_on_the_energy_grows_geometrically():
    loss = Loss(LossConfig(energy_emphasis=16.0, emphasis_start=0.5), 1.0)
    assert [loss.emphasis(p) for p in (0.0, 0.3, 0.5)] == [1.0, 1.0, 1.0]
    assert loss.emphasis(0.625) == pytest.approx(2.0)
    assert loss.emphasis(0.75) == pytest.approx(4.0)
    assert loss.emphasis(1.0) == pytest.approx(16.0)
    assert Loss(LossConfig(emphasis_start=0.0), 1.0).emphasis(0.5) == pytest.approx(20.0**0.5)
    constant = Loss(LossConfig(energy_emphasis=1.0), 1.0)
    assert constant.emphasis(0.9) == 1.0


def test_finite_values_of_each_label_are_counted_structure_by_structure(tmp_path):
    structures = crystals(3)
    for i, atoms in enumerate(structures):
        forces = np.ones((len(atoms), 3))
        forces[: i % 2] = np.nan
        atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=forces)
    structures[2].calc.results.pop("energy")
    structures[0].calc.results["stress"] = np.ones(6)
    ase.io.write(tmp_path / "a.traj", structures)
    file, config = str(tmp_path / "a.traj"), DataConfig(train="", missing="allow")
    dataset = open_dataset(file, config, CUTOFF, tmp_path / "cache")
    counts = label_counts(Subset(dataset, np.array([1])))
    assert {name: n.tolist() for name, n in counts.items()} == {
        "energy": [1.0, 1.0, 0.0],
        "forces": [6.0, 6.0, 12.0],
        "stress": [9.0, 0.0, 0.0],
    }


def test_the_emphasis_grows_geometrically_from_its_start_to_the_end():
    loss = Loss(LossConfig(energy_emphasis=16.0, emphasis_start=0.5), SCALE)
    progress = (0.0, 0.5, 0.625, 0.75, 1.0)
    assert [loss.emphasis(at) for at in progress] == pytest.approx([1.0, 1.0, 2.0, 4.0, 16.0])
    never = Loss(LossConfig(energy_emphasis=16.0, emphasis_start=1.0), SCALE)
    assert [never.emphasis(at) for at in (0.0, 1.0)] == [1.0, 1.0]


def test_a_label_counts_where_it_is_present_and_has_a_weight():
    loss = Loss(LossConfig(energy=1.0, forces=0.0, stress=2.0), SCALE)
    assert loss.labels_used({"energy": 3.0, "forces": 9.0, "stress": 0.0}) == ["energy"]
    assert loss.labels_used({"stress": 1.0}) == ["stress"]


def test_charges_that_do_not_add_up_are_part_of_the_loss():
    """Of latent charges alone: mean of (dQ / 0.3 e)^2 / N, whatever the parts of the batch."""
    atoms = [ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.8]]), ase.Atoms("H")]
    graphs = [graph_from_atoms(a, 3.0) for a in atoms]
    for graph in graphs:
        graph.labels["weight"] = torch.ones(1, dtype=torch.float64)
    lacking = [torch.tensor([x], dtype=torch.float64) for x in (0.6, -0.3)]
    counts = {ALL: 2.0}
    for has_charges, weight, expected in ((True, 2.0, 3.0), (True, 0.0, 0.0), (False, 2.0, 0.0)):
        loss = Loss(LossConfig(charge_correction=weight), 1.0, {}, has_charges)
        total = sum(
            loss({"charge_correction": x}, g, counts) for x, g in zip(lacking, graphs, strict=True)
        )
        assert float(total) == pytest.approx(expected)

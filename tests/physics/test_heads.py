"""Heads: labels of several methods share a recursion, and keep their own energies of free atoms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ase
import ase.io
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from models import CUTOFF, ELEMENTS, check_gradients, random_atoms, random_model
from reann import properties
from reann.backends import choice
from reann.cli import app
from reann.cli.info import model_lines
from reann.config import DataConfig, Keys, ModelConfig
from reann.data.check.quick import quick_findings
from reann.data.check.survey import survey
from reann.data.dataset import open_dataset
from reann.data.loader import Loader
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.evaluation.evaluate import evaluate
from reann.graph import Graph
from reann.model import build
from reann.model.reann import with_head
from reann.potential import Potential, load
from reann.training.distributed import World
from reann.training.run import train
from reann.training.setup import open_parts, start_model
from runs import DATA, small

HEADS = ["pbe", "ccsd"]
ZEROS = {"pbe": 0.0, "ccsd": -7.0}
"""eV/atom, by which the energies of one method lie lower."""
STRETCH = {"pbe": 1.0, "ccsd": 2.0}
"""The methods differ in the forces, too."""


def two_heads(**choices: Any) -> Any:
    return random_model(heads=HEADS, **choices)


def graphs(heads: list[int | None]) -> list[Graph]:
    """Return random structures, and the head that each of them asks for."""
    found = []
    for seed, head in enumerate(heads):
        graph = graph_from_atoms(random_atoms(seed, 3, (True, False, False)), CUTOFF)
        found.append(graph if head is None else replace(graph, head=torch.tensor([head])))
    return found


# --- a model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choices", [{}, {"zbl": {}, "messages": "directional"}, {"messages": "equivariant"}]
)
def test_every_structure_is_computed_by_its_own_head(choices: dict[str, Any]) -> None:
    model = two_heads(**choices)
    heads = [1, 0, None, 1]
    mixed = properties.evaluate(model, Graph.batch(graphs(heads)), ["energy", "forces"])
    one_by_one = [
        (with_head(model, HEADS[h or 0]), g) for h, g in zip(heads, graphs([None] * 4), strict=True)
    ]
    alone = [choice.evaluate(m, g, ["energy", "forces"], engine="native") for m, g in one_by_one]
    for name in ("energy", "forces"):
        expected = torch.cat([out[name] for out in alone])
        torch.testing.assert_close(mixed[name], expected, rtol=0, atol=1e-11)
    first = properties.evaluate(model, Graph.batch(graphs([None] * 4)), ["energy"])["energy"]
    assert (first - mixed["energy"])[[0, 3]].abs().min() > 1e-3


def test_a_batch_keeps_heads_on_every_way() -> None:
    batch = Graph.batch(graphs([None, 1, None]))
    assert batch.heads().tolist() == [0, 1, 0]
    assert batch.each(torch.clone).to("cpu").heads().tolist() == [0, 1, 0]
    assert Graph.batch(graphs([None, None])).head is None


def test_gradients_reach_the_heads_that_a_batch_has() -> None:
    model, graph = two_heads(n_recursions=1), Graph.batch(graphs([1, 0, 1]))

    def loss() -> torch.Tensor:
        found = properties.evaluate(model, graph, ["energy", "forces"], create_graph=True)
        return found["energy"].square().sum() + found["forces"].square().sum()

    check_gradients(model, loss)
    for head, other in ((0, "ccsd"), (1, "pbe")):
        model.zero_grad()
        found = properties.evaluate(
            model, Graph.batch(graphs([head, head])), ["energy"], create_graph=True
        )
        found["energy"].sum().backward()
        own = model.heads[HEADS[head]].reference_energies.grad
        grad = model.heads[other].reference_energies.grad
        assert own.abs().max() > 0
        assert grad is None or not grad.any()


def test_a_free_atom_has_the_reference_energy_of_its_head() -> None:
    model = two_heads()
    for z, index in zip(ELEMENTS, range(3), strict=True):
        graph = replace(graph_from_atoms(ase.Atoms([z]), CUTOFF), head=torch.tensor([1]))
        energy = properties.evaluate(model, graph, ["energy"])["energy"].item()
        assert energy == model.heads["ccsd"].reference_energies[index].item()


def test_what_cannot_be_computed_is_said() -> None:
    graph, model = graphs([1])[0], two_heads()
    with pytest.raises(UserError, match="it computes one head, and the model has pbe, ccsd"):
        choice.evaluate(model, graph, ["energy"], engine="native")
    for engine in ("native", "torch"):
        with pytest.raises(UserError, match="has the head 1, counted from 0"):
            choice.evaluate(random_model(), graph, ["energy"], engine=engine)
    with pytest.raises(UserError, match="has the head -1, counted from 0"):
        choice.evaluate(model, replace(graph, head=torch.tensor([-1])), ["energy"], engine="torch")
    with pytest.raises(UserError, match=r"no head 'ccs'\. Did you mean 'ccsd'"):
        with_head(model, "ccs")
    with pytest.raises(UserError, match="cannot be called 'values'"):
        build(ModelConfig(preset="density", heads=["values"]), [1])
    for heads in ([], ["a", "a"], ["A.b"]):
        with pytest.raises(UserError, match="heads"):
            ModelConfig(heads=heads)


def test_a_file_keeps_all_heads_and_one_can_be_saved_alone(tmp_path: Path) -> None:
    model, graph = two_heads(dtype=torch.float32), graphs([1])[0]
    Potential(model).save(tmp_path / "two.reann")
    again = load(tmp_path / "two.reann").model
    expected = properties.evaluate(model, graph, ["energy"])["energy"]
    assert torch.equal(properties.evaluate(again, graph, ["energy"])["energy"], expected)
    assert "of the head ccsd" in " ".join(text for _, text in model_lines(tmp_path / "two.reann"))
    Potential(with_head(again, "ccsd")).save(tmp_path / "one.reann")
    alone = load(tmp_path / "one.reann").model
    found = choice.evaluate(alone, replace(graph, head=None), ["energy"], engine="native")
    torch.testing.assert_close(found["energy"], expected, rtol=1e-6, atol=0)


# --- a training -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labeled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the labels of two methods, whose energy zeros differ."""
    both = []
    for i, atoms in enumerate(ase.io.read(DATA, ":")):
        head = HEADS[i % 3 > 0]
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        energy += ZEROS[head] * len(atoms)
        copy = ase.Atoms(atoms.numbers, atoms.positions)
        copy.info["method"] = head
        copy.calc = SinglePointCalculator(copy, energy=energy, forces=STRETCH[head] * forces)
        both.append(copy)
    file = tmp_path_factory.mktemp("heads") / "both.xyz"
    ase.io.write(file, both, format="extxyz")
    return file


def config_of(folder: Path, file: Path, **changes: Any) -> Any:
    return small(folder, file, keys={"head": "method"}, heads=HEADS, engine="torch", **changes)


def test_data_sets_and_loaders_keep_heads(labeled: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path / "run", labeled)
    for _ in range(2):  # the second time from the cache
        parts = open_parts(config, tmp_path / "run", World(), print, as_split=False)
        expected = [int(i % 3 > 0) for i in range(len(parts.train.dataset))]
        assert parts.train.dataset.head.tolist() == expected
        loader = Loader(parts.train, 4, max_edges=100)
        for batch, pieces in loader.graphs(loader.in_order()):
            heads = [head for graph in pieces for head in graph.heads().tolist()]
            assert heads == [expected[i] for i in batch]
    model, _ = start_model(config, parts, None)
    zeros = [head.reference_energies.detach() for head in model.heads.as_list()]
    n_atoms = torch.tensor([6.0, 2.0, 1.0], dtype=torch.float64)  # H, C, O of ethanol
    assert ((zeros[1] - zeros[0]) @ n_atoms).item() == pytest.approx(-7.0 * 9, abs=1.0)


def test_each_head_learns_its_own_labels(labeled: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path / "run", labeled, epochs=3)
    run = train(config)
    model = run.potential.model
    assert run.potential.metadata["errors"]["valid"]["energy_rmse_meV_per_atom"] < 100
    for name in HEADS:
        alone = Potential(with_head(model, name))
        for atoms in ase.io.read(labeled, ":"):
            if atoms.info["method"] == name:
                energy = alone.predict(atoms, ["energy"])["energy"]
                assert abs(energy - atoms.get_potential_energy()) < 1.0  # of 63 eV


def test_labels_of_different_heads_do_not_contradict_each_other(tmp_path: Path) -> None:
    both = []
    for atoms in ase.io.read(DATA, ":"):
        for head in HEADS:
            copy, energy = ase.Atoms(atoms.numbers, atoms.positions), atoms.get_potential_energy()
            copy.info |= {"method": head, "energy": energy + ZEROS[head] * len(atoms)}
            both.append(copy)
    ase.io.write(tmp_path / "both.xyz", both, format="extxyz")
    config = config_of(tmp_path / "run", tmp_path / "both.xyz")
    data = open_dataset(str(tmp_path / "both.xyz"), config.data, CUTOFF, tmp_path / "cache")
    assert "contradictions" in {finding.name for finding in quick_findings([data], CUTOFF)}
    data.assign_heads(HEADS)
    assert "contradictions" not in {finding.name for finding in quick_findings([data], CUTOFF)}


def test_heads_and_data_that_do_not_fit_are_named(labeled: Path, tmp_path: Path) -> None:
    def refusal(**changes: Any) -> str:
        settings = {"keys": {"head": "method"}, "heads": HEADS} | changes
        config = small(tmp_path / "run", labeled, **settings)
        with pytest.raises(UserError) as caught:
            open_parts(config, tmp_path / "run", World(), print, as_split=False)
        return str(caught.value)

    assert "do not state the head" in refusal(keys={})
    assert "states the head 'ccsd'; the model has pbe, cc." in refusal(heads=["pbe", "cc"])
    assert "has the key 'head'" in refusal(keys={"head": "head"})
    given = dict.fromkeys("HCO", -1.0)
    assert "only one set of reference energies" in refusal(reference_energies=given)


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_head_without_structures_is_named(labeled: Path, tmp_path: Path, part: str) -> None:
    every = ase.io.read(labeled, ":")
    own = [atoms for atoms in every if atoms.info["method"] == HEADS[0]]
    for name, some in {"every": every, "own": own}.items():
        ase.io.write(tmp_path / f"{name}.xyz", some, format="extxyz")
    files = ("own", "every") if part == "training" else ("every", "own")
    # With other positions, as structures of both parts are an error.
    for atoms in own if part == "training" else every:
        atoms.positions *= 1.001
    train_file, valid_file = (tmp_path / f"{name}.xyz" for name in files)
    config = config_of(tmp_path / "run", train_file, valid=str(valid_file))
    if part == "training":
        with pytest.raises(UserError, match="belongs to the head 'ccsd', so it cannot"):
            open_parts(config, tmp_path / "run", World(), print, as_split=False)
    else:
        parts = open_parts(config, tmp_path / "run", World(), print, as_split=False)
        assert any("no structures of the head ccsd" in note for note in parts.notes)


# --- commands ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a potential of both heads, and one of `ccsd` alone."""
    folder = tmp_path_factory.mktemp("potentials")
    model = random_model(heads=HEADS, elements=[1, 6, 8])
    with torch.no_grad():
        for head in HEADS:
            model.heads[head].reference_energies.fill_(ZEROS[head])
    metadata = {"settings": {"data": {"keys": {"head": "method"}, "units": {}}}}
    Potential(model, metadata).save(folder / "both.reann")
    Potential(with_head(model, "ccsd"), metadata).save(folder / "ccsd.reann")
    return folder


@pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")
def test_structures_are_evaluated_by_the_heads_that_they_name(labeled: Path, models: Path) -> None:
    found = evaluate(models / "both.reann", [str(labeled)])
    potential = load(models / "both.reann")
    for atoms, energy in zip(ase.io.read(labeled, ":"), found.predicted["energy"], strict=True):
        alone = Potential(with_head(potential.model, atoms.info["method"]))
        assert energy == pytest.approx(alone.predict(atoms, ["energy"])["energy"], abs=1e-6)
    with pytest.raises(UserError, match="states the head 'pbe'; the model has ccsd"):
        evaluate(models / "ccsd.reann", [str(labeled)])
    by_first = evaluate(models / "ccsd.reann", [str(labeled)], keys=Keys(head=None))
    assert by_first.n_structures == found.n_structures


@pytest.mark.parametrize("fit", [False, True])
def test_check_judges_the_labels_of_each_head_by_themselves(tmp_path: Path, fit: bool) -> None:
    both = []
    for atoms in ase.io.read(DATA, ":"):
        for head in HEADS:
            copy, energy = ase.Atoms(atoms.numbers, atoms.positions), atoms.get_potential_energy()
            copy.info |= {"method": head, "energy": energy + ZEROS[head] * len(atoms)}
            copy.arrays["forces"] = atoms.get_forces()
            both.append(copy)
    ase.io.write(tmp_path / "both.xyz", both, format="extxyz")

    def findings(data: DataConfig | None) -> list[str]:
        found = survey([str(tmp_path / "both.xyz")], data, CUTOFF, fit=fit)
        return [finding.name for finding in found.findings]

    assert "contradictions" in findings(None)
    by_head = findings(DataConfig(train=[], keys=Keys(head="method")))
    assert not {"contradictions", "energy-groups", "fit-energies"} & set(by_head)


@pytest.mark.filterwarnings("always::reann.backends.choice.ReferenceWarning")
def test_commands_print_a_slower_engine_as_one_sentence(labeled: Path, models: Path) -> None:
    words = ["evaluate", str(models / "both.reann"), str(labeled)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Warning: The PyTorch engine is used") == 1
    assert ".py" not in result.stderr

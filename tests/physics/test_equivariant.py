"""Equivariant messages: what only they have; `test_hosts.py` has what every form obeys."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch

from models import CUTOFF, ELEMENTS, random_atoms, random_model
from reann import properties, testing
from reann.cli.info import model_lines
from reann.config import ModelConfig
from reann.config.unused import unused
from reann.data.dataset import Subset
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann, build
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.hosts import host_of
from reann.model.products import products
from reann.model.reann import in_precision, with_head
from reann.model.roles import WEIGHT, Role, roles
from reann.potential import Potential, load
from reann.training import run as training_run
from reann.training.calibration import FEW_ATOMS, calibrate
from reann.training.distributed import World
from reann.training.journal import read_log
from reann.training.readout import fit_last_layer
from reann.training.run import Run, resume, train
from reann.training.setup import open_parts, start_model
from runs import DATA, StoppedError, assert_same_run, small, stop_in

EQUIVARIANT = {"messages": "equivariant", "channels": 6, "l_max": 3, "n_radial": 4}


def model_of(**choices: Any) -> Reann:
    return random_model(**({"messages": "equivariant", "n_recursions": 1, "l_max": 3} | choices))


def config_of(folder: Path, **changes: Any) -> Any:
    return small(folder, **(EQUIVARIANT | {"engine": "torch"} | changes))


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """The report has tests of its own."""
    monkeypatch.setattr(training_run, "write_report", lambda *args, **kwargs: None)


# --- the limits -------------------------------------------------------------------------------


@pytest.mark.parametrize("radial_basis", ["bessel", "gaussian"])
@pytest.mark.parametrize(("name", "order"), [("squared_cosine", 4), ("polynomial", 3)])
def test_an_atom_crosses_the_cutoff_smoothly(radial_basis: str, name: str, order: int) -> None:
    """A third atom leaves the last of the others; energies are linear in fc ~ x^order."""
    potential = Potential(model_of(radial_basis=radial_basis, cutoff_function=name))

    def with_third(gap: float) -> dict[str, Any]:
        triple = ase.Atoms("COH", [[0, 0, 0], [0, 0, 1.1], [0, CUTOFF - gap, 0]])
        found = potential.predict(triple, ["energy", "forces"], "torch")
        assert isinstance(found, dict)
        return found

    gaps = np.array([0.2, 0.1, 0.05, 0.02, 0.01])
    slopes = [np.abs(with_third(gap)["forces"][2]).max() for gap in gaps]
    assert with_third(1e-3)["energy"] == pytest.approx(with_third(-1.0)["energy"], abs=1e-7)
    assert all(later < earlier for earlier, later in pairwise(slopes))
    measured = np.log(slopes[2] / slopes[4]) / np.log(gaps[2] / gaps[4])
    assert measured > order - 1 - 0.4


@pytest.mark.parametrize("n_recursions", [0, 1, 2])
def test_a_free_atom_beside_molecules_has_exactly_its_reference_energy(n_recursions: int) -> None:
    model = model_of(dtype=torch.float32, n_recursions=n_recursions)
    free = [graph_from_atoms(ase.Atoms([z]), CUTOFF) for z in ELEMENTS]
    batch = Graph.batch([*free, graph_from_atoms(random_atoms(1, 6, (False,) * 3), CUTOFF)])
    found = properties.evaluate(model, batch, ["energy", "forces"])
    assert torch.equal(found["energy"][:3], model.reference_energies.detach())
    assert not found["forces"][:3].any()


@pytest.mark.parametrize("n_recursions", [0, 1, 2])
def test_features_of_a_free_atom_are_the_limit_of_large_distances(n_recursions: int) -> None:
    model = model_of(n_recursions=n_recursions)
    graph = graph_from_atoms(ase.Atoms("CO", [[0, 0, 0], [0, 0, CUTOFF - 1e-4]]), CUTOFF)
    found, atoms = model.embed(graph, graph.edge_vectors())
    free = model.recursion.features(found, atoms).of_free_atoms
    torch.testing.assert_close(found, free[atoms.element], rtol=0, atol=1e-12)


def test_copies_far_apart_have_the_sum_of_their_energies() -> None:
    predict = testing.predictor(model_of(), engine="torch")
    one, other = random_atoms(1, 5, (False,) * 3), random_atoms(2, 4, (False,) * 3)
    far = other.copy()
    far.translate([50.0, 20.0, 0.0])
    parts = [predict(atoms, ["energy", "forces"]) for atoms in (one, other)]
    together = predict(one + far, ["energy", "forces"])
    assert together["energy"] == pytest.approx(sum(x["energy"] for x in parts), abs=1e-11)
    forces = np.concatenate([x["forces"] for x in parts])
    np.testing.assert_allclose(together["forces"], forces, atol=1e-10)


def test_single_precision_rounds() -> None:
    model, atoms = model_of(), random_atoms(3, 6, (True, True, True))
    exact = testing.predictor(model, engine="torch")
    rounded = testing.predictor(in_precision(model_of(), torch.float32), engine="torch")
    testing.assert_agree(rounded, exact, atoms, 1e-4)


# --- the start, and what moves ----------------------------------------------------------------


def test_an_untrained_model_gives_the_reference_energies() -> None:
    model = build(ModelConfig(cutoff=CUTOFF, **EQUIVARIANT), ELEMENTS, 10.0, seed=1)
    with torch.no_grad():
        model.reference_energies.copy_(torch.tensor([-1.0, -2.0, -4.0]))
    graph = graph_from_atoms(random_atoms(2, 6, (True, True, True)), CUTOFF)
    found = properties.evaluate(model, graph, ["energies", "forces"])
    expected = model.reference_energies[model.element_index[graph.atomic_numbers]]
    assert torch.equal(found["energies"], expected.detach())
    assert not found["forces"].any()


def test_parameters_have_the_roles_that_the_training_needs() -> None:
    matrix = Role(matrix=True)
    expected = {
        "embedding": matrix,
        "layers.1.radial": matrix,
        "layers.0.tensor_weights.1": matrix,
        "layers.1.mixing.2": WEIGHT,
        "layers.1.scalars": WEIGHT,
        "layers.1.residual": WEIGHT,
        "layers.0.tensors.0": WEIGHT,
        "layers.0.gates.first.weight": WEIGHT,
        "layers.0.gates.first.bias": Role(),
    }
    model = model_of()
    found = roles(model)
    assert {name: found[f"recursion.{name}"] for name in expected} == expected
    assert found["heads.energy.readout.1.linear"] == Role()
    assert found["heads.energy.readout.1.network.last.weight"] == WEIGHT


# --- calibration ------------------------------------------------------------------------------


def sizes(recursion: EquivariantRecursion, atoms: Any) -> dict[str, list[float]]:
    """Return root mean squares of what the calibration scales to one."""

    def rms(values: Any) -> list[float]:
        return [x.square().mean().sqrt().item() for x in values]

    seen, h, found = recursion.prepare(atoms), recursion.start(atoms), {}
    inside = atoms.vector.norm(dim=-1) < CUTOFF
    found["basis"] = rms([seen.basis[inside]])
    for t, layer in enumerate(recursion.each_layer()):
        s, q = layer.sums(seen, h)
        found[f"s {t}"] = rms(nu * s_l for nu, s_l in zip(layer.moment_scale, s, strict=True))
        if t:
            found[f"q {t}"] = rms(nu * x for nu, x in zip(layer.passed_scale, q, strict=True))
        h = layer.of_moments(layer.mixed(s, q), h[0], atoms.counts)[1]
        found[f"h {t + 1}"] = rms(h[1:])
    return found


@pytest.mark.parametrize("l_max", [1, 2, 3])
@torch.no_grad()
def test_calibration_makes_every_root_mean_square_one(l_max: int) -> None:
    model = model_of(l_max=l_max, n_recursions=2)
    recursion: Any = model.recursion
    structures = [random_atoms(seed, 5, (False,) * 3) for seed in range(60)]
    graph = Graph.batch([graph_from_atoms(atoms, CUTOFF) for atoms in structures])
    atoms = model.neighborhood(graph, graph.edge_vectors())
    calibrate(recursion, [atoms])
    for name, found in sizes(recursion, atoms).items():
        assert found == pytest.approx([1.0] * len(found)), name
    layer, seen = recursion.layers[0], recursion.prepare(atoms)
    b = products(layer.mixed(*layer.sums(seen, recursion.start(atoms))))[0]
    for z, b_z in enumerate(b.split(atoms.counts)):
        if len(b_z) >= FEW_ATOMS:
            mean, deviation = b_z.mean(0), b_z.std(0, unbiased=False)
            torch.testing.assert_close(layer.product_mean[z], mean)
            expected = deviation + 0.1 * mean.abs() + 1e-3
            torch.testing.assert_close(layer.product_scale[z], expected)


@torch.no_grad()
def test_an_element_with_few_atoms_has_a_spread() -> None:
    """A single atom has none of its own: its products would grow without bound."""
    model = model_of()
    recursion: Any = model.recursion
    structures = [random_atoms(seed, 6, (False,) * 3, [1, 6]) for seed in range(30)]
    structures[3].numbers[0] = 8
    graph = Graph.batch([graph_from_atoms(atoms, CUTOFF) for atoms in structures])
    calibrate(recursion, [model.neighborhood(graph, graph.edge_vectors())])
    for layer in recursion.each_layer():
        rare, common = layer.product_scale[2], layer.product_scale[:2].amin(0)
        assert (rare > 0.5 * common).all()


@torch.no_grad()
def test_moments_that_vanish_by_symmetry_are_not_blown_up() -> None:
    model = model_of(n_recursions=2)
    recursion: Any = model.recursion
    crystal = ase.Atoms("O", cell=[2.5] * 3, pbc=True)
    graph = graph_from_atoms(crystal, CUTOFF)
    calibrate(recursion, [model.neighborhood(graph, graph.edge_vectors())])
    for name, buffer in recursion.named_buffers():
        assert buffer.isfinite().all()
        if name.endswith(("moment_scale", "passed_scale", "state_scale")):
            assert (buffer < 1e4).all(), name
    crystal.rattle(0.3, rng=np.random.default_rng(0))
    x = model.embed(graph, graph.edge_vectors()).density
    assert x.abs().max() < 1e3


def test_calibration_without_any_neighbors_changes_nothing() -> None:
    model = model_of()
    before = {name: buffer.clone() for name, buffer in model.recursion.named_buffers()}
    recursion: Any = model.recursion
    calibrate(recursion, [])
    for name, buffer in model.recursion.named_buffers():
        assert torch.equal(buffer, before[name])


# --- training ---------------------------------------------------------------------------------


def final(run: Run) -> dict[str, float]:
    return read_log(run.folder / "log.csv")[-1]


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Run:
    """Return a short run."""
    folder = tmp_path_factory.mktemp("equivariant") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "write_report", lambda *args, **kwargs: None)
        return train(config_of(folder, epochs=12, learning_rate=1e-2))


def test_a_few_epochs_lower_the_errors(learned: Run) -> None:
    rows = read_log(learned.folder / "log.csv")
    for name in ("train_forces_rmse_meV_per_A", "valid_forces_rmse_meV_per_A"):
        assert rows[-1][name] < 0.7 * rows[0 if name.startswith("valid") else 1][name]


def test_the_range_of_the_features_is_recorded(learned: Run) -> None:
    potential = learned.potential
    assert isinstance(potential, Potential)
    atoms = ase.io.read(DATA, "0")
    assert isinstance(atoms, ase.Atoms)
    assert potential.model.has_range
    squeezed = atoms.copy()
    squeezed.positions *= 0.6
    graph = graph_from_atoms(squeezed, potential.cutoff)
    assert potential.model.extrapolates(graph).all()


def test_a_potential_comes_back_from_its_file_and_info_describes_it(learned: Run) -> None:
    path = learned.folder / "model.reann"
    potential = learned.potential
    assert isinstance(potential, Potential)
    atoms = random_atoms(1, 6, (False,) * 3)
    again = load(path).predict(atoms, ["energy"], "torch")
    assert again["energy"] == potential.predict(atoms, ["energy"], "torch")["energy"]
    lines = dict(line for line in model_lines(path) if line[0])
    assert lines["model"].startswith("1 recursion, l ≤ 3, 4 bessel, 6 channels, equivariant")


def test_a_stopped_run_goes_on_bitwise(tmp_path, monkeypatch) -> None:
    one = train(config_of(tmp_path / "one", epochs=3))
    with monkeypatch.context() as patch:
        stop_in(patch, 2)
        with pytest.raises(StoppedError):
            train(config_of(tmp_path / "other", epochs=3))
    resume(tmp_path / "other")
    assert_same_run(one.folder, tmp_path / "other")


def test_a_warm_start_keeps_the_calibration_and_goes_on(learned: Run, tmp_path) -> None:
    file = learned.folder / "model.reann"
    config = config_of(tmp_path / "on", epochs=2, learning_rate=1e-6)
    run = train(config.model_copy(update={"model": ModelConfig()}), warm_start=file)
    rows = read_log(learned.folder / "log.csv")
    assert final(run)["valid_loss"] == pytest.approx(min(r["valid_loss"] for r in rows), rel=0.02)
    before, after = (x.potential for x in (learned, run))
    assert isinstance(before, Potential)
    assert isinstance(after, Potential)
    for name, buffer in before.model.recursion.named_buffers():
        assert torch.equal(buffer, after.model.recursion.get_buffer(name))


def test_the_first_guess_of_the_readout_fits_energies(tmp_path) -> None:
    config = config_of(
        tmp_path / "run", reference_energies={"H": -13.0, "C": -1030.0, "O": -2040.0}
    )
    parts = open_parts(config, tmp_path, World(), print, as_split=False)
    model, _ = start_model(config, parts, None)
    train_part: Subset = parts.train
    graph = train_part.dataset.graph(train_part.indices)

    def error() -> float:
        found = properties.evaluate(model, graph, ["energy"])["energy"]
        return (found - graph.labels["energy"]).square().mean().sqrt().item()

    before = error()
    fit_last_layer(model, parts.train, 0)
    assert error() < 0.01 * before


def test_heads_share_the_recursion_and_read_it_out_on_their_own() -> None:
    model = model_of(heads=["pbe", "ccsd"])
    graph = graph_from_atoms(random_atoms(1, 5, (False,) * 3), CUTOFF)
    both = Graph.batch([replace(graph, head=torch.tensor([head])) for head in (0, 1)])
    found = properties.evaluate(model, both, ["energy"])["energy"]
    alone = [properties.evaluate(with_head(model, h), graph, ["energy"]) for h in model.heads]
    torch.testing.assert_close(found, torch.cat([x["energy"] for x in alone]))
    assert (found[0] - found[1]).abs() > 1e-3


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"features": "gram"}, "features has no meaning with messages: equivariant"),
        ({"n_orbitals": 8}, "n_orbitals has no meaning"),
        ({"standardize": False}, "standardize has no meaning"),
        ({"coefficient_scale": 1.0}, "coefficient_scale has no meaning"),
        ({"angular": "raw"}, "angular has no meaning"),
        ({"host": "deep_pot"}, "belongs to the host density, not deep_pot"),
        ({"l_max": 0}, "l_max must be 1 to 3 with messages: equivariant, not 0"),
        ({"l_max": 4}, "l_max must be 1 to 3 with messages: equivariant, not 4"),
    ],
)
def test_settings_without_a_meaning_are_errors(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModelConfig(messages="equivariant", **choices)


@pytest.mark.parametrize("preset", ["fast", "default", "accurate", "upstream"])
def test_presets_give_what_equivariant_messages_have(preset: str) -> None:
    config = ModelConfig(messages="equivariant", preset=preset)
    assert set(unused(config)) == set()
    again = ModelConfig(**config.model_dump())
    assert again == config
    channels = unused(ModelConfig(preset=preset, channels=8, radial_basis="gaussian"))
    assert set(channels) == {"channels=8", "radial_basis=gaussian"}


def test_a_host_cannot_be_given_beside_equivariant_messages() -> None:
    config = ModelConfig(messages="equivariant")
    with pytest.raises(UserError, match="takes no host and no update"):
        Reann(config, [1], host=host_of(ModelConfig(), 1))

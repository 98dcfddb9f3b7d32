"""The calibration and the training of models with equivariant messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch

from models import CUTOFF, random_atoms, random_model
from reann import properties
from reann.cli.info import model_lines
from reann.config import ModelConfig
from reann.data.dataset import Subset
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann
from reann.model.equivariant.recursion import EquivariantRecursion
from reann.model.products import products
from reann.potential import Potential, load
from reann.training import finish
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
    monkeypatch.setattr(finish, "write_report", lambda *args, **kwargs: None)


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
        h = layer.of_moments(layer.mixed(s, q, []), h[0], atoms.counts)[1]
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
    b = products(layer.mixed(*layer.sums(seen, recursion.start(atoms)), []))[0]
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


@torch.no_grad()
def test_atoms_in_a_single_environment_have_finite_scales() -> None:
    """Scalars minus their mean are zero, and so are all messages."""
    model = model_of(n_recursions=2)
    recursion: Any = model.recursion
    graph = graph_from_atoms(ase.Atoms("O", cell=[2.5, 2.5, 20.0], pbc=[1, 1, 0]), CUTOFF)
    atoms = model.neighborhood(graph, graph.edge_vectors())
    calibrate(recursion, [atoms])
    assert all(buffer.isfinite().all() for buffer in recursion.buffers())
    assert model.embed(graph, graph.edge_vectors()).density.isfinite().all()


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
        patch.setattr(finish, "write_report", lambda *args, **kwargs: None)
        return train(config_of(folder, epochs=8, learning_rate=1e-2))


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
    assert all(buffer.ne(1.0).all() for buffer in model.recursion.buffers())
    train_part: Subset = parts.train
    graph = train_part.dataset.graph(train_part.indices)

    def error() -> float:
        found = properties.evaluate(model, graph, ["energy"])["energy"]
        return (found - graph.labels["energy"]).square().mean().sqrt().item()

    before = error()
    fit_last_layer(model, parts.train, 0)
    assert error() < 0.01 * before

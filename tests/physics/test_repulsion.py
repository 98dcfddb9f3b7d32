"""Pairs closer than any of the training repel each other, and nothing changes for the data."""

from __future__ import annotations

import math
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from models import each_engine, random_model
from reann.config import Config
from reann.facts import REPULSION_WIDTH
from reann.model import Reann
from reann.potential import Potential, load
from reann.training.contacts import CLOSEST, LEAST_FORCE, keep_repulsive, pair_forces
from reann.training.distributed import World
from reann.training.run import train
from reann.training.setup import open_parts, start_model
from runs import DATA, log_without_time, small


def pairs(distances: np.ndarray) -> list[ase.Atoms]:
    return [ase.Atoms("CO", [[0, 0, 0], [0, 0, r]]) for r in distances]


def curve(model: Reann, distances: np.ndarray, engine: str) -> tuple[np.ndarray, np.ndarray]:
    """Energies of C-O, and forces that are positive where the atoms repel each other."""
    found = [
        Potential(model).predict(atoms, ["energy", "forces"], engine) for atoms in pairs(distances)
    ]
    return np.array([x["energy"] for x in found]), np.array([x["forces"][1, 2] for x in found])


@each_engine
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_pair_from_the_shortest_distance_on_is_untouched(engine, dtype):
    model = random_model(repulsion=True, dtype=dtype)
    assert model.repulsion is not None
    start = model.repulsion.start[1, 2].item()
    r = start + np.array([0.0 if dtype == torch.float64 else 1e-6, 0.01, 0.5])
    bare = random_model(dtype=dtype)
    for with_it, without_it in zip(curve(model, r, engine), curve(bare, r, engine), strict=True):
        np.testing.assert_array_equal(with_it, without_it)


def seen(r: np.ndarray, start: float) -> tuple[np.ndarray, np.ndarray]:
    """The distance that the network sees, and its slope."""
    u = np.clip((start - r) / (REPULSION_WIDTH * start), 0.0, 1.0)
    slope = 1.0 - (10.0 * u**3 - 15.0 * u**4 + 6.0 * u**5)
    return start - REPULSION_WIDTH * start * (u - 2.5 * u**4 + 3.0 * u**5 - u**6), slope


@each_engine
@pytest.mark.parametrize("form", [{}, {"angular": "raw"}, {"messages": "equivariant"}])
def test_a_closer_pair_has_an_exponential_and_a_network_that_fades(engine, form):
    model, bare = random_model(repulsion=True, **form), random_model(**form)
    assert model.repulsion is not None
    start, b, A = (
        getattr(model.repulsion, name)[1, 2].item() for name in ("start", "decay", "amplitude")
    )
    r = start * np.array([0.2, 0.5, 0.69, 0.75, 0.9, 0.99])
    R, slope = seen(r, start)
    energies, forces = curve(model, r, engine)
    of_network, force_of_network = curve(bare, R, engine)
    y = b * (start - r)
    terms = [sum(x**k / math.factorial(k) for k in range(4, 40)) for x in y]
    np.testing.assert_allclose(energies - of_network, A * np.array(terms), rtol=1e-9, atol=1e-11)
    terms = [sum(x**k / math.factorial(k) for k in range(3, 40)) for x in y]
    wanted = A * b * np.array(terms) + slope * force_of_network
    np.testing.assert_allclose(forces, wanted, rtol=1e-9, atol=1e-11)
    assert R[0] == pytest.approx((1 - REPULSION_WIDTH / 2) * start)
    assert slope[0] == 0.0


def attractive() -> Reann:
    """A potential whose pairs attract each other here and there."""
    model = random_model(seed=3, n_recursions=0, repulsion=True)
    assert model.repulsion is not None
    with torch.no_grad():
        model.energy_scale.fill_(20.0)
        model.repulsion.amplitude.mul_(1e-3)
    return model


def forces_of(model: Reann) -> torch.Tensor:
    assert model.repulsion is not None
    fractions = torch.linspace(0.01, CLOSEST, 150, dtype=torch.float64)[:, None, None]
    return pair_forces(model, fractions * model.repulsion.start, 0)


def test_the_amplitude_is_raised_until_no_pair_attracts():
    model = attractive()
    assert model.repulsion is not None
    before = model.repulsion.amplitude.clone()
    lacking = (forces_of(model) < 0).any(0)
    assert lacking.any()
    keep_repulsive(model)
    assert (forces_of(model) > 0.5 * LEAST_FORCE).all()
    after = model.repulsion.amplitude.clone()
    assert ((after > before) | ~lacking).all()
    torch.testing.assert_close(after, after.mT)
    keep_repulsive(model)
    torch.testing.assert_close(model.repulsion.amplitude, after)


# --- training ---------------------------------------------------------------------------------


def slab(path: Path, seed: int = 0) -> list[ase.Atoms]:
    """H and O in cells, where the shortest O-O is across a boundary, and one C."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(4):
        atoms = ase.Atoms("HOOC", cell=[4.0, 6.0, 6.0], pbc=[True, False, False])
        atoms.positions[:] = [[0.0, 0, 0], [0.2, 1.0, 0], [3.1, 1.0, 0.2], [2.0, 3.5, 3.0]]
        atoms.positions += 0.05 * rng.normal(size=(4, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=rng.normal(), forces=np.zeros((4, 3)))
        frames.append(atoms)
    ase.io.write(path, frames)
    return frames


def started(folder: Path, data: Path, warm_start: Path | None = None) -> Reann:
    slab(folder.with_suffix(".traj"), seed=1)
    files = {"train": str(data), "valid": str(folder.with_suffix(".traj"))}
    config = Config(data=files, model={"cutoff": 3.0, "repulsion": True})
    parts = open_parts(config, folder, World(), print, as_split=False, warm_start=warm_start)
    return start_model(config, parts, warm_start)[0]


def test_it_begins_at_the_shortest_distance_of_the_training(tmp_path):
    frames = slab(tmp_path / "a.traj")
    model = started(tmp_path / "run", tmp_path / "a.traj")
    assert model.repulsion is not None
    found = {}
    for atoms in frames:
        for i, j, r in zip(*neighbor_list("ijd", atoms, 3.0), strict=True):
            pair = (atoms.numbers[i], atoms.numbers[j])
            found[pair] = min(r, found.get(pair, np.inf))
    assert (6, 6) not in found
    for i, a in enumerate(model.elements):
        for j, b in enumerate(model.elements):
            expected = found.get((a, b), covalent_radii[a] + covalent_radii[b])
            assert model.repulsion.start[i, j].item() == pytest.approx(expected, abs=1e-12)


def test_a_training_from_a_potential_lets_it_begin_no_farther_out(tmp_path):
    frames = slab(tmp_path / "a.traj")
    first = started(tmp_path / "run", tmp_path / "a.traj")
    Potential(first).save(tmp_path / "first.reann")
    for atoms, factor in zip(frames, (1.05, 1.1, 1.2, 1.3), strict=True):
        atoms.set_cell(factor * atoms.cell, scale_atoms=True)
    frames[0].positions[3] = frames[0].positions[0] - [0.0, 0.9, 0.0]  # a closer C-H
    for atoms in frames:
        atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.zeros((4, 3)))
    ase.io.write(tmp_path / "b.traj", frames)
    second = started(tmp_path / "again", tmp_path / "b.traj", tmp_path / "first.reann")
    assert first.repulsion is not None
    assert second.repulsion is not None
    h, c = first.elements.index(1), first.elements.index(6)
    expected = first.repulsion.start.clone()
    expected[h, c] = expected[c, h] = 0.9
    torch.testing.assert_close(second.repulsion.start, expected)


def test_a_training_has_the_same_errors_with_it_and_no_pair_attracts_below_its_data(tmp_path):
    runs = {}
    for repulsion in (False, True):
        config = small(tmp_path / str(repulsion), DATA, repulsion=repulsion, epochs=2)
        runs[repulsion] = train(config).folder
    columns = ("loss", "train_energy_rmse_meV_per_atom", "train_forces_rmse_meV_per_A")
    logs = [
        [[row[c] for c in columns if c in row] for row in log_without_time(runs[x])] for x in runs
    ]
    assert logs[0] == logs[1]
    potential = load(runs[True] / "model.reann")
    assert isinstance(potential, Potential)
    assert (forces_of(potential.model) > 0.5 * LEAST_FORCE).all()

"""torch-sim drives many systems at once by a potential, as we do one after the other."""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings

import ase.build
import numpy as np
import pytest
import torch
from ase import units
from ase.md.verlet import VelocityVerlet

import reann
from models import either_messages, random_atoms, random_model
from reann.potential import Ensemble, Potential

if importlib.util.find_spec("torch_sim") is None:
    if os.environ.get("CI") and sys.version_info >= (3, 11):
        pytest.fail("torch-sim is not installed, and CI is set", pytrace=False)
    pytest.skip("needs torch-sim", allow_module_level=True)

with warnings.catch_warnings():  # its neighbor list is still TorchScript
    warnings.simplefilter("ignore")
    import torch_sim as ts
    from torch_sim.models.interface import validate_model_outputs

    from reann.interfaces.torchsim import Model

CPU = torch.device("cpu")


@either_messages
@pytest.mark.parametrize("members", [1, 2])
def test_a_batch_has_the_energies_forces_and_stresses_of_its_systems(members, messages):
    every = [Potential(random_model(seed=s, messages=messages)) for s in range(members)]
    potential = every[0] if members == 1 else Ensemble(every)
    structures = [random_atoms(s, n, (True, True, True)) for s, n in ((1, 3), (2, 6), (3, 4))]
    found = Model(potential)(ts.io.atoms_to_state(structures, CPU, torch.float64))
    first = 0
    for i, atoms in enumerate(structures):
        expected = potential.predict(atoms, ["energy", "forces", "stress"])
        own = slice(first, first + len(atoms))
        assert found["energy"][i].item() == pytest.approx(float(expected["energy"]))
        np.testing.assert_allclose(found["forces"][own], expected["forces"], atol=1e-9)
        np.testing.assert_allclose(found["stress"][i], expected["stress"], atol=1e-9)
        first += len(atoms)


def test_torch_sim_accepts_the_model(tmp_path):
    Potential(random_model([14, 26], cutoff=4.0)).save(tmp_path / "a.reann")
    validate_model_outputs(Model(tmp_path / "a.reann"), CPU, torch.float64)


@pytest.mark.parametrize("members", [1, 2])
def test_the_given_potential_stays_where_it_is(members, monkeypatch):
    """Also when torch-sim computes elsewhere; `meta` stands for a GPU."""
    every = [Potential(random_model(seed=s)) for s in range(members)]
    potential = every[0] if members == 1 else Ensemble(every)
    monkeypatch.setattr("reann.interfaces.torchsim.device_named", torch.device)
    model = Model(potential, "meta")
    assert model.potential.device.type == "meta"
    assert potential.device.type == "cpu"
    assert all(p.device.type == "cpu" for m in every for p in m.model.parameters())


def test_molecules_have_no_stress():
    state = ts.io.atoms_to_state([ase.build.molecule("CH4")], CPU, torch.float32)
    found = Model(Potential(random_model()), dtype=torch.float32)(state)
    assert found["energy"].dtype == torch.float32
    assert not found["stress"].any()
    without = Model(Potential(random_model()), compute_stress=False)(state)
    assert "stress" not in without


@either_messages
def test_it_moves_two_systems_as_ase_moves_each(messages):
    potential = Potential(random_model([6, 8], seed=3, messages=messages))
    structures = [ase.build.bulk("C", "diamond", 3.6, cubic=True).repeat((1, 1, n)) for n in (1, 2)]
    for i, atoms in enumerate(structures):
        atoms.rattle(0.05, seed=i)
        atoms.set_velocities(np.random.default_rng(i).normal(0, 0.02, (len(atoms), 3)))
    dt = 0.1 * units.fs
    zero, step = torch.tensor(0.0, dtype=torch.float64), torch.tensor(dt, dtype=torch.float64)
    start, update = ts.integrators.nve(Model(potential), dt=step, kT=zero)
    state = ts.io.atoms_to_state(structures, CPU, torch.float64)
    state.momenta = torch.tensor(np.concatenate([a.get_momenta() for a in structures]))
    state = start(state)
    for _ in range(20):
        state = update(state)
    for atoms in structures:
        atoms.calc = reann.Calculator(potential)
        VelocityVerlet(atoms, dt).run(20)
        atoms.wrap()  # as torch-sim does
    expected = np.concatenate([atoms.positions for atoms in structures])
    np.testing.assert_allclose(state.positions, expected, atol=1e-8)

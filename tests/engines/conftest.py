"""Potentials with random weights that are smooth and far from trivial, and structures for them."""

import os
from pathlib import Path

import ase
import numpy as np
import pytest
import torch

from c_interface import needs_lammps
from reann.config import ModelConfig
from reann.interfaces.lammps.install import install
from reann.model import build
from reann.model.reann import in_precision
from reann.potential import Potential


def make_potential(seed=0, dtype=torch.float64, cutoff=3.5, **settings):
    """A potential for H and O whose forces are of the order of 1 eV/Å.

    Of products of two moments: with random weights those of many pull water apart.
    """
    config = ModelConfig(
        preset="density",
        cutoff=cutoff,
        n_radial=4,
        features="gram",
        l_max=2,
        n_recursions=1,
        readout={"hidden": [16, 16]},
        update={"hidden": [16, 16]},
        **settings,
    )
    model = build(config, [1, 8], 10.0, seed=seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed + 100)
    with torch.no_grad():
        # The last layers are born zero.
        for parameter in [
            *model.readout.parameters(),
            *model.recursion.update.networks.parameters(),
        ]:
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(0.2 * noise)
        model.reference_energies.add_(torch.tensor([-13.0, -430.0], dtype=torch.float64))
        model.energy_scale.fill_(5.0)
    return Potential(in_precision(model, dtype))


@pytest.fixture
def new_potential():
    """The function that makes them."""
    return make_potential


@pytest.fixture
def potential():
    return make_potential()


@pytest.fixture
def box():
    """A triclinic box, left-handed, with three rattled water molecules."""
    rng = np.random.default_rng(5)
    water = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    corners = [[0.3, 0.2, 0.1], [2.9, 0.4, 2.6], [1.5, 3.0, 1.2]]
    positions = np.concatenate([water + corner for corner in corners])
    return ase.Atoms(
        "OH2OH2OH2",
        positions + 0.05 * rng.standard_normal((9, 3)),
        cell=[[0.4, 4.6, 0.0], [4.4, 0.3, 0.2], [-0.5, 0.6, 4.8]],
        pbc=True,
    )


@pytest.fixture
def molecule():
    return ase.Atoms("OH2", [[0.0, 0.0, 0.0], [0.96, 0.05, 0.0], [-0.24, 0.93, 0.1]])


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    """Compile the pair style of LAMMPS once, into a folder that this LAMMPS finds."""
    needs_lammps()
    shared = tmp_path_factory.getbasetemp().parent / "lammps-cache"
    os.environ["XDG_CACHE_HOME"] = str(shared)
    return install()

"""The engine as a C library, and a potential for it."""

from pathlib import Path

import pytest

from c_interface import Library, Model, linked
from models import random_model
from reann.potential import Potential


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Path:
    """The library of the installation."""
    return linked(tmp_path_factory.getbasetemp() / "libreann")


@pytest.fixture(scope="session")
def library(compiled) -> Library:
    return Library(compiled)


@pytest.fixture(params=["scalar", "equivariant"])
def potential(request) -> Potential:
    model = random_model([1, 8], zbl={}, messages=request.param)
    model.energy_scale.fill_(10.0)
    return Potential(model)


@pytest.fixture
def model(library, potential, tmp_path) -> Model:
    potential.save(tmp_path / "model.reann")
    return library.open(tmp_path / "model.reann")

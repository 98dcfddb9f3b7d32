"""Energies and forces with charges are continuous where a pair crosses a distance.

The distances are the cutoff of the model, half a cell, where the nearest image of an atom changes
and the sum of near pairs of a split sum ends, and the end of a neighbor list with a skin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from crossing import assert_continuous, half_of, pair
from models import random_model
from reann import native
from reann.electrostatics import balance
from reann.electrostatics.split import width_of
from reann.interfaces.ase import Calculator
from reann.model import Reann
from reann.potential import Potential

needs_native = pytest.mark.skipif(not native.available(), reason="needs the native engine")
CUTOFF, SKIN, LARGE = 4.0, 0.5, 24.0
"""Å; in a cube of the length LARGE, the sum is split."""
FORM = {
    "messages": "equivariant",
    "l_max": 2,
    "n_recursions": 1,
    "cutoff": CUTOFF,
    "moment_limit": 2.0,
}
FORMS: dict[str, dict[str, Any]] = {
    "latent": {"long_range": {"smearing": 0.8}},
    "equilibrated": {"long_range": {"charges": "equilibrated", "smearing": 0.8}},
}
CASES = [
    pytest.param("latent", "torch", 1000, id="latent, torch"),
    pytest.param("latent", "native", 1000, id="latent, native", marks=needs_native),
    pytest.param("equilibrated", "torch", 1000, id="equilibrated, factorized"),
    pytest.param("equilibrated", "native", 0, id="equilibrated, on meshes", marks=needs_native),
]
each_case = pytest.mark.parametrize(("form", "engine", "dense"), CASES)
each_form = pytest.mark.parametrize("form", FORMS)


def model_of(form: str) -> Reann:
    """Return a model with forces of some eV/Å, beside which a jump of 1e-5 eV is seen."""
    model = random_model(**FORM, **FORMS[form])
    for name, head in model.output_heads.items():
        head.get_buffer("scale").fill_({"charges": 1.0, "electronegativities": 9.0}[name])
    return model


def test_the_sum_is_split_in_the_large_cell() -> None:
    for length, is_split in ((9.0, False), (LARGE, True)):
        cell = length * torch.eye(3, dtype=torch.float64)
        assert (width_of(cell, 4, 0.8) > 0.8) == is_split


@each_case
@pytest.mark.parametrize("length", [None, 9.0, LARGE])
def test_pairs_cross_the_cutoff_and_the_end_of_the_list(
    form: str, length: float | None, dense: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "DENSE", dense)
    potential = Potential(model_of(form))
    calculator = Calculator(potential, engine=engine, skin=SKIN)
    for distance in (CUTOFF, CUTOFF + SKIN):
        assert_continuous(lambda d: pair(d, length), distance, calculator)


@each_case
@pytest.mark.parametrize("length", [9.0, LARGE])
def test_the_nearest_image_changes(
    form: str, length: float, dense: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "DENSE", dense)
    calculator = Calculator(Potential(model_of(form)), engine=engine)
    assert_continuous(lambda d: pair(d, length), half_of(length), calculator)


@each_form
def test_a_list_that_holds_gives_the_results_of_a_new_one(form: str) -> None:
    """Atoms move by less than half the skin, or by more, so that the list is made again."""
    potential, rng = Potential(model_of(form)), np.random.default_rng(0)
    kept = Calculator(potential, skin=SKIN)
    for _ in range(4):
        atoms = pair(CUTOFF, 9.0)
        atoms.positions += rng.uniform(0.1, 0.4) * rng.normal(size=(4, 3)) / 3
        found = []
        for calculator in (kept, Calculator(potential, skin=0.0)):
            atoms.calc = calculator
            found.append((atoms.get_potential_energy(), atoms.get_forces()))
        assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
        np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-3)

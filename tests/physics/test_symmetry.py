"""The energy knows no frame, no order of atoms and no choice of cell; forces turn along."""

from __future__ import annotations

import ase
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models import each_engine, forms, random_atoms, random_model, structures
from reann import testing
from reann.potential import Potential

seeds = st.integers(0, 1000)


@each_engine
@given(structures, forms, seeds)
def test_energy_does_not_change_when_everything_is_moved_and_turned(
    engine: str, atoms: ase.Atoms, form: dict, seed: int
) -> None:
    predict = testing.predictor(random_model(**form), engine=engine)
    testing.assert_frame_does_not_matter(predict, atoms, seed)


@each_engine
@given(structures, forms, seeds)
def test_atoms_can_be_listed_in_any_order(
    engine: str, atoms: ase.Atoms, form: dict, seed: int
) -> None:
    predict = testing.predictor(random_model(**form), engine=engine)
    testing.assert_order_does_not_matter(predict, atoms, seed)


@each_engine
@given(structures, forms)
def test_a_supercell_has_the_energy_of_its_parts(engine: str, atoms: ase.Atoms, form: dict) -> None:
    predict = testing.predictor(random_model(**form), engine=engine)
    testing.assert_extensive(predict, atoms)


@each_engine
@given(st.lists(structures, min_size=2, max_size=4), forms)
def test_a_batch_changes_nothing(engine: str, many: list[ase.Atoms], form: dict) -> None:
    testing.assert_batch_changes_nothing(Potential(random_model(**form)), many, engine)


@each_engine
@given(st.integers(0, 100))
def test_atoms_may_lie_outside_the_cell(engine: str, seed: int) -> None:
    predict = testing.predictor(random_model(), engine=engine)
    atoms = random_atoms(seed, 4, (True, True, True))
    wrapped = atoms.copy()
    wrapped.wrap()
    before, after = predict(atoms, ["forces"]), predict(wrapped, ["forces"])
    np.testing.assert_allclose(after["forces"], before["forces"], atol=1e-9)


@each_engine
@given(structures)
def test_what_the_model_calls_a_sum_is_a_sum(engine: str, atoms: ase.Atoms) -> None:
    testing.assert_sums(testing.predictor(random_model(), engine=engine), atoms)

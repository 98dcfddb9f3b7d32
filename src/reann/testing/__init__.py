"""Physical requirements of potentials, as functions that raise `AssertionError`.

They accept anything that computes energies: a potential, an ensemble, a model with any descriptor,
update or term, with any backend.

    from reann import testing

    predict = testing.predictor(model)                 # or a potential, engine="native"
    testing.check_physics(predict, elements=[1, 6, 8], cutoff=5.0)

`check_physics` applies all of them to random structures; a test suite may call them separately.
The tolerances are for double precision.
"""

from reann.testing.derivatives import (
    assert_forces_are_slopes,
    assert_gradients_are_slopes,
    assert_stress_is_the_slope,
)
from reann.testing.limits import (
    assert_extensive,
    assert_free_atoms,
    assert_last_neighbor_leaves_smoothly,
)
from reann.testing.predictor import Predict, predictor
from reann.testing.structures import distances_around, random_structure, with_pair_at
from reann.testing.suite import check_physics
from reann.testing.symmetry import (
    assert_agree,
    assert_batch_changes_nothing,
    assert_frame_does_not_matter,
    assert_order_does_not_matter,
    assert_sums,
)

__all__ = [
    "Predict",
    "assert_agree",
    "assert_batch_changes_nothing",
    "assert_extensive",
    "assert_forces_are_slopes",
    "assert_frame_does_not_matter",
    "assert_free_atoms",
    "assert_gradients_are_slopes",
    "assert_last_neighbor_leaves_smoothly",
    "assert_order_does_not_matter",
    "assert_stress_is_the_slope",
    "assert_sums",
    "check_physics",
    "distances_around",
    "predictor",
    "random_structure",
    "with_pair_at",
]

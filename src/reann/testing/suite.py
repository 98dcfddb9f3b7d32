"""All physical checks."""

from __future__ import annotations

from collections.abc import Sequence

from reann.testing.derivatives import assert_forces_are_slopes, assert_stress_is_the_slope
from reann.testing.limits import assert_extensive, assert_last_neighbor_leaves_smoothly
from reann.testing.predictor import Predict
from reann.testing.structures import distances_around, random_structure, with_pair_at
from reann.testing.symmetry import (
    assert_frame_does_not_matter,
    assert_order_does_not_matter,
    assert_sums,
)

PERIODICITIES = (
    (True, True, True),
    (False, False, False),
    (True, True, False),
    (True, False, False),
)


def check_physics(
    predict: Predict, elements: Sequence[int], cutoff: float, n_structures: int = 8
) -> None:
    """Raise `AssertionError` if a potential violates a symmetry, a derivative or a limit.

    Parameters
    ----------
    predict
        Result of `predictor`, in double precision.
    elements
        Supported atomic numbers.
    cutoff
        Å.
    n_structures
        Number of random structures; every second one has a pair at the cutoff.
    """
    distances = distances_around(cutoff)
    for seed in range(n_structures):
        atoms = random_structure(seed, 2 + seed % 4, PERIODICITIES[seed % 4], elements)
        if seed % 2:
            atoms = with_pair_at(atoms, distances[seed % len(distances)], seed, elements)
        assert_frame_does_not_matter(predict, atoms, seed)
        assert_order_does_not_matter(predict, atoms, seed)
        assert_sums(predict, atoms)
        assert_extensive(predict, atoms)
        assert_forces_are_slopes(predict, atoms, seed)
        assert_stress_is_the_slope(predict, atoms, seed)
    pair = (elements[0], elements[-1])
    assert_last_neighbor_leaves_smoothly(predict, pair, cutoff)

"""Systems that make no sense are refused, extreme ones answered; nothing crashes."""

import numpy as np
import pytest

from c_interface import WATER, RefusalError, all_pairs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"neighbor": [1, 3, 0, 2, 0, 1]}, "does not exist"),
        ({"neighbor": [1, -1, 0, 2, 0, 1]}, "does not exist"),
        ({"neighbor": [1, 2**31 - 1, 0, 2, 0, 1]}, "does not exist"),
        ({"neighbor": [0, 2, 0, 2, 0, 1]}, "closer|same"),  # its own neighbor
        ({"first": [0, 4, 2, 6]}, "neighbors of atom 1"),
        ({"first": [-1, 2, 4, 6]}, "neighbors of atom 0"),
        ({"element": [1, 2, 0]}, "element of atom 1"),
        ({"element": [1, -1, 0]}, "element of atom 1"),
        ({"position": [[0, 0, 0], [0, np.nan, 1], [1, 0, 0]]}, "position of atom 1"),
        ({"position": [[0, 0, 0], [0, 0, 1], [np.inf, 0, 0]]}, "position of atom 2"),
        ({"position": [[0, 0, 0], [0, 0, 1], [0, 0, 1]]}, "closer|same"),
        ({"position": [[0, 0, 0], [0, 0, 1], [0, 0, 1.0009]]}, "closer|same"),
        ({"member": 1}, "member 1"),
        ({"member": -1}, "member -1"),
    ],
)
def test_an_impossible_system_is_refused(model, change, said):
    first, neighbor = all_pairs(3)
    right = {"element": [1, 0, 0], "position": WATER, "first": first, "neighbor": neighbor}
    energies, _ = model.evaluate(**right)
    assert np.isfinite(energies).all()
    with pytest.raises(RefusalError, match=said):
        model.evaluate(**(right | change))


def test_extreme_systems_have_finite_answers(model, potential):
    none = np.zeros(0)
    energies, forces = model.evaluate(none, none.reshape(0, 3), [0], none)
    assert len(energies) == len(forces) == 0
    # far away, and further than the squares of numbers reach
    far = np.array([[0, 0, 0], [1e200, 0, 0], [0, 1e8, 0]])
    energies, forces = model.evaluate([1, 0, 0], far, *all_pairs(3))
    free = potential.model.reference_energies.detach().numpy()
    assert energies.tolist() == free[[1, 0, 0]].tolist()
    assert not forces.any()


def test_an_atom_may_have_a_million_neighbors(model):
    rng, n = np.random.default_rng(1), 1_000_000
    far = rng.uniform(10.0, 100.0, (500, 3))
    element, position = np.zeros(503, int), np.concatenate([WATER, far])
    element[0] = 1
    # those of atom 0: the two others once, then atoms beyond the cutoff
    neighbor = np.concatenate([[1, 2], rng.integers(3, 503, n - 2), [0, 2, 0, 1]])
    first = np.concatenate([[0, n, n + 2], np.full(501, n + 4)])
    energies, forces = model.evaluate(element, position, first, neighbor)
    expected, pulled = model.evaluate([1, 0, 0], WATER, *all_pairs(3))
    np.testing.assert_allclose(energies[:3], expected, rtol=1e-13)
    np.testing.assert_allclose(forces[:3], pulled, rtol=0, atol=1e-12)

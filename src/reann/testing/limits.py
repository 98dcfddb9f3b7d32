"""Free atoms, large systems, and the cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import ase
import numpy as np

from reann.testing.predictor import Predict
from reann.testing.structures import distances_around
from reann.testing.symmetry import ROUNDING

GAPS = (0.2, 0.1, 0.05, 0.02, 0.01)
"""Å inside the cutoff."""


def assert_extensive(predict: Predict, atoms: ase.Atoms) -> None:
    """A supercell of two cells along each periodic direction has the energy of its parts."""
    repeats = tuple(2 if periodic else 1 for periodic in atoms.pbc)
    names, n = ("energy", "forces"), int(np.prod(repeats))
    small, large = predict(atoms, names), predict(atoms.repeat(repeats), names)
    bound = ROUNDING * n * (1.0 + np.abs(small["forces"]).max())
    np.testing.assert_allclose(large["energy"], n * small["energy"], rtol=1e-6, atol=bound)
    forces = np.tile(small["forces"], (n, 1))
    np.testing.assert_allclose(large["forces"], forces, rtol=1e-7, atol=bound)


def assert_free_atoms(predict: Predict, reference_energies: Mapping[int, float]) -> None:
    """An atom without neighbors has exactly its reference energy (eV, by atomic number)."""
    for number, energy in reference_energies.items():
        values = predict(ase.Atoms([number]), ("energy", "forces"))
        assert values["energy"] == energy, f"Z = {number}: {values['energy']} eV, not {energy}"
        assert not values["forces"].any()


def assert_last_neighbor_leaves_smoothly(
    predict: Predict, pair: tuple[int, int], cutoff: float, order: float = 2.0
) -> None:
    """The force between two atoms falls to zero at the cutoff, like a power of the gap or faster.

    At the cutoff itself, and within rounding errors of it, all values are finite.

    Parameters
    ----------
    pair
        Atomic numbers.
    cutoff
        Å.
    order
        Order of the force in the gap to the cutoff; 1 for a continuous second derivative.
    """

    def largest_force(distance: float) -> float:
        atoms = ase.Atoms(list(pair), [[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
        values = predict(atoms, ("energy", "forces", "virial"))
        assert all(np.isfinite(value).all() for value in values.values()), f"at {distance} Å"
        return float(np.abs(values["forces"]).max())

    forces = [largest_force(cutoff - gap) for gap in GAPS]
    assert all(later <= earlier for earlier, later in pairwise(forces)), f"forces {forces}"
    if forces[-1] > 0.0:
        measured = np.log(forces[2] / forces[-1]) / np.log(GAPS[2] / GAPS[-1])
        assert measured > order - 0.5, f"the force falls like the gap to the power {measured:.2f}"
    for distance in distances_around(cutoff):
        assert largest_force(distance) <= 1e-3 + forces[-1]

"""Charges that move make the same spectrum as their dipole, also where cells are crossed."""

import ase
import numpy as np
import pytest

from reann.errors import UserError
from reann.spectra.charges import of_charges
from reann.spectra.recorded import Recorded


def recorded(pbc, *, velocities=True):
    """Return two ions that move with 0.01 Å/fs against each other, one across the border."""
    notes = Recorded(keeps_motion=True)
    frames = []
    for t in range(5):
        positions = np.array([[1.0 + 0.01 * t, 2.0, 3.0], [0.02 - 0.01 * t, 2.0, 3.0]])
        atoms = ase.Atoms("NaCl", positions, cell=[5.0] * 3, pbc=pbc)
        if velocities:
            atoms.set_velocities(np.array([[0.01, 0, 0], [-0.01, 0, 0]]) / ase.units.fs)
        atoms.wrap()
        frames.append((atoms, ""))
    list(notes.of(frames))
    return notes


CHARGES = np.tile([0.8, -0.8], (5, 1))


def test_the_current_of_a_periodic_system_does_not_jump():
    moved = of_charges(CHARGES, recorded(pbc=True))
    assert list(moved) == ["currents"]
    np.testing.assert_allclose(moved["currents"], [[0.016, 0, 0]] * 5)


def test_the_dipole_of_a_molecule_changes_as_the_current():
    (dipoles,) = of_charges(CHARGES, recorded(pbc=False)).values()
    np.testing.assert_allclose(np.diff(dipoles, axis=0), [[0.016, 0, 0]] * 4, atol=1e-12)


def test_a_current_needs_velocities():
    with pytest.raises(UserError, match="needs velocities"):
        of_charges(CHARGES, recorded(pbc=True, velocities=False))

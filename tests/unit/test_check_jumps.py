"""Energies of another electronic state among those of one smooth surface."""

from __future__ import annotations

from collections.abc import Collection

import ase
import numpy as np
import pytest
from numpy.typing import NDArray

from reann.data.check.finding import Finding
from reann.data.check.jumps import Jumps

GROUND, EXCITED = 0.0, 0.5
"""eV."""


def samples(n: int = 60, *, periodic: bool = False) -> list[tuple[ase.Atoms, float, NDArray]]:
    """Return structures of three atoms near a minimum, with energies and forces of springs."""
    rng, start = np.random.default_rng(0), np.array([[0, 0, 0], [2.5, 0, 0], [0, 2.5, 0]])
    found = []
    for _ in range(n):
        moved = 0.03 * rng.normal(size=(3, 3))
        atoms = ase.Atoms("Ag3", start + moved, cell=[6.0] * 3, pbc=periodic)
        found.append((atoms, 4.0 * (moved**2).sum(), -8.0 * moved))
    return found


def finding_of(
    data: list[tuple[ase.Atoms, float, NDArray]],
    excited: Collection[int] = (),
    *,
    charged: bool = False,
) -> Finding | None:
    jumps = Jumps()
    for i, (atoms, energy, forces) in enumerate(data):
        state = EXCITED if i in excited else GROUND
        other = 10.0 * (i % 2) if charged else 0.0
        inputs = (("charge", (float(i % 2),)),) if charged else ()
        jumps.add(atoms, f"a.xyz#{i}", {"energy": energy + state + other, "forces": forces}, inputs)
    return jumps.finding()


@pytest.mark.parametrize("periodic", [False, True])
def test_energies_of_another_state_are_found(periodic: bool) -> None:
    data = samples(periodic=periodic)
    if periodic:  # across the boundary
        for atoms, _, _ in data[::2]:
            atoms.positions[0] += atoms.cell.array[0]
    found = finding_of(data, {7, 30})
    assert found is not None
    assert {e.split()[0] for e in found.examples} == {"a.xyz#7", "a.xyz#30"}
    assert all("+0.5" in e for e in found.examples)


def test_a_smooth_surface_has_no_jumps() -> None:
    assert finding_of(samples()) is None


def test_charge_states_are_compared_apart() -> None:
    data = samples(120)
    assert finding_of(data, charged=True) is None
    found = finding_of(data, {8}, charged=True)
    assert found is not None
    assert found.count == 1


def test_structures_without_close_ones_are_not_judged() -> None:
    assert finding_of(samples(5), {2}) is None

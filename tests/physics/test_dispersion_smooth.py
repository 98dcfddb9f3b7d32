"""Energies and forces with dispersion are continuous where a pair crosses a distance.

The packages end the sum over pairs sharply at 60 Bohr, and that over three atoms at 40 Bohr. There,
energies jump by less than 1e-7 eV.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase.units import Bohr
from numpy.typing import NDArray
from scipy.integrate import cumulative_simpson

from crossing import STEPS, assert_continuous, half_of, pair
from models import each_engine, random_model
from reann.config import DispersionConfig
from reann.data.neighbors import graph_from_atoms
from reann.interfaces.ase import Calculator
from reann.model.dispersion import Dispersion
from reann.potential import Potential

pytest.importorskip("dftd3")
pytest.importorskip("dftd4")
CUTOFF, SKIN = 4.0, 0.5
PBE: dict[str, Any] = {"functional": "pbe", "labels": "contain", "three_body": True}
ALONG = pair(1.0).positions - pair(0.0).positions
each_method = pytest.mark.parametrize("method", ["d3", "d4"])


def along_the_pair(
    term: Dispersion, distances: NDArray[np.float64], length: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return energies in eV, and slopes in eV/Å, of a pair of molecules at some distances."""
    found = []
    for distance in distances:
        graph = graph_from_atoms(pair(distance, length), CUTOFF, inputs=["charge"])
        slopes = term.slopes(graph, {})
        found.append((slopes.energies.sum().item(), np.vdot(slopes.by_position.numpy(), ALONG)))
    energies, slopes = np.array(found).T
    return energies, slopes


@each_method
@each_engine
@pytest.mark.parametrize("length", [None, 9.0, 24.0])
def test_nothing_happens_at_distances_of_the_network_and_of_nearest_images(
    length: float | None, engine: str, method: str
) -> None:
    # With a limit of moments, forces are of the order of 1 eV/Å.
    form = {"messages": "equivariant", "l_max": 2, "n_recursions": 1, "moment_limit": 2.0}
    model = random_model(**form, cutoff=CUTOFF, dispersion={**PBE, "method": method})
    calculator = Calculator(Potential(model), engine=engine, skin=SKIN)
    half = [] if length is None else [half_of(length)]
    for distance in (CUTOFF, CUTOFF + SKIN, *half):
        assert_continuous(lambda d: pair(d, length), distance, calculator)


@each_method
@pytest.mark.parametrize(("bohr", "jump"), [(30.0, 1e-15), (40.0, 1e-7), (60.0, 1e-7)])
def test_sums_end_where_pairs_hardly_interact(method: str, bohr: float, jump: float) -> None:
    """At 30 Bohr the coordination numbers of D4 end, and at 40 Bohr those of D3."""
    distances = bohr * Bohr + np.array(STEPS)
    term = Dispersion(DispersionConfig(**PBE, method=method))
    energies, slopes = along_the_pair(term, distances)
    expected = energies[0] + slopes[0] * (distances - distances[0])
    np.testing.assert_allclose(energies, expected, rtol=0, atol=jump)
    np.testing.assert_allclose(slopes, slopes[0], rtol=0, atol=max(jump, 1e-11))


@each_method
def test_the_energy_in_a_small_cell_is_the_work(method: str) -> None:
    """Many images cross the ends of the sums on the way."""
    distances = np.linspace(3.0, 4.0, 41)
    term = Dispersion(DispersionConfig(**PBE, method=method))
    energies, slopes = along_the_pair(term, distances, length=9.0)
    work = cumulative_simpson(slopes, x=distances, initial=0.0)
    assert np.ptp(energies) > 1e-3
    np.testing.assert_allclose(energies, energies[0] + work, rtol=0, atol=5e-7)

"""What the physical checks of the benchmarks compute, where the answer is known."""

import importlib
from pathlib import Path
from types import ModuleType

import ase
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.eos import EquationOfState

from reann.assessment.elastic import strained

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "physics"
MODULES = ("bench", "elastic", "eos", "modes", "rdf")


@pytest.fixture
def checks(monkeypatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(FOLDER))
    return {name: importlib.import_module(name) for name in MODULES}


def test_constants_of_given_stresses_come_back(checks):
    c11, c12, c44, start = 160.0, 60.0, 80.0, -0.3
    strains = np.concatenate([s * np.eye(6) for s in (0.0, 0.02, -0.02)])
    stiffness = np.diag([c11 - c12] * 3 + [2 * c44] * 3)
    stiffness[:3, :3] += c12
    stresses = strains @ stiffness
    stresses[:, :3] += start
    found = checks["elastic"].fit(strains, stresses)
    assert found["C11"] == pytest.approx(c11)
    assert found["C12"] == pytest.approx(c12)
    assert found["C44 clamped"] == pytest.approx(c44)
    assert found["stress at zero strain"] == pytest.approx(start)
    assert found["residual"] < 1e-10


def lennard_jones_crystal(a: float) -> ase.Atoms:
    crystal = bulk("Ar", "fcc", a=a, cubic=True)
    crystal.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)
    return crystal


def test_a_pair_potential_has_the_cauchy_relation_and_its_bulk_modulus(checks):
    cells = [lennard_jones_crystal(a) for a in np.linspace(5.1, 5.4, 13)]
    volumes = [cell.get_volume() for cell in cells]
    energies = [cell.get_potential_energy() for cell in cells]
    volume, _, modulus = EquationOfState(volumes, energies, "birchmurnaghan").fit()
    found = checks["elastic"].constants(lennard_jones_crystal(volume ** (1 / 3)))
    assert found["C12"] == pytest.approx(found["C44"], rel=0.02)
    assert found["C44 clamped"] == pytest.approx(found["C44"], rel=1e-3)
    bulk_modulus = (found["C11"] + 2 * found["C12"]) / 3
    assert bulk_modulus == pytest.approx(modulus / ase.units.GPa, rel=0.02)
    assert checks["elastic"].stable(found)


def test_strains_of_deformed_cells_are_found(checks):
    crystal = lennard_jones_crystal(5.25)
    frames = [crystal] + [strained(crystal, i, 0.01) for i in range(6)]
    found, strains = checks["elastic"].small_strains(frames)
    assert len(found) == 7
    np.testing.assert_allclose(strains, np.vstack([np.zeros(6), 0.01 * np.eye(6)]), atol=1e-12)


def test_the_wavenumber_of_a_spring_between_two_atoms(checks):
    k, masses = 36.0, np.array([1.0, 16.0])
    hessian = np.zeros((6, 6))
    hessian[np.ix_([0, 3], [0, 3])] = k * np.array([[1, -1], [-1, 1]])
    found, _ = checks["modes"].normal_modes(hessian, masses)
    # 1 eV/Å^2 = 16.02 N/m, 1 u = 1.6605e-27 kg
    expected = np.sqrt(k * 16.0217663 / (16 / 17 * 1.66053907e-27)) / (2 * np.pi * 2.99792458e10)
    assert found.max() == pytest.approx(expected, rel=1e-6)
    assert np.abs(found[:5]).max() < 1e-3

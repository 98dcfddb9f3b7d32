"""What the checks measure, where the answer is known."""

import ase
import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential

from reann.assessment import elastic, eos, extrapolation, phonons, relaxation, vibrations, work
from reann.assessment.diffusion import mean_square
from reann.assessment.dynamics import Course, drift
from reann.assessment.kinds import Kind, kind_of
from reann.assessment.outcome import Verdict
from reann.assessment.rdf import distribution
from reann.assessment.relaxation import changed_bonds
from reann.assessment.wall import wall_of
from reann.verdicts import graded, worst


def thermal(atoms: ase.Atoms, size: float = 0.1) -> ase.Atoms:
    atoms.rattle(size, seed=1)
    return atoms


def gas(seed: int = 0) -> ase.Atoms:
    positions = np.random.default_rng(seed).uniform(0, 12.4, (192, 3))
    return ase.Atoms("O64H128", positions, cell=[12.4] * 3, pbc=True)


@pytest.mark.parametrize(
    ("atoms", "kind"),
    [
        (molecule("CH3CH2OH"), Kind.molecule),
        (molecule("H2O", vacuum=8.0, pbc=True), Kind.molecule),
        (thermal(bulk("Si", cubic=True).repeat(2)), Kind.crystal),
        (bulk("Cu"), Kind.crystal),
        (thermal(bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat(2), 0.15), Kind.crystal),
        (gas(), Kind.liquid),
        (gas(1), Kind.liquid),
        (fcc111("Ni", (3, 3, 4), vacuum=6.0), Kind.surface),
        (fcc111("Ni", (3, 3, 4), vacuum=6.0, periodic=True), Kind.surface),
    ],
)
def test_the_kind_of_a_structure(atoms, kind):
    decision = kind_of(atoms)
    assert decision.kind is kind, decision.reason
    assert decision.reason


def test_the_constants_of_a_pair_potential(case_of, crystal, argon):
    case = case_of(crystal, argon)
    modulus = eos.run(case).numbers["bulk_modulus_GPa"]
    outcome = elastic.run(case)
    matrix = np.array(outcome.numbers["stiffness_GPa"])
    assert outcome.verdict is Verdict.passes
    assert matrix[0, 1] == pytest.approx(matrix[3, 3], rel=0.02)  # the Cauchy relation
    assert outcome.numbers["bulk_modulus_GPa"] == pytest.approx(modulus, rel=0.02)
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = matrix[0, 1]
    np.fill_diagonal(cubic, [matrix[0, 0]] * 3 + [matrix[3, 3]] * 3)
    np.testing.assert_allclose(matrix, cubic, atol=0.02 * matrix[0, 0])


def test_isotropic_averages_of_a_known_matrix():
    # Of an isotropic solid every average is the modulus itself.
    bulk_modulus, shear = 100.0, 60.0
    first = bulk_modulus - 2 * shear / 3
    matrix = np.diag([2 * shear] * 3 + [shear] * 3)
    matrix[:3, :3] += first
    found = elastic.averages(matrix)
    assert found["B"] == pytest.approx(bulk_modulus)
    assert found["G"] == pytest.approx(shear)


def test_phonons_of_springs_between_nearest_neighbors():
    pytest.importorskip("phonopy")
    epsilon, sigma = 0.0104, 3.4
    calculator = LennardJones(sigma=sigma, epsilon=epsilon, rc=5.0)
    # The second shell lies beyond the cutoff, so that the first one is at the minimum of the pair.
    crystal = bulk("Ar", "fcc", a=2**0.5 * 2 ** (1 / 6) * sigma, cubic=True)
    found = phonons.bands(crystal, calculator, 5.0)
    k = 72 * epsilon / (2 ** (1 / 6) * sigma) ** 2  # eV/Å^2
    mass = crystal.get_masses()[0]
    expected = np.sqrt(8 * k * 16.0217663 / (mass * 1.66053907e-27)) / (2 * np.pi * 2.99792458e10)
    assert found.n_primitive == 1
    assert found.n_displacements == 1
    assert found.mesh.max() == pytest.approx(expected, rel=1e-2)  # at X, longitudinal
    assert found.mesh.min() > -0.1
    stretched = bulk("Ar", "fcc", a=6.2, cubic=True)
    assert phonons.bands(stretched, calculator, 5.0).mesh.min() < -phonons.IMAGINARY


def test_the_vibration_of_a_morse_molecule(case_of):
    depth, length, stiffness = 4.0, 1.1, 3.0
    calculator = MorsePotential(epsilon=depth, r0=length, rho0=stiffness, rcut1=8.0, rcut2=9.0)
    case = case_of(ase.Atoms("N2", [[0, 0, 0], [0, 0, 1.2]]), calculator)
    outcome = vibrations.run(case)
    k = 2 * depth * (stiffness / length) ** 2  # eV/Å^2
    reduced = ase.Atoms("N").get_masses()[0] / 2
    # 1 eV/Å^2 = 16.02 N/m, 1 u = 1.6605e-27 kg
    expected = np.sqrt(k * 16.0217663 / (reduced * 1.66053907e-27)) / (2 * np.pi * 2.99792458e10)
    assert outcome.verdict is Verdict.passes
    assert outcome.numbers["wavenumbers_per_cm"] == pytest.approx([expected], rel=1e-3)


def test_a_relaxation_that_changes_the_structure_is_to_be_looked_at(case_of, cluster, pairs):
    assert relaxation.run(case_of(cluster, pairs)).verdict is Verdict.passes
    far = cluster.copy()
    far.positions[0] *= 1.5
    assert relaxation.run(case_of(far, pairs)).verdict is Verdict.look


def test_bonds_that_form_or_break_are_counted():
    before = molecule("CH3CH2OH")
    assert changed_bonds(before, thermal(before.copy(), 0.05)) == 0
    after = before.copy()
    hydrogen = int(np.flatnonzero(after.numbers == 1)[0])
    after.positions[hydrogen] += 5.0
    assert changed_bonds(before, after) == 1
    assert changed_bonds(after, before) == 1


def test_a_jump_is_measured_and_a_steep_energy_is_none():
    s = np.linspace(-1.0, 1.0, 41)

    def steep(x):
        return float(np.exp(12.0 * x)), float(12.0 * np.exp(12.0 * x))

    def torn(x):
        return float(x**2 + (0.003 if x > 0.123 else 0.0)), 2.0 * x

    for along, expected in ((steep, 0.0), (torn, 0.003)):
        energy, slope = np.array([along(x) for x in s]).T
        assert work.jumps(along, s, energy, slope).max() == pytest.approx(expected, abs=1e-6)


def test_the_drift_of_a_known_course():
    time = np.arange(4001) * 5e-4
    energy = 1e-3 * 10 * 0.7 * time + 1e-3 * np.sin(900.0 * time)
    slope, error = drift(Course(energy, energy, 0.5), n_atoms=10)
    assert slope == pytest.approx(0.7, abs=0.01)
    assert error < 0.01


def test_walls():
    r = np.linspace(0.5, 5.0, 451)
    morse = (1 - np.exp(-3.0 * (r - 1.0))) ** 2 - 1.0
    wall = wall_of(r, morse, contact=1.0)
    assert wall.turns_at is None
    assert wall.lowest_at == pytest.approx(1.0, abs=0.01)
    hole = np.where(r < 0.7, morse - 50.0 * (0.7 - r), morse)
    wall = wall_of(r, hole, contact=1.0)
    assert wall.turns_at == pytest.approx(0.7, abs=0.01)
    assert wall.height == pytest.approx((1 - np.exp(0.9)) ** 2, rel=0.02)


def test_a_bond_behind_a_barrier_is_no_hole():
    """Free atoms repel each other before they form a bond of higher energy, as in excited CH."""
    r = np.linspace(0.5, 5.0, 451)
    bond = (1 - np.exp(-3.0 * (r - 1.0))) ** 2 - 0.7
    curve = np.where(r < 1.6, bond, 0.9 * np.exp(-4.0 * (r - 1.6)) + bond[110] - 0.9)
    curve -= curve[-1]
    assert curve[50] > 0.2  # the bond is not the deepest minimum
    wall = wall_of(r, curve, contact=1.1)
    assert wall.turns_at is None
    assert wall.height == pytest.approx((1 - np.exp(1.5)) ** 2, rel=0.02)
    assert wall.lowest_at == pytest.approx(5.0)


@pytest.mark.parametrize("pair", [("O", "O"), ("O", "H")])
@pytest.mark.parametrize("skew", [0.0, 3.0])
def test_an_ideal_gas_has_no_structure(pair, skew):
    cell = np.diag([10.0] * 3)
    cell[1, 0] = skew
    ideal = ase.Atoms("O40H80", cell=cell, pbc=True)
    positions = np.random.default_rng(0).uniform(-2, 2, (100, 120, 3)) @ cell
    g = distribution(positions, ideal, pair)
    assert g[40:].mean() == pytest.approx(1.0, abs=0.02)


def test_the_mean_square_displacement_of_a_random_walk():
    steps = np.random.default_rng(0).normal(0.0, 0.1, (400, 200, 3))
    lags = np.array([1, 5, 20])
    found = mean_square(steps.cumsum(0), lags)
    np.testing.assert_allclose(found, 3 * 0.01 * lags, rtol=0.05)


def test_verdicts():
    assert graded(0.5, 1.0, 2.0) is Verdict.passes
    assert graded(1.5, 1.0, 2.0) is Verdict.look
    assert graded(float("nan"), 1.0, 2.0) is Verdict.fails
    assert worst([Verdict.passes, Verdict.fails, Verdict.look]) is Verdict.fails
    assert worst([]) is Verdict.passes


def test_extrapolation_needs_a_potential_that_knows_its_range(case_of, cluster, argon):
    assert not extrapolation.CHECK.applies(case_of(cluster, argon))

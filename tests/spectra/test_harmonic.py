"""Harmonic spectra have the frequencies and intensities of closed forms, and those of ASE."""

from functools import partial

import ase
import numpy as np
import pytest
from ase.constraints import FixAtoms, FixBondLength
from ase.vibrations import Infrared

from models import random_model
from oscillators import diatomic, molecule, reduced_mass
from reann import spectra
from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.potential import Potential
from reann.simulate.relax import relax
from reann.spectra.constants import KM_PER_MOL, PER_CM
from reann.spectra.external_motion import external_motions
from reann.spectra.intensities import depolarization, raman_activity, raman_invariants
from reann.spectra.vibrations import harmonic_of

DEPTH, RANGE, EQUILIBRIUM = 4.6, 1.87, 1.28
"""Of a Morse potential: eV, 1/Å, Å."""
CHARGE = 0.17

harmonic = partial(spectra.harmonic, engine="torch")


def morse(r):
    x = np.exp(-RANGE * (r - EQUILIBRIUM))
    return 2 * DEPTH * RANGE * (x - x**2)


def bond_polarizability(r):
    return 2.4 + 0.9 * (r - EQUILIBRIUM), 2.1 + 0.3 * (r - EQUILIBRIUM)


@pytest.fixture
def hydrogen_chloride():
    evaluate = diatomic(morse, CHARGE, bond_polarizability)
    atoms = molecule("HCl", EQUILIBRIUM)
    return harmonic_of(evaluate, atoms), reduced_mass(atoms)


def test_a_morse_oscillator_has_the_frequency_of_its_closed_form(hydrogen_chloride):
    spectrum, mass = hydrogen_chloride
    exact = PER_CM * RANGE * np.sqrt(2 * DEPTH / mass)
    assert spectrum.wavenumbers == pytest.approx([exact], abs=0.1)


def test_the_constants_are_those_of_the_literature():
    # Porezag and Pederson: 42.255 km/mol for 1 (D/Å)^2/u; 1 e Å = 4.80320 D.
    assert pytest.approx(42.255 * 4.80320**2, rel=1e-4) == KM_PER_MOL
    # Shimanouchi's factor: 1302.79 cm^-1 for 1 mdyn/Å and 1 u; 1 mdyn/Å = 6.241509 eV/Å^2.
    assert pytest.approx(1302.79 / np.sqrt(6.241509), rel=1e-5) == PER_CM


def test_intensity_and_activity_of_a_diatomic_are_those_of_the_closed_form(hydrogen_chloride):
    spectrum, mass = hydrogen_chloride
    assert spectrum.infrared == pytest.approx([KM_PER_MOL * CHARGE**2 / mass], rel=1e-6)
    mean, difference = (0.9 + 2 * 0.3) / 3, 0.9 - 0.3
    expected = (45 * mean**2 + 7 * difference**2) / mass
    assert spectrum.raman == pytest.approx([expected], rel=1e-5)
    ratio = 3 * difference**2 / (45 * mean**2 + 4 * difference**2)
    assert spectrum.depolarization == pytest.approx([ratio], rel=1e-5)


def test_a_saddle_has_an_imaginary_wavenumber():
    evaluate = diatomic(lambda r: -20.0 * (r - EQUILIBRIUM), CHARGE, bond_polarizability)
    atoms = molecule("HCl", EQUILIBRIUM)
    spectrum = harmonic_of(evaluate, atoms)
    assert spectrum.imaginary.tolist() == [True]
    assert spectrum.wavenumbers == pytest.approx([-PER_CM * np.sqrt(20.0 / reduced_mass(atoms))])


def test_raman_invariants_do_not_depend_on_the_orientation():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((4, 3, 3))
    a = a + a.transpose(0, 2, 1)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    here, there = raman_invariants(a), raman_invariants(turn @ a @ turn.T)
    np.testing.assert_allclose(here, there, rtol=1e-12)
    xx, yy, zz = a[:, 0, 0], a[:, 1, 1], a[:, 2, 2]
    xy, yz, xz = a[:, 0, 1], a[:, 1, 2], a[:, 0, 2]
    gamma = 0.5 * ((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2)
    np.testing.assert_allclose(here[1], gamma + 3 * (xy**2 + yz**2 + xz**2), rtol=1e-12)


def test_light_that_a_traceless_mode_scatters_is_depolarized():
    traceless = np.diag([1.0, -1.0, 0.0])[None]
    assert depolarization(*raman_invariants(traceless)) == pytest.approx([0.75])
    assert depolarization(*raman_invariants(np.eye(3)[None])) == pytest.approx([0.0])
    assert np.isnan(depolarization(*raman_invariants(np.zeros((1, 3, 3)))))
    assert raman_activity(*raman_invariants(np.eye(3)[None])) == pytest.approx([45.0])


@pytest.mark.parametrize(
    ("pbc", "positions", "n_external"),
    [
        ((0, 0, 0), [[0, 0, 0], [0, 0.9, 0.3], [1.1, 0, 0.2]], 6),
        ((0, 0, 0), [[0, 0, 0], [1, 1, 1], [2.5, 2.5, 2.5]], 5),
        ((0, 0, 0), [[3, 2, 1]], 3),
        ((1, 0, 0), [[0, 0, 0], [0, 0.9, 0.3], [1.1, 0, 0.2]], 4),
        ((1, 1, 0), [[0, 0, 0], [0, 0.9, 0.3], [1.1, 0, 0.2]], 3),
        ((1, 1, 1), [[0, 0, 0], [0, 0.9, 0.3], [1.1, 0, 0.2]], 3),
    ],
)
def test_external_motions_are_as_many_as_the_symmetry_of_space_allows(pbc, positions, n_external):
    atoms = ase.Atoms("OHC"[: len(positions)], positions, cell=[5, 5, 5], pbc=pbc)
    rows = external_motions(atoms, np.ones((len(atoms), 3), bool))
    assert len(rows) == n_external
    np.testing.assert_allclose(rows @ rows.T, np.eye(n_external), atol=1e-12)


@pytest.fixture(scope="module")
def relaxed():
    """Return a model with dipoles at a minimum that it has: energies alone have none."""
    outputs = ["dipole", "polarizability"]
    model = random_model(messages="equivariant", outputs=outputs, n_recursions=1, repulsion=True)
    potential = Potential(model)
    water = ase.Atoms("OH2", [[0.0, 0, 0], [0.9, 0.35, 0.1], [-0.5, 0.8, -0.1]])
    done = relax(potential, water, 1e-6, quiet=True, max_steps=2000)
    return potential, done.atoms


def test_frequencies_and_intensities_are_those_of_ase(relaxed, tmp_path):
    potential, atoms = relaxed
    atoms = atoms.copy()
    atoms.calc = Calculator(potential, precision="float64")
    spectrum = harmonic(potential, atoms, displacement=0.005)
    theirs = Infrared(atoms, name=str(tmp_path / "ir"), delta=0.005)
    theirs.run()
    frequencies = theirs.get_frequencies()
    # ASE projects nothing out: its six smallest are translations and rotations.
    of_vibrations = np.argsort(np.abs(frequencies))[-3:]
    their_wavenumbers = (frequencies.real - frequencies.imag)[of_vibrations]
    order = np.argsort(their_wavenumbers)
    np.testing.assert_allclose(spectrum.wavenumbers, their_wavenumbers[order], atol=0.1)
    in_km = 42.255 * theirs.intensities[of_vibrations][order]
    np.testing.assert_allclose(spectrum.infrared, in_km, rtol=0.01)


def test_a_spectrum_does_not_change_when_the_molecule_is_turned_and_moved(relaxed):
    potential, atoms = relaxed
    turned = atoms.copy()
    turned.rotate(73.0, (1.0, -2.0, 0.7))
    turned.positions += (3.0, -1.0, 2.0)
    here, there = harmonic(potential, atoms), harmonic(potential, turned)
    np.testing.assert_allclose(here.wavenumbers, there.wavenumbers, atol=0.02)
    np.testing.assert_allclose(here.infrared, there.infrared, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(here.raman, there.raman, rtol=1e-3, atol=1e-6)


def test_born_charges_of_a_neutral_structure_add_up_to_zero(relaxed):
    potential, atoms = relaxed
    charges = harmonic(potential, atoms).sum_of_born_charges
    assert charges.shape == (3, 3)
    assert np.abs(charges).max() < 1e-4


def test_fixed_atoms_do_not_move_and_nothing_is_projected_out(relaxed):
    potential, atoms = relaxed
    held = atoms.copy()
    held.set_constraint(FixAtoms([0]))
    spectrum = harmonic(potential, held)
    assert len(spectrum.wavenumbers) == 6
    assert not spectrum.vectors[:, 0].any()
    assert spectrum.sum_of_born_charges is None


def test_constraints_that_fix_no_directions_are_an_error(relaxed):
    potential, atoms = relaxed
    held = atoms.copy()
    held.set_constraint(FixBondLength(0, 1))
    with pytest.raises(UserError, match="FixBondLength"):
        harmonic(potential, held)


def test_a_single_atom_does_not_vibrate():
    potential = Potential(random_model(messages="equivariant"))
    with pytest.raises(UserError, match="does not vibrate"):
        harmonic(potential, ase.Atoms("O"))

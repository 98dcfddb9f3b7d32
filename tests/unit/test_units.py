"""Units by name: aliases, products of powers, and the signs that the module states."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units as ase_units
from ase.build import bulk
from ase.calculators.emt import EMT

from reann import units
from reann.errors import UserError

KCAL = ase_units.kcal / ase_units.mol


@pytest.mark.parametrize(
    ("size", "names", "expected"),
    [
        (units.energy, "ev eV EV electronvolt", 1.0),
        (units.energy, "hartree Hartree Ha Eh a.u. au", ase_units.Hartree),
        (units.energy, "kcal/mol KCAL/MOL kcal·mol⁻¹ kcal*mol^-1", KCAL),
        (lambda name: units.energy(name.replace("_", " ")), "kcal_mol^-1 _kcal_/_mol_", KCAL),
        (units.length, "Angstrom angstrom Å å A ang Ångström", 1.0),
        (units.length, "bohr Bohr a0 a.u.", ase_units.Bohr),
        (units.force, "hartree/bohr Ha/a0 Eh/Bohr au", ase_units.Hartree / ase_units.Bohr),
        (units.force, "kcal/mol/Ang kcal/(mol*Å) kcal·mol^-1·Å^-1", KCAL),
        (units.stress, "eV/Angstrom^3 eV/Å³ eV/A**3 eV*ang^-3 ev/ang3", 1.0),
        (units.stress, "kbar kB KBar", 0.1 * ase_units.GPa),
        (units.dipole, "e*Ang e*Å e·Å eÅ", 1.0),
        (units.dipole, "Debye debye D", ase_units.Debye),
        (units.dipole, "e*Bohr e*a0 ea0 a.u. au", ase_units.Bohr),
        (units.polarizability, "Ang^3 Å³ A^3", 1.0),
        (units.polarizability, "Bohr^3 a0^3 a.u. au", ase_units.Bohr**3),
        (units.polarizability, "e*Ang^2/V e²Å²/eV", ase_units.Hartree * ase_units.Bohr),
    ],
)
def test_one_unit_has_many_spellings(size, names, expected):
    for name in names.split():
        assert size(name) == pytest.approx(expected, rel=1e-12), name


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (units.energy, "kcal eV/atom eV/mol eV/Ang Ang parsec eV) (eV eV^2"),
        (units.length, "eV nm^2 parsec Debye e*Ang"),
        (units.dipole, "Ang e eV Debye^2"),
        (units.polarizability, "Ang^2 Debye e*Ang/V"),
        (units.force, "eV eV/Ang^2 GPa"),
        (units.stress, "eV eV/Ang^2 pascals"),
    ],
)
def test_what_is_no_unit_of_the_quantity_is_an_error(size, names):
    for name in names.split():
        with pytest.raises(UserError, match="not a known"):
            size(name)


def test_the_stress_of_a_compressed_crystal_is_negative_and_the_virial_is_minus_it():
    crystal = bulk("Cu", cubic=True)
    crystal.set_cell(0.97 * crystal.cell.array, scale_atoms=True)
    crystal.calc = EMT()
    stress = crystal.get_stress(voigt=False)
    assert (np.diag(stress) < 0).all()
    strained = crystal.copy()
    energies = []
    for strain in (-1e-4, 1e-4):
        strained.set_cell(crystal.cell.array * [1 + strain, 1, 1], scale_atoms=True)
        strained.calc = EMT()
        energies.append(strained.get_potential_energy())
    slope = (energies[1] - energies[0]) / 2e-4
    assert stress[0, 0] == pytest.approx(slope / crystal.get_volume(), rel=1e-3)
    stretched = bulk("Cu", cubic=True)
    stretched.set_cell(1.03 * stretched.cell.array, scale_atoms=True)
    stretched.calc = EMT()
    assert (np.diag(stretched.get_stress(voigt=False)) > 0).all()

"""Potentials whose answers are known, good ones and broken ones."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones

from reann.assessment.case import Case, Settings
from reann.assessment.kinds import kind_of

ARGON = {"sigma": 3.4, "epsilon": 0.0104, "rc": 8.0, "smooth": True}


@pytest.fixture
def case_of():
    """Return what makes a case of a structure and an ASE calculator."""

    def make(atoms: ase.Atoms, calculator: Calculator, cutoff: float = 8.0, **settings) -> Case:
        chosen = Settings(**{"temperature": 20.0, "time": 300.0, **settings})
        atoms = atoms.copy()
        atoms.calc = None
        return Case(atoms, kind_of(atoms), calculator, calculator, cutoff, chosen)

    return make


@pytest.fixture
def argon():
    """Return a Lennard-Jones potential, whose energy is smooth at its cutoff."""
    return LennardJones(**ARGON)


@pytest.fixture
def crystal():
    """Return argon, face-centered cubic."""
    return bulk("Ar", "fcc", a=5.27, cubic=True)


@pytest.fixture
def cluster():
    """Return thirteen atoms of argon around each other."""
    atoms = bulk("Ar", "fcc", a=5.27, cubic=True).repeat(3)
    center = atoms.positions[len(atoms) // 2]
    near = np.linalg.norm(atoms.positions - center, axis=1) < 4.0
    found = atoms[near]
    found.set_pbc(False)
    found.set_cell(None)
    return found


class Pairs(Calculator):
    """A sum over all pairs of a cluster; its energy ends smoothly, or with a jump."""

    implemented_properties = ("energy", "free_energy", "forces")
    sigma, epsilon = 3.4, 0.0104

    def __init__(self, cutoff: float = 8.0, *, smooth: bool = True) -> None:
        super().__init__()
        self.cutoff, self.smooth = cutoff, smooth

    def pair(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the energy of pairs and its derivative."""
        c6 = (self.sigma / r) ** 6
        energy = 4 * self.epsilon * (c6**2 - c6)
        slope = -24 * self.epsilon * (2 * c6**2 - c6) / r
        if self.smooth:
            x = np.maximum(1 - (r / self.cutoff) ** 2, 0.0)
            slope = slope * x**3 - energy * 6 * r / self.cutoff**2 * x**2
            energy = energy * x**3
        inside = r < self.cutoff
        return np.where(inside, energy, 0.0), np.where(inside, slope, 0.0)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        i, j = np.triu_indices(len(atoms), 1)
        vectors = atoms.positions[j] - atoms.positions[i]
        r = np.linalg.norm(vectors, axis=1)
        energy, slope = self.pair(r)
        pull = (slope / r)[:, None] * vectors
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        self.results = {"energy": float(energy.sum()), "forces": forces}
        self.change(atoms)
        self.results["free_energy"] = self.results["energy"]

    def change(self, atoms: ase.Atoms) -> None:
        """Do something else to the results."""


class Curl(Pairs):
    """Forces around an axis, which are the derivative of no energy."""

    def change(self, atoms):
        away = atoms.positions - atoms.positions.mean(0)
        self.results["forces"] = self.results["forces"] + 0.01 * np.cross([0.0, 0.0, 1.0], away)


class Jump(Pairs):
    """The energy of a pair ends at the cutoff without having become zero."""

    def __init__(self) -> None:
        super().__init__(4.5, smooth=False)


class Hole(Pairs):
    """Atoms attract each other at short distances, behind a wall of less than 1 eV."""

    def pair(self, r):
        energy, slope = super().pair(r)
        a, b = 2.75, 0.04  # where it turns, and how sharply
        inside = 1 / (1 + np.exp(np.clip((r - a) / b, -60, 60)))
        change = -inside * (1 - inside) / b
        bounded = np.minimum(energy, 1e3)
        slope = np.where(energy < 1e3, slope, 0.0)
        slope = slope * (1 - inside) - bounded * change - 5.0 * change
        return bounded * (1 - inside) - 5.0 * inside, slope


class Field(Pairs):
    """The energy depends on where the structure is, and on how it is turned."""

    def change(self, atoms):
        self.results["energy"] += 0.02 * float(np.square(atoms.positions[:, 0]).sum())
        forces = self.results["forces"].copy()
        forces[:, 0] -= 0.04 * atoms.positions[:, 0]
        self.results["forces"] = forces


@pytest.fixture
def pairs():
    """Return a good potential of a cluster."""
    return Pairs()


@pytest.fixture
def broken():
    """Return broken potentials by name."""
    return {"curl": Curl, "jump": Jump, "hole": Hole, "field": Field}

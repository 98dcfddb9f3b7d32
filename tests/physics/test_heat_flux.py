"""The heat flux is the motion of the atoms' energies, term by term."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import each_engine, forms, random_atoms, random_model
from reann import native
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.flux import heat_flux
from reann.model.hosts.embedded_density import EmbeddedDensity
from reann.model.hosts.host import NeighborFunctions
from reann.model.neighborhood import Neighborhood
from reann.model.nodes import Description, NodeState, Update
from reann.model.reann import in_precision
from reann.potential import Ensemble, Potential


def moving(atoms: ase.Atoms, seed: int = 0) -> ase.Atoms:
    atoms.set_velocities(np.random.default_rng(seed).normal(size=(len(atoms), 3)))
    return atoms


def by_brute_force(potential: Potential, atoms: ase.Atoms) -> np.ndarray:
    """Return sum_ij (r_i - r_j) dE_i/dr_j . v_j of a cluster, from the Jacobian of all energies."""
    graph = graph_from_atoms(atoms, potential.cutoff)
    center, neighbor = graph.edge_index

    def energies(positions: torch.Tensor) -> torch.Tensor:
        return potential.model(graph, positions[neighbor] - positions[center])

    slopes = torch.autograd.functional.jacobian(energies, graph.positions)
    power = np.einsum("ija,ja->ij", slopes.numpy(), atoms.get_velocities())
    return np.einsum("ij,ija->a", power, atoms.positions[:, None] - atoms.positions)


@each_engine
@given(seed=st.integers(0, 1000), form=forms)
def test_the_flux_of_a_cluster_is_the_double_sum_over_its_atoms(
    engine: str, seed: int, form: dict
) -> None:
    potential = Potential(random_model(**form))
    atoms = moving(random_atoms(seed, 6, (False, False, False)), seed)
    expected = by_brute_force(potential, atoms)
    found = heat_flux(potential, atoms, engine).potential
    size = 1.0 + np.abs(potential.predict(atoms, ["forces"])["forces"]).max()
    np.testing.assert_allclose(found, expected, atol=1e-12 * size)


@pytest.mark.parametrize(("n_recursions", "l_max"), [(0, 3), (1, 1), (1, 3), (2, 2)])
def test_the_flux_of_equivariant_messages_is_the_double_sum(n_recursions: int, l_max: int) -> None:
    form = {"messages": "equivariant", "n_recursions": n_recursions, "l_max": l_max}
    potential = Potential(random_model(**form))
    atoms = moving(random_atoms(3, 6, (False, False, False)))
    found = heat_flux(potential, atoms, "torch").potential
    expected = by_brute_force(potential, atoms)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("messages", ["scalar", "directional", "equivariant"])
def test_virials_of_atoms_give_the_flux_without_recursion_only(messages: str) -> None:
    atoms = moving(random_atoms(3, 6, (False, False, False)))
    for n_recursions in (0, 1, 2):
        potential = Potential(random_model(n_recursions=n_recursions, messages=messages))
        found = heat_flux(potential, atoms).potential
        virials = potential.predict(atoms, ["virials"])["virials"]
        of_virials = np.einsum("jab,jb->a", virials, atoms.get_velocities())
        agrees = np.abs(of_virials - found).max() < 1e-9 * np.abs(found).max()
        assert agrees == (n_recursions == 0)


@pytest.mark.skipif(not native.available(), reason="no native engine")
@given(seed=st.integers(0, 1000), form=forms)
def test_engines_agree_on_periodic_structures(seed: int, form: dict) -> None:
    potential = Potential(random_model(**form))
    atoms = moving(random_atoms(seed, 5, (True, True, seed % 2 == 0)), seed)
    expected = np.stack(heat_flux(potential, atoms, "torch"))
    found = np.stack(heat_flux(potential, atoms, "native"))
    np.testing.assert_allclose(found, expected, atol=1e-11 * (1.0 + np.abs(expected).max()))


@pytest.mark.skipif(not native.available(), reason="no native engine")
def test_threads_share_the_work() -> None:
    potential = Potential(random_model(messages="directional"))
    atoms = moving(random_atoms(1, 5, (True, True, True)).repeat(5))
    expected = np.stack(heat_flux(potential, atoms, "torch"))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    found = np.stack(heat_flux(potential, atoms, "native"))
    torch.set_num_threads(before)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_a_supercell_has_the_flux_of_its_parts() -> None:
    potential = Potential(random_model(n_recursions=2, messages="directional"))
    atoms = moving(random_atoms(5, 4, (True, True, True)))
    one, many = heat_flux(potential, atoms), heat_flux(potential, atoms.repeat((2, 1, 3)))
    np.testing.assert_allclose(many.potential, 6 * one.potential, rtol=1e-9)
    np.testing.assert_allclose(many.convective, 6 * one.convective, rtol=1e-9)


def test_the_convective_part_counts_kinetic_energy() -> None:
    atoms = ase.Atoms("O")
    atoms.set_velocities([[0.1, 0.0, -0.2]])
    found = heat_flux(Potential(random_model()), atoms)
    expected = atoms.get_kinetic_energy() * np.array([0.1, 0.0, -0.2])  # a free atom has no other
    np.testing.assert_allclose(found.convective, expected, atol=1e-12)
    np.testing.assert_array_equal(found.potential, 0.0)


def test_the_flux_of_an_ensemble_is_that_of_its_mean() -> None:
    members = [Potential(random_model(seed=seed)) for seed in range(3)]
    atoms = moving(random_atoms(2, 5, (True, True, True)))
    expected = np.mean([heat_flux(member, atoms) for member in members], axis=0)
    np.testing.assert_allclose(np.stack(heat_flux(Ensemble(members), atoms)), expected)


def test_single_precision_rounds() -> None:
    atoms = moving(random_atoms(4, 6, (True, True, True)))
    model = random_model(messages="directional")
    exact = heat_flux(Potential(model), atoms)
    rounded = heat_flux(Potential(in_precision(model, torch.float32)), atoms)
    for found, expected in zip(rounded, exact, strict=True):
        assert 0 < np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@each_engine
def test_atoms_carry_their_own_energies(engine: str) -> None:
    """In the order of the atoms, whatever their elements."""
    potential = Potential(random_model())
    atoms = moving(ase.Atoms("OHCHO", [(0.9 * i, 0.3 * (i % 2), 0) for i in range(5)]))
    energies = potential.predict(atoms, ["energies"])["energies"]
    free = dict(zip("HCO", potential.model.reference_energies.tolist(), strict=True))
    energies = energies - [free[symbol] for symbol in atoms.symbols]
    energies = energies + 0.5 * atoms.get_masses() * (atoms.get_velocities() ** 2).sum(1)
    found = heat_flux(potential, atoms, engine).convective
    np.testing.assert_allclose(found, energies @ atoms.get_velocities())


class ReadsOften(EmbeddedDensity):
    """The density, which reads elements and distances of neighbors before, and weights twice."""

    def prepare(self, atoms: Neighborhood) -> NeighborFunctions:
        atoms.of_neighbors(atoms.element.to(atoms.vector.dtype)[:, None])
        functions = super().prepare(atoms)
        close = atoms.of_neighbors(functions.radial.sum((1, 2))[:, None])
        return functions._replace(radial=functions.radial * (1.0 + 0.1 * close))

    def describe(
        self, functions: NeighborFunctions, state: NodeState, t: int, update: Update
    ) -> Description:
        first = super().describe(
            functions, NodeState(0.3 * state.scalars, state.tensors), t, update
        )
        second = super().describe(functions, NodeState(0.7 * state.scalars), t, update)
        s = first.moments + second.moments
        return Description(self.invariants(s, t), s)


@pytest.mark.parametrize("messages", ["scalar", "directional"])
@pytest.mark.parametrize("n_recursions", [0, 1, 2])
def test_a_host_may_read_of_its_neighbors_what_and_when_it_likes(
    n_recursions: int, messages: str
) -> None:
    model = random_model(n_recursions=n_recursions, messages=messages)
    model.recursion.host.__class__ = ReadsOften
    atoms = moving(random_atoms(7, 6, (False, False, False)))
    expected = by_brute_force(Potential(model), atoms)
    found = heat_flux(Potential(model), atoms, "torch").potential
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_atoms_of_unknown_elements_are_refused() -> None:
    with pytest.raises(UserError, match="also has Fe"):
        heat_flux(Potential(random_model()), moving(ase.Atoms("OFe", [[0, 0, 0], [0, 0, 2]])))


def test_atoms_without_velocities_are_refused() -> None:
    with pytest.raises(UserError, match="no velocities"):
        heat_flux(Potential(random_model()), ase.Atoms("O"))


def test_atoms_in_an_electric_field_are_refused() -> None:
    """Neither engine would count the work of the field."""
    model = random_model(messages="equivariant", l_max=1, n_recursions=1, field=True)
    atoms = moving(random_atoms(1, 3, (False, False, False)))
    atoms.info["field"] = [0.0, 0.1, 0.0]
    with pytest.raises(UserError, match="no heat flux in an electric field"):
        heat_flux(Potential(model), atoms)
    atoms.info["field"] = [0.0, 0.0, 0.0]
    assert np.abs(heat_flux(Potential(model), atoms).potential).max() > 0.0

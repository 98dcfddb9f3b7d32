"""Equivariant messages: what only they have; `test_hosts.py` has what every form obeys."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch

from models import CUTOFF, ELEMENTS, random_atoms, random_model
from reann import properties, testing
from reann.config import ModelConfig
from reann.config.presets import PRESETS
from reann.config.unused import unused
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann, build
from reann.model.equivariant.layer import limited
from reann.model.hosts import host_of
from reann.model.products import entries
from reann.model.reann import in_precision, with_head
from reann.model.roles import WEIGHT, Role, roles
from reann.potential import Potential

EQUIVARIANT = {"messages": "equivariant", "channels": 6, "l_max": 3, "n_radial": 4}


def model_of(**choices: Any) -> Reann:
    return random_model(**({"messages": "equivariant", "n_recursions": 1, "l_max": 3} | choices))


# --- the sums -----------------------------------------------------------------------------------


def matrices(five: torch.Tensor) -> np.ndarray:
    """Return (atoms, 3, 3, channels) from the five components of traceless symmetric matrices."""
    of_indices = entries(2, five.unbind(1))
    rows = [torch.stack([of_indices[a, b] for b in range(3)], 1) for a in range(3)]
    return torch.stack(rows, 1).numpy()


def test_the_limit_counts_all_entries_of_the_moments() -> None:
    generator = torch.Generator().manual_seed(1)
    m = [torch.randn(5, n, 2, generator=generator, dtype=torch.float64) for n in (1, 3, 5, 10)]
    squares = [
        np.mean([x.numpy() ** 2 for x in entries(rank, m_l.unbind(1)).values()], 0)
        * (9 / 5 if rank == 2 else 1)  # five of nine numbers are independent
        for rank, m_l in enumerate(m)
    ]
    factor = (1 + np.mean(squares, 0) / 0.7**2) ** -0.5
    for found, m_l in zip(limited(m, 0.7), m, strict=True):
        np.testing.assert_allclose(found.numpy(), factor[:, None] * m_l.numpy(), rtol=1e-13)


@torch.no_grad()
def test_neighbors_are_summed_with_weights_that_depend_on_their_direction() -> None:
    """Brute force, with matrices of nine elements instead of five components."""
    model = model_of(l_max=2, n_radial=3)
    recursion: Any = model.recursion
    graph = graph_from_atoms(random_atoms(3, 5, (False,) * 3), CUTOFF)
    atoms = model.neighborhood(graph, graph.edge_vectors())
    seen = recursion.prepare(atoms)
    _, h = recursion.layers[0](seen, recursion.start(atoms))
    s, q = recursion.layers[1].sums(seen, h)
    h0, h1, h2 = h[0][:, 0].numpy(), h[1].numpy(), matrices(h[2])
    W, scale = recursion.layers[1].radial.numpy(), recursion.radial_scale.item()
    n = np.arange(1, 4)
    found = [np.zeros(x.shape) for x in (h0, h1, h2, h1, h2)]
    for i, neighbors in enumerate(atoms.neighbor.tolist()):
        for j, vector in zip(neighbors, atoms.vector[i].numpy(), strict=True):
            r = np.linalg.norm(vector)
            if r >= CUTOFF:
                continue
            u, x = vector / r, r / CUTOFF
            fc = (0.5 + 0.5 * np.cos(np.pi * x)) ** 2
            R = np.einsum("n,pnk->pk", scale * np.sin(n * np.pi * x) / (n * x) * fc, W)
            uu = np.outer(u, u)
            w = R[0] * h0[j] + R[1] * (u @ h1[j])
            w += R[2] * np.sqrt(1.5) * np.einsum("ab,abk->k", uu, h2[j])
            found[0][i] += w
            found[1][i] += np.sqrt(3) * u[:, None] * w
            found[2][i] += np.sqrt(7.5) * (uu - np.eye(3) / 3)[..., None] * w
            found[3][i] += R[3] * h1[j]
            found[4][i] += R[4] * h2[j]
    expected = [s[0][:, 0].numpy(), s[1].numpy(), matrices(s[2]), q[0].numpy(), matrices(q[1])]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * np.abs(other).max())


# --- the limits -------------------------------------------------------------------------------


@pytest.mark.parametrize("radial_basis", ["bessel", "gaussian"])
@pytest.mark.parametrize(("name", "order"), [("squared_cosine", 4), ("polynomial", 3)])
def test_an_atom_crosses_the_cutoff_smoothly(radial_basis: str, name: str, order: int) -> None:
    """A third atom leaves the last of the others; energies are linear in fc ~ x^order."""
    potential = Potential(model_of(radial_basis=radial_basis, cutoff_function=name))

    def with_third(gap: float) -> dict[str, Any]:
        triple = ase.Atoms("COH", [[0, 0, 0], [0, 0, 1.1], [0, CUTOFF - gap, 0]])
        found = potential.predict(triple, ["energy", "forces"], "torch")
        assert isinstance(found, dict)
        return found

    gaps = np.array([0.2, 0.1, 0.05, 0.02, 0.01])
    slopes = [np.abs(with_third(gap)["forces"][2]).max() for gap in gaps]
    assert with_third(1e-3)["energy"] == pytest.approx(with_third(-1.0)["energy"], abs=1e-7)
    assert all(later < earlier for earlier, later in pairwise(slopes))
    measured = np.log(slopes[2] / slopes[4]) / np.log(gaps[2] / gaps[4])
    assert measured > order - 1 - 0.4


@pytest.mark.parametrize("n_recursions", [0, 1, 2])
def test_a_free_atom_beside_molecules_has_exactly_its_reference_energy(n_recursions: int) -> None:
    model = model_of(dtype=torch.float32, n_recursions=n_recursions)
    free = [graph_from_atoms(ase.Atoms([z]), CUTOFF) for z in ELEMENTS]
    batch = Graph.batch([*free, graph_from_atoms(random_atoms(1, 6, (False,) * 3), CUTOFF)])
    found = properties.evaluate(model, batch, ["energy", "forces"])
    assert torch.equal(found["energy"][:3], model.reference_energies.detach())
    assert not found["forces"][:3].any()


@pytest.mark.parametrize("n_recursions", [0, 1, 2])
def test_features_of_a_free_atom_are_the_limit_of_large_distances(n_recursions: int) -> None:
    model = model_of(n_recursions=n_recursions)
    graph = graph_from_atoms(ase.Atoms("CO", [[0, 0, 0], [0, 0, CUTOFF - 1e-4]]), CUTOFF)
    found, atoms = model.embed(graph, graph.edge_vectors())
    free = model.recursion.features(found, atoms).of_free_atoms
    torch.testing.assert_close(found, free[atoms.element], rtol=0, atol=1e-12)


def test_copies_far_apart_have_the_sum_of_their_energies() -> None:
    predict = testing.predictor(model_of(), engine="torch")
    one, other = random_atoms(1, 5, (False,) * 3), random_atoms(2, 4, (False,) * 3)
    far = other.copy()
    far.translate([50.0, 20.0, 0.0])
    parts = [predict(atoms, ["energy", "forces"]) for atoms in (one, other)]
    together = predict(one + far, ["energy", "forces"])
    assert together["energy"] == pytest.approx(sum(x["energy"] for x in parts), abs=1e-11)
    forces = np.concatenate([x["forces"] for x in parts])
    np.testing.assert_allclose(together["forces"], forces, atol=1e-10)


def test_single_precision_rounds() -> None:
    model, atoms = model_of(), random_atoms(3, 6, (True, True, True))
    exact = testing.predictor(model, engine="torch")
    rounded = testing.predictor(in_precision(model_of(), torch.float32), engine="torch")
    testing.assert_agree(rounded, exact, atoms, 1e-4)


# --- the start, and what moves ----------------------------------------------------------------


def test_an_untrained_model_gives_the_reference_energies() -> None:
    config = ModelConfig(cutoff=CUTOFF, **EQUIVARIANT, repulsion=False)
    model = build(config, ELEMENTS, 10.0, seed=1)
    with torch.no_grad():
        model.reference_energies.copy_(torch.tensor([-1.0, -2.0, -4.0]))
    graph = graph_from_atoms(random_atoms(2, 6, (True, True, True)), CUTOFF)
    found = properties.evaluate(model, graph, ["energies", "forces"])
    expected = model.reference_energies[model.element_index[graph.atomic_numbers]]
    assert torch.equal(found["energies"], expected.detach())
    assert not found["forces"].any()


def test_parameters_have_the_roles_that_the_training_needs() -> None:
    matrix = Role(matrix=True)
    expected = {
        "embedding": matrix,
        "layers.1.radial": matrix,
        "layers.0.tensor_weights.1": matrix,
        "layers.1.mixing.2": WEIGHT,
        "layers.1.scalars": WEIGHT,
        "layers.1.residual": WEIGHT,
        "layers.0.tensors.0": WEIGHT,
        "layers.0.gates.first.weight": WEIGHT,
        "layers.0.gates.first.bias": Role(),
    }
    model = model_of()
    found = roles(model)
    assert {name: found[f"recursion.{name}"] for name in expected} == expected
    assert found["heads.energy.readout.1.linear"] == Role()
    assert found["heads.energy.readout.1.network.last.weight"] == WEIGHT


def test_heads_share_the_recursion_and_read_it_out_on_their_own() -> None:
    model = model_of(heads=["pbe", "ccsd"])
    graph = graph_from_atoms(random_atoms(1, 5, (False,) * 3), CUTOFF)
    both = Graph.batch([replace(graph, head=torch.tensor([head])) for head in (0, 1)])
    found = properties.evaluate(model, both, ["energy"])["energy"]
    alone = [properties.evaluate(with_head(model, h), graph, ["energy"]) for h in model.heads]
    torch.testing.assert_close(found, torch.cat([x["energy"] for x in alone]))
    assert (found[0] - found[1]).abs() > 1e-3


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"features": "gram"}, r"equivariant messages do not use features[\s\S]*Remove it"),
        ({"n_orbitals": 8}, "do not use n_orbitals"),
        ({"standardize": False}, "do not use standardize"),
        ({"coefficient_scale": 1.0}, "do not use coefficient_scale"),
        ({"angular": "raw"}, "do not use angular"),
        ({"host": "deep_pot"}, "need the host density, not deep_pot"),
        ({"l_max": 0}, "l_max is 0, but equivariant messages need 1 to 3"),
        ({"l_max": 4}, "l_max is 4, but equivariant messages need 1 to 3"),
        ({"n_radial": 65}, "n_radial is 65, but equivariant messages need 1 to 64"),
    ],
)
def test_settings_without_a_meaning_are_errors(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModelConfig(messages="equivariant", **choices)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_give_what_equivariant_messages_have(preset: str) -> None:
    config = ModelConfig(messages="equivariant", preset=preset)
    assert set(unused(config)) == set()
    again = ModelConfig(**config.model_dump())
    assert again == config
    fields = {"preset": preset, "channels": 8, "radial_basis": "gaussian"}
    has_channels = ModelConfig(preset=preset).messages == "equivariant"
    unread = {} if has_channels else {"channels=8", "radial_basis=gaussian"}
    assert set(unused(ModelConfig(**fields))) == set(unread)


def test_a_host_cannot_be_given_beside_equivariant_messages() -> None:
    config = ModelConfig(messages="equivariant")
    with pytest.raises(UserError, match="takes no host and no update"):
        Reann(config, [1], host=host_of(ModelConfig(preset="density"), 1))

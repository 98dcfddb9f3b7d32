"""Every host keeps what holds for the embedded density, with any recursion and message."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import ase
import numpy as np
import pytest
import torch

from models import CUTOFF, ELEMENTS, check_gradients, random_atoms, random_model
from reann import properties, testing
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.model import Reann, build
from reann.model.hosts import HOSTS, MomentHost
from reann.model.hosts.power_spectrum import PowerSpectrum
from reann.model.messages import update_of
from reann.model.recursion import Recursion
from reann.potential import Potential, load

OPTIONS: dict[str, dict[str, Any]] = {
    "density": {},
    "symmetry_functions": {"eta": [0.1], "zeta": [1.0, 4.0]},
    "deep_pot": {"n_axis": 2, "n_type": 3, "hidden": 6},
    "power_spectrum": {"n_basis": 5},
}
RECURSIONS = (0, 1, 2)
FORMS = [
    {"host": host, "n_recursions": t, "messages": messages}
    for host, kind in HOSTS.items()
    for t in RECURSIONS
    for messages in ("scalar", "directional")
    if messages == "scalar" or issubclass(kind, MomentHost)
] + [
    {"host": "density", "n_recursions": t, "messages": "equivariant", "l_max": l_max}
    for t, l_max in ((0, 2), (1, 3), (2, 1))
]
every_form = pytest.mark.parametrize(
    "form", FORMS, ids=["-".join(map(str, form.values())) for form in FORMS]
)
every_host = pytest.mark.parametrize("host", HOSTS)


def model_of(form: dict[str, Any], **more: Any) -> Reann:
    return random_model(host_options=OPTIONS[form["host"]], **form, **more)


def predict(model: Reann, atoms: ase.Atoms) -> dict[str, Any]:
    names = ["energy", "energies", "forces", "virial"]
    return Potential(model).predict(atoms, names, "torch")


@every_form
def test_every_host_obeys_the_physics(form: dict[str, Any]) -> None:
    """Frame, order, cell, sums, forces, stress, and the last neighbor; see `reann.testing`."""
    predict = testing.predictor(model_of(form), engine="torch")
    testing.check_physics(predict, ELEMENTS, CUTOFF, n_structures=4)


@every_form
def test_gradients_of_a_force_loss_are_right(form: dict[str, Any]) -> None:
    model = model_of(form)
    graph = graph_from_atoms(random_atoms(3, 5, (True, True, False)), CUTOFF)

    def loss() -> torch.Tensor:
        found = properties.evaluate(model, graph, ["energy", "forces"], create_graph=True)
        return found["energy"].sum() + found["forces"].square().sum()

    check_gradients(model, loss)


@every_host
@pytest.mark.parametrize("zeta", [[1.0], [2.0, 4.0]])
def test_third_derivatives_of_a_straight_chain_are_finite(host: str, zeta: list[float]) -> None:
    """A Hessian that is trained on."""
    options = {"zeta": zeta} if host == "symmetry_functions" else OPTIONS[host]
    model = random_model(host=host, host_options=options, n_recursions=1)
    chain = ase.Atoms("OCOCO", [[1.2 * i, 0, 0] for i in range(5)])
    graph = graph_from_atoms(chain, CUTOFF)
    r = graph.edge_vectors().requires_grad_()
    (first,) = torch.autograd.grad(model(graph, r).sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), r, create_graph=True)
    third = torch.autograd.grad(second.square().sum(), [*model.parameters()], allow_unused=True)
    assert all(g.isfinite().all() for g in third if g is not None)


@every_form
def test_a_free_atom_has_its_reference_energy_exactly(form: dict[str, Any]) -> None:
    model = model_of(form, dtype=torch.float32)
    for z, energy in zip(ELEMENTS, model.reference_energies.tolist(), strict=True):
        found = predict(model, ase.Atoms([z]))
        assert found["energy"] == energy
        assert not found["forces"].any()


@every_host
@pytest.mark.parametrize(("name", "order"), [("squared_cosine", 4), ("polynomial", 3)])
@pytest.mark.parametrize("n_recursions", RECURSIONS)
def test_the_last_neighbor_leaves_smoothly(
    host: str, name: str, order: int, n_recursions: int
) -> None:
    """A third atom leaves the last of the others; features are linear in fc ~ x^order, or more."""
    form = {"host": host, "n_recursions": n_recursions}
    potential = Potential(model_of(form, cutoff_function=name))

    def with_third(gap: float) -> dict[str, Any]:
        triple = ase.Atoms("COH", [[0, 0, 0], [0, 0, 1.1], [0, CUTOFF - gap, 0]])
        return potential.predict(triple, ["energy", "forces"], "torch")

    gaps = np.array([0.2, 0.1, 0.05, 0.02, 0.01])
    slopes = [np.abs(with_third(gap)["forces"][2]).max() for gap in gaps]
    assert with_third(gaps[-1])["energy"] == pytest.approx(with_third(-1.0)["energy"], abs=1e-6)
    assert all(later < earlier for earlier, later in pairwise(slopes))
    measured = np.log(slopes[2] / slopes[4]) / np.log(gaps[2] / gaps[4])
    assert measured > order - 1 - 0.3


@every_host
def test_a_pair_beyond_the_cutoff_does_not_exist(host: str) -> None:
    model = model_of({"host": host})
    atoms = ase.Atoms("OHH", [[0, 0, 0], [0, 0, 1.0], [0.9, 0, CUTOFF + 0.05]])
    found = [
        properties.evaluate(model, graph_from_atoms(atoms, reach), ["energy", "forces"])
        for reach in (CUTOFF, CUTOFF + 1.0)
    ]
    for name in ("energy", "forces"):
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-13, atol=1e-13)


@every_form
def test_the_environment_reaches_one_cutoff_further_with_each_recursion(
    form: dict[str, Any],
) -> None:
    chain = ase.Atoms("C6", [[2.5 * i, 0.1 * (i % 2), 0] for i in range(6)])
    graph = graph_from_atoms(chain, CUTOFF)
    r = graph.edge_vectors().requires_grad_()
    (g,) = torch.autograd.grad(model_of(form)(graph, r)[0], r)
    felt = graph.edge_index[:, g.abs().sum(1) > 0].max().item()
    assert felt == form["n_recursions"] + 1


@every_host
def test_without_recursion_it_is_the_host_itself(host: str) -> None:
    """Bitwise; and at the start any recursion is none."""
    graph = graph_from_atoms(random_atoms(2, 6, (True, True, True)), CUTOFF)
    choices = {"preset": "density", "host": host, "host_options": OPTIONS[host]}
    choices |= {"cutoff": CUTOFF, "n_radial": 4}
    found = []
    for t in (0, 1, 3):
        config = ModelConfig(**choices, n_recursions=t)
        model = build(config, ELEMENTS, 10.0, seed=1, dtype=torch.float64)
        found.append(model.embed(graph, graph.edge_vectors()).density)
        if t == 0:
            atoms, bare = model.neighborhood(graph, graph.edge_vectors()), model.recursion.host
            features = bare(bare.prepare(atoms), model.recursion.update.weights[atoms.element])
            assert torch.equal(found[0], features)
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-14)
    torch.testing.assert_close(found[2], found[0], rtol=0, atol=1e-14)


def test_the_power_spectrum_is_the_sum_of_legendre_polynomials_over_pairs() -> None:
    model = model_of({"host": "power_spectrum", "n_recursions": 0}, l_max=3)
    graph = graph_from_atoms(random_atoms(4, 5, (False,) * 3), CUTOFF)
    atoms = model.neighborhood(graph, graph.edge_vectors())
    host, w = model.recursion.host, model.recursion.update.weights[atoms.element]
    assert isinstance(host, PowerSpectrum)
    seen = host.prepare(atoms)
    a = seen.radial * atoms.of_neighbors(w)
    unit = atoms.vector / atoms.vector.norm(dim=-1, keepdim=True)
    cos = unit @ unit.mT
    powers = [torch.ones_like(cos), cos, 1.5 * cos**2 - 0.5, 2.5 * cos**3 - 1.5 * cos]
    n, m = torch.triu_indices(4, 4)
    twice = torch.where(n == m, 1.0, 2.0**0.5).to(torch.float64)
    brute = [torch.einsum("ijn,ikn,ijk->in", a[..., n], a[..., m], P) * twice for P in powers]
    torch.testing.assert_close(host(seen, w), torch.cat(brute, dim=1))


def test_symmetry_functions_are_the_sums_they_are_said_to_be() -> None:
    model = model_of({"host": "symmetry_functions", "n_recursions": 0})
    structure = random_atoms(4, 5, (False,) * 3)
    graph = graph_from_atoms(structure, CUTOFF)
    found, order = model.embed(graph, graph.edge_vectors())
    w = model.recursion.update.weights[model.element_index[graph.atomic_numbers]].detach().numpy()
    d, x = structure.get_all_distances(), structure.positions
    fc = np.where(d < CUTOFF, (0.5 + 0.5 * np.cos(np.pi * d / CUTOFF)) ** 2, 0.0)
    shapes = [(0.1, zeta, sign) for zeta in (1.0, 4.0) for sign in (1.0, -1.0)]
    expected = np.zeros((5, 4))
    for i in range(5):
        for j in range(5):
            for k in range(j):
                if i in (j, k):
                    continue
                cos = (x[j] - x[i]) @ (x[k] - x[i]) / (d[i, j] * d[i, k])
                for m, (eta, zeta, sign) in enumerate(shapes):
                    expected[i, m] += (
                        w[j, 4 + m] * w[k, 4 + m] * 2 ** (1 - zeta) * (1 + sign * cos) ** zeta
                        * np.exp(-eta * (d[i, j] ** 2 + d[i, k] ** 2 + d[j, k] ** 2))
                        * fc[i, j] * fc[i, k] * fc[j, k]
                    )  # fmt: skip
    np.testing.assert_allclose(found[order.rank][:, 4:].detach().numpy(), expected, atol=1e-13)


@every_host
def test_a_potential_comes_back_from_its_file(host: str, tmp_path) -> None:
    potential = Potential(model_of({"host": host}))
    potential.save(tmp_path / "a.reann")
    atoms = random_atoms(1, 4, (True, True, True))
    again = load(tmp_path / "a.reann").predict(atoms, ["energy"], "torch")
    assert again["energy"] == potential.predict(atoms, ["energy"], "torch")["energy"]


def test_hosts_that_are_not_there_and_options_they_do_not_have_are_named() -> None:
    def refusal(**choices: Any) -> str:
        with pytest.raises(UserError) as caught:
            build(ModelConfig(**choices), [1])
        return str(caught.value)

    assert "Did you mean 'deep_pot'?" in refusal(host="deep_pott")
    said = refusal(host="deep_pot", host_options={"n_axes": 3})
    assert "no option 'n_axes'" in said
    assert "n_axis" in said
    assert "refuses" in refusal(host="deep_pot", host_options={"n_axis": "x"})
    assert "not smooth" in refusal(host="symmetry_functions", host_options={"zeta": [1.5]})
    many = {"eta": [0.1] * 40, "zeta": [1.0] * 40}
    assert "too many" in refusal(host="symmetry_functions", host_options=many)
    assert "has no moments" in refusal(host="deep_pot", messages="directional")
    with pytest.raises(ValueError, match="the host deep_pot has no n_orbitals"):
        ModelConfig(host="deep_pot", n_orbitals=4)
    assert ModelConfig(host="deep_pot", preset="upstream").n_radial == 8


def test_a_recursion_takes_a_host_that_nobody_foresaw() -> None:
    """And a file says no to it, because nobody could read it again."""
    host = PowerSpectrum(ModelConfig(preset="density", cutoff=CUTOFF, n_radial=3), 2)
    model = Reann(ModelConfig(preset="density", cutoff=CUTOFF, n_radial=3), [1, 6], host=host)
    assert model.recursion.host is host
    update = update_of(ModelConfig(preset="density", n_recursions=1), host, 2)
    assert Recursion(host, update, 2).update is update
    with pytest.raises(UserError, match="The host of this model is PowerSpectrum, not density"):
        Potential(model).save("never.reann")


class LinearUpdate(torch.nn.Module):
    """What the update would be without its network."""

    def __init__(self, width: int, n_weights: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.matrix = torch.randn(width, n_weights, generator=generator, dtype=torch.float64)

    def forward(self, x: torch.Tensor, counts: list[int]) -> torch.Tensor:
        assert sum(counts) == len(x)
        return 3.0 * x @ self.matrix


@pytest.mark.parametrize(
    ("host", "options", "bodies"),
    [
        ("symmetry_functions", {"zeta": []}, [2, 3, 4]),
        ("symmetry_functions", {"eta": [0.02], "zeta": [1.0]}, [3, 7]),
        ("power_spectrum", {}, [3, 7]),
        ("density", {}, [3, 7]),
    ],
)
def test_linear_updates_multiply_the_body_order(
    host: str, options: dict[str, Any], bodies: list[int]
) -> None:
    """1 + (b_0 - 1) b_t, by inclusion and exclusion of the atoms around the first one.

    The part of the features that needs n other atoms is their alternating sum over all subsets.
    """
    others = 7
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(40, 3))
    points = 1.1 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    chosen = [points[0]]
    for point in points[1:]:
        if len(chosen) < others and min(np.linalg.norm(point - c) for c in chosen) > 0.7:
            chosen.append(point)
    structure = ase.Atoms(f"C{others + 1}", np.concatenate([np.zeros((1, 3)), chosen]))
    for t, expected in enumerate(bodies):
        form = {"host": host, "n_recursions": t, "features": "gram"}
        if host != "density":
            del form["features"]
        model = random_model([6], host_options=options, **form)
        recursion = model.recursion
        recursion.update.networks = torch.nn.ModuleList(
            LinearUpdate(recursion.host.width, recursion.host.n_weights) for _ in range(t)
        )

        def part_of(n: int, model: Reann = model) -> float:
            """Return the size of the n + 1 body part, relative to the whole."""
            total, largest = torch.zeros(model.recursion.host.width, dtype=torch.float64), 0.0
            for mask in range(2**n):
                there = [0, *(i + 1 for i in range(n) if mask >> i & 1)]
                graph = graph_from_atoms(structure[there], CUTOFF)
                found, atoms = model.embed(graph, graph.edge_vectors())
                features = found[atoms.rank[0]].detach()
                total += (-1) ** (n - len(there) + 1) * features
                largest = max(largest, features.abs().max().item())
            return total.abs().max().item() / largest

        assert part_of(expected - 1) > 1e-9
        assert part_of(expected) < 1e-13

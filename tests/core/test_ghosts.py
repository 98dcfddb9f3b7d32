"""A structure that is divided among ranks, with ghost atoms, has the forces of the whole."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_double, c_int32, c_void_p

import numpy as np
import pytest
from numpy.typing import NDArray

from c_interface import Error, Library, Model, RefusalError, Result, System
from domains import Domain, decompose
from models import CUTOFF, random_atoms, random_model, read_off_states
from reann import properties
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.potential import Potential

EXCHANGE = ctypes.CFUNCTYPE(ctypes.c_int, c_void_p, POINTER(c_double), c_int32)
Rows = dict[str, NDArray[np.float64]]
"""Energies (local,), forces (rows, 3), virial (1, 3, 3), virials (rows, 3, 3); eV and Å; outputs
(local, numbers)."""


class Ranks:
    """Threads that exchange rows through shared memory as ranks do through messages."""

    def __init__(self, domains: Sequence[Domain], failing: tuple[int, str] | None = None) -> None:
        """`failing`: a rank, and which of its exchanges goes wrong."""
        self.domains, self.failing = domains, failing
        self.shared: dict[int, NDArray[np.float64]] = {}
        self.barrier = threading.Barrier(len(domains), timeout=60)

    def callback(self, rank: int, name: str) -> Callable[..., int]:
        """Return the exchange `name`, forward or reverse, of a rank."""

        def exchange(_context: int, values, width: int) -> int:
            if self.failing == (rank, name):
                self.barrier.abort()
                return 0
            n_atoms = len(self.domains[rank].atoms)
            try:
                # Without atoms there may be no address either.
                shape = (n_atoms, width)
                rows = np.ctypeslib.as_array(values, shape) if n_atoms else np.zeros(shape)
                self.shared[rank] = rows
                self.barrier.wait()
                getattr(self, name)(rank)
                self.barrier.wait()
            except threading.BrokenBarrierError:
                return 0
            return 1

        return EXCHANGE(exchange)

    def forward(self, rank: int) -> None:
        domain, rows = self.domains[rank], self.shared[rank]
        for ghost, (owner, row) in enumerate(zip(domain.owner_rank, domain.owner, strict=True)):
            rows[domain.n_local + ghost] = self.shared[owner][row]

    def reverse(self, rank: int) -> None:
        for other, domain in enumerate(self.domains):
            mine = np.flatnonzero(domain.owner_rank == rank)
            rows = self.shared[other][domain.n_local + mine]
            np.add.at(self.shared[rank], domain.owner[mine], rows)

    def evaluate(self, model: Model, numbers: NDArray) -> list[Rows | str]:
        """Return what each rank computes, or the message of its error."""
        found: list[Rows | str] = [""] * len(self.domains)

        def work(rank: int) -> None:
            calls = [self.callback(rank, name) for name in ("forward", "reverse")]
            try:
                found[rank] = evaluate(model, self.domains[rank], numbers, calls)
            except RefusalError as error:
                found[rank] = str(error)

        threads = [threading.Thread(target=work, args=(r,)) for r in range(len(self.domains))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found


def evaluate(
    model: Model, domain: Domain, numbers: NDArray, calls: Sequence[Callable[..., int]] = ()
) -> Rows:
    """Return what a rank computes; `calls` are its exchanges, forward and reverse."""
    arrays = {
        "element": model.elements(numbers[domain.atoms]),
        "position": domain.position,
        "first": domain.first,
        "neighbor": domain.neighbor,
    }
    pointers = {name: array.ctypes.data for name, array in arrays.items()}
    exchanges = {
        name: ctypes.cast(call, c_void_p)
        for name, call in zip(("forward", "reverse"), calls, strict=False)
    }
    n, n_atoms = domain.n_local, len(domain.atoms)
    system = System(n_local=n, n_atoms=n_atoms, n_systems=1, n_threads=1, **pointers, **exchanges)
    shapes = {
        "energies": (n,),
        "forces": (n_atoms, 3),
        "virial": (1, 3, 3),
        "virials": (n_atoms, 3, 3),
        "outputs": (n, model.n_outputs),
    }
    found = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
    result = Result(**{name: array.ctypes.data for name, array in found.items()})
    workspace, error = model.c.reann_workspace_new(), Error()
    right = model.c.reann_evaluate(
        model.handle, 0, workspace, byref(system), byref(result), byref(error)
    )
    model.c.reann_workspace_free(workspace)
    if not right:
        raise RefusalError(error.message.decode())
    return found


def whole(domains: Sequence[Domain], parts: Sequence[Rows | str], n_atoms: int) -> Rows:
    """Return the rows of all ranks added up in the order of the structure."""
    total = {
        "energies": np.zeros(n_atoms),
        "forces": np.zeros((n_atoms, 3)),
        "virial": np.zeros((1, 3, 3)),
        "virials": np.zeros((n_atoms, 3, 3)),
    }
    for domain, part in zip(domains, parts, strict=True):
        assert isinstance(part, dict), part
        own = domain.atoms[: domain.n_local]
        total["energies"][own] = part["energies"]
        total.setdefault("outputs", np.zeros((n_atoms, part["outputs"].shape[1])))
        total["outputs"][own] = part["outputs"]
        total["virial"] += part["virial"]
        for name in ("forces", "virials"):
            np.add.at(total[name], domain.atoms, part[name])
    return total


@pytest.fixture
def crystal() -> Graph:
    """Smaller than twice the cutoff: atoms are neighbors of several images of one atom."""
    return graph_from_atoms(random_atoms(7, 6, (True, True, True)), CUTOFF + 0.4)


@pytest.fixture
def load(library: Library, tmp_path) -> Callable[..., tuple[Potential, Model]]:
    """The function that makes a potential and opens it in C++."""

    def make(**form) -> tuple[Potential, Model]:
        potential = Potential(random_model(**form))
        potential.save(tmp_path / "model.reann")
        return potential, library.open(tmp_path / "model.reann")

    return make


RANKS = {
    "one": [0, 0, 0, 0, 0, 0],
    "two": [0, 1, 1, 0, 0, 1],
    "three": [2, 0, 1, 1, 0, 2],
    "one of three is empty": [2, 0, 0, 2, 2, 2],
}


@pytest.mark.parametrize("n_recursions", [0, 1, 2, 3])
@pytest.mark.parametrize("ranks", RANKS.values(), ids=RANKS.keys())
@pytest.mark.parametrize("messages", ["scalar", "directional", "equivariant"])
def test_ranks_add_up_to_the_whole(load, crystal, n_recursions, ranks, messages):
    potential, model = load(n_recursions=n_recursions, messages=messages, zbl={})
    numbers = crystal.atomic_numbers.numpy()
    domains = decompose(crystal, np.array(ranks), max(ranks) + 1)
    assert all(domain.n_local == ranks.count(r) for r, domain in enumerate(domains))
    found = whole(domains, Ranks(domains).evaluate(model, numbers), len(numbers))
    names = ["energies", "forces", "virial", "virials"]
    expected = {
        name: value.numpy()
        for name, value in properties.evaluate(potential.model, crystal, names).items()
    }
    expected["virial"] = -expected["virial"]
    for name in names:
        size = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize("n_recursions", [0, 2])
@pytest.mark.parametrize("ranks", RANKS.values(), ids=RANKS.keys())
def test_every_atom_has_its_outputs_on_its_own_rank(load, crystal, n_recursions, ranks):
    names = ["dipole", "polarizability"]
    potential, model = load(n_recursions=n_recursions, messages="equivariant", outputs=names)
    numbers = crystal.atomic_numbers.numpy()
    domains = decompose(crystal, np.array(ranks), max(ranks) + 1)
    found = whole(domains, Ranks(domains).evaluate(model, numbers), len(numbers))["outputs"]
    expected = read_off_states(potential.model, crystal, crystal.edge_vectors())
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("exchange", ["forward", "reverse"])
@pytest.mark.parametrize("failing", [0, 1])
def test_an_exchange_that_fails_is_an_error_on_every_rank(load, crystal, exchange, failing):
    _, model = load(n_recursions=2)
    domains = decompose(crystal, np.array(RANKS["two"]), 2)
    numbers = crystal.atomic_numbers.numpy()
    for message in Ranks(domains, (failing, exchange)).evaluate(model, numbers):
        assert message == "An exchange of the atoms' coefficients failed."
    whole(domains, Ranks(domains).evaluate(model, numbers), len(numbers))


def test_ghosts_need_exchanges_only_where_coefficients_change(load, crystal):
    (domain,) = decompose(crystal, np.zeros(crystal.n_atoms, int), 1)
    numbers = crystal.atomic_numbers.numpy()
    _, model = load(n_recursions=0)
    assert np.isfinite(evaluate(model, domain, numbers)["forces"]).all()
    _, model = load(n_recursions=1)
    with pytest.raises(RefusalError, match="Ghost atoms need callbacks"):
        evaluate(model, domain, numbers)

"""Every structure once per epoch, in an order that only seed and epoch decide."""

from __future__ import annotations

import heapq
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import CUTOFF, random_model
from reann.backends.protocol import Request
from reann.backends.reference import Reference
from reann.config import DataConfig
from reann.data.dataset import Subset, open_dataset
from reann.data.loader import Loader, automatic_batch_size, deal
from reann.errors import UserError
from reann.training.memory import edges_at_once
from runs import DATA

pairs = st.lists(st.integers(0, 500), min_size=1, max_size=30)


class AnySubset(Subset):
    """What a loader looks at without making graphs: pairs per structure and chosen structures."""

    def __init__(self, edges: list[int], chosen: list[int] | None = None) -> None:
        indices = np.arange(len(edges)) if chosen is None else np.array(chosen)
        object.__setattr__(self, "dataset", SimpleNamespace(n_edges=np.array(edges)))
        object.__setattr__(self, "indices", indices)


def test_batches_are_split_to_the_memory_of_a_gpu(monkeypatch):
    """A structure that does not fit is an error before the training."""
    subset, backend, model = AnySubset([300, 500]), Reference(), random_model()
    subset.dataset.n_atoms = np.array([10, 20])
    request = Request.of(["energy", "forces"], create_graph=True)
    assert edges_at_once(backend, model, request, subset) is None
    monkeypatch.setattr(Reference, "most_edges", lambda *_: 600)
    assert edges_at_once(backend, model, request, subset) == 600
    monkeypatch.setattr(Reference, "most_edges", lambda *_: 400)
    with pytest.raises(UserError, match="structure of 20 atoms with 500 neighbor pairs"):
        edges_at_once(backend, model, request, subset)


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@given(
    n=st.integers(1, 40), size=st.integers(1, 12), seed=st.integers(0, 99), epoch=st.integers(1, 99)
)
def test_every_structure_comes_once_per_epoch(n, size, seed, epoch):
    chosen = list(range(3, 3 + 2 * n, 2))
    loader = Loader(AnySubset([5] * (3 + 2 * n), chosen), size)
    batches = loader.batches(seed, epoch)
    assert sorted(np.concatenate(batches).tolist()) == chosen
    assert len(batches) == len(loader)
    assert [len(b) for b in batches[:-1]] == [size] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= size


def test_the_order_is_a_function_of_seed_and_epoch():
    first, again = (Loader(AnySubset([5] * 50), 8) for _ in range(2))
    np.random.seed(1)  # noqa: NPY002  the global generator has no say
    expected = first.batches(7, 3)
    first.batches(7, 4)
    np.random.seed(2)  # noqa: NPY002
    assert same(again.batches(7, 3), expected)
    assert not same(first.batches(7, 4), expected)
    assert not same(first.batches(8, 3), expected)
    # Seed and epoch do not simply add up.
    assert not same(first.batches(8, 2), expected)


def test_all_processes_see_the_same_global_batches():
    some = AnySubset(list(range(40)))
    alone = Loader(some, 7).batches(1, 1)
    for rank in range(3):
        assert same(Loader(some, 7, rank=rank, size=3).batches(1, 1), alone)


def test_validation_keeps_the_order_of_the_file():
    loader = Loader(AnySubset([1] * 10, [4, 2, 9, 7, 1]), 2)
    assert [b.tolist() for b in loader.in_order()] == [[4, 2], [9, 7], [1]]


@given(pairs, st.integers(1, 5))
def test_dealing_covers_all_without_overlap_and_balances_pairs(edges, n_processes):
    batch = np.arange(100, 100 + len(edges))
    hands = deal(batch, np.array(edges), n_processes)
    assert len(hands) == n_processes
    assert sorted(i for hand in hands for i in hand.tolist()) == batch.tolist()
    # The largest first, each to the least loaded: nobody has more than one structure too many.
    loads = [sum(edges[i - 100] + 1 for i in hand.tolist()) for hand in hands]
    assert max(loads) - min(loads) <= max(edges) + 1


@given(pairs, st.integers(1, 4), st.randoms(use_true_random=False))
def test_each_process_takes_the_share_that_all_others_leave_to_it(edges, size, random):
    """By hand: the largest structure first, each to the process with the fewest pairs."""
    batch = list(range(len(edges)))
    random.shuffle(batch)
    expected: list[list[int]] = [[] for _ in range(size)]
    loads = [(0, rank) for rank in range(size)]
    for i in sorted(batch, key=lambda i: -edges[i]):
        load, rank = heapq.heappop(loads)
        expected[rank].append(i)
        heapq.heappush(loads, (load + edges[i] + 1, rank))
    for rank in range(size):
        loader = Loader(AnySubset(edges), len(edges), rank=rank, size=size)
        share = [i for part in loader.parts(np.array(batch)) for i in part.tolist()]
        assert share == (batch if size == 1 else expected[rank])


@given(pairs, st.integers(1, 600), st.integers(1, 4))
def test_parts_of_all_processes_are_the_batch_and_respect_max_edges(edges, limit, size):
    some = AnySubset(edges)
    batch = Loader(some, len(edges)).batches(1, 1)[0]
    seen: list[int] = []
    for rank in range(size):
        for part in Loader(some, len(edges), limit, rank, size).parts(batch):
            assert len(part) > 0
            # One structure cannot be split.
            assert sum(edges[i] for i in part) <= limit or len(part) == 1
            seen += part.tolist()
    assert sorted(seen) == sorted(batch.tolist())


def test_parts_are_not_smaller_than_needed():
    loader = Loader(AnySubset([10] * 9), 9, max_edges=30)
    assert [len(part) for part in loader.parts(np.arange(9))] == [3, 3, 3]


def test_without_a_limit_a_batch_is_one_part():
    loader = Loader(AnySubset([10**9] * 4), 4)
    assert [part.tolist() for part in loader.parts(np.arange(4))] == [[0, 1, 2, 3]]


def test_a_process_without_structures_has_no_parts():
    loader = Loader(AnySubset([5, 5]), 1, rank=1, size=2)
    assert loader.parts(np.array([0])) == []


@pytest.fixture
def ethanol(tmp_path):
    data = DataConfig(train=str(DATA))
    dataset = open_dataset(str(DATA), data, CUTOFF, tmp_path / "cache")
    return Subset(dataset, np.arange(len(dataset)))


def test_batches_for_a_gpu_are_pinned_by_the_thread_that_makes_them(ethanol, monkeypatch):
    monkeypatch.setattr("torch.Tensor.pin_memory", torch.Tensor.clone)
    loader = Loader(ethanol, 6)
    batch = loader.batches(1, 1)[:1]
    ((_, (plain,)),) = loader.graphs(batch)
    ((_, (pinned,)),) = replace(loader, pins=True).graphs(batch)
    assert "sizes" in vars(pinned)
    assert "sizes" not in vars(plain)
    assert (pinned.positions == plain.positions).all()


def test_graphs_hold_the_structures_of_their_parts(ethanol):
    loader = Loader(ethanol, 6, max_edges=200)
    batches = loader.batches(1, 1)
    found = list(loader.graphs(batches))
    assert same([batch for batch, _ in found], batches)
    assert any(len(graphs) > 1 for _, graphs in found)
    for batch, graphs in found:
        parts = loader.parts(batch)
        for part, graph in zip(parts, graphs, strict=True):
            energies = np.asarray(ethanol.dataset.label("energy"))[part]
            assert np.array_equal(graph.labels["energy"].numpy(), energies)
            assert graph.n_edges == ethanol.dataset.n_edges[part].sum()


def test_no_batches_give_no_graphs(ethanol):
    assert list(Loader(ethanol, 4).graphs([])) == []


def test_an_error_while_reading_ahead_is_raised(ethanol):
    loader = Loader(ethanol, 4)
    with pytest.raises(IndexError):
        list(loader.graphs([np.array([0]), np.array([10**6])]))


def test_the_automatic_batch_has_about_256_atoms():
    assert automatic_batch_size(5.0) == 32
    assert automatic_batch_size(9.0) == 28
    assert automatic_batch_size(64.0) == 4
    assert automatic_batch_size(192.0) == 1
    assert automatic_batch_size(100_000.0) == 1


def test_the_largest_structure_is_dealt_first_so_that_processes_have_equal_work():
    edges = np.array([10, 10, 10, 10, 40])
    hands = deal(np.arange(5), edges, 2)
    assert [int(edges[hand].sum()) for hand in hands] == [40, 40]

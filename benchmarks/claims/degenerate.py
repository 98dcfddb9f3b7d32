"""Which pairs of degenerate structures a host tells apart, from how many recursions on.

Random weights: what differs does so for almost all of them. "Told apart" means that the features
of the two differ by ten thousand times more than those of two turned copies of one of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import ase
import hosts
import numpy as np
import torch
from scipy.spatial.transform import Rotation
from structures import Pair, pairs

from reann.model import Reann

MOST = 3
"""Recursions."""
SEEDS = (1, 2, 3)
DISTINGUISHED = 1e4
"""Times the rounding."""


def rows(_: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield a row for each host and message."""
    for host, messages in product(hosts.HOSTS, ("scalar", "directional", "averaged")):
        if messages != "directional" or host in hosts.OF_MOMENTS:
            yield f"{host}, {messages}", partial(row, host, messages)


def row(host: str, messages: str) -> dict[str, Any]:
    """Return, for every pair and T, difference and rounding, medians over the seeds."""
    measured = {}
    for pair in pairs():
        measured[pair.name] = [
            measure(pair, host, messages, t)
            for t in range(MOST + 1 if messages != "averaged" else 1)
        ]
    return {"host": host, "messages": messages, "pairs": measured}


def measure(pair: Pair, host: str, messages: str, t: int) -> dict[str, Any]:
    """Return how much the features of a pair differ, relative to their size."""
    differences, roundings = [], []
    turned = pair.both[0].copy()
    turned.positions = (
        turned.positions @ Rotation.random(rng=np.random.default_rng(1)).as_matrix().T
    )
    for seed in SEEDS:
        network = talkative(pair, host, messages, t, seed)
        first, rotated, second = (
            features(network, pair, a) for a in (pair.both[0], turned, pair.both[1])
        )
        differences.append(float((first - second).norm() / first.norm()))
        roundings.append(max(float((first - rotated).norm() / first.norm()), 1e-16))
    distinguished = [d > DISTINGUISHED * r for d, r in zip(differences, roundings, strict=True)]
    return {
        "difference": float(np.median(differences)),
        "rounding": float(np.median(roundings)),
        "told_apart": all(distinguished),
        "seeds_agree": all(distinguished) or not any(distinguished),
    }


def talkative(pair: Pair, host: str, messages: str, t: int, seed: int) -> Reann:
    """Return a model with random updates: signals fall with every hop, so they start large."""
    elements = sorted(set(pair.both[0].numbers.tolist()))
    own = {"cutoff": pair.cutoff, "n_recursions": t, "n_radial": 6}
    if messages == "directional":
        own["messages"] = messages
    settings = hosts.HOSTS[host] | own
    network = hosts.model(settings, elements, seed, averaged=messages == "averaged")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for update in network.recursion.update.networks:
            weight = update.last.weight
            weight.copy_(
                pair.loud * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            )
    return network


@torch.no_grad()
def features(network: Reann, pair: Pair, atoms: ase.Atoms) -> torch.Tensor:
    """Return the features of the center, or the sums over the atoms of each element."""
    graph = pair.graphs(atoms)
    found, order = network.embed(graph, graph.edge_vectors())
    if pair.center_only:
        return found[order.rank[0]]
    return torch.cat([own.sum(0) for own in found.split(order.counts)])

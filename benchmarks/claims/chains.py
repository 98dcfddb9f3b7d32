"""Can it be learned: two classes of chains, told apart by the side of their bent ends.

By the optimizer of every training, SOAP, from its usual start. The first gradients are many orders
smaller than those of what does not matter: AdamW learns the shortest chain only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from hosts import model, standardize
from structures import REACH, Pair, chain

from reann import properties
from reann.config import CosineSchedule, TrainingConfig
from reann.graph import Graph
from reann.training.optim import optimizer_for, set_rate
from reann.training.schedule import cosine_rate

STEPS, RATE = 1500, 1e-2
EVERY = 50
SEEDS = (1, 2, 3)


def rows(_: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield rows for each length: directional messages, scalar ones, another optimizer."""
    for k in (2, 3, 4):
        cases = [(t, "directional", "soap") for t in range(4)]
        cases += [(3, "scalar", "soap"), (k // 2, "directional", "adamw")]
        for t, messages, optimizer in cases:
            name = f"k={k} T={t} {messages} {optimizer}"
            yield name, partial(row, k, t, messages, optimizer)


def row(k: int, t: int, messages: str, optimizer: str) -> dict[str, Any]:
    """Return the loss against the step, and how many seeds tell the classes apart."""
    curves = [fit(k, t, messages, optimizer, seed) for seed in SEEDS]
    right = sum(curve[-1] < 0.1 for curve in curves)
    about = {"k": k, "T": t, "messages": messages, "optimizer": optimizer}
    return about | {"right": right, "curves": curves}


def fit(k: int, t: int, messages: str, name: str, seed: int) -> list[float]:
    """Train energies of -1 and 1 eV, and return the loss every few steps; 1 is that of a guess."""
    pair = Pair(f"chain {k}", chain(k), REACH, center_only=False)
    own = {"features": "gram", "cutoff": pair.cutoff, "n_recursions": t, "n_radial": 6}
    chain_model = model(own | {"messages": messages}, [6], seed)
    graph = Graph.batch([pair.graphs(atoms) for atoms in pair.both])
    targets = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    standardize(chain_model, graph)
    config = TrainingConfig(weight_decay=0.0, learning_rate=RATE, optimizer=name)
    optimizer = optimizer_for(chain_model, config)
    curve = []
    for step in range(STEPS + 1):
        set_rate(optimizer, config, cosine_rate(CosineSchedule(), step / STEPS))
        energy = properties.evaluate(chain_model, graph, ["energy"], create_graph=True)["energy"]
        loss = (energy - targets).square().mean()
        if step % EVERY == 0:
            curve.append(round(loss.item(), 6))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(chain_model.parameters(), 10.0)
        optimizer.step()
    return curve

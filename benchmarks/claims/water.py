"""Beyond the cutoff: forces in liquid water, for cutoffs and numbers of recursions.

A recursion reaches one cutoff further. Is a short cutoff with recursions better than a long one
without? Energies and forces of 192 atoms, PBE0; every training takes the same number of epochs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

from history import curve
from trial import Trial, run

CUTOFFS = (3.0, 4.5, 6.0)
"""Å."""
CASES = [(0, "scalar"), *product((1, 2, 3), ("scalar", "directional"))]
EPOCHS = 15


def rows(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield a row for each seed, number of recursions, message and cutoff."""
    for seed, (t, messages), cutoff in product(arguments.seeds, CASES, CUTOFFS):
        name = f"{cutoff} A, T={t}, {messages}, seed {seed}"
        yield name, partial(row, cutoff, t, messages, seed, arguments)


def row(
    cutoff: float, t: int, messages: str, seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Train on some of the frames."""
    settings = (
        "model.preset=density",
        f"model.cutoff={cutoff}",
        f"model.n_recursions={t}",
        f"model.messages={messages}",
    )
    trial = Trial("water-pbe0", f"{cutoff}-{t}-{messages}", settings, seed, epochs=EPOCHS)
    folder = (arguments.runs / "water").resolve()
    result = run(trial, arguments.data, folder)
    about = {"cutoff": cutoff, "T": t, "messages": messages}
    return {**about, **result, "curve": curve(folder / trial.name)}

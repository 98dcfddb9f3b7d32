"""Learning curves on random methane: does the recursion's gain grow with the number of structures?

Energies and forces, a density of products of pairs, and for T = 0 also a readout with as many
parameters as T = 3 has. Every training takes the same number of steps.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from history import curve
from sets import SETS, split_file
from trial import Trial, run

SIZES = (250, 500, 1000, 2375)
"""Training structures; the last is all that are not for validation."""
STEPS, BATCH = 6000, 32
PAIRS = ("model.preset=density", "model.features=gram")
CASES = {
    **{f"T={t}": (*PAIRS, f"model.n_recursions={t}") for t in range(4)},
    "T=0, as many parameters as T=3": (
        *PAIRS,
        "model.n_recursions=0",
        "model.readout.hidden=[184,184]",
    ),
    "T=1, directional": (*PAIRS, "model.n_recursions=1", "model.messages=directional"),
}


def rows(arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield a row for each seed, size and case."""
    for seed, size, case in product(arguments.seeds, SIZES, CASES):
        name = f"{size} {case}, seed {seed}"
        yield name, partial(row, size, case, seed, arguments.data, arguments.runs)


def row(size: int, case: str, seed: int, data: Path, runs: Path) -> dict[str, Any]:
    """Train on some of the structures."""
    files = {part: str(subset(part, size, data, runs)) for part in ("train", "valid")}
    settings = (
        f"data.train={files['train']}",
        f"data.valid={files['valid']}",
        f"training.batch_size={BATCH}",
        *CASES[case],
    )
    epochs = -(-STEPS // -(-size // BATCH))
    trial = Trial("ch4", f"{size} {case}", settings, seed, epochs=epochs)
    folder = (runs / "curves").resolve()
    result = run(trial, data, folder)
    return {"size": size, "case": case, **result, "curve": curve(folder / trial.name)}


def subset(part: str, size: int, data: Path, runs: Path) -> Path:
    """Return the file of the first structures that are for training, or of those for validation."""
    file = (runs / "curves" / f"{part}-{size if part == 'train' else 'all'}.xyz").resolve()
    if not file.exists():
        with gzip.open(SETS["ch4"].train_files(data)[0], "rt") as stream:
            atoms = ase.io.read(stream, ":", format="extxyz")
        valid = set(json.loads(Path(split_file("ch4", "valid")).read_text()))
        taught = np.array([i for i in range(len(atoms)) if i not in valid])
        taught = np.random.default_rng(1).permutation(taught)[:size]
        chosen = taught.tolist() if part == "train" else sorted(valid)
        file.parent.mkdir(parents=True, exist_ok=True)
        ase.io.write(file, [atoms[i] for i in chosen], format="extxyz")
    return file

"""Which choice of structures helps most: at random, by spread, by diversity, or by both.

    python benchmarks/selection.py /path/to/data [--systems h2co acac ethanol] [--seeds 3]

A potential is trained on a few random structures of `start`. `reann.selection.select` chooses as
many again from `pool` in each of its ways, and potentials are trained from nothing on both
together, all with the same settings and epochs. Errors are those on `test`, which neither training
nor choice has seen; validation structures are of the pool's kind, and no candidates. The figures go
to results/selection.json, after each training, and the table to results/selection.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ase.io
import numpy as np

from reann.config import Config
from reann.potential import Potential
from reann.selection import By, select
from reann.training.run import train

RESULTS = Path(__file__).parent / "results"
WAYS: tuple[By, ...] = ("random", "uncertainty", "diversity", "both")


@dataclass(frozen=True)
class System:
    """Files of a system; those of the pool may be those of the start."""

    start: str
    pool: str
    n: int
    """Structures of the start, and structures that are chosen."""
    cutoff: float
    epochs: int
    n_pool: int = 300
    n_test: int = 200


SYSTEMS = {
    "h2co": System("h2co-b3lyp/train.xyz.gz", "h2co-b3lyp/train.xyz.gz", 40, 5.0, 30),
    "ethanol": System("ethanol-rmd17/train.xyz.gz", "ethanol-rmd17/train.xyz.gz", 30, 4.5, 20),
    "acac": System("acac/train_300K.xyz.gz", "acac/train_600K.xyz.gz", 30, 4.5, 20),
}
MODEL = {
    "preset": "density",
    "l_max": 2,
    "n_radial": 6,
    "readout": {"hidden": [32, 32]},
    "update": {"hidden": [16, 16]},
}
"""Small, so that the whole takes some minutes."""
"""Formaldehyde far from equilibrium; acetylacetone at 300 K, pool and test at 600 K; ethanol."""
N_VALID = 20


def parts(system: System, data: Path, seed: int) -> dict[str, list[ase.Atoms]]:
    """Return start, pool, validation and test structures, no two of which are the same."""
    rng = np.random.default_rng(seed)
    pool = cast("list[ase.Atoms]", ase.io.read(data / system.pool, ":"))
    order = rng.permutation(len(pool)).tolist()

    def take(number: int) -> list[ase.Atoms]:
        taken = [pool[i] for i in order[:number]]
        del order[:number]
        return taken

    chosen = {"test": take(system.n_test), "valid": take(N_VALID), "pool": take(system.n_pool)}
    if system.start == system.pool:
        return chosen | {"start": take(system.n)}
    start = cast("list[ase.Atoms]", ase.io.read(data / system.start, ":"))
    return chosen | {"start": [start[i] for i in rng.permutation(len(start))[: system.n]]}


def trained(
    system: System, structures: list[ase.Atoms], valid: list[ase.Atoms], seed: int
) -> Potential:
    """Return a small potential, trained on structures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, some in (("train", structures), ("valid", valid)):
            ase.io.write(folder / f"{part}.xyz", some, format="extxyz")
        config = Config.model_validate(
            {
                "data": {
                    "train": str(folder / "train.xyz"),
                    "valid": str(folder / "valid.xyz"),
                    "cache": folder / "cache",
                },
                "model": MODEL | {"cutoff": system.cutoff},
                "training": {"epochs": system.epochs, "batch_size": 5},
                "run": {
                    "folder": folder / "run",
                    "seed": seed,
                    "threads": 1,
                    "uncertainty": False,
                },
            }
        )
        potential = train(config).potential
    assert isinstance(potential, Potential)
    return potential


def errors(potential: Potential, test: list[ase.Atoms]) -> dict[str, float]:
    """Return errors of the forces in meV/Å: of components, and of the vectors of all atoms."""
    predicted = potential.predict(test, ["forces"])
    assert isinstance(predicted, list)
    every = np.concatenate(
        [p["forces"] - atoms.get_forces() for p, atoms in zip(predicted, test, strict=True)]
    )
    length = 1e3 * np.linalg.norm(every, axis=1)
    return {
        "rmse": round(1e3 * float(np.sqrt(np.mean(every**2))), 2),
        "mae": round(1e3 * float(np.mean(np.abs(every))), 2),
        "p95": round(float(np.quantile(length, 0.95)), 2),
        "max": round(float(length.max()), 1),
    }


def run(name: str, data: Path, seed: int) -> dict[str, dict[str, float]]:
    """Return the errors of the start and of every way to choose."""
    system, results = SYSTEMS[name], {}
    each = parts(system, data, seed)
    start = trained(system, each["start"], each["valid"], seed)
    results["start"] = errors(start, each["test"])
    for by in WAYS:
        chosen = select(each["pool"], start, each["start"], system.n, by=by, seed=seed)
        more = [each["pool"][i] for i in chosen.indices]
        potential = trained(system, [*each["start"], *more], each["valid"], seed)
        results[by] = errors(potential, each["test"])
    return results


def table(results: dict[str, Any]) -> str:
    """Return means over the seeds and standard deviations, as Markdown."""
    errors_of = "force RMSE, meV/Å | MAE | 95th percentile | largest"
    lines = [
        f"| system | structures | choice | seeds | {errors_of} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, seeds in results.items():
        for way in ("start", *WAYS):
            rows = [one[way] for one in seeds.values()]
            cells = []
            for key in ("rmse", "mae", "p95", "max"):
                values = np.array([row[key] for row in rows])
                spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
                cells.append(f"{values.mean():.1f}{spread}")
            number = SYSTEMS[name].n * (1 if way == "start" else 2)
            about = f"{name} | {number} | {way} | {len(rows)}"
            lines.append(f"| {about} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is asked for; seeds that are in the file are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS / "selection.json")
    options = parser.parse_args()
    results = json.loads(options.output.read_text()) if options.output.exists() else {}
    for seed in range(1, options.seeds + 1):
        for name in options.systems:
            if str(seed) in results.get(name, {}):
                continue
            results.setdefault(name, {})[str(seed)] = run(name, options.data, seed)
            options.output.write_text(json.dumps(results, indent=1) + "\n")
            options.output.with_suffix(".md").write_text(table(results))


if __name__ == "__main__":
    main()

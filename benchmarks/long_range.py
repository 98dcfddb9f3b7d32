"""Does a charge as an input tell charge states of one geometry apart, and how much data is enough?

    python benchmarks/long_range.py states DATA [--runs runs/long-range]
    python benchmarks/long_range.py choose DATA [--runs runs/long-range]
    python benchmarks/long_range.py chains DATA [--runs runs/long-range] [--seeds 2]

DATA is a folder with `ag3_train.xyz.gz` and `carbon_chain_train.xyz.gz` of Ko et al., Nat. Commun.
12, 398 (2021). `choose` trains the `VARIANTS` on carbon chains and gives errors on validation
structures only. `chains` is a learning curve: each training takes as many steps. Errors of the test
are those of the seed with the lowest force error on validation structures.

Results go to `results/long_range.json`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np

import reann
from reann.data.check.jumps import Jumps

RESULTS = Path(__file__).parent / "results" / "long_range.json"
HELD_OUT = 0.15
"""Part of the geometries of `states` and `chains` that no training sees."""
CHAIN_STEPS, CHAIN_BATCH = 1200, 4
"""Steps of each training on carbon chains, and structures per step."""
CHAIN: dict[str, Any] = {"cutoff": 5.0}
"""Model of the carbon chains."""
VARIANTS: dict[str, dict[str, Any]] = {
    "5 Å": {"cutoff": 5.0},
    "5 Å, two recursions": {"cutoff": 5.0, "n_recursions": 2},
    "8 Å": {"cutoff": 8.0},
    "4 Å, two recursions": {"cutoff": 4.0, "n_recursions": 2},
}


def read(path: Path) -> list[ase.Atoms]:
    with gzip.open(path, "rt") as file:
        return list(ase.io.read(file, ":", format="extxyz"))


def write(path: Path, frames: list[ase.Atoms]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    ase.io.write(path, frames, format="extxyz")
    return str(path)


def record(name: str, value: Any) -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {name: value}, indent=1) + "\n")


def states(folder: Path, runs: Path) -> None:
    """Train one model on both charges of the silver clusters."""
    frames = read(folder / "ag3_train.xyz.gz")
    excited = of_other_states(frames)
    parts = split(frames)
    ground = {name: [a for a in part if id(a) not in excited] for name, part in parts.items()}
    potential = trained(runs / "ag3", ground, {"cutoff": 7.0}, batch=16, epochs=60)
    record(
        "states",
        {
            "train": len(ground["train"]),
            "validation": errors(potential, ground["valid"]),
            "all": errors(potential, parts["test"]),
            "ground state": errors(potential, ground["test"]),
        },
    )


def choose(folder: Path, runs: Path, steps: int) -> None:
    """Train variants of the model on all training structures of the carbon chains."""
    parts, found = split(read(folder / "carbon_chain_train.xyz.gz")), {}
    for name, model in VARIANTS.items():
        run = runs / f"choose-{name}".replace(",", "").replace(" ", "-")
        potential = trained(run, parts, model, batch=CHAIN_BATCH, epochs=epochs_of(steps, parts))
        found[name] = errors(potential, parts["valid"])
        record("chains, choice", {"steps": steps, **found})


def chains(folder: Path, runs: Path, steps: int, seeds: int) -> None:
    """Train on thirds of the carbon chains, C10H2 and C10H3+."""
    parts, found = split(read(folder / "carbon_chain_train.xyz.gz")), {}
    for thirds in (3, 1, 2):
        some = {**parts, "train": parts["train"][: len(parts["train"]) * thirds // 3]}
        n, epochs = len(some["train"]), epochs_of(steps, some)
        models = {
            seed: trained(
                runs / f"carbon-chains-{n}-{seed}",
                some,
                CHAIN,
                batch=CHAIN_BATCH,
                epochs=epochs,
                seed=seed,
            )
            for seed in range(1, seeds + 1)
        }
        valid = {seed: errors(model, parts["valid"]) for seed, model in models.items()}
        best = min(valid, key=lambda seed: valid[seed]["forces_rmse_meV_per_A"])
        found[f"{n} structures"] = {
            "epochs": epochs,
            "validation": valid,
            "seed": best,
            "test": errors(models[best], parts["test"]),
        }
        record("chains", {"steps": steps, **found})


def epochs_of(steps: int, parts: dict[str, list[ase.Atoms]]) -> int:
    return steps * CHAIN_BATCH // len(parts["train"])


def split(frames: list[ase.Atoms]) -> dict[str, list[ase.Atoms]]:
    """Return test, validation and training structures; the charges of a geometry stay together."""
    groups: dict[bytes, list[ase.Atoms]] = defaultdict(list)
    for atoms in frames:
        atoms.info["charge"] = atoms.info.pop("total_charge")
        groups[np.round(atoms.positions, 6).tobytes()].append(atoms)
    every = list(groups.values())
    order = np.random.default_rng(0).permutation(len(every))
    n_test, n_valid = int(HELD_OUT * len(every)), max(int(0.1 * len(every)), 10)
    cut = [order[:n_test], order[n_test : n_test + n_valid], order[n_test + n_valid :]]
    return {
        name: [atoms for k in chosen for atoms in every[k]]
        for name, chosen in zip(("test", "valid", "train"), cut, strict=True)
    }


def trained(
    run: Path,
    parts: dict[str, list[ase.Atoms]],
    model: dict[str, Any],
    *,
    batch: int,
    epochs: int,
    seed: int = 1,
) -> Any:
    """Return the model of a run, which is trained if there is none."""
    if not (run / "model.reann").exists():
        files = {p: write(run.parent / f"{run.name}-{p}.xyz", parts[p]) for p in ("train", "valid")}
        config = {
            "data": {"train": files["train"], "valid": [files["valid"]]},
            "model": {"inputs": ["charge"], **model},
            "training": {"epochs": epochs, "batch_size": batch},
            "run": {"folder": str(run), "threads": 1, "seed": seed},
        }
        reann.train(reann.Config.model_validate(config))
    return reann.load(run / "model.reann")


def of_other_states(frames: list[ase.Atoms]) -> set[int]:
    """Return the ids of structures whose labels are those of another electronic state."""
    jumps = Jumps()
    for k, atoms in enumerate(frames):
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        jumps.add(atoms, str(k), labels, atoms.info["total_charge"])
    return {id(frames[int(k)]) for k, _ in jumps.largest()}


def errors(potential: Any, test: list[ase.Atoms]) -> dict[str, float]:
    """Return MAE and RMSE of energies and forces, and RMSE of forces of 95 % of the structures."""
    pairs = list(zip(potential.predict(test), test, strict=True))
    e = [(float(p["energy"]) - a.get_potential_energy()) / len(a) for p, a in pairs]
    f = np.concatenate([(p["forces"] - a.get_forces()).ravel() for p, a in pairs])
    squares = np.sort([np.mean((p["forces"] - a.get_forces()) ** 2) for p, a in pairs])
    most = squares[: int(0.95 * len(squares))]
    return {
        "structures": len(test),
        "energy_rmse_meV_per_atom": 1e3 * float(np.sqrt(np.mean(np.square(e)))),
        "energy_mae_meV_per_atom": 1e3 * float(np.mean(np.abs(e))),
        "forces_rmse_meV_per_A": 1e3 * float(np.sqrt(squares.mean())),
        "forces_mae_meV_per_A": 1e3 * float(np.mean(np.abs(f))),
        "forces_rmse_of_95_percent_meV_per_A": 1e3 * float(np.sqrt(most.mean())),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["states", "choose", "chains"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/long-range"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=CHAIN_STEPS)
    given = parser.parse_args()
    if given.what == "states":
        states(given.data, given.runs)
    elif given.what == "choose":
        choose(given.data, given.runs, given.steps)
    else:
        chains(given.data, given.runs, given.steps, given.seeds)

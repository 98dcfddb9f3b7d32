"""Fixed short budgets on real data: what a training reaches in a stated number of epochs.

    python benchmarks/budgets.py DATA [--runs runs/budgets] [--only water] [--time]

DATA is a folder with the sets named in `budgets/*.yaml`. Every training is resumable: run the
command again after an interruption. Results go to `results/budgets/`; `tables.py` makes the table.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from reann.config_file import load_config
from reann.training.journal import read_log
from reann.training.run import resume, train

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "budgets"


@dataclass(frozen=True)
class Budget:
    """One training: a configuration and what is changed in it."""

    config: str
    n_recursions: int
    seed: int

    @property
    def name(self) -> str:
        """Name of the run."""
        return f"{self.config}-t{self.n_recursions}-seed{self.seed}"


BUDGETS = [
    *(Budget("co2-ni100", 3, seed) for seed in (1, 2)),
    *(Budget("ch4-random", t, seed) for seed in (1, 2) for t in (0, 1, 3)),
    *(Budget("water", t, seed) for seed in (1, 2) for t in (0, 1, 2)),
]


def settings(budget: Budget, data: Path, folder: Path) -> tuple[Path, list[str]]:
    """Return the configuration file and what is changed in it."""
    file = HERE / "budgets" / f"{budget.config}.yaml"
    sets = yaml.safe_load(file.read_text())["data"]
    overrides = [
        f"data.train={data / sets['train']}",
        f"model.n_recursions={budget.n_recursions}",
        f"run.seed={budget.seed}",
        f"run.folder={folder}",
    ]
    if isinstance(sets["valid"], str):
        overrides.append(f"data.valid={data / sets['valid']}")
    return file, overrides


def reached(budget: Budget, data: Path, folder: Path) -> dict[str, float | str]:
    """Train, or go on training, and return what was reached."""
    own = folder / budget.name
    if (own / "config.yaml").exists():
        found = resume(own)
    else:
        found = train(load_config(*settings(budget, data, own)))
    last = read_log(own / "log.csv")[-1]
    size = statistics.mean(found.evaluations["valid"].n_atoms)
    return {
        "set": budget.config,
        "n_recursions": budget.n_recursions,
        "seed": budget.seed,
        "epochs": last["epoch"],
        "valid_energy_rmse_meV": last["valid_energy_rmse_meV_per_atom"] * size,
        "valid_energy_rmse_meV_per_atom": last["valid_energy_rmse_meV_per_atom"],
        "valid_forces_rmse_meV_per_A": last["valid_forces_rmse_meV_per_A"],
        "parameters": sum(p.numel() for p in found.potential.model.parameters()),
    }


def seconds_per_epoch(budget: Budget, data: Path, folder: Path) -> float:
    """Return the median of three epochs of a run of their own; the machine should be quiet."""
    own = folder / "timing" / budget.name
    file, overrides = settings(budget, data, own)
    train(load_config(file, [*overrides, "training.epochs=3"]), overwrite=True)
    times = [row["seconds"] for row in read_log(own / "log.csv")]
    return statistics.median(after - before for before, after in pairwise(times))


def main() -> None:
    """Run what is not done yet and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/budgets"))
    parser.add_argument("--only", default="")
    parser.add_argument("--time", action="store_true", help="measure seconds per epoch only")
    arguments = parser.parse_args()
    data, runs = arguments.data.resolve(), arguments.runs
    RESULTS.mkdir(parents=True, exist_ok=True)
    for budget in BUDGETS:
        file = RESULTS / f"{budget.name}.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        if not budget.name.startswith(arguments.only):
            continue
        if not arguments.time:
            known |= reached(budget, data, runs)
        elif budget.seed == 1:
            known["seconds_per_epoch"] = seconds_per_epoch(budget, data, runs)
        file.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()

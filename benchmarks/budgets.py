"""Fixed short budgets on real data: what a training reaches in a stated number of epochs.

    python benchmarks/budgets.py DATA [--runs runs/budgets] [--only water]

DATA is a folder with the sets named in `budgets/*.yaml`. Every training is resumable: run the
command again after an interruption. Results go to `results/budgets.json`, and as a table to
`results/budgets.md`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

import yaml

import reann
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
    Budget("co2-ni100", 3, 1),
    *(Budget("ch4-random", t, 1) for t in (0, 1, 3)),
    *(Budget("water", t, seed) for seed in (1, 2) for t in (0, 1, 2)),
]

ORIGINAL = {
    ("co2-ni100", 3): (3615, 195.4),
    ("ch4-random", 0): (1680, 1227.9),
    ("ch4-random", 1): (1129, 567.4),
    ("ch4-random", 3): (1008, 598.1),
}
"""The original package at epoch 60, same data and batch: valid E meV/structure, F meV/Å."""


def run(budget: Budget, data: Path, folder: Path) -> dict[str, float | str]:
    """Train, or go on training, and return what was reached."""
    own = folder / budget.name
    file = HERE / "budgets" / f"{budget.config}.yaml"
    if (own / "config.yaml").exists():
        resume(own)
    else:
        content = yaml.safe_load(file.read_text())
        overrides = [
            f"data.train={data / content['data']['train']}",
            f"model.n_recursions={budget.n_recursions}",
            f"run.seed={budget.seed}",
            f"run.folder={own}",
        ]
        if isinstance(content["data"]["valid"], str):
            overrides.append(f"data.valid={data / content['data']['valid']}")
        train(load_config(file, overrides))
    rows = read_log(own / "log.csv")
    last = rows[-1]
    potential = reann.load(own / "model.reann")
    size = statistics.mean(len(atoms) for atoms in _some(data, budget))
    return {
        "set": budget.config,
        "n_recursions": budget.n_recursions,
        "seed": budget.seed,
        "epochs": last["epoch"],
        "valid_energy_rmse_meV": last["valid_energy_rmse_meV_per_atom"] * size,
        "valid_energy_rmse_meV_per_atom": last["valid_energy_rmse_meV_per_atom"],
        "valid_forces_rmse_meV_per_A": last["valid_forces_rmse_meV_per_A"],
        "parameters": sum(p.numel() for p in potential.model.parameters()),
    }


def _some(data: Path, budget: Budget) -> list:
    from reann.data.read import iter_atoms

    content = yaml.safe_load((HERE / "budgets" / f"{budget.config}.yaml").read_text())
    atoms = (one for one, _ in iter_atoms(str(data / content["data"]["train"])))
    return [one for one, _ in zip(atoms, range(20), strict=False)]


def table(results: list[dict]) -> str:
    """Return the results as a page's table."""
    lines = [
        (
            "| set | T | seed | epochs | valid E, meV | valid E, meV/atom | valid F, meV/Å "
            "| original: E, meV | F, meV/Å |"
        ),
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for r in results:
        energy, forces = ORIGINAL.get((r["set"], r["n_recursions"]), ("–", "–"))
        lines.append(
            f"| {r['set']} | {r['n_recursions']} | {r['seed']} | {r['epochs']:.0f} "
            f"| {r['valid_energy_rmse_meV']:.0f} | {r['valid_energy_rmse_meV_per_atom']:.2f} "
            f"| {r['valid_forces_rmse_meV_per_A']:.1f} | {energy} | {forces} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is not done yet and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/budgets"))
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for budget in BUDGETS:
        if budget.name.startswith(arguments.only):
            found = run(budget, arguments.data.resolve(), arguments.runs)
            (RESULTS / f"{budget.name}.json").write_text(json.dumps(found, indent=1) + "\n")
    files = [RESULTS / f"{budget.name}.json" for budget in BUDGETS]
    every = [json.loads(file.read_text()) for file in files if file.exists()]
    (RESULTS.parent / "budgets.md").write_text(table(every))


if __name__ == "__main__":
    main()

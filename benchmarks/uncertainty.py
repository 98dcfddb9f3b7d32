"""Does a large uncertainty find a large error, does the coverage hold, and what does it cost?

    python benchmarks/uncertainty.py --system NAME MODEL TRAIN VALID TEST [--system ...]

Each MODEL is calibrated on VALID (`reann.uncertainty`) and judged on TEST, which neither training
nor calibration has seen. `rho` is the Spearman correlation of the length of the error of a force
with that of its standard deviation: over atoms, and over structures with the largest of each. `AUC`
is that of finding the tenth of the atoms with the largest errors. `cost` is the time of the
processor of a step in ASE with the uncertainty, in steps without. Figures go to
results/uncertainty.json, the table to results/uncertainty.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import ase
import ase.io
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from reann.calibration import Scale
from reann.config import DataConfig
from reann.data.dataset import Subset, open_dataset
from reann.evaluation.compare import compare
from reann.evaluation.comparison import Evaluation
from reann.interfaces.ase import Calculator
from reann.potential import Ensemble, Potential, load
from reann.uncertainty import calibrate

RESULTS = Path(__file__).parent / "results"
WORST = 0.1
"""Part of the atoms whose errors are called large."""
STEPS = 20


def opened(file: str, cutoff: float, folder: Path) -> Subset:
    """Return the structures of a file, energies and forces under their usual keys."""
    data = DataConfig(train=[file], missing="allow")
    dataset = open_dataset([file], data, cutoff, folder)
    return Subset(dataset, np.arange(len(dataset)))


def judged(evaluation: Evaluation, bounds: dict[str, Scale]) -> dict[str, Any]:
    """Return how well standard deviations tell the errors of an evaluation."""
    error = np.linalg.norm(evaluation.predicted["forces"] - evaluation.reference["forces"], axis=1)
    std = np.linalg.norm(evaluation.std["forces"], axis=1)
    ends = np.cumsum(evaluation.n_atoms)[:-1]
    largest = [np.array([part.max() for part in np.split(x, ends)]) for x in (error, std)]
    energy = np.abs(evaluation.predicted["energy"] - evaluation.reference["energy"])
    results: dict[str, Any] = {
        "force_rmse_meV_per_A": round(1e3 * float(np.sqrt(np.mean(error**2) / 3)), 1),
        "structures": evaluation.n_structures,
        "rho_atoms": round(_rank_correlation(error, std), 2),
        "rho_structures": round(_rank_correlation(*largest), 2),
        "auc": round(_auc(error >= np.quantile(error, 1 - WORST), std), 2),
    }
    symbols = ase.Atoms(numbers=evaluation.numbers).get_chemical_symbols()
    scales = [bounds.get(s, bounds["all"]) for s in symbols]
    for level in ("68", "90", "95"):
        bound = np.array([scale.bounds[level] for scale in scales])
        results[f"forces_{level}"] = round(100 * float(np.mean(error <= bound * std)), 1)
        if level in bounds["energy"].bounds:
            limit = bounds["energy"].bounds[level] * evaluation.std["energy"]
            results[f"energy_{level}"] = round(100 * float(np.mean(energy <= limit)), 1)
    return results


def _rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return Spearman's correlation."""
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def _auc(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Return the probability that a large error has a larger score than another."""
    n, m = positive.sum(), (~positive).sum()
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def cost(potential: Potential | Ensemble, atoms: ase.Atoms) -> float:
    """Return the time of a step with uncertainty in that of a step of one potential."""
    times = []
    one = Potential(potential.model)
    for calculator in (Calculator(one), Calculator(potential, uncertainty=True)):
        moved, each = atoms.copy(), []
        moved.calc = calculator
        for _ in range(STEPS):
            moved.positions += 1e-4
            start = time.process_time()
            moved.get_forces()
            each.append(time.process_time() - start)
        times.append(np.median(each))
    return round(float(times[1] / times[0]), 1)


def run(model: str, train: str, valid: str, test: str) -> dict[str, Any]:
    """Return the figures of one potential."""
    potential = load(model)
    with tempfile.TemporaryDirectory() as name:
        parts = [opened(file, potential.cutoff, Path(name)) for file in (train, valid, test)]
        done = calibrate(potential, parts[0], parts[1], seed=1)
        spread = done.potential
        if isinstance(spread, Potential):
            spread = spread.with_uncertainty()
        evaluation = compare(spread, parts[2])
    calibration = done.calibration
    assert calibration.energy is not None
    bounds = {**calibration.forces, "energy": calibration.energy}
    first = cast("ase.Atoms", ase.io.read(test, 0))
    return {
        "spread": f"{calibration.number} "
        + ("draws" if calibration.kind == "last layer" else "members"),
        "calibration_structures": calibration.structures,
        **judged(evaluation, bounds),
        "cost": cost(done.potential, first),
    }


def table(results: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    headings = (
        "| system | spread of | RMSE, meV/Å | rho, atoms | rho, structures | AUC"
        " | forces within 68 / 90 / 95 % bounds, % | energies, % | cost |"
    )
    lines = [
        headings,
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        covered = [
            " / ".join(str(row.get(f"{of}_{level}", "–")) for level in ("68", "90", "95"))
            for of in ("forces", "energy")
        ]
        lines.append(
            f"| {name} | {row['spread']} | {row['force_rmse_meV_per_A']} | {row['rho_atoms']}"
            f" | {row['rho_structures']} | {row['auc']} | {covered[0]} | {covered[1]}"
            f" | {row['cost']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is asked for, beside what is in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--system",
        nargs=5,
        action="append",
        required=True,
        metavar=("NAME", "MODEL", "TRAIN", "VALID", "TEST"),
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "uncertainty.json")
    options = parser.parse_args()
    results = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name, *files in options.system:
        results[name] = run(*files)
        options.output.write_text(json.dumps(results, indent=1) + "\n")
        options.output.with_suffix(".md").write_text(table(results))
        print(name, json.dumps(results[name]), flush=True)


if __name__ == "__main__":
    main()

"""Does a first guess of the readout's last layer help when free atoms are known?

    python benchmarks/readout_start.py DATA [--runs runs/readout]

Ethanol (rMD17) from DATA/ethanol-rmd17: 400 structures train, 200 validate, 30 epochs, T = 1, two
seeds. Least squares against free atoms, with and without the first guess, and without the final
emphasis on energies. Results go to `results/readout_start.json`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from unittest.mock import patch

import numpy as np

from reann.config import Config
from reann.data.files.read import iter_atoms
from reann.training import run as training
from reann.training.journal import read_log

RESULTS = Path(__file__).parent / "results" / "readout_start.json"
VARIANTS = {
    "least squares, trained": {},
    "free atoms, fixed": {"reference_energies": "free", "first_guess": False},
    "free atoms, fixed, last layer fitted first": {"reference_energies": "free"},
    "least squares, no emphasis on energies": {"energy_emphasis": 1.0},
}


def config(data: Path, folder: Path, variant: dict, seed: int) -> Config:
    """Return the configuration of one training."""
    isolated = (atoms for atoms, _ in iter_atoms(str(data / "isolated_atoms.xyz.gz")))
    free = {a.get_chemical_symbols()[0]: a.calc.results["energy"] for a in isolated}
    order = np.random.default_rng(0).permutation(1000).tolist()
    small = {"hidden": [48, 48]}
    return Config(
        data={
            "train": str(data / "train.xyz.gz"),
            "valid": {"indices": order[400:600]},
            # Set aside, so that 400 structures remain for the training.
            "test": {"indices": order[600:]},
            "reference_energies": free if variant.get("reference_energies") else "fit",
        },
        model={"preset": "density", "n_recursions": 1, "readout": small, "update": small},
        training={
            "epochs": 30,
            "batch_size": 16,
            "loss": {"energy_emphasis": variant.get("energy_emphasis", 20.0)},
        },
        run={"folder": folder, "seed": seed, "threads": 1},
    )


def main() -> None:
    """Train every variant with two seeds and write what they reached."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/readout"))
    arguments = parser.parse_args()
    all_errors: dict[str, list[list[float]]] = {}
    for number, (name, variant) in enumerate(VARIANTS.items()):
        for seed in (1, 2):
            folder = arguments.runs / f"{number}-seed{seed}"
            guess = training.fit_last_layer
            if not variant.get("first_guess", True):
                guess = lambda *_: None  # noqa: E731 - the control
            with patch.object(training, "fit_last_layer", guess):
                training.train(
                    config(arguments.data / "ethanol-rmd17", folder, variant, seed), overwrite=True
                )
            last = read_log(folder / "log.csv")[-1]
            errors = ("valid_energy_rmse_meV_per_atom", "valid_forces_rmse_meV_per_A")
            all_errors.setdefault(name, []).append([last[error] for error in errors])
            RESULTS.write_text(json.dumps(all_errors, indent=1) + "\n")


if __name__ == "__main__":
    main()

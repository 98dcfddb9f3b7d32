"""Does a model reproduce the infrared spectrum of the method that it was trained with?

    pip install tblite
    python benchmarks/infrared.py label     # writes the data that come with the package
    python benchmarks/infrared.py train [--runs runs/infrared]
    python benchmarks/infrared.py compare [--runs runs/infrared]

Ethanol by GFN2-xTB (tblite): 500 structures of molecular dynamics at 400 K with energies, forces
and dipoles. The harmonic spectrum of the model is compared with that of GFN2-xTB itself, each at
its own minimum of the trans conformer. Results go to `results/infrared.json`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import ase
import numpy as np
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_xyz
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS
from scipy.optimize import linear_sum_assignment

from reann.spectra.vibrations import HarmonicSpectrum, harmonic_of

ROOT = Path(__file__).parents[1]
DATA = ROOT / "src" / "reann" / "demo" / "ethanol_dipoles.xyz.gz"
RESULTS = Path(__file__).parent / "results" / "infrared.json"
TEMPERATURE, TIMESTEP = 400.0, 0.5
"""K and fs, of the molecular dynamics that makes the structures."""
N_STRUCTURES, EVERY = 500, 40
EPOCHS = 100
FMAX = 1e-4
"""eV/Å, end of the relaxations."""
STRONG = 0.05
"""Part of the strongest intensity; weaker bands are not compared."""
LABELS = ("energy", "forces", "dipole")


def calculator() -> ase.calculators.calculator.Calculator:
    """Return GFN2-xTB, converged far beyond what finite differences need."""
    from tblite.ase import TBLite

    return TBLite(method="GFN2-xTB", accuracy=0.01, verbosity=0)


def label() -> None:
    """Write structures of molecular dynamics with energies, forces and dipoles."""
    atoms = molecule("CH3CH2OH")
    atoms.calc = calculator()
    rng = np.random.default_rng(1)
    thermalize_momenta(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(
        atoms,
        TIMESTEP * units.fs,
        temperature_K=TEMPERATURE,
        friction=0.01 / units.fs,
        fixcm=False,
        rng=rng,
    )
    dynamics.run(2000)  # away from the start
    frames = []
    for _ in range(N_STRUCTURES):
        dynamics.run(EVERY)
        frame = ase.Atoms(atoms.symbols, atoms.positions - atoms.get_center_of_mass())
        # Six digits: rounding moves an energy by less than 1e-5 eV.
        frame.positions = frame.positions.round(6)
        frame.calc = calculator()
        frame.get_forces()
        known = {name: frame.calc.results[name] for name in LABELS}
        frame.calc = SinglePointCalculator(frame, **known)
        frames.append(frame)
    with gzip.open(DATA, "wt", encoding="utf-8") as file:
        write_xyz(file, frames)


def train(folder: Path) -> None:
    """Train energies, forces and dipoles."""
    from reann.config import Config
    from reann.training.run import train as run

    run(
        Config(
            data={"train": str(DATA), "valid": 0.1},
            model={"cutoff": 4.5, "outputs": ["dipole"]},
            # Most of the spread of dipoles is that the molecule turns; vibrations are the rest.
            training={"epochs": EPOCHS, "batch_size": 10, "loss": {"dipole": 10.0}},
            run={"folder": folder, "threads": 1},
        ),
        overwrite=True,
    )


def compare(folder: Path) -> None:
    """Compare harmonic spectra, each at its own minimum, and write the results."""
    from reann.interfaces.ase import Calculator
    from reann.spectra import harmonic
    from reann.training.journal import read_log

    potential = Calculator(folder / "model.reann", engine="torch", precision="float64").potential
    model_atoms, reference_atoms = molecule("CH3CH2OH"), molecule("CH3CH2OH")
    model_atoms.calc = Calculator(potential)
    reference_atoms.calc = calculator()
    for atoms in (model_atoms, reference_atoms):
        BFGS(atoms, logfile=None).run(fmax=FMAX, steps=1000)
    model = harmonic(potential, model_atoms, engine="torch")
    reference = harmonic_of(evaluate, reference_atoms, displacement=0.005)
    pairs = matched(model, reference)
    strong = reference.infrared > STRONG * reference.infrared.max()
    shift = model.wavenumbers[pairs] - reference.wavenumbers
    ratio = model.infrared[pairs] / reference.infrared
    epochs = read_log(folder / "log.csv")
    result = {
        "model": {
            "n_structures": N_STRUCTURES,
            "last_epoch": epochs[-1],
        },
        "reference": {"method": "GFN2-xTB", "tblite": version("tblite")},
        "strong_is_above_fraction_of_strongest": STRONG,
        "largest_shift_per_cm": float(np.abs(shift).max()),
        "rms_shift_per_cm": float(np.sqrt(np.mean(shift**2))),
        "largest_relative_error_of_strong_intensities": float(np.abs(ratio[strong] - 1).max()),
        "rms_relative_error_of_strong_intensities": float(
            np.sqrt(np.mean((ratio[strong] - 1) ** 2))
        ),
        "modes": [
            {
                "reference_per_cm": round(float(reference.wavenumbers[i]), 1),
                "model_per_cm": round(float(model.wavenumbers[pairs[i]]), 1),
                "reference_km_per_mol": round(float(reference.infrared[i]), 2),
                "model_km_per_mol": round(float(model.infrared[pairs[i]]), 2),
            }
            for i in range(len(pairs))
        ],
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for mode in result["modes"]:
        print("".join(f"{value:>10}" for value in mode.values()))
    print({name: value for name, value in result.items() if isinstance(value, float)})


def evaluate(structures: Iterable[ase.Atoms]) -> dict[str, np.ndarray]:
    """Return forces and dipoles by GFN2-xTB."""
    values = {"forces": [], "dipole": []}
    for atoms in structures:
        single = atoms.copy()
        single.calc = calculator()
        values["forces"].append(single.get_forces())
        values["dipole"].append(single.get_dipole_moment())
    return {name: np.array(each) for name, each in values.items()}


def matched(model: HarmonicSpectrum, reference: HarmonicSpectrum) -> np.ndarray:
    """Return the mode of the model that moves atoms as each mode of the reference does."""
    masses = molecule("CH3CH2OH").get_masses()
    overlap = np.einsum("max,a,nax->mn", reference.vectors, masses, model.vectors) ** 2
    return linear_sum_assignment(-overlap)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=("label", "train", "compare"))
    parser.add_argument("--runs", type=Path, default=Path("runs/infrared"))
    arguments = parser.parse_args()
    if arguments.step == "label":
        label()
    elif arguments.step == "train":
        train(arguments.runs)
    else:
        compare(arguments.runs)


if __name__ == "__main__":
    main()

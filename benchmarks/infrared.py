"""Does a model reproduce the infrared spectrum of the method that it was trained with?

    pip install tblite
    python benchmarks/infrared.py label     # writes the data that come with the package
    python benchmarks/infrared.py train [--runs runs/infrared]
    python benchmarks/infrared.py compare [--runs runs/infrared]

Ethanol by GFN2-xTB (tblite): 500 structures with energies, forces and dipoles, displaced along the
normal modes of both conformers, and of molecular dynamics. The harmonic spectrum of the model is
compared with that of GFN2-xTB itself, each at its own minimum. Results go to
`results/infrared.json`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_xyz
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS
from scipy import constants
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from reann.potential import Ensemble, Potential
from reann.spectra.vibrations import HarmonicSpectrum, harmonic_of

ROOT = Path(__file__).parents[1]
DATA = ROOT / "src" / "reann" / "demo" / "ethanol_dipoles.xyz.gz"
RESULTS = Path(__file__).parent / "results" / "infrared.json"
TEMPERATURE, TIMESTEP = 300.0, 0.5
"""K of the normal modes, and fs of the molecular dynamics, that make the structures."""
N_OF_TRANS, N_OF_GAUCHE, N_OF_DYNAMICS = 220, 220, {600.0: 60}
"""Structures along the normal modes of both conformers, and of dynamics by temperature in K."""
EVERY = 40
EPOCHS = 400
FMAX = 1e-4
"""eV/Å, end of the relaxations."""
STRONG = 0.05
"""Part of the strongest intensity; weaker bands are not compared."""
LABELS = ("energy", "forces", "dipole")


def calculator() -> ase.calculators.calculator.Calculator:
    """Return GFN2-xTB, converged far beyond what finite differences need."""
    from tblite.ase import TBLite

    return TBLite(method="GFN2-xTB", accuracy=0.01, verbosity=0)


def trans() -> ase.Atoms:
    """Return the trans conformer, not relaxed."""
    return molecule("CH3CH2OH")


def gauche() -> ase.Atoms:
    """Return the gauche conformer, not relaxed."""
    atoms = trans()
    c, c_o, o, h = 0, 1, 2, 3  # atoms of C-C-O-H in ase.build.molecule
    atoms.set_dihedral(c, c_o, o, h, 60.0, indices=[h])
    return atoms


def label() -> None:
    """Write structures along normal modes and of molecular dynamics, with their labels."""
    rng, frames = np.random.default_rng(2), []
    for atoms, count in ((trans(), N_OF_TRANS), (gauche(), N_OF_GAUCHE)):
        atoms.calc = calculator()
        BFGS(atoms, logfile=None).run(fmax=FMAX, steps=1000)
        frames += along_modes(atoms, count, rng)
    for temperature, count in N_OF_DYNAMICS.items():
        frames += of_dynamics(temperature, count, rng)
    with gzip.open(DATA, "wt", encoding="utf-8") as file:
        write_xyz(file, [labelled(frame) for frame in frames])


def along_modes(atoms: ase.Atoms, count: int, rng: np.random.Generator) -> list[ase.Atoms]:
    """Return structures displaced along all modes.

    Displacements are drawn from the distribution of harmonic quantum oscillators at 300 K, with the
    variance hbar / (2 omega) coth(hbar omega / 2 kT) of a normal coordinate, and then multiplied,
    all those of a structure, by one number between 0.1 and 0.9: the harmonic spectrum depends on
    small displacements, molecular dynamics on all.
    """
    modes = harmonic_of(evaluate, atoms, displacement=0.005)
    omega = 2e2 * np.pi * constants.c * modes.wavenumbers  # 1/s
    half = constants.hbar * omega / (2.0 * constants.k * TEMPERATURE)
    variance = constants.hbar / (2.0 * omega * np.tanh(half))  # kg m^2
    width = np.sqrt(variance / constants.atomic_mass) * 1e10  # u^1/2 Å
    frames = []
    for _ in range(count):
        Q = rng.uniform(0.1, 0.9) * width * rng.standard_normal(len(width))
        moved = np.einsum("m,max->ax", Q, modes.vectors)
        frames.append(ase.Atoms(atoms.symbols, atoms.positions + moved))
    return frames


def of_dynamics(temperature: float, count: int, rng: np.random.Generator) -> list[ase.Atoms]:
    """Return structures of molecular dynamics."""
    atoms = trans()
    atoms.calc = calculator()
    thermalize_momenta(atoms, temperature_K=temperature, rng=rng)
    dynamics = Langevin(
        atoms,
        TIMESTEP * units.fs,
        temperature_K=temperature,
        friction=0.01 / units.fs,
        fixcm=False,
        rng=rng,
    )
    dynamics.run(2000)  # away from the start
    frames = []
    for _ in range(count):
        dynamics.run(EVERY)
        frames.append(ase.Atoms(atoms.symbols, atoms.positions))
    return frames


def labelled(frame: ase.Atoms) -> ase.Atoms:
    """Return the structure around its center of mass with energy, forces and dipole."""
    # Six digits: rounding moves an energy by less than 1e-5 eV.
    positions = (frame.positions - frame.get_center_of_mass()).round(6)
    frame = ase.Atoms(frame.symbols, positions, calculator=calculator())
    frame.get_forces()
    frame.calc = SinglePointCalculator(frame, **{name: frame.calc.results[name] for name in LABELS})
    return frame


def train(folder: Path) -> None:
    """Train energies, forces and dipoles."""
    from reann.config import Config
    from reann.training.run import train as run

    run(
        Config(
            data={"train": str(DATA), "valid": 0.1},
            model={"cutoff": 4.5, "outputs": ["dipole"]},
            # Most of the spread of dipoles is that the molecule turns; vibrations are the rest.
            training={"epochs": EPOCHS, "batch_size": 5, "loss": {"dipole": 10.0}},
            run={"folder": folder, "threads": 1},
        ),
        overwrite=True,
    )


def compare(folder: Path) -> None:
    """Compare harmonic spectra of both conformers, and write the results."""
    from reann.interfaces.ase import Calculator
    from reann.training.journal import read_log

    potential = Calculator(folder / "model.reann", engine="torch", precision="float64").potential
    result = {
        "model": {
            "n_structures": N_OF_TRANS + N_OF_GAUCHE + sum(N_OF_DYNAMICS.values()),
            "last_epoch": read_log(folder / "log.csv")[-1],
        },
        "reference": {"method": "GFN2-xTB", "tblite": version("tblite")},
        "strong_is_above_fraction_of_strongest": STRONG,
        **compared(potential, trans()),
        "gauche": compared(potential, gauche()),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for conformer in (result, result["gauche"]):
        for mode in conformer["modes"]:
            print("".join(f"{value:>10}" for value in mode.values()))
        print({name: value for name, value in conformer.items() if isinstance(value, float)})


def compared(potential: Potential | Ensemble, start: ase.Atoms) -> dict[str, Any]:
    """Return the harmonic spectra of model and reference, each at its own minimum."""
    from reann.interfaces.ase import Calculator
    from reann.spectra import harmonic

    model_atoms, reference_atoms = start.copy(), start.copy()
    model_atoms.calc = Calculator(potential)
    reference_atoms.calc = calculator()
    for atoms in (model_atoms, reference_atoms):
        BFGS(atoms, logfile=None).run(fmax=FMAX, steps=1000)
    model = harmonic(potential, model_atoms, engine="torch")
    reference = harmonic_of(evaluate, reference_atoms, displacement=0.005)
    reference_atoms.calc = None
    rotated = turned(model, model_atoms, reference_atoms)
    pairs = matched(rotated, reference)
    strong = reference.infrared > STRONG * reference.infrared.max()
    shift = model.wavenumbers[pairs] - reference.wavenumbers
    ratio = model.infrared[pairs] / reference.infrared
    return {
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


def evaluate(structures: Iterable[ase.Atoms]) -> dict[str, np.ndarray]:
    """Return forces and dipoles by GFN2-xTB."""
    values = {"forces": [], "dipole": []}
    for atoms in structures:
        single = atoms.copy()
        single.calc = calculator()
        values["forces"].append(single.get_forces())
        values["dipole"].append(single.get_dipole_moment())
    return {name: np.array(each) for name, each in values.items()}


def turned(model: HarmonicSpectrum, atoms: ase.Atoms, onto: ase.Atoms) -> np.ndarray:
    """Return the vectors of the modes after the rotation that puts the atoms onto others."""
    centered = (x.positions - x.get_center_of_mass() for x in (atoms, onto))
    rotation, _ = Rotation.align_vectors(*reversed(list(centered)))
    return rotation.apply(model.vectors.reshape(-1, 3)).reshape(model.vectors.shape)


def matched(vectors: np.ndarray, reference: HarmonicSpectrum) -> np.ndarray:
    """Return the mode of the model that moves atoms as each mode of the reference does."""
    masses = trans().get_masses()
    overlap = np.einsum("max,a,nax->mn", reference.vectors, masses, vectors) ** 2
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

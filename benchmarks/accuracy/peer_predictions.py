"""Energies and forces of a trained peer, in its own environment: peer_predictions.py PEER MODEL
FOLDER DEVICE reads FOLDER/test.xyz and writes FOLDER/predictions.npz."""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io
import numpy as np


def mace(model: str, device: str) -> object:
    from mace.calculators import MACECalculator

    return MACECalculator(model_paths=model, device=device, default_dtype="float32")


def nequip(model: str, device: str) -> object:
    from nequip.integrations.ase import NequIPCalculator

    return NequIPCalculator._from_saved_model(model, device=device)  # noqa: SLF001 (no public one)


def main() -> None:
    peer, model, folder, device = sys.argv[1:]
    calculator = {"mace": mace, "nequip": nequip}[peer](model, device)
    energies, forces = [], []
    for atoms in ase.io.read(Path(folder) / "test.xyz", ":"):
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    np.savez(Path(folder) / "predictions.npz", energy=energies, forces=np.concatenate(forces))


if __name__ == "__main__":
    main()

"""Other packages, trained by their own commands on the same structures within a stated time.

Their environments are made by `benchmarks/peers/environments.py`. One core; settings as their own
guides advise for small data, the sizes of the models as in the tables of speeds. Energies are
given relative to the mean per atom, which single precision holds better.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase
import ase.io
import machine
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from sets import SETS, split_file

HERE = Path(__file__).parent
SYSTEMS = ("ethanol", "si")


@dataclass(frozen=True)
class Peer:
    """A package and how it is trained: folder with the structures, seconds, device -> model."""

    title: str
    train: Callable[[Path, Path, float, str], Path]


@dataclass(frozen=True)
class PeerTrial:
    """One training of a peer."""

    set: str
    peer: str
    minutes: float
    device: str

    @property
    def name(self) -> str:
        """Name of the run and of its result."""
        return f"{self.set}-{self.peer}-{self.minutes:g}min-{self.device}"


def trials(sets: list[str], peers: list[str], minutes: float, device: str) -> Iterator[PeerTrial]:
    """Yield every peer on one molecule and one solid."""
    for name in SYSTEMS:
        for peer in peers:
            if name in sets:
                yield PeerTrial(name, peer, minutes, device)


def run(trial: PeerTrial, data: Path, runs: Path, environments: Path) -> dict[str, Any]:
    """Train a peer and return its errors on the test."""
    folder = (runs / trial.name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sizes = write_parts(trial.set, data, folder)
    binaries = environments / trial.peer / "bin"
    start = time.monotonic()
    model = PEERS[trial.peer].train(binaries, folder, 60.0 * trial.minutes, trial.device)
    seconds = time.monotonic() - start
    program = [str(binaries / "python"), str(HERE / "peer_predictions.py"), trial.peer]
    _call([*program, str(model), str(folder), trial.device], folder / "predict.log")
    return {
        "set": trial.set,
        "label": PEERS[trial.peer].title,
        "minutes": trial.minutes,
        "device": trial.device,
        "structures": sizes,
        "all_seconds": round(seconds, 1),
        "tests": {"test": _errors(folder)},
        "machine": machine.describe(),
    }


def write_parts(name: str, data: Path, folder: Path) -> dict[str, int]:
    """Write train, valid and test as extended XYZ and return how many structures they have."""
    frames = [f for file in SETS[name].train_files(data) for f in ase.io.read(file, ":")]
    chosen = {part: json.loads(split_file(name, part).read_text()) for part in ("valid", "test")}
    held = {index for indices in chosen.values() for index in indices}
    chosen["train"] = [index for index in range(len(frames)) if index not in held]
    mean = np.mean([frames[i].get_potential_energy() / len(frames[i]) for i in chosen["train"]])
    for part, indices in chosen.items():
        structures = []
        for atoms in (frames[index] for index in indices):
            bare = ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            energy = atoms.get_potential_energy() - mean * len(atoms)
            bare.calc = SinglePointCalculator(bare, energy=energy, forces=atoms.get_forces())
            structures.append(bare)
        ase.io.write(folder / f"{part}.xyz", structures)
    return {part: len(indices) for part, indices in chosen.items()}


def train_mace(binaries: Path, folder: Path, seconds: float, device: str) -> Path:
    """Train MACE with two layers of 128 scalars for as many epochs as the time allows.

    One epoch is timed first, outside of the budget. Rate and weights are MACE's defaults; the
    last quarter is its second stage, with a high weight of the energy and a low rate.
    """

    def command(name: str, epochs: int) -> list[str]:
        options = {
            "name": name,
            "work_dir": folder,
            "train_file": folder / "train.xyz",
            "valid_file": folder / "valid.xyz",
            "energy_key": "energy",
            "forces_key": "forces",
            "E0s": "average",
            "model": "MACE",
            "hidden_irreps": "128x0e",
            "r_max": 5.0,
            "batch_size": 5,
            "valid_batch_size": 10,
            "max_num_epochs": epochs,
            "start_swa": max(1, 3 * epochs // 4),
            "scheduler_patience": 5,
            "ema_decay": 0.99,
            "default_dtype": "float32",
            "device": device,
            "seed": 1,
        }
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return [str(binaries / "mace_run_train"), *arguments, "--swa", "--ema", "--amsgrad"]

    _call(command("short", 3), folder / "short.log")
    each = _mace_epoch((folder / "short.log").read_text())
    _call(command("model", max(4, int(seconds / each))), folder / "model.log")
    stages = [folder / "model_stagetwo.model", folder / "model.model"]
    return next(file for file in stages if file.exists())


def _mace_epoch(log: str) -> float:
    """Return the seconds between the lines of two epochs."""
    stamps = re.findall(r"(\S+ \S+) INFO: Epoch \d+:", log)
    times = [datetime.fromisoformat(stamp).timestamp() for stamp in stamps]
    return min(after - before for before, after in pairwise(times))


def train_nequip(binaries: Path, folder: Path, seconds: float, device: str) -> Path:
    """Train NequIP with three layers of 32 features, l <= 1, until the time is over."""
    symbols = sorted({s for a in ase.io.read(folder / "train.xyz", ":") for s in a.symbols})
    changes = [
        f"chemical_symbols=[{','.join(symbols)}]",
        f"time=00:{int(seconds) // 3600:02d}:{int(seconds) // 60 % 60:02d}:{int(seconds) % 60:02d}",
        f"folder={folder}",
        f"trainer.accelerator={'gpu' if device == 'cuda' else 'cpu'}",
        f"hydra.run.dir={folder}",
    ]
    program = [str(binaries / "nequip-train"), "-cp", str(HERE), "-cn", "nequip"]
    _call([*program, *changes], folder / "model.log")
    return folder / "best.ckpt"


PEERS = {
    "mace": Peer("MACE 128x0e, 2 layers", train_mace),
    "nequip": Peer("NequIP 32 features, l = 1, 3 layers", train_nequip),
}


def _errors(folder: Path) -> dict[str, float]:
    """Return the errors of the predictions of the test."""
    predictions = np.load(folder / "predictions.npz")
    test = ase.io.read(folder / "test.xyz", ":")
    sizes = np.array([len(atoms) for atoms in test])
    energies = np.array([atoms.get_potential_energy() for atoms in test])
    energy = 1e3 * (predictions["energy"] - energies) / sizes
    force = 1e3 * (predictions["forces"] - np.concatenate([atoms.get_forces() for atoms in test]))
    return {
        "energy_rmse_meV_per_atom": float(np.sqrt((energy**2).mean())),
        "energy_mae_meV_per_atom": float(np.abs(energy).mean()),
        "forces_rmse_meV_per_A": float(np.sqrt((force**2).mean())),
        "forces_mae_meV_per_A": float(np.abs(force).mean()),
    }


def _call(command: list[str], log: Path) -> None:
    with log.open("w") as file:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        }
        subprocess.run(command, stdout=file, stderr=file, env=environment, check=True)  # noqa: S603

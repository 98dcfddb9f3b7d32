"""Do latent charges give the physics of rigid ions that a short-range model cannot have?

    python benchmarks/rigid_ions.py [--runs runs/rigid-ions] [--epochs 40] [--forms charges ...]

LAMMPS makes crystals, melts, slabs and clusters of NaCl of Tosi and Fumi (`tosi_fumi.py`), whose
charges are +1 and -1 without any electronic screening. Two models of the same size learn energies
and forces, one of them with latent charges, and are compared with LAMMPS: errors by kind of
structure; phonons along [100], of which the longitudinal optical mode keeps its frequency in long
waves only with charges; fluctuations of charge in the melt, S_zz(k) = k^2 / k_D^2 at small k
(Stillinger, Lovett, J. Chem. Phys. 49, 1991, 1968); energies of slabs and clusters.

Results go to `results/rigid_ions.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import torch
from ase.calculators.singlepoint import SinglePointCalculator
from ionic_properties import (
    HOT,
    RUNS,
    SAMPLING,
    SETTLING,
    charge_structure,
    drift,
    phonons,
    sampled,
    splitting,
    surfaces,
)
from tosi_fumi import TosiFumi, cluster, crystal, slab

import reann
from reann.interfaces.ase import Calculator

RESULTS = Path(__file__).parent / "results" / "rigid_ions.json"
MOLTEN = 6.37
"""Å: cubic cell of 8 ions in the melt, 1.5 g/cm^3."""
FORMS: dict[str, dict[str, Any]] = {
    "short range": {},
    "charges": {"long_range": {}},
    "charges, ions": {"long_range": {}},
    "charges, ions, weight 30": {"long_range": {}},
}
"""The last two with both ions as structures of their own, with their charges."""
LOSS = {"charges, ions, weight 30": {"charge_correction": 30.0}}
MODEL = {"cutoff": 5.0, "channels": 8, "l_max": 1}
BATCH = 4


def melt(ions: TosiFumi, *repeats: int, a: float = MOLTEN) -> ase.Atoms:
    """Return a crystal that was 3 ps at 3000 K."""
    return ions.moved(crystal(*repeats, a=a), 3000.0, 3000, 3000)[-1]


# --- data ---------------------------------------------------------------------------------------


def training_frames(ions: TosiFumi) -> list[ase.Atoms]:
    """Return hot structures of 64 ions or fewer of each kind."""
    found: list[ase.Atoms] = []

    def add(kind: str, atoms: ase.Atoms, temperatures: tuple[float, ...], count: int) -> None:
        for temperature in temperatures:
            for frame in ions.frames(atoms, temperature, 400 * count, 400)[1:]:
                frame.info["kind"] = kind
                found.append(frame)

    for a in (5.5, 5.65, 5.8):
        add("crystal", crystal(2, 2, 2, a=a), (100.0, 500.0, 1000.0), 4)
    for a in (6.1, MOLTEN, 6.7):
        add("melt", melt(ions, 2, 2, 2, a=a), (HOT, 2000.0), 9)
    for planes in (2, 3, 4):
        add("slab", slab(planes), (300.0, 900.0), 6)
    for sizes in ((2, 2, 2), (4, 3, 2), (4, 4, 2), (4, 4, 4)):
        add("cluster", cluster(*sizes), (500.0, 1200.0), 6)
    return found[::2]


def lone_ions() -> list[ase.Atoms]:
    """Return both ions with their charges and the energy zero."""
    found = []
    for name, charge in (("Na", 1), ("Cl", -1)):
        ion = ase.Atoms(name, info={"charge": charge, "kind": "ion"})
        ion.calc = SinglePointCalculator(ion, energy=0.0, forces=np.zeros((1, 3)))
        found.append(ion)
    return found


def of_lammps(ions: TosiFumi, start: ase.Atoms, seed: int) -> list[ase.Atoms]:
    """Return frames of the melt every 20 fs."""
    settled = 2 * SETTLING // 20
    return ions.moved(start, HOT, 2 * (SETTLING + SAMPLING), 20, seed)[settled + 1 :]


def test_frames(ions: TosiFumi) -> list[ase.Atoms]:
    """Return larger structures at other temperatures."""
    starts = {
        "crystal": (crystal(3, 2, 2), 800.0),
        "melt": (melt(ions, 3, 2, 2), 1600.0),
        "slab": (slab(6), 700.0),
        "cluster": (cluster(6, 4, 4), 800.0),
    }
    found = []
    for kind, start in starts.items():
        for frame in ions.frames(*start, 4000, 400)[1:]:
            frame.info["kind"] = kind
            found.append(frame)
    return found


def kept(path: Path, make: Callable[[], list[ase.Atoms]]) -> list[ase.Atoms]:
    """Return the structures of a file, which are made if there is none."""
    if not path.exists():
        ase.io.write(path, make(), format="extxyz")
    return list(ase.io.read(path, ":"))


def trained(runs: Path, frames: list[ase.Atoms], form: str, epochs: int) -> tuple[Any, float]:
    """Return the model of a form, and the processor seconds of its training."""
    run = runs / form.replace(", ", "-").replace(" ", "-")
    seconds = run / "seconds"
    if not (run / "model.reann").exists():
        own = lone_ions() if "ions" in form else []
        train = [atoms for i, atoms in enumerate(frames) if i % 8]
        for name, part in (("valid", frames[::8]), ("train", [*train, *own])):
            ase.io.write(runs / f"{run.name}-{name}.xyz", part, format="extxyz")
        config = {
            "data": {
                "train": str(runs / f"{run.name}-train.xyz"),
                "valid": [str(runs / f"{run.name}-valid.xyz")],
                "missing": "allow",  # clusters have no stress
                "accept": ["varying-charge"],
            },
            "model": {**MODEL, **FORMS[form]},
            "training": {"epochs": epochs, "batch_size": BATCH, "loss": LOSS.get(form, {})},
            "run": {"folder": str(run), "threads": 1, "seed": 1},
        }
        begin = time.process_time()
        reann.train(reann.Config.model_validate(config))
        seconds.write_text(f"{time.process_time() - begin:.0f}")
    return reann.load(run / "model.reann"), float(seconds.read_text())


# --- comparisons --------------------------------------------------------------------------------


def errors(potential: Any, frames: list[ase.Atoms]) -> dict[str, float]:
    """Return errors in meV/atom and meV/Å."""
    pairs = list(zip(potential.predict(frames), frames, strict=True))
    e = 1e3 * np.array([(p["energy"] - a.get_potential_energy()) / len(a) for p, a in pairs])
    f = 1e3 * np.concatenate([(p["forces"] - a.get_forces()).ravel() for p, a in pairs])
    return {
        "energy_mae": float(np.abs(e).mean()),
        "energy_rmse": float(np.sqrt((e**2).mean())),
        "forces_mae": float(np.abs(f).mean()),
        "forces_rmse": float(np.sqrt((f**2).mean())),
    }


def of_sodium(potential: Any, frames: list[ase.Atoms]) -> list[float]:
    """Return mean and standard deviation of the charges of Na, e."""
    q = [potential.predict(a, ["charges"])["charges"][a.numbers == 11] for a in frames]
    return [float(np.mean(np.concatenate(q))), float(np.std(np.concatenate(q)))]


def main(runs: Path, epochs: int, forms: list[str]) -> None:
    torch.set_num_threads(1)
    runs.mkdir(parents=True, exist_ok=True)
    ions = TosiFumi(runs / "lammps")
    frames = kept(runs / "all.xyz", lambda: training_frames(ions))
    tests: dict[str, list[ase.Atoms]] = defaultdict(list)
    for atoms in kept(runs / "test.xyz", lambda: test_frames(ions)):
        tests[atoms.info["kind"]].append(atoms)
    start = kept(runs / "melt.xyz", lambda: [ions.moved(melt(ions, 8, 2, 2), HOT, 3000, 3000)[-1]])
    by_lammps = [
        kept(runs / f"sampled-{seed}.xyz", lambda: of_lammps(ions, start[0], seed))  # noqa: B023
        for seed in range(1, RUNS + 1)
    ]
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found |= {
        "training structures": len(frames),
        "splitting by charges of 1, THz^2": splitting(),
        "LAMMPS": {
            "phonons": phonons(lambda frames: [a.get_forces() for a in ions.labeled(frames)]),
            "surfaces": surfaces(lambda atoms: ions.labeled([atoms])[0].get_potential_energy()),
            "S_zz k_D^2 / k^2": charge_structure(by_lammps),
        },
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for form in forms:
        potential, seconds = trained(runs, frames, form, epochs)
        predict = potential.predict
        found[form] = {
            "epochs": epochs,
            "processor seconds": seconds,
            "validation": errors(potential, frames[::8]),
            "errors": {kind: errors(potential, part) for kind, part in tests.items()},
            "phonons": phonons(lambda frames: [p["forces"] for p in predict(frames)]),  # noqa: B023
            "surfaces": surfaces(lambda atoms: float(predict(atoms)["energy"])),  # noqa: B023
        }
        if FORMS[form]:
            found[form]["charge of Na"] = {
                kind: of_sodium(potential, part) for kind, part in tests.items()
            }
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        found[form]["constant energy"] = drift(Calculator(potential))
        melted = [sampled(Calculator(potential), start[0], seed) for seed in range(1, RUNS + 1)]
        found[form]["S_zz k_D^2 / k^2"] = charge_structure(melted)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/rigid-ions"))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    given = parser.parse_args()
    main(given.runs, given.epochs, given.forms)

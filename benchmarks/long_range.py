"""Do charges reach where the cutoff does not, and does a charge as an input tell states apart?

    python benchmarks/long_range.py dimers DATA [--runs runs/long-range] [--seeds 2]
    python benchmarks/long_range.py states DATA [--runs runs/long-range]
    python benchmarks/long_range.py chains DATA [--runs runs/long-range]

`dimers`: DATA is `train.xyz.gz` of the dimers of charged (C), polar (P) and apolar (A) molecules of
Huguenin-Dumittan et al., J. Phys. Chem. Lett. 14, 9612 (2023), CC BY-NC 4.0, HSE06 in periodic
boxes of 30 Å. Each class is one dimer at ten distances: those below 8.5 Å train, up to 9.5 Å they
choose the weights, beyond they test. The box is put back, because the labels are those of a box: at
12 Å the force between the ions is 13 % below Coulomb's law. `states` and `chains`: DATA is a folder
with `ag3_train.xyz.gz` and `carbon_chain_train.xyz.gz` of Ko et al., Nat. Commun. 12, 398 (2021).
`chains` is a learning curve: each training takes as many steps.

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
from ase.calculators.singlepoint import SinglePointCalculator

import reann
from reann.data.check.jumps import Jumps

RESULTS = Path(__file__).parent / "results" / "long_range.json"
BOX, TRAIN, VALID = 30.0, 8.5, 9.5
"""Å: the box of the labels; distances up to which dimers train, and choose the weights."""
EPOCHS, BATCH = 100, 12
HELD_OUT = 0.15
"""Part of the geometries of `states` and `chains` that no training sees."""
CHAIN_STEPS, CHAIN_BATCH = 1200, 4
"""Steps of each training on carbon chains, and structures per step."""
SMALL = {"channels": 16, "l_max": 2}
"""Of the dimers: 35 structures of six molecules train."""
FORMS: dict[str, dict[str, Any]] = {
    "short range": {},
    "charges": {"long_range": {}},
    "charges, monomers": {"long_range": {}},
    "equilibrated": {"long_range": {"charges": "equilibrated"}},
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


# --- dimers -------------------------------------------------------------------------------------


def dimers(data: Path, runs: Path, seeds: int, epochs: int) -> None:
    frames = read(data)
    for atoms in frames:
        if atoms.info["label"] == "CP":  # the file has the charge of the acetate at the amide
            atoms.info |= {"chargeA": 0, "chargeB": -1}
        atoms.info["charge"] = int(atoms.info["chargeA"] + atoms.info["chargeB"])
        atoms.set_cell([BOX] * 3)
        atoms.pbc = True
        atoms.calc = SinglePointCalculator(atoms, **atoms.calc.results)
    parts: dict[str, list[ase.Atoms]] = defaultdict(list)
    for atoms in frames:
        r = atoms.info["distance"]
        parts["train" if r < TRAIN else "valid" if r < VALID else "test"].append(atoms)
    files = {name: write(runs / f"{name}.xyz", part) for name, part in parts.items()}
    with_monomers = [*parts["train"], *monomers(parts["train"])]
    files["monomers"] = write(runs / "train-monomers.xyz", with_monomers)
    counts = {name: len(part) for name, part in parts.items()}
    for form, choices in FORMS.items():
        for seed in range(1, seeds + 1):
            folder = runs / f"{form.replace(', ', '-').replace(' ', '-')}-{seed}"
            if not (folder / "model.reann").exists():
                config = {
                    "data": {
                        "train": files["monomers" if form.endswith("monomers") else "train"],
                        "valid": [files["valid"]],
                        "accept": ["varying-charge"],
                        "missing": "allow",
                    },
                    "model": {**SMALL, **choices},
                    "training": {"epochs": epochs, "batch_size": BATCH},
                    "run": {"folder": str(folder), "seed": seed, "threads": 1},
                }
                reann.train(reann.Config.model_validate(config))
            potential = reann.load(folder / "model.reann")
            counts[f"{form}, seed {seed}"] = errors_by_class(potential, parts)
            record("dimers", counts)


def monomers(frames: list[ase.Atoms]) -> list[ase.Atoms]:
    """Return the two molecules of each class with their charges and energies, without forces."""
    alone = []
    for atoms in {a.info["label"]: a for a in frames}.values():
        n = int(atoms.info["indexB"])
        for name, part in (("A", slice(0, n)), ("B", slice(n, None))):
            monomer = atoms[part]
            monomer.info = {"charge": int(atoms.info[f"charge{name}"])}
            energy = float(atoms.info[f"energy{name}"])
            monomer.calc = SinglePointCalculator(monomer, energy=energy)
            alone.append(monomer)
    return alone


def errors_by_class(potential: Any, parts: dict[str, list[ase.Atoms]]) -> dict[str, Any]:
    """Return RMSE of energies above the nearest training frame, and of forces, by class.

    The constant of each class is that of its last training frame: what counts is the curve.
    """
    errors: dict[str, Any] = {}
    for label in sorted({a.info["label"] for a in parts["test"]}):
        own = {name: [a for a in part if a.info["label"] == label] for name, part in parts.items()}
        start = max(own["train"], key=lambda a: a.info["distance"])
        base = float(potential.predict(start)["energy"]) - start.get_potential_energy()
        energy, forces, slopes = [], [], []
        for atoms in own["test"]:
            p = potential.predict(atoms)
            energy.append(float(p["energy"]) - atoms.get_potential_energy() - base)
            forces.append((p["forces"] - atoms.get_forces()).ravel())
            slopes.append((along_axis(atoms, p["forces"]), along_axis(atoms, atoms.get_forces())))
        slope = np.array(slopes)
        errors[label] = {
            "energy_rmse_meV": 1e3 * float(np.sqrt(np.mean(np.square(energy)))),
            "forces_rmse_meV_per_A": 1e3 * float(np.sqrt(np.mean(np.concatenate(forces) ** 2))),
            "slope_ratio": [round(x, 4) for x in (slope[:, 0] / slope[:, 1]).tolist()],
        }
    return errors


def along_axis(atoms: ase.Atoms, forces: np.ndarray) -> float:
    """Return the force on the second molecule along the line of the centers, eV/Å."""
    n = int(atoms.info["indexB"])
    axis = atoms.positions[n:].mean(0) - atoms.positions[:n].mean(0)
    return float(forces[n:].sum(0) @ axis / np.linalg.norm(axis))


# --- charge states ------------------------------------------------------------------------------


def states(folder: Path, runs: Path) -> None:
    """Train one model on both charges of the silver clusters."""
    frames = read(folder / "ag3_train.xyz.gz")
    excited = of_other_states(frames)
    parts = split(frames)
    ground = {name: [a for a in part if id(a) not in excited] for name, part in parts.items()}
    potential = trained(runs / "ag3", ground, cutoff=7.0, batch=16, epochs=60)
    record(
        "states",
        {
            "train": len(ground["train"]),
            "all": errors(potential, parts["test"]),
            "ground state": errors(potential, ground["test"]),
        },
    )


def chains(folder: Path, runs: Path) -> None:
    """Train on thirds of the carbon chains, C10H2 and C10H3+."""
    parts, found = split(read(folder / "carbon_chain_train.xyz.gz")), {}
    for thirds in (3, 1, 2):
        some = {**parts, "train": parts["train"][: len(parts["train"]) * thirds // 3]}
        n = len(some["train"])
        epochs = CHAIN_STEPS * CHAIN_BATCH // n
        run = runs / f"carbon-chains-{n}"
        potential = trained(run, some, cutoff=5.0, batch=CHAIN_BATCH, epochs=epochs)
        found[f"{n} structures"] = {
            "epochs": epochs,
            "validation": errors(potential, parts["valid"]),
            "test": errors(potential, parts["test"]),
        }
        record("chains", found)


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
    run: Path, parts: dict[str, list[ase.Atoms]], cutoff: float, batch: int, epochs: int
) -> Any:
    """Return the model of a run, which is trained if there is none."""
    if not (run / "model.reann").exists():
        files = {p: write(run.parent / f"{run.name}-{p}.xyz", parts[p]) for p in ("train", "valid")}
        config = {
            "data": {"train": files["train"], "valid": [files["valid"]]},
            "model": {"cutoff": cutoff, "inputs": ["charge"]},
            "training": {"epochs": epochs, "batch_size": batch},
            "run": {"folder": str(run), "threads": 1},
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
    parser.add_argument("what", choices=["dimers", "states", "chains"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/long-range"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    if given.what == "dimers":
        dimers(given.data, given.runs, given.seeds, given.epochs)
    elif given.what == "states":
        states(given.data, given.runs)
    else:
        chains(given.data, given.runs)

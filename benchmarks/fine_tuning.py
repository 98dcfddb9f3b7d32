"""Fine-tuning: what a trained potential is worth as the start of another training.

    python benchmarks/fine_tuning.py DATA [--runs runs/fine-tuning] [--seeds 1 2]

Four tasks, each beside trainings from nothing on the same structures: another method (aspirin,
100 CCSD labels, starting from PBE), more structures (aspirin, 900 PBE labels, starting from 150),
a new element (3BPA, 100 structures, starting from aspirin, which has no nitrogen), and two methods
trained together, each with a head of its own (aspirin, 50 CCSD and 150 PBE labels; all trainings
take as many steps). No geometry of the CCSD labels is among those of PBE. Errors are those of
structures that neither trained nor chose an epoch. Results go to `results/fine_tuning.json`, and a
table of them to `results/fine_tuning.md`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np

from reann.config import Config
from reann.data.files.read import iter_atoms
from reann.training.run import resume, train

RESULTS = Path(__file__).parent / "results" / "fine_tuning.json"
PBE = "aspirin-rmd17/train.xyz.gz"
CCSD = "md17-coupled-cluster/aspirin_ccsd_train.xyz.gz"
BPA = "3bpa/train_300K.xyz.gz"
VALID, TEST = 50, 200
"""Structures that choose the epoch, and that judge."""
BODY_EPOCHS = {"pbe-900": 60, "pbe-150": 240, "pbe-150-fast": 60}
RATES = (6e-3, 2e-3, 6e-4, 2e-4)
"""Learning rates; the first is that of a new potential."""


@dataclass(frozen=True)
class Case:
    """One training of a task."""

    task: str
    start: str | None
    """Name of the body, if any."""
    rate: float
    epochs: int
    body_rate: float = 1.0
    heads: bool = False
    """Whether labels of the other method are trained on, too, with a head of their own."""

    @property
    def name(self) -> str:
        """Name of the run folder."""
        start = "warm" if self.start else "new"
        heads = "-heads" if self.heads else ""
        return f"{self.task}-{start}-rate{self.rate:g}-body{self.body_rate:g}-{self.epochs}{heads}"


def cases() -> Iterator[Case]:
    """Yield all trainings."""
    for epochs in (30, 100):
        for task, start in (("ccsd", "pbe-900"), ("bpa", "pbe-900")):
            yield Case(task, None, RATES[0], epochs)
            for rate in RATES:
                yield Case(task, start, rate, epochs)
            yield Case(task, start, RATES[1], epochs, body_rate=0.1)
            yield Case(task, start, RATES[0], epochs, body_rate=0.0)
    yield Case("more", None, RATES[0], 30)
    for rate in RATES[:3]:
        yield Case("more", "pbe-150", rate, 30)
    yield Case("heads", None, RATES[0], 240)
    yield Case("heads", None, RATES[0], 60, heads=True)
    yield Case("heads", "pbe-150-fast", RATES[2], 60)


def prepare(data: Path, folder: Path) -> None:
    """Write the structures of all parts, drawn once."""
    pbe, ccsd, bpa = (frames(data / name) for name in (PBE, CCSD, BPA))
    known = {key(atoms) for atoms in pbe}
    ccsd = [atoms for atoms in ccsd if key(atoms) not in known]
    for name, structures, sizes in (
        ("pbe", pbe, (900,)),
        ("ccsd", ccsd, (100, 50)),
        ("bpa", bpa, (100,)),
    ):
        order = np.random.default_rng(0).permutation(len(structures))
        chosen = [structures[i] for i in order]
        for atoms in chosen:
            atoms.info["method"] = name
        held_out = VALID + (TEST if name != "pbe" else VALID)
        write(folder / f"{name}-valid.xyz", chosen[:VALID])
        write(folder / f"{name}-test.xyz", chosen[VALID:held_out])
        for size in sizes:
            write(folder / f"{name}-{size}.xyz", chosen[held_out : held_out + size])
    write(folder / "pbe-150.xyz", ase.io.read(folder / "pbe-900.xyz", ":150"))


def frames(file: Path) -> list[ase.Atoms]:
    """Return the structures of a file."""
    return [atoms for atoms, _ in iter_atoms(str(file))]


def key(atoms: ase.Atoms) -> bytes:
    """Return what equal geometries share."""
    return atoms.positions.round(4).tobytes()


def write(file: Path, structures: list[ase.Atoms]) -> None:
    """Write structures unless the file is there."""
    if not file.exists():
        ase.io.write(file, structures, format="extxyz")


def body(folder: Path, name: str, seed: int) -> Path:
    """Return the potential of PBE that other trainings start from."""
    run = folder / f"body-{name}-seed{seed}"
    file, model = f"{name.removesuffix('-fast')}.xyz", {}
    if name.endswith("-fast"):
        model = {"preset": "fast"}
    once(config(run, "pbe", [file], {"epochs": BODY_EPOCHS[name]}, **model), None)
    return run / "model.reann"


def config(
    run: Path, task: str, files: list[str], training: dict[str, Any], **model: Any
) -> Config:
    """Return the configuration of one training, in a folder beside the data that names the seed."""
    folder = run.parent
    return Config(
        data={
            "train": [str(folder / file) for file in files],
            "valid": str(folder / f"{task}-valid.xyz"),
            "test": str(folder / f"{task}-test.xyz"),
            "cache": folder / "cache",
            **({"keys": {"head": "method"}} if "heads" in model else {}),
        },
        model={"cutoff": 4.5, **model},
        training=training,
        run={"folder": run, "seed": int(run.name.rpartition("seed")[2]), "threads": 1},
    )


def once(settings: Config, start: Path | None) -> dict[str, float]:
    """Train, go on, or read what a finished training reached on the test set."""
    run = settings.run.folder
    done = run / "errors.json"
    if not done.exists():
        begun = (run / "config.yaml").exists()
        result = resume(run) if begun else train(settings, start)
        done.write_text(json.dumps(result.evaluations["test"].summary()) + "\n")
    errors: dict[str, float] = json.loads(done.read_text())
    return errors


def reached(case: Case, folder: Path, seed: int) -> dict[str, float]:
    """Return the test errors of a case."""
    start = body(folder, case.start, seed) if case.start else None
    files, model = [FILES[case.task]], dict[str, Any]()
    if case.task == "heads":
        model["preset"] = "fast"
    if case.heads:
        files, model = [*files, "pbe-150.xyz"], model | {"heads": ["ccsd", "pbe"]}
    training = {"epochs": case.epochs, "learning_rate": case.rate, "body_rate": case.body_rate}
    name = {"more": "pbe", "heads": "ccsd"}.get(case.task, case.task)
    run = folder / f"{case.name}-seed{seed}"
    return once(config(run, name, files, training, **model), start)


FILES = {
    "ccsd": "ccsd-100.xyz",
    "bpa": "bpa-100.xyz",
    "more": "pbe-900.xyz",
    "heads": "ccsd-50.xyz",
}
TITLES = {
    "ccsd": "Aspirin, 100 CCSD labels; start: 900 PBE labels",
    "bpa": "3BPA, 100 labels; start: aspirin, without nitrogen",
    "more": "Aspirin, 900 PBE labels; start: 150 of them",
    "heads": "Aspirin, 50 CCSD labels, preset `fast`; start or second head: 150 PBE labels",
}


def table(results: dict[str, Any]) -> str:
    """Return the errors of all cases, means over the seeds."""
    head = ["start", "rate", "body rate", "epochs", "energy, meV/atom", "forces, meV/Å"]
    lines = []
    for task, title in TITLES.items():
        lines += [f"**{title}**", "", f"| {' | '.join(head)} |", "| --- |" + " --: |" * 5]
        for case in sorted(
            (case for case in cases() if case.task == task),
            key=lambda c: (c.heads, c.start or "", c.epochs, -c.body_rate, -c.rate),
        ):
            seeds = list(results.get(case.name, {}).values())
            if not seeds:
                continue
            mean = {name: np.mean([seed[name] for seed in seeds]) for name in seeds[0]}
            start = "fine-tuned" if case.start else "new"
            energy = "energy_{}_meV_per_atom", "{:.2f}"
            forces = "forces_{}_meV_per_A", "{:.1f}"
            errors = [
                " / ".join(number.format(mean[name.format(kind)]) for kind in ("mae", "rmse"))
                for name, number in (energy, forces)
            ]
            both = ", two heads" if case.heads else ""
            cells = [f"{start}{both}", f"{case.rate:g}", f"{case.body_rate:g}", f"{case.epochs}"]
            lines.append(f"| {' | '.join([*cells, *errors])} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Do what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/fine-tuning"))
    parser.add_argument("--tasks", nargs="+", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    arguments = parser.parse_args()
    folder = arguments.runs.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    prepare(arguments.data, folder)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for seed in arguments.seeds:
        for case in (case for case in cases() if case.task in arguments.tasks):
            errors = reached(case, folder, seed)
            results.setdefault(case.name, {})[str(seed)] = {
                name: round(errors[name], 4) for name in errors if name.startswith(("ener", "forc"))
            }
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            RESULTS.with_suffix(".md").write_text(table(results))
            forces = errors["forces_mae_meV_per_A"], errors["forces_rmse_meV_per_A"]
            print(f"{case.name:44} {forces[0]:7.1f} {forces[1]:7.1f}", flush=True)


if __name__ == "__main__":
    main()

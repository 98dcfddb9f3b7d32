"""ASE's own EMT: hardly any arithmetic for a small molecule, so a measure of what ASE costs."""

from __future__ import annotations

import ase
from ase.calculators.emt import EMT
from worker import Task, serve, through_ase


def load(atoms: ase.Atoms, threads: int) -> tuple[dict[str, str], dict[str, Task]]:  # noqa: ARG001
    alone = EMT()
    alone.calculate(atoms)

    def evaluate() -> None:
        alone.calculate(atoms, ["energy", "forces"], ["positions"])

    return {"ase": ase.__version__}, {"evaluate": evaluate, **through_ase(atoms, EMT())}


if __name__ == "__main__":
    serve(load)

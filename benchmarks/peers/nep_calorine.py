"""NEP on the CPU (NEP_CPU in calorine), one thread; it makes its neighbor lists at every call."""

from __future__ import annotations

from importlib.metadata import version

import ase
from calorine.calculators import CPUNEP
from worker import Task, serve, through_ase


def load(atoms: ase.Atoms, model: str, threads: int) -> tuple[dict[str, str], dict[str, Task]]:
    if threads != 1:
        raise ValueError("NEP_CPU uses one thread")
    alone = CPUNEP(model)
    alone.calculate(atoms)

    def rebuild() -> None:
        alone.nepy.get_potential_forces_and_virials()

    return {"calorine": version("calorine")}, {
        "rebuild": rebuild,
        **through_ase(atoms, CPUNEP(model)),
    }


if __name__ == "__main__":
    serve(load)

"""How far do fixed charges of the atoms describe the force between two ions?

    python benchmarks/fixed_charges.py DATA

DATA as for `charged_dimers.py`. Charges of the atoms of the dimer CC, whose sums are +1 and -1 e,
are fitted to the forces and torques between the ions in the training structures from `NEAREST`, and
compared with the test structures. Results go to `results/charged_dimers.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ase
import numpy as np
import torch
from charged_dimers import BOX, RESULTS, along_axis, structures
from torch import Tensor

from reann.electrostatics.split import split_potentials, width_of

NEAREST, SIGMA = 7.5, 1.0
"""Å: distance from which overlap is small; width of the charges, as in the models."""
RIDGE = 1e-6
"""Penalty of the squared charges, (eV/Å)^2 / e^2."""


def energy_and_forces(q: Tensor, atoms: ase.Atoms) -> tuple[Tensor, Tensor]:
    cell = BOX * torch.eye(3, dtype=torch.float64)
    r = torch.tensor(atoms.positions, requires_grad=True)
    wide = width_of(cell, len(atoms), SIGMA)
    energy = 0.5 * (q * split_potentials(q, r, cell, SIGMA, wide)).sum()
    return energy, -torch.autograd.grad(energy, r, create_graph=True)[0]


def rigid(forces: Tensor, atoms: ase.Atoms) -> Tensor:
    """Return forces, and torques at an arm of 2 Å, of both ions."""
    n, r = int(atoms.info["indexB"]), torch.tensor(atoms.positions)
    found = []
    for part in (slice(0, n), slice(n, None)):
        arms = r[part] - r[part].mean(0)
        found += [forces[part].sum(0), 0.5 * torch.linalg.cross(arms, forces[part]).sum(0)]
    return torch.cat(found)


def fitted(frames: list[ase.Atoms]) -> Tensor:
    """Return the charges that reproduce forces and torques, e."""
    n, total = int(frames[0].info["indexB"]), len(frames[0])
    free = torch.zeros(total, dtype=torch.float64, requires_grad=True)

    def charges() -> Tensor:
        parts = ((free[:n], 1.0), (free[n:], -1.0))
        return torch.cat([x - x.mean() + q / len(x) for x, q in parts])

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = RIDGE * free.square().sum()
        for atoms in frames:
            missing = energy_and_forces(charges(), atoms)[1] - torch.tensor(atoms.get_forces())
            value = value + rigid(missing, atoms).square().sum()
        value.backward()
        return value

    optimizer = torch.optim.LBFGS([free], lr=1, max_iter=60, line_search_fn="strong_wolfe")
    optimizer.step(loss)  # pyright: ignore[reportArgumentType]
    return charges().detach()


def main(data: Path) -> None:
    torch.set_num_threads(1)
    parts = {
        name: [a for a in part if a.info.get("label") == "CC"]
        for name, part in structures(data).items()
    }
    used = [a for a in parts["train"] if a.info["distance"] > NEAREST]
    q, start = fitted(used), max(used, key=lambda a: a.info["distance"])
    base = float(energy_and_forces(q, start)[0].detach()) - start.get_potential_energy()
    energies, slopes = [], []
    for atoms in parts["test"]:
        energy, forces = energy_and_forces(q, atoms)
        energies.append(1e3 * (float(energy.detach()) - atoms.get_potential_energy() - base))
        ratio = along_axis(atoms, forces.detach().numpy()) / along_axis(atoms, atoms.get_forces())
        slopes.append(round(ratio, 4))
    known = json.loads(RESULTS.read_text())
    known["fixed charges"] = {
        "structures": len(used),
        "energy_rmse_meV": float(np.sqrt(np.mean(np.square(energies)))),
        "slope_ratio": slopes,
    }
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

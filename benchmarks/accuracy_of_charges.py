"""Errors of the Coulomb energy in large boxes: of the mesh, and of single precision.

    python benchmarks/accuracy_of_charges.py [--sizes 4 7 15 32]

Boxes of water and the models of `cost_of_charges.py`, with latent charges. `mesh`: Coulomb forces
and potentials of some atoms, from the mesh and from the plain Ewald sum of all atoms. `float32`:
energies, forces and charges by a network in single precision, compared with double precision.
Results go to `results/long_range.json`.
"""

from __future__ import annotations

import argparse
import json

import ase
import numpy as np
import torch
from cost_of_charges import charged, water_box
from long_range import RESULTS, record

from reann.backends import choice
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.electrostatics import ewald
from reann.electrostatics.mesh import Mesh
from reann.graph import Graph
from reann.model.reann import in_precision
from reann.units import COULOMB

SAMPLE, AT_ONCE, SIGMA = 60, 400, 1.0
"""Atoms that are compared, atoms whose phases are in memory at once, and the width in Å."""
LARGER = 30.0
"""Factor of the weights of charges: those of equal elements then differ as in trained models."""


def main() -> None:
    """Write a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 7, 15, 32])
    torch.set_num_threads(1)
    for n in parser.parse_args().sizes:
        atoms = water_box(n)
        row = of_precision(atoms) | of_mesh(atoms)
        known = json.loads(RESULTS.read_text()).get("accuracy", {})
        record("accuracy", known | {f"{len(atoms)} atoms": row})
        print(len(atoms), row, flush=True)


def of_mesh(atoms: ase.Atoms) -> dict[str, float]:
    """Return the RMS and largest relative errors of the mesh, of some atoms."""
    q = computed(graph_of(atoms), ["charges"])["charges"]
    positions, cell = torch.from_numpy(atoms.positions), torch.from_numpy(atoms.cell.array.copy())
    some = torch.from_numpy(np.random.default_rng(0).choice(len(atoms), SAMPLE, replace=False))
    slopes = Mesh(positions, cell, SIGMA).slopes(q)
    potentials, field = plain(q, positions, cell, some)
    by_position = q[some, None] * field
    return {
        "Coulomb force, RMS, eV/Å": rms(by_position),
        "mesh, force RMS error, eV/Å": rms(slopes.by_position[some] - by_position),
        "mesh, largest force error, eV/Å": largest(slopes.by_position[some] - by_position),
        "potential, RMS, V": rms(potentials),
        "mesh, potential RMS error, V": rms(slopes.by_charge[some] - potentials),
    }


def plain(
    q: torch.Tensor, positions: torch.Tensor, cell: torch.Tensor, some: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return potentials and their gradients at some atoms, from the Ewald sum of all atoms."""
    weights = ewald.weights_of(cell, SIGMA)
    kept = (weights > 0.0).any(2)

    def in_plane(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x[:, None] * y[None])[kept]

    S = torch.zeros((), dtype=torch.complex128)
    for part in torch.arange(len(q)).split(AT_ONCE):
        x, y, z = ewald.phases_of(positions[part], cell, SIGMA)
        S = S + (in_plane(x, y) * q[part]) @ z.T
    places = positions[some].clone().requires_grad_()
    x, y, z = ewald.phases_of(places, cell, SIGMA)
    at = (in_plane(x, y) * ((weights[kept] * S.conj()) @ z)).real.sum(0)
    potentials = COULOMB * (at - q[some] * ewald.self_potential(SIGMA))
    (field,) = torch.autograd.grad(potentials.sum(), places)
    return potentials.detach(), field


def of_precision(atoms: ase.Atoms) -> dict[str, float]:
    """Return the differences between single and double precision of the network."""
    graph = graph_of(atoms)
    single, double = (
        computed(graph, ["energy", "forces", "charges"], dtype)
        for dtype in (torch.float32, torch.float64)
    )
    differences = {name: single[name] - double[name] for name in double}
    per_atom = 1e3 * differences["energy"].abs().item() / len(atoms)
    of_oxygen = double["charges"][graph.atomic_numbers == 8]
    return {
        "charges of O, standard deviation, e": rms(of_oxygen - of_oxygen.mean()),
        "force, RMS, eV/Å": rms(double["forces"]),
        "float32, force RMS difference, eV/Å": rms(differences["forces"]),
        "float32, largest force difference, eV/Å": largest(differences["forces"]),
        "float32, charge RMS difference, e": rms(differences["charges"]),
        "float32, energy difference, meV/atom": float(f"{per_atom:.3g}"),
    }


def computed(
    graph: Graph, names: list[str], dtype: torch.dtype = torch.float64
) -> dict[str, torch.Tensor]:
    """Return properties of a model with latent charges, whose weights are those of float32."""
    model = charged("charges")
    with torch.no_grad():
        model.output_heads["charges"].scalars.mul_(LARGER)
    return choice.evaluate(in_precision(model, dtype), graph, names, engine="native")


def graph_of(atoms: ase.Atoms) -> Graph:
    """Return the graph of a box."""
    return graph_from_atoms(atoms, ModelConfig().cutoff)


def rms(x: torch.Tensor) -> float:
    """Return the root mean square, three digits."""
    return float(f"{x.square().mean().sqrt().item():.3g}")


def largest(x: torch.Tensor) -> float:
    """Return the largest absolute value, three digits."""
    return float(f"{x.abs().max().item():.3g}")


if __name__ == "__main__":
    main()

"""MACE (two layers, l = 3, correlation 3, float32), random weights, its neighbor list outside."""

from __future__ import annotations

import os
import warnings
from importlib.metadata import version

import ase
import numpy as np
import torch
from worker import Task, serve

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn reads tables of its own this way
warnings.filterwarnings("ignore")

from e3nn import o3  # noqa: E402
from mace import data, modules, tools  # noqa: E402


def load(
    atoms: ase.Atoms, threads: int, hidden: str = "128x0e", cutoff: float = 5.0
) -> tuple[dict[str, str], dict[str, Task]]:
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float32)
    elements = sorted(set(atoms.numbers.tolist()))
    table = tools.AtomicNumberTable(elements)
    model = modules.ScaleShiftMACE(
        r_max=cutoff,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
        num_interactions=2,
        num_elements=len(elements),
        hidden_irreps=o3.Irreps(hidden),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(len(elements)),
        avg_num_neighbors=50.0,
        atomic_numbers=elements,
        correlation=3,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    ).eval()
    configuration = data.config_from_atoms(atoms)
    graph = data.AtomicData.from_config(configuration, z_table=table, cutoff=cutoff)
    loader = tools.torch_geometric.dataloader.DataLoader([graph], batch_size=1)
    batch = next(iter(loader)).to_dict()

    def evaluate() -> None:
        model(batch, compute_force=True)

    return {"mace-torch": version("mace-torch"), "torch": torch.__version__}, {"evaluate": evaluate}


if __name__ == "__main__":
    serve(load)

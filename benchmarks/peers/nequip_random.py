"""NequIP, l = 1, 32 features, 3 layers, 5 Å, float32, random weights, its list outside."""

from __future__ import annotations

from importlib.metadata import version

import ase
import torch
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import NequIPGNNModel
from nequip.utils.global_state import set_global_state
from worker import Task, serve

CUTOFF = 5.0  # Å


def load(atoms: ase.Atoms, threads: int) -> tuple[dict[str, str], dict[str, Task]]:
    torch.set_num_threads(threads)
    set_global_state()
    elements = sorted(set(atoms.symbols))
    model = NequIPGNNModel(
        seed=1,
        model_dtype="float32",
        r_max=CUTOFF,
        type_names=elements,
        num_layers=3,
        l_max=1,
        num_features=32,
        avg_num_neighbors=50.0,
    ).eval()
    data = from_ase(atoms)
    for change in (ChemicalSpeciesToAtomTypeMapper(elements), NeighborListTransform(CUTOFF)):
        data = change(data)

    def evaluate() -> None:
        found = model(dict(data))
        assert AtomicDataDict.FORCE_KEY in found

    return {"nequip": version("nequip"), "torch": torch.__version__}, {"evaluate": evaluate}


if __name__ == "__main__":
    serve(load)

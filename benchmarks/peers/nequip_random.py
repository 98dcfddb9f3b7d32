"""NequIP or Allegro, float32, random weights, its neighbor list outside."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import ase
import torch
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import NequIPGNNModel
from nequip.utils.global_state import set_global_state
from worker import Task, serve

SMALL = {"num_layers": 3, "l_max": 1, "num_features": 32}


def builder(form: str) -> Any:
    """Return the function that makes a model."""
    if form == "nequip":
        return NequIPGNNModel
    from allegro.model import AllegroModel

    return AllegroModel


def load(
    atoms: ase.Atoms,
    threads: int,
    cutoff: float = 5.0,
    form: str = "nequip",
    settings: dict[str, Any] = SMALL,
) -> tuple[dict[str, str], dict[str, Task]]:
    torch.set_num_threads(threads)
    set_global_state()
    elements = sorted(set(atoms.symbols))
    model = builder(form)(
        seed=1,
        model_dtype="float32",
        r_max=cutoff,
        type_names=elements,
        avg_num_neighbors=50.0,
        **settings,
    ).eval()
    data = from_ase(atoms)
    for change in (ChemicalSpeciesToAtomTypeMapper(elements), NeighborListTransform(cutoff)):
        data = change(data)

    def evaluate() -> None:
        results = model(dict(data))
        assert AtomicDataDict.FORCE_KEY in results

    versions = {"nequip": version("nequip"), "torch": torch.__version__}
    if form == "allegro":
        versions["nequip-allegro"] = version("nequip-allegro")
    return versions, {"evaluate": evaluate}


if __name__ == "__main__":
    serve(load)

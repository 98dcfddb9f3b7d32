"""DeePMD-kit, the se_e2_a model of its water example, compressed; it makes its lists itself.

The weights are those of one training step: they decide nothing about speed. Frozen and compressed
with the program `dp` of the same environment, in the folder given.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import ase
import numpy as np
from worker import Task, serve, through_ase

EXAMPLE = {
    "model": {
        "type_map": ["O", "H"],
        "descriptor": {
            "type": "se_e2_a",
            "sel": [46, 92],
            "rcut_smth": 0.5,
            "rcut": 6.0,
            "neuron": [25, 50, 100],
            "resnet_dt": False,
            "axis_neuron": 16,
            "type_one_side": True,
            "seed": 1,
        },
        "fitting_net": {"neuron": [240, 240, 240], "resnet_dt": True, "seed": 1},
    },
    "learning_rate": {"type": "exp", "decay_steps": 5000, "start_lr": 1e-3, "stop_lr": 3.51e-8},
    "loss": {
        "type": "ener",
        "start_pref_e": 0.02,
        "limit_pref_e": 1,
        "start_pref_f": 1000,
        "limit_pref_f": 1,
        "start_pref_v": 0,
        "limit_pref_v": 0,
    },
    "training": {
        "training_data": {"systems": ["system"], "batch_size": 1},
        "numb_steps": 1,
        "seed": 1,
        "disp_freq": 1,
        "save_freq": 1,
    },
}


def load(atoms: ase.Atoms, folder: str, threads: int) -> tuple[dict[str, str], dict[str, Task]]:
    os.environ |= {"DP_INTRA_OP_PARALLELISM_THREADS": str(threads)}
    os.environ |= {"DP_INTER_OP_PARALLELISM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    model = compressed(atoms, Path(folder))
    from deepmd.calculator import DP
    from deepmd.infer import DeepPot

    potential = DeepPot(str(model))
    kinds = [EXAMPLE["model"]["type_map"].index(symbol) for symbol in atoms.symbols]

    def rebuild() -> None:
        potential.eval(atoms.positions[None], atoms.cell.array[None], kinds)

    versions = {"deepmd-kit": version("deepmd-kit"), "tensorflow-cpu": version("tensorflow-cpu")}
    return versions, {"rebuild": rebuild, **through_ase(atoms, DP(str(model)))}


def compressed(atoms: ase.Atoms, folder: Path) -> Path:
    """Return the compressed model, made from one structure where it is missing."""
    model = folder / "compressed.pb"
    if model.exists():
        return model
    arrays = folder / "system" / "set.000"
    arrays.mkdir(parents=True, exist_ok=True)
    kinds = [EXAMPLE["model"]["type_map"].index(symbol) for symbol in atoms.symbols]
    (arrays.parent / "type.raw").write_text("\n".join(map(str, kinds)))
    np.save(arrays / "coord.npy", atoms.positions.reshape(1, -1))
    np.save(arrays / "box.npy", atoms.cell.array.reshape(1, -1))
    np.save(arrays / "energy.npy", np.zeros((1, 1)))
    np.save(arrays / "force.npy", np.zeros((1, 3 * len(atoms))))
    (folder / "input.json").write_text(json.dumps(EXAMPLE))
    for step in (
        ["train", "input.json", "--skip-neighbor-stat"],
        ["freeze", "-o", "frozen.pb"],
        ["compress", "-i", "frozen.pb", "-o", model.name, "-t", "input.json"],
    ):
        program = [str(Path(sys.executable).parent / "dp"), *step]
        subprocess.run(program, cwd=folder, check=True, stdout=sys.stderr)  # noqa: S603
    return model


if __name__ == "__main__":
    serve(load)

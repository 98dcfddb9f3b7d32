"""The yardstick as a peer: the original's arithmetic, with a neighbor list made by vesin."""

from __future__ import annotations

import ase
import numpy as np
import torch
import upstream_eager as upstream
from memory import Peak
from worker import Task, serve


def load(atoms: ase.Atoms, threads: int, frames: int = 1) -> tuple[dict[str, str], dict[str, Task]]:
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    elements = [e for e in ("C", "O", "H") if e in atoms.symbols]
    settings = upstream.BENCHMARK_SETTINGS | {"atomtype": elements}
    model = upstream.UpstreamModel(settings)
    frame = {
        "positions": atoms.positions,
        "cell": atoms.cell.array,
        "pbc": atoms.pbc,
        "numbers": atoms.numbers,
        "energy": np.zeros(1),
        "forces": np.zeros((len(atoms), 3)),
    }
    batch = upstream.make_batch([frame] * frames, settings)
    optimizer = upstream.adamw(model)
    peak = Peak()

    def evaluate() -> None:
        model.eval()
        model(batch)

    def rebuild() -> None:
        model.eval()
        model(upstream.make_batch([frame], settings))

    def train() -> dict[str, int]:
        model.train()
        upstream.train_step(model, optimizer, batch)
        return {"peak_bytes": peak.above()}

    tasks: dict[str, Task] = {"evaluate": evaluate, "rebuild": rebuild, "train": train}
    return {"torch": torch.__version__}, tasks


if __name__ == "__main__":
    serve(load)

"""A training step and an evaluation beside the original's arithmetic, alternating in one process.

    python benchmarks/step.py [--threads 1] [--repeats 15]

Water (192 atoms, one frame), T = 3, l <= 2, 12 radial functions, 6.2 Å, networks 64-64-64, float32.
Medians and their ratios; absolute times hold on no other machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from reann import properties
from reann.config import LossConfig, ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.model import Reann, build
from reann.training.loss import Loss

sys.path.insert(0, str(Path(__file__).parent))
from peers import upstream_eager as upstream

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "upstream"
SIZE = {"cutoff": 6.2, "l_max": 2, "n_radial": 12, "n_recursions": 3}
FORMS = {
    "as the original": SIZE | {"preset": "upstream", "n_orbitals": 234},
    "gram": SIZE | {"preset": "density", "features": "gram"},
}


def frame() -> dict[str, np.ndarray]:
    """Return one frame of liquid water of the golden files."""
    with np.load(GOLDEN / "reann_water_t3_expected.npz") as arrays:
        return {k.removeprefix("frame0/"): arrays[k] for k in arrays if k.startswith("frame0/")}


def original() -> dict[str, Callable[[], object]]:
    """Return the yardstick's evaluation and step."""
    torch.manual_seed(1)
    model = upstream.UpstreamModel()
    batch = upstream.make_batch([frame()])
    optimizer = upstream.adamw(model)

    def evaluate() -> object:
        model.eval()
        return model(batch)

    def step() -> object:
        model.train()
        return upstream.train_step(model, optimizer, batch)

    return {"evaluation": evaluate, "training step": step}


def ours(form: dict) -> dict[str, Callable[[], object]]:
    """Return the reference engine's evaluation and step, from a model with random weights."""
    import ase

    water = frame()
    atoms = ase.Atoms(water["numbers"], water["positions"], cell=water["cell"], pbc=water["pbc"])
    graph = graph_from_atoms(atoms, form["cutoff"])
    model: Reann = build(ModelConfig(**form), [1, 8], 99.0, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    labels = {
        "energy": torch.tensor([float(water["energy"])], dtype=torch.float64),
        "forces": torch.tensor(water["forces"]),
        "weight": torch.ones(1, dtype=torch.float64),
    }
    graph.labels.update(labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    loss = Loss(LossConfig(), 1.0)
    counts = {"energy": 1.0, "forces": float(graph.positions.numel())}

    def evaluate() -> object:
        return properties.evaluate(model, graph, ["energy", "forces"])

    def step() -> object:
        optimizer.zero_grad(set_to_none=True)
        results = properties.evaluate(model, graph, ["energy", "forces"], create_graph=True)
        loss(results, graph, counts).backward()
        optimizer.step()
        return None

    return {"evaluation": evaluate, "training step": step}


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Alternate the models and print microseconds per atom and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    models = {"original": original()} | {name: ours(form) for name, form in FORMS.items()}
    n_atoms, results = len(frame()["numbers"]), {}
    for task in ("evaluation", "training step"):
        times: dict[str, list[float]] = {name: [] for name in models}
        for repeat in range(arguments.repeats + 2):
            for name, work in models.items():
                elapsed = seconds(work[task])
                if repeat >= 2:
                    times[name].append(1e6 * elapsed / n_atoms)
        medians = {name: statistics.median(t) for name, t in times.items()}
        results[task] = medians
        for name, median in medians.items():
            ratio = medians["original"] / median
            print(f"{task:14}  {name:16} {median:8.0f} µs/atom   {ratio:5.2f} x original's speed")
    if arguments.json:
        known = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
        known[str(arguments.threads)] = results
        arguments.json.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()

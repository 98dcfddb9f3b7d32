"""reann as a peer: one of its engines, with a trained potential or with random weights."""

from __future__ import annotations

import ase
import torch
from memory import Peak
from worker import Task, serve, through_ase

import reann
from reann.backends import choice
from reann.backends.native.function import compute
from reann.backends.native.weights import new_model
from reann.config import LossConfig, ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.interfaces.ase import Calculator
from reann.model import build
from reann.native.system import arguments
from reann.potential import Potential
from reann.potential import load as load_potential
from reann.training.loss import Loss

SIZE = {"cutoff": 6.2, "l_max": 2, "n_radial": 12, "n_recursions": 3}
FORMS = {
    "orbitals": SIZE | {"preset": "upstream", "n_orbitals": 234},
    "gram": SIZE | {"preset": "density", "features": "gram"},
    **{name: {"preset": name} for name in ("fast", "density", "default", "accurate")},
}


def load(
    atoms: ase.Atoms,
    *,
    threads: int,
    engine: str,
    form: str,
    model: str | None = None,
    frames: int = 1,
) -> tuple[dict[str, str], dict[str, Task]]:
    torch.set_num_threads(threads)
    potential = load_potential(model) if model else random_weights(form, atoms)
    graph = graph_from_atoms(atoms, potential.cutoff)
    batch = labeled([graph] * frames)
    loss = Loss(LossConfig(), 1.0)
    counts = {"energy": float(frames), "forces": float(batch.positions.numel())}
    optimizer = torch.optim.AdamW(potential.model.parameters(), lr=1e-6)
    quantities = ["energy", "forces"]

    if engine == "native":
        packed, system = new_model(potential.model), arguments(graph, potential.model.element_index)

        def evaluate() -> None:
            compute(packed, system, ("forces",))

    else:

        def evaluate() -> None:
            choice.evaluate(potential.model, graph, quantities, engine=engine)

    always_new = Calculator(potential, engine=engine, skin=0.0)

    def rebuild() -> None:
        always_new.neighbors.build(atoms)
        always_new.compute(atoms, always_new.neighbors, frozenset({"energy", "forces", "stress"}))

    def train() -> dict[str, int]:
        optimizer.zero_grad(set_to_none=True)
        results = choice.evaluate(
            potential.model, batch, quantities, create_graph=True, engine=engine
        )
        loss(results, batch, counts).backward()
        optimizer.step()
        return {"peak_bytes": peak.above()}

    tasks: dict[str, Task] = {"evaluate": evaluate, "rebuild": rebuild, "train": train}
    tasks |= through_ase(atoms, Calculator(potential, engine=engine))
    peak = Peak()
    return {"reann": reann.__version__, "torch": torch.__version__}, tasks


def random_weights(form: str, atoms: ase.Atoms, cutoff: float | None = None) -> Potential:
    """Return a potential whose last layers, which start at zero, are random too."""
    fields = FORMS[form] | ({"cutoff": cutoff} if cutoff else {})
    model = build(ModelConfig(**fields), sorted(set(atoms.numbers.tolist())), 99.0, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return Potential(model)


def labeled(graphs: list[Graph]) -> Graph:
    """Return a batch with labels to train on."""
    for graph in graphs:
        graph.labels.update(
            energy=torch.zeros(1, dtype=torch.float64),
            forces=torch.zeros(graph.n_atoms, 3, dtype=torch.float64),
            weight=torch.ones(1, dtype=torch.float64),
        )
    return Graph.batch(graphs)


if __name__ == "__main__":
    serve(load)

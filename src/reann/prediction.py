"""Predictions of structures: numpy arrays by the names of the properties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from ase import Atoms
from torch import Tensor

from reann.backends.choice import Engine
from reann.calibration import Calibration
from reann.data.neighbors import graph_from_atoms
from reann.elements import check_elements
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.quantities import BORN, is_per_atom, labels, named

if TYPE_CHECKING:
    from reann.potential import Ensemble, Potential

DEFAULT_PROPERTIES = ("energy", "forces")

Prediction = dict[str, Any]


def labels_of(model: Reann) -> list[str]:
    """Return the labels predicted by a model: energy and derivatives, and other outputs.

    Born effective charges, which take as long as three steps of MD, only if `model.outputs` names
    them.
    """
    has_energy = len(model.heads) > 0
    predicted = (
        q.name for q in labels() if (q.from_energy and has_energy) or q.name in model.output_names
    )
    return [name for name in predicted if name != BORN or BORN in model.config.outputs]


def calibrate(results: dict[str, Tensor], calibration: Calibration, graph: Graph) -> None:
    """Multiply the standard deviations of a batch by the factors of a calibration."""
    for name in ("energy", "stress"):
        if f"{name}_std" in results:
            results[f"{name}_std"] = calibration.factor(name) * results[f"{name}_std"]
    if "forces_std" in results:
        factors = calibration.factors(graph.atomic_numbers.cpu().numpy())
        results["forces_std"] = results["forces_std"] * torch.from_numpy(factors).to(
            graph.cell.device
        )


def predict(
    potential: Potential | Ensemble,
    atoms: Atoms | Sequence[Atoms],
    names: Iterable[str],
    engine: Engine = "auto",
    draws: Ensemble | None = None,
) -> Prediction | list[Prediction]:
    """Predict one structure or each of several; see `Potential.predict`.

    Standard deviations come from `draws`, if given.
    """
    names = list(names)
    if not isinstance(atoms, Atoms):
        return [_predicted(potential, structure, names, engine, draws) for structure in atoms]
    return _predicted(potential, atoms, names, engine, draws)


def _predicted(
    potential: Potential | Ensemble,
    atoms: Atoms,
    names: list[str],
    engine: Engine = "auto",
    draws: Ensemble | None = None,
) -> Prediction:
    """Predict one structure."""
    check_elements(potential.model.elements, atoms.numbers)
    if "stress" in names and not atoms.pbc.all():
        raise UserError(
            "Stress is defined for structures that are periodic in three dimensions.",
            f"pbc is {atoms.pbc.tolist()}",
            "Use `virial` (eV), which is defined for all structures.",
        )
    graph = graph_from_atoms(atoms, potential.cutoff, inputs=potential.input_keys)
    graph = graph.to(potential.device)
    results = potential.evaluate(graph, names, engine)
    spreads = [name for name in names if named(name).has_spread]
    if draws is None:
        results = {name: x for name, x in results.items() if name in names}
    elif draws is not potential and spreads:
        of_draws = draws.evaluate(graph, spreads, engine)
        results |= {name: x for name, x in of_draws.items() if name.endswith("_std")}
    return {
        name: value.cpu().numpy() if is_per_atom(name) else value.cpu().numpy()[0].copy()
        for name, value in results.items()
    }

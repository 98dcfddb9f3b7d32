"""A common interface to potentials, models and functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ase
from torch import nn

from reann import properties
from reann.data.neighbors import graph_from_atoms
from reann.model import Reann
from reann.potential import Ensemble, Potential
from reann.properties import AtomicEnergies
from reann.quantities import is_per_atom

Predict = Callable[[ase.Atoms, Sequence[str]], dict[str, Any]]
"""Named quantities of one structure, units as in `reann.quantities`."""


def predictor(
    model: Potential | Ensemble | AtomicEnergies, cutoff: float | None = None, engine: str = "auto"
) -> Predict:
    """Return a function that predicts named quantities of a structure.

    Parameters
    ----------
    model
        A potential; a model; or any function that returns atomic energies (atoms,) in eV for a
        graph and its edge vectors (edges, 3) in Å, such as a new term.
    cutoff
        Å; needed for such a function.
    engine
        As in `Potential.predict`; a function is always differentiated by PyTorch.
    """
    if isinstance(model, Reann):
        model = Potential(model)
    if isinstance(model, Potential | Ensemble):
        potential = model
        return lambda atoms, names: potential.predict(atoms, names, engine)  # type: ignore[return-value]
    if cutoff is None:
        raise ValueError("A function of edge vectors needs a cutoff.")
    function, reach = model, cutoff
    if isinstance(function, nn.Module):
        function.eval()

    def predict(atoms: ase.Atoms, names: Sequence[str]) -> dict[str, Any]:
        values = properties.evaluate(function, graph_from_atoms(atoms, reach), names)
        return {k: v.numpy() if is_per_atom(k) else v.numpy()[0] for k, v in values.items()}

    return predict

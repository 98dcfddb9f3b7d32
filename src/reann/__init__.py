"""Recursively embedded atom neural network potentials.

The flow of the data is the tree of the folders::

    file -> structures -> neighbors -> Graph -> host (density) <-> recursion -> readout
        data.read     data.neighbors  data.loader   model.hosts      model.recursion  model.reann

    -> energies -> forces, stress, ...
                properties
           |-> training.loss -> training.loop -> water.reann
           '-> interfaces: ASE, LAMMPS, i-PI, torch-sim;  simulate: md, relax

Start here::

    potential = reann.load("water.reann")
    potential.predict(atoms, ["energy", "forces"])      # eV and eV/Å, as ASE has them
    atoms.calc = reann.Calculator(potential)
    reann.train(reann.Config(data={"train": "water.xyz"}))

Importing `reann` imports nothing heavy: each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reann import upstream
    from reann.config import Config
    from reann.errors import UserError
    from reann.evaluation.evaluate import evaluate
    from reann.flux import heat_flux
    from reann.graph import Graph
    from reann.interfaces.ase import Calculator
    from reann.potential import Ensemble, Potential, load
    from reann.training.run import train

    __version__: str

__all__ = [
    "Calculator",
    "Config",
    "Ensemble",
    "Graph",
    "Potential",
    "UserError",
    "__version__",
    "evaluate",
    "heat_flux",
    "load",
    "train",
    "upstream",
]

_HOME = {
    "Calculator": "reann.interfaces.ase",
    "Config": "reann.config",
    "Ensemble": "reann.potential",
    "Graph": "reann.graph",
    "Potential": "reann.potential",
    "UserError": "reann.errors",
    "evaluate": "reann.evaluation.evaluate",
    "heat_flux": "reann.flux",
    "load": "reann.potential",
    "train": "reann.training.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("reann")
        except PackageNotFoundError:  # run from the sources without an installation
            return "0+unknown"
    if name == "upstream":
        return importlib.import_module("reann.upstream")
    if name not in _HOME:
        raise AttributeError(f"module 'reann' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

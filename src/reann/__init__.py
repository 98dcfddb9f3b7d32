"""Recursively embedded atom neural network potentials.

The flow of the data is the tree of the folders::

    file -> structures -> neighbors -> Graph -> host (density) <-> recursion -> readout
        data.read     data.neighbors  data.loader   model.hosts      model.recursion  model.reann

    -> energies -> forces, stress, ...
                properties
           |-> training.loss -> training.loop -> water.reann
           '-> interfaces: ASE, LAMMPS, i-PI, torch-sim;  simulate: md, relax

Start here::

    run = reann.train("water.yaml", **{"training.epochs": 50})
    potential = reann.load("runs/water")
    potential.predict(atoms, ["energy", "forces"])      # eV and eV/Å, as in ASE
    atoms.calc = reann.Calculator(potential)
    reann.evaluate(potential, "test.xyz").table()
    reann.run_md(potential, atoms, temperature=300.0, time=1000.0).plot()

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
    from reann.simulate.md import run_md
    from reann.simulate.relax import relax
    from reann.training.run import resume, train

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
    "relax",
    "resume",
    "run_md",
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
    "relax": "reann.simulate.relax",
    "resume": "reann.training.run",
    "run_md": "reann.simulate.md",
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

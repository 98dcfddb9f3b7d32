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
    from reann.evaluation.comparison import Evaluation
    from reann.evaluation.evaluate import evaluate
    from reann.flux import heat_flux
    from reann.graph import Graph
    from reann.interfaces.ase import Calculator
    from reann.potential import Ensemble, Potential, load
    from reann.selection.result import Selection
    from reann.selection.select import select
    from reann.simulate.md import run_md
    from reann.simulate.md_result import Trajectory
    from reann.simulate.relax import relax
    from reann.simulate.relaxation import Relaxation
    from reann.training.result import Run
    from reann.training.run import resume, train
    from reann.uncertainty.calibrate import calibrate

    __version__: str

__all__ = [
    "Calculator",
    "Config",
    "Ensemble",
    "Evaluation",
    "Graph",
    "Potential",
    "Relaxation",
    "Run",
    "Selection",
    "Trajectory",
    "UserError",
    "__version__",
    "calibrate",
    "evaluate",
    "heat_flux",
    "load",
    "relax",
    "resume",
    "run_md",
    "select",
    "train",
    "upstream",
]

_HOME = {
    "Calculator": "reann.interfaces.ase",
    "Config": "reann.config",
    "Ensemble": "reann.potential",
    "Evaluation": "reann.evaluation.comparison",
    "Graph": "reann.graph",
    "Potential": "reann.potential",
    "Relaxation": "reann.simulate.relaxation",
    "Run": "reann.training.result",
    "Selection": "reann.selection.result",
    "Trajectory": "reann.simulate.md_result",
    "UserError": "reann.errors",
    "calibrate": "reann.uncertainty.calibrate",
    "evaluate": "reann.evaluation.evaluate",
    "heat_flux": "reann.flux",
    "load": "reann.potential",
    "relax": "reann.simulate.relax",
    "resume": "reann.training.run",
    "run_md": "reann.simulate.md",
    "select": "reann.selection.select",
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
    return sorted(__all__)

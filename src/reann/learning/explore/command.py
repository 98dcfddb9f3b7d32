"""Exploration by a command of the user, run on a worker."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import ase

from reann.config.training import seconds
from reann.data.files.read import iter_atoms
from reann.data.files.skipped import ignore
from reann.data.labels.inputs import every_input
from reann.errors import UserError
from reann.learning.explore.trajectory import Trajectory, is_possible
from reann.learning.settings import CommandConfig
from reann.motion.frame import xyz_frame
from reann.motion.start import read_start

MODEL, START = "model.reann", "start.xyz"
SHOWN = 400
"""Characters shown of the end of the output."""


def run_command(
    model: bytes, start: ase.Atoms, settings: CommandConfig, values: Mapping[str, str], home: str
) -> Trajectory:
    """Run the command in a temporary folder and return the structures that it wrote.

    Parameters
    ----------
    values
        Values of `{seed}` and other placeholders in the command.
    home
        Folder of the loop's file; `{folder}` in the command.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="reann-explore-") as name:
        folder = Path(name)
        (folder / MODEL).write_bytes(model)
        (folder / START).write_text(xyz_frame(read_start(start)[0]), encoding="utf-8")
        paths = {"model": MODEL, "start": START, "folder": shlex.quote(home)}
        line = _filled(settings.run, paths | dict(values))
        _execute(line, folder, seconds(settings.timeout))
        frames = [
            _with_inputs_of(start, read_start(atoms)[0], origin)
            for atoms, origin in iter_atoms(settings.output, folder, report_skipped=ignore)
        ]
    possible = [atoms for atoms in frames if is_possible(atoms)]
    return Trajectory(possible, seconds=time.perf_counter() - begun)


def _with_inputs_of(start: ase.Atoms, atoms: ase.Atoms, origin: str) -> ase.Atoms:
    """Return a structure with the charge, spin and field that it states, or else of the start.

    Many formats of programs, such as dumps of LAMMPS, do not contain them. A structure with other
    atoms does not inherit them.
    """
    every_input().rename(atoms, origin)
    if sorted(atoms.numbers) == sorted(start.numbers):
        absent = (name for name in every_input().names if name not in atoms.info)
        atoms.info |= {name: start.info[name] for name in absent if name in start.info}
    return atoms


def _filled(line: str, values: Mapping[str, str]) -> str:
    try:
        return line.format_map(values)
    except (KeyError, ValueError, IndexError) as error:
        known = ", ".join(f"{{{name}}}" for name in values)
        raise UserError(
            f"A placeholder of the command is not valid: {error}.",
            f"explore.command.run: {line}",
            f"Use {known}; write other braces twice.",
        ) from error


def _execute(line: str, folder: Path, timeout: float) -> None:
    # The command comes from the file of the user and may need pipes.
    try:
        done = subprocess.run(  # noqa: S602
            line,
            shell=True,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"The command did not end within {timeout:g} s.",
            f"explore.command.run: {line}",
            "Set a longer explore.command.timeout.",
        ) from error
    if done.returncode:
        output = (done.stderr or done.stdout).strip()[-SHOWN:]
        raise UserError(
            f"The command failed with exit code {done.returncode}: {output}",
            f"explore.command.run: {line}",
            "Run it by hand in a folder with model.reann and start.xyz.",
        )

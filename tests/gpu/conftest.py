"""Kernels without a GPU: the interpreter of Triton runs them on the CPU, statement by statement."""

import importlib.util
import os

import pytest

# Triton reads it when it is imported, which this package does when a kernel is first needed.
os.environ["TRITON_INTERPRET"] = "1"

if importlib.util.find_spec("triton") is None:
    if "CI" in os.environ:
        raise RuntimeError("CI needs the package triton to test its kernels")
    collect_ignore = ["test_kernels.py", "test_ahead_of_time.py", "test_symbols.py"]


@pytest.fixture
def engine():
    """The engine, which has no place in `engines` as long as there is no GPU."""
    from reann.backends.triton.backend import Triton

    return Triton()

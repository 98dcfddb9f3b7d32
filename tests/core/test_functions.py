"""The kernels' own exponential, sine and sums, beside those of the C library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from c_interface import CORE, needs
from reann import native

FLAGS = ["-std=c++17", "-O2", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
TARGETS = {"v4": ["-march=x86-64-v4"], "v3": ["-march=x86-64-v3"], "baseline": [], "native": []}
ROUNDING = {"float": 2.0**-24, "double": 2.0**-53}
CLOSE = 8.0
"""Roundings, and the argument of an exponential has one of its own."""


@pytest.mark.parametrize("level", native.core().levels() if native.available() else [])
def test_functions_are_right_to_rounding_at_every_instruction_set(level, tmp_path):
    needs("g++")
    program, source = tmp_path / "functions", Path(__file__).with_name("functions.cpp")
    compiler = shutil.which("g++") or "g++"
    command = [compiler, *FLAGS, *TARGETS[level], f"-I{CORE}", source, "-o", program]
    subprocess.run(command, check=True)
    found = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout
    errors = [line.split() for line in found.splitlines()]
    assert len(errors) == 12
    for kind, name, error in errors:
        assert float(error) <= CLOSE * ROUNDING[kind], (kind, name, error)

"""At every instruction set of the machine the engine computes what the reference does."""

import os
import subprocess
import sys

import pytest

from c_interface import ROOT
from reann import native

PARITY = [
    "tests/engines/test_native.py",
    "tests/engines/test_native_model.py",
    "tests/engines/test_native_outputs.py",
    "tests/golden/test_file_format.py",
    "tests/physics/test_cutoff.py",
    "tests/physics/test_derivatives.py",
]
OF_THE_ENGINE = "not -torch] and not [torch] and not every_host"
"""What PyTorch computes does not depend on the instruction set."""
RUN = "import sys, pytest, reann.native as n; print(n.core().isa()); sys.exit(pytest.main())"


def other_levels() -> list[str]:
    """Return those that the other tests of this run do not use."""
    if not native.available():
        return []
    return [level for level in native.core().levels() if level != native.core().isa()]


@pytest.mark.slow
@pytest.mark.parametrize("level", other_levels())
def test_parity_with_the_reference(level):
    others = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST")}
    options = ["-q", "-p", "no:cacheprovider", "-k", OF_THE_ENGINE, *PARITY]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *options],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=others | {"REANN_ISA": level},
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith(f"{level}\n")

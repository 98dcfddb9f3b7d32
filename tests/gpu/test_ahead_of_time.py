"""Every kernel compiles for GPUs of NVIDIA and AMD, of which none has to be there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("ahead_of_time.py")
LEAST_SHARED = 48 * 1024
"""Bytes that a program can have on every one of these GPUs."""


def compiled(tmp_path, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {
        "PYTHONPATH": str(PROGRAM.parents[1]),
        "TRITON_CACHE_DIR": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAM, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cuda-80", "cuda-90", "gfx942"])
def test_every_kernel_compiles(tmp_path, target):
    lines = compiled(tmp_path, target, "equivariant,scalar", "float32", "1", "2")
    assert {line[1] for line in lines} == {"equivariant", "scalar"}
    assert {"sums", "rates", "slopes", "slopes_of_rates", "gradient", "gradient_of_rates"} <= {
        line[2] for line in lines
    }
    assert all(int(line[3]) <= LEAST_SHARED for line in lines)


@pytest.mark.slow
@pytest.mark.skipif("REANN_ALL_KERNELS" not in os.environ, reason="takes minutes; set it to run")
@pytest.mark.parametrize("target", ["cuda-80", "cuda-90", "gfx942"])
def test_the_kernels_of_the_presets_compile(tmp_path, target):
    """With all of their channels, those of `accurate` and of `density`."""
    lines = compiled(tmp_path, target, "equivariant", "float32", "3", "64")
    lines += compiled(tmp_path, target, "scalar,directional", "float32", "2", "12")
    lines += compiled(tmp_path, target, "equivariant", "float64", "1", "2")
    assert all(int(line[3]) <= LEAST_SHARED for line in lines)

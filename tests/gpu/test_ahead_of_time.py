"""Every kernel compiles for GPUs of NVIDIA and AMD, of which none has to be there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("ahead_of_time.py")
KINDS = {
    *("sums", "rates", "flow", "slopes", "slopes_of_rates", "gradient", "gradient_of_rates"),
    *("products", "product_rates", "product_slopes", "slopes_of_product_rates"),
}
"""Names of all kernels."""
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
@pytest.mark.parametrize(
    ("target", "forms", "which"),
    [
        ("cuda-90", "equivariant,pair", "every"),
        ("cuda-80", "equivariant", "each"),
        ("gfx942", "equivariant", "each"),
    ],
)
def test_kernels_compile(tmp_path, target, forms, which):
    """Every kernel for one target, a kernel of each kind for the others: the texts are the same."""
    lines = compiled(tmp_path, target, forms, "float32", which, "1", "2", "3")
    assert {line[1] for line in lines} == set(forms.split(","))
    assert {line[2] for line in lines} == KINDS
    assert all(int(line[3]) <= LEAST_SHARED for line in lines)


@pytest.mark.slow
@pytest.mark.skipif("REANN_ALL_KERNELS" not in os.environ, reason="takes minutes; set it to run")
@pytest.mark.parametrize("target", ["cuda-80", "cuda-90", "gfx942"])
def test_the_kernels_of_the_presets_compile(tmp_path, target):
    """With all of their channels, those of `accurate` and of `density`."""
    lines = compiled(tmp_path, target, "equivariant", "float32", "every", "3", "64", "8")
    lines += compiled(tmp_path, target, "scalar,directional", "float32", "every", "2", "12", "8")
    lines += compiled(tmp_path, target, "equivariant", "float64", "every", "1", "2", "8")
    assert all(int(line[3]) <= LEAST_SHARED for line in lines)

"""The benchmark runs: with tiny sizes, in the interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_every_part_of_the_benchmark_has_results(tmp_path):
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", PROGRAM, "--small", "--results", tmp_path]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    results = json.loads((tmp_path / "interpreter.json").read_text())
    parity = results["parity"]["default"]
    assert max(parity[name] for name in ("energies", "forces", "virial")) < 1e-4
    assert parity["same_bits_twice"]
    for part in ("kernel", "sizes", "molecules", "training", "dynamics", "references", "profile"):
        assert results[part]
        assert "error" not in json.dumps(results[part])


def test_it_says_that_there_is_no_gpu():
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAM],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "No kernel can run: PyTorch" in done.stderr or "no usable GPU" in done.stderr


def test_it_is_packed_for_a_machine_with_pytorch_alone(tmp_path):
    command = [sys.executable, "-W", "ignore", PROGRAM, "--pack", tmp_path / "there"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split()[1] == "MiB."
    assert float(done.stdout.split()[0]) < 64
    assert (tmp_path / "there" / "benchmarks" / "packages" / "ase" / "__init__.py").exists()

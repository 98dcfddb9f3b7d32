"""Microseconds per atom of each kernel of the native engine, for `roofline.py --profile`.

    python benchmarks/kernels.py kernels.json

Needs g++ and `perf` (Debian: linux-perf). The engine is compiled once more without inlining, so
that every kernel is a symbol of its own; the sum is a few percent above what the package takes.
Water, 192 atoms, energy and forces, one thread, float32, the model of `step.py` as the original.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from ctypes import byref
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
CORE = ROOT / "src" / "reann" / "core"
FLAGS = [
    *("-std=c++17", "-O3", "-fPIC", "-fopenmp", "-fno-math-errno", "-fno-trapping-math"),
    *("-fno-signed-zeros", "-ffp-contract=fast", "-fno-inline-functions"),
    *("-fno-inline-small-functions", "-fno-inline-functions-called-once"),
]
KERNELS = {
    "radial": ("find_edges", "radial_functions", "prepare"),
    "moments": ("sum_moments",),
    "density": ("density",),
    "networks": ("multiply_panel", "multiply", "neurons", "adjoint_of_neurons", "spread", "norm",
                 "adjoint_of_norm", "network", "adjoint_of_network"),
    "adjoint of density": ("adjoint_of_density",),
    "adjoint of moments": ("adjoint_of_moments", "adjoint_of_embedding", "add_forces"),
}  # fmt: skip
SECONDS = 8.0


def command(*words: str | Path) -> str:
    """Run a program and return what it prints."""
    program = shutil.which(str(words[0])) or str(words[0])
    return subprocess.run(  # noqa: S603 - programs named in this file
        [program, *words[1:]], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def build(folder: Path) -> Path:
    """Compile the engine for this processor, without inlining."""
    level = "v4" if "avx512vl" in Path("/proc/cpuinfo").read_text() else "v3"
    target, kernels = [f"-march=x86-64-{level}", f"-DREANN_LEVEL={level}"], []
    for source in (CORE / "kernels").glob("*.cpp"):
        kernels.append(folder / f"{source.stem}.o")
        command("g++", *FLAGS, *target, "-c", source, "-o", kernels[-1])
    library, there = folder / "libreann.so", f"-DREANN_HAS_{level.upper()}"
    command("g++", *FLAGS, there, "-shared", *CORE.glob("*.cpp"), *kernels, "-o", library)
    return library


def run(library: str) -> None:
    """Evaluate for some seconds and print µs per atom; this is what `perf` watches."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]
    import step

    import c_interface
    from reann.config import ModelConfig
    from reann.data.neighbors import neighbors_within
    from reann.model import build as build_model
    from reann.potential import Potential

    water = step.frame()
    n = len(water["numbers"])
    model = build_model(ModelConfig(**step.FORMS["as the original"]), [1, 8], 99.0, seed=1)
    file = Path(library).with_name("model.reann")
    Potential(model).save(file)
    c = c_interface.Library(Path(library))
    opened = c.open(file)
    neighbors = neighbors_within(water["positions"], water["cell"], np.ones(3, bool), opened.cutoff)
    element, position = opened.elements(water["numbers"]), np.ascontiguousarray(water["positions"])
    energies, forces = np.empty(n), np.empty((n, 3))
    lists = {k: getattr(neighbors, k).ctypes.data for k in ("first", "neighbor", "shift")}
    system = c_interface.System(
        n_local=n, n_atoms=n, element=element.ctypes.data, position=position.ctypes.data,
        n_systems=1, n_threads=1, **lists
    )  # fmt: skip
    result = c_interface.Result(energies=energies.ctypes.data, forces=forces.ctypes.data)
    workspace, error = c.c.reann_workspace_new(), c_interface.Error()
    at, calls = (opened.handle, 0, workspace, byref(system), byref(result), byref(error)), 0
    start = time.process_time()
    while time.process_time() - start < SECONDS:
        assert c.c.reann_evaluate(*at)
        calls += 1
    print(1e6 * (time.process_time() - start) / (calls * n))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library, data = build(folder), folder / "perf.data"
        watched = [sys.executable, __file__, "--run", library]
        watch = ["perf", "record", "-q", "-e", "cpu-clock", "-o", data]
        total = float(command(*watch, *watched))
        report = command("perf", "report", "-i", data, "--stdio", "--no-children")
    shares: dict[str, float] = {}
    for percent, symbol in re.findall(
        r"^ +([\d.]+)%.*\[\.\] reann::(?:\(anonymous namespace\)::)?(\w+)", report, re.MULTILINE
    ):
        shares[symbol] = shares.get(symbol, 0.0) + float(percent)
    scale = total / sum(shares.values())
    times = {
        kernel: scale * sum(shares.get(name, 0.0) for name in names)
        for kernel, names in KERNELS.items()
    }
    times["rest"] = total - sum(times.values())
    for kernel, microseconds in times.items():
        print(f"{kernel:20} {microseconds:6.3f} µs/atom")
    Path(sys.argv[1]).write_text(json.dumps(times, indent=1) + "\n")


if __name__ == "__main__":
    run(sys.argv[2]) if sys.argv[1] == "--run" else main()

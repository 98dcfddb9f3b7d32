"""Speed, memory and parity of the Triton engine on a GPU, in at most eight minutes.

    python benchmarks/gpu.py                  # the whole of it
    python benchmarks/gpu.py --model a.reann  # parity of a trained potential, too
    TRITON_INTERPRET=1 python benchmarks/gpu.py --small    # tries it without a GPU
    python benchmarks/gpu.py --pack FOLDER    # for a machine with PyTorch, NumPy and Triton alone

It installs nothing and needs no network. `--pack` copies it, the package, and what this imports
into a folder, less than 64 MiB; the other machine needs the same version of Python. Results are
written to `benchmarks/results/gpu/DEVICE.json` after each part, so that nothing is lost when the
time ends; a part that would not end in time is left out, and named. What would fail, fails first:
Triton and a compiler, one small kernel, then 192 atoms. Weights are random: they change no time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = HERE / "packages"
sys.path[:0] = [str(HERE / "gpu"), str(HERE.parent / "src")]
sys.path.append(str(PACKAGES))  # what the machine has is preferred

import pack  # noqa: E402
import torch  # noqa: E402
from machine import RESULTS, SECONDS, STRESS, TRAINING, Bench, water  # noqa: E402
from motion import dynamics, profile  # noqa: E402
from speed import first, molecules, parity, references, sizes, tiles, training  # noqa: E402

from reann.backends.triton import toolchain  # noqa: E402
from reann.backends.triton.compiled import Compiled  # noqa: E402


def system(bench: Bench) -> dict[str, Any]:
    """Versions and machine."""
    import triton

    on_gpu = bench.device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if on_gpu else platform.processor() or "CPU",
        "capability": torch.cuda.get_device_capability() if on_gpu else None,
        "memory_gib": torch.cuda.mem_get_info()[1] / 2**30 if on_gpu else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": triton.__version__,
        "triton_cache": str(toolchain.cache_folder()),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "python": platform.python_version(),
    }


def kernel(bench: Bench) -> dict[str, float]:
    """Seconds until one small kernel has run: compiler, driver and launcher."""
    import triton
    from triton import language as tl

    @triton.jit
    def doubled(x, n, block: tl.constexpr) -> None:  # noqa: ANN001
        place = tl.arange(0, block)
        values = tl.load(x + place, mask=place < n, other=0.0)
        tl.store(x + place, 2.0 * values, mask=place < n)

    x, began = torch.ones(8, device=bench.device), time.perf_counter()
    doubled[(1,)](x, 8, 16)
    bench.wait()
    if not torch.equal(x.cpu(), torch.full((8,), 2.0)):
        raise RuntimeError(f"The kernel computes {x.tolist()}, not 2.")
    return {"seconds": time.perf_counter() - began}


def compiled(bench: Bench) -> dict[str, float]:
    """Seconds until the kernels of each preset are compiled, each in a process of its own."""
    if bench.small:
        return {}
    began, running = time.monotonic(), {}
    for preset in bench.presets:
        command = [sys.executable, __file__, "--warm", preset]
        running[preset] = subprocess.Popen(command)  # noqa: S603 - itself
    seconds = {}
    for preset, process in running.items():
        try:
            process.wait(timeout=max(0.4 * SECONDS - (time.monotonic() - began), 1.0))
        except subprocess.TimeoutExpired:  # it is left out, and the others are measured
            process.kill()
            bench.presets = tuple(x for x in bench.presets if x != preset)
            continue
        seconds[preset] = time.monotonic() - began
    return seconds


def warm(bench: Bench, preset: str) -> None:
    """Compile what a preset needs."""
    model = bench.network(preset)
    graph = bench.graph(water(2), cutoff=model.cutoff)
    Compiled(model).evaluate(graph, STRESS)
    loss = Compiled(model).evaluate(graph, TRAINING)["forces"].square().sum()
    loss.backward()
    bench.wait()


PARTS = (
    system, kernel, first, compiled, parity, dynamics, sizes, profile, training, molecules,
    references, tiles,
)  # fmt: skip
"""What may fail, then the most important first."""
NEEDED = ("system", "kernel", "first")
"""Parts without which the others make no sense."""


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description="Measure the Triton engine on a GPU.")
    parser.add_argument("--model", type=Path, help="A trained potential for H, C or O.")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder to write to.")
    parser.add_argument("--small", action="store_true", help="Tiny sizes, for the interpreter.")
    parser.add_argument("--pack", type=Path, help="Copy all that it needs into this folder.")
    parser.add_argument("--warm", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pack:
        print(pack.packed(HERE.parent, arguments.pack))
        return
    interpreted = arguments.small and os.environ.get("TRITON_INTERPRET") == "1"
    if not interpreted and (why := toolchain.missing()) is not None:
        sys.exit(f"No kernel can run: {why}. Without a GPU try `TRITON_INTERPRET=1 ... --small`.")
    device = "cpu" if interpreted else "cuda"
    bench = Bench(device, arguments.small, arguments.model, arguments.seconds, arguments.results)
    if arguments.warm:
        warm(bench, arguments.warm)
        return
    for part in PARTS:
        name, began = part.__name__, time.monotonic()
        if bench.left < 10:
            bench.results[name] = "left out: no time"
            continue
        try:
            bench.results[name] = part(bench)
        except Exception as error:
            bench.results[name] = {"error": f"{type(error).__name__}: {error}"[:1000]}
            if name in NEEDED:
                bench.write()
                raise
        bench.results.setdefault("seconds", {})[name] = round(time.monotonic() - began, 1)
        bench.write()
        print(name, json.dumps(bench.results[name])[:2000], flush=True)


if __name__ == "__main__":
    main()

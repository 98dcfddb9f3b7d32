"""How near each kernel of the native engine comes to what the machine can do at most.

    python benchmarks/roofline.py [--profile kernels.json] [--threads 1] [--json roofline.json]

The peaks are measured: a matrix product of PyTorch of the size of a first layer, and the sum of two
arrays far larger than the caches. Operations and bytes of every kernel are counted from its
formula, for energy and forces of one atom of water: T = 3, l <= 2, 12 radial functions in 16 lanes,
networks 64-64-64, float32. A kernel cannot be faster than the slower of the two. The profile gives
measured microseconds per atom, by kernel.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

RECURSIONS, L_MAX, RADIAL, LANES = 3, 2, 12, 16
HIDDEN = (64, 64, 64)
REAL = 4  # bytes


@dataclass(frozen=True)
class Kernel:
    """Work of one atom over an evaluation."""

    operations: float  # additions and multiplications
    bytes: float  # of arrays too large for the caches; gathered coefficients are not


def kernels(neighbors: float) -> dict[str, Kernel]:
    """Count; every pass over edges or atoms is done T + 1 times where nothing else is said."""
    passes = RECURSIONS + 1
    components = (L_MAX + 1) * (L_MAX + 2) * (L_MAX + 3) // 6
    row = LANES * REAL
    # Monomials with a power of x, times three directions: what the gradient multiplies.
    slopes = 3 * sum(l * (l + 1) // 2 for l in range(L_MAX + 1))
    features = (L_MAX + 1) * RADIAL * (RADIAL + 1) // 2
    products = components * RADIAL * (RADIAL + 1) // 2
    moments = components * row
    direction = 4 * REAL + 4  # u_ij, r_ij and the neighbor's index
    inner = sum(a * b for a, b in pairwise(HIDDEN))
    weights = passes * (features * HIDDEN[0] + inner)
    weights += HIDDEN[-1] * (RECURSIONS * LANES + 1)
    return {
        # d, alpha d^2, exp (10 multiply-adds), fc; once
        "radial": Kernel(neighbors * LANES * 24, neighbors * (row + direction)),
        # c R, then one product and one sum per component
        "moments": Kernel(
            passes * neighbors * LANES * 2 * components,
            passes * (neighbors * (row + direction) + row + moments),
        ),
        "density": Kernel(passes * 3 * products, passes * (moments + REAL * features)),
        # forward and adjoint: two operations per weight each; the weights stay in the cache
        "networks": Kernel(4 * weights, 2 * passes * REAL * (features + 2 * sum(HIDDEN))),
        "adjoint of density": Kernel(
            passes * 2 * components * RADIAL * LANES, passes * (moments + REAL * features)
        ),
        # P, its derivatives, the coefficient of the neighbor, three directions, R'
        "adjoint of moments": Kernel(
            passes * neighbors * LANES * (2 * (components - 1) + 2 * slopes + 16),
            passes * (neighbors * (row + direction + 2 * 4 * REAL) + 3 * row),
        ),
    }


def matrix_peak() -> float:
    """Return operations per second of a first layer on 768 atoms, (768 x 234)(234 x 64)."""
    x, w, out = torch.rand(768, 234), torch.rand(234, 64), torch.empty(768, 64)
    return 2 * x.numel() * w.shape[1] / _seconds(lambda: torch.mm(x, w, out=out), 200)


def stream_peak() -> float:
    """Return bytes per second of a + b -> c, arrays of 128 MB."""
    a, b, c = (torch.rand(2**25) for _ in range(3))
    return 3 * REAL * a.numel() / _seconds(lambda: torch.add(a, b, out=c), 3)


def _seconds(work: Callable[[], object], times: int) -> float:
    """Return the median of nine means."""
    means = []
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(times):
            work()
        means.append((time.perf_counter() - start) / times)
    return statistics.median(means)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", type=Path, help="JSON: µs per atom of each kernel")
    parser.add_argument("--neighbors", type=float, default=98.9, help="inside the cutoff, per atom")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measured = json.loads(arguments.profile.read_text()) if arguments.profile else {}
    peak, stream = matrix_peak(), stream_peak()
    print(f"matrix product {peak / 1e9:.1f} GFLOP/s, stream {stream / 1e9:.1f} GB/s")
    bounds = {}
    for name, kernel in kernels(arguments.neighbors).items():
        arithmetic, memory = kernel.operations / peak, kernel.bytes / stream
        bound = 1e6 * max(arithmetic, memory)
        bounds[name] = {
            "operations_per_atom": kernel.operations,
            "bytes_per_atom": kernel.bytes,
            "bound_us_per_atom": bound,
        }
        line = f"{name:20} {kernel.operations:9.0f} operations {kernel.bytes:9.0f} bytes"
        line += f"  at least {bound:6.3f} µs/atom"
        if name in measured:
            bounds[name] |= {
                "us_per_atom": measured[name],
                "fraction_of_matrix_peak": 1e6 * arithmetic / measured[name],
                "fraction_of_stream_peak": 1e6 * memory / measured[name],
            }
            line += f", takes {measured[name]:6.3f}: {100 * bound / measured[name]:3.0f} %"
        print(line)
    if arguments.json:
        written = {
            "threads": arguments.threads,
            "matrix_GFLOP_per_s": peak / 1e9,
            "stream_GB_per_s": stream / 1e9,
            "kernels": bounds,
        }
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()

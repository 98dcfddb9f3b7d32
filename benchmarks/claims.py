"""What the recursion adds: one command per figure.

    python benchmarks/claims.py degenerate
    python benchmarks/claims.py chains
    python benchmarks/claims.py manifold DATA
    python benchmarks/claims.py curves DATA --seeds 1 2 3
    python benchmarks/claims.py water DATA --seeds 1 2 3
    python benchmarks/claims.py cost DATA

DATA is a folder with the data sets. Raw numbers go to `results/claims/`, one file per row; what is
there is not repeated, and interrupted trainings go on. `claims/page.py` makes tables and figures of
them. One core, and no other work on it where times are measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "claims"), str(HERE / "accuracy"), str(HERE / "speed")]

import chains  # noqa: E402
import cost  # noqa: E402
import curves  # noqa: E402
import degenerate  # noqa: E402
import manifold  # noqa: E402
import water  # noqa: E402

RESULTS = HERE / "results" / "claims"
CLAIMS = {
    "degenerate": degenerate.rows,
    "chains": chains.rows,
    "manifold": manifold.rows,
    "curves": curves.rows,
    "water": water.rows,
    "cost": cost.rows,
}
"""Name: what yields the names of its rows and the functions that compute them."""


def main() -> None:
    """Compute the missing rows."""
    arguments = parse()
    torch.set_num_threads(1)
    for name, compute in CLAIMS[arguments.claim](arguments):
        once(RESULTS / arguments.claim / f"{name}.json", compute)


def once(file: Path, compute: Callable[[], dict[str, Any]]) -> None:
    """Write a row, unless it is there."""
    if file.exists():
        return
    begun = time.perf_counter()
    result = compute()
    result["seconds"] = round(time.perf_counter() - begun, 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{file.stem}: {result['seconds']} s", flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("claim", choices=list(CLAIMS))
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--runs", type=Path, default=Path("runs/claims"))
    arguments = parser.parse_args()
    arguments.data = arguments.data and arguments.data.resolve()
    if arguments.data is None and arguments.claim not in ("degenerate", "chains"):
        parser.error(f"{arguments.claim} needs the folder of the data sets")
    return arguments


if __name__ == "__main__":
    main()

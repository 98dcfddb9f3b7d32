"""Does it behave: physical checks of potentials that were trained by `accuracy.py`.

    python benchmarks/physics.py DATA MODELS [--preset accurate] [--only eos rdf] [--again]

DATA is a folder with the data sets, MODELS one with run folders such as `si-density-seed1`, which
hold `model.reann`. Every check writes `results/physics/PRESET/NAME.json`; one whose file is there
is done, and one whose potentials are missing waits. `physics/page.py` makes tables and figures of
them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "physics"))

import dimers  # noqa: E402
import eos  # noqa: E402
import modes  # noqa: E402
import rdf  # noqa: E402
import surface  # noqa: E402
from bench import Bench  # noqa: E402

RESULTS = HERE / "results" / "physics"
CHECKS = {
    "dimers": (dimers.check, ("ethanol",)),
    "modes": (modes.check, ("ethanol",)),
    "eos": (eos.check, ("si", "mo")),
    "rdf": (rdf.check, ("water-pbe0",)),
    "surface": (surface.check, ("co2-ni100",)),
}
"""Name: what computes it, and the potentials that it needs."""


def main() -> None:
    """Run what is asked for and not done yet."""
    arguments = parse()
    torch.set_num_threads(1)
    bench = Bench(arguments.data.resolve(), arguments.models.resolve(), arguments.preset)
    results = arguments.results / arguments.preset
    results.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        check, sets = CHECKS[name]
        file = results / f"{name}.json"
        if file.exists() and not arguments.again:
            print(f"{name}: done, {file}")
            continue
        missing = [one for one in sets if not bench.model(one).exists()]
        if missing:
            print(f"{name}: waits for {', '.join(str(bench.model(one)) for one in missing)}")
            continue
        begun = time.perf_counter()
        record = {"models": {one: bench.history(one) for one in sets}, **check(bench)}
        record["seconds"] = round(time.perf_counter() - begun, 1)
        file.write_text(as_text(record), encoding="utf-8")
        print(f"{name}: {record['seconds']:.0f} s, {file}", flush=True)


def as_text(results: dict[str, Any]) -> str:
    """Return JSON with a line for each entry of the top."""
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in results.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--preset", default="density", help="of the potentials")
    parser.add_argument("--only", nargs="+", choices=list(CHECKS), default=list(CHECKS))
    parser.add_argument("--again", action="store_true", help="also what is done already")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""How fast: reann beside the original's arithmetic and other potentials, in turn, in one run.

    python benchmarks/speed.py [--only inference lists] [--nep nep.txt] [--models FOLDER]
        [--data DATA]

Peers run in environments of their own (`peers/environments.py` makes them); those that are not at
hand are left out. FOLDER holds `gram.reann` and `orbitals.reann`, potentials of water trained with
`speed/water.yaml`, which dynamics needs; without it weights are random. DATA is a folder with the
data sets, for `front`. Medians go to `results/speed.json`; ratios are printed and kept only if the
machine was quiet.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "speed"))

import machine  # noqa: E402
from alternate import BUSY  # noqa: E402
from figures import FIGURES, Bench  # noqa: E402
from process import Peer  # noqa: E402
from published import PUBLISHED  # noqa: E402

RESULTS = HERE / "results" / "speed.json"


def main() -> None:
    arguments = parse()
    bench = Bench(peers(arguments), arguments.folder.resolve(), arguments.repeats, arguments.data)
    here = machine.describe()
    known = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    if {**known.get("machine", {}), "date": ""} != {**here, "date": ""}:
        known = {"figures": {}}  # times of another machine stand beside nothing
    known["machine"] = here
    for name in arguments.only:
        print(f"\n{name}: {FIGURES[name].__doc__}", flush=True)
        blocks = []
        for block in FIGURES[name](bench):
            blocks.append(block)
            report(block)
            known["figures"][name] = blocks
            arguments.json.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def peers(arguments: argparse.Namespace) -> dict[str, Peer]:
    """Return the peers whose environments and models exist."""
    available = {
        "original": Peer("original", "original.py"),
        "EMT": Peer("EMT", "emt.py"),
        "epoch": Peer("epoch", "reann_epoch.py", options={"engine": arguments.engines[-1]}),
    }
    for engine in arguments.engines:
        for form in ("orbitals", "gram"):
            options = {"engine": engine, "form": form}
            if arguments.models:
                options["model"] = str((arguments.models / f"{form}.reann").resolve())
            name = f"reann {engine}, {form}"
            available[name] = Peer(name, "reann_engine.py", options=options)
    model = arguments.folder / "deepmd-model"
    elsewhere = {
        "NEP": ("nep", "nep_calorine.py", {"model": str(arguments.nep)}),
        "DeePMD, compressed": ("deepmd", "deepmd_compressed.py", {"folder": str(model)}),
        "MACE, 128x0e": ("mace", "mace_random.py", {}),
        "NequIP, l = 1": ("nequip", "nequip_random.py", {}),
    }
    every = (p for of_system in PUBLISHED.values() for p in of_system)
    elsewhere |= {p.name: (p.environment, p.script, p.options) for p in every}
    for name, (environment, script, options) in elsewhere.items():
        python = arguments.environments / environment / "bin" / "python"
        if not python.exists() or (name == "NEP" and arguments.nep is None):
            print(f"left out    {name}: no {python if arguments.nep else '--nep'}")
            continue
        available[name] = Peer(name, script, python.absolute(), options=options)
    return available


def report(block: dict) -> None:
    """Print the medians and, if the machine was quiet, their ratios to the first."""
    busy, first = block["load_of_others"], block["timings"][0]["seconds"]
    print(f"  {block['system']}; load of others {busy:.2f}")
    for t in block["timings"]:
        ratio = f"{first / t['seconds']:8.2f} x" if busy <= BUSY else "    busy"
        values = "".join(f"  {key} {value:.4g}" for key, value in t["found"].items())
        print(
            f"    {t['peer']:26} {t['threads']} {t['task']:10} {1e3 * t['seconds']:10.3f} ms"
            f" +- {100 * t['spread']:2.0f} % {ratio}{values}",
            flush=True,
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(FIGURES), choices=list(FIGURES))
    parser.add_argument("--engines", nargs="+", default=["torch", "native"])
    parser.add_argument("--nep", type=Path, help="nep.txt of a water model")
    parser.add_argument("--models", type=Path, help="folder with gram.reann and orbitals.reann")
    parser.add_argument("--data", type=Path, help="folder with the data sets")
    parser.add_argument("--environments", type=Path, default=Path("runs/peers"))
    parser.add_argument("--folder", type=Path, default=Path("runs/speed"))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()

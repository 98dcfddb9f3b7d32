"""How accurate, and what it costs: trainings on public data sets within a stated time.

    python benchmarks/accuracy.py train DATA --sets aspirin si --presets default --seeds 1 2 3
    python benchmarks/accuracy.py ask DATA --questions n_radial l_max
    python benchmarks/accuracy.py original DATA --epochs 60 249
    python benchmarks/accuracy.py peers DATA

DATA is a folder with the sets that `accuracy/sets.py` names. `train` gives each preset its
processor time on one core; `ask` changes one setting at a time (`accuracy/questions.py`);
`original` repeats what the original package was run on (`accuracy/original.py`); `peers` trains
other packages on the same structures (`accuracy/peers.py`); `time` measures the time per atom
again, on a quiet machine. Trainings that were interrupted go on when the command is run again,
finished ones are not repeated. Results go to `results/accuracy/`, and `accuracy/page.py` makes the
tables and the figure of the documentation from them. Several commands may run side by side, one
core each, on different sets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "accuracy"), str(HERE / "speed")]

import original  # noqa: E402
import peers  # noqa: E402
from questions import STUDIES  # noqa: E402
from sets import SETS, draw  # noqa: E402
from trial import Trial, run, us_per_atom  # noqa: E402

RESULTS = HERE / "results" / "accuracy"
MINUTES = {"fast": 1.0, "density": 2.5, "density-l3": 4.0, "default": 20.0, "accurate": 60.0}
"""Processor time of one core for each training; half as long on two cores."""
SETTINGS = {"density-l3": ("model.preset=density", "model.l_max=3", "model.n_orbitals=64")}
"""Settings of the names in `MINUTES` that are not presets."""
ROUNDS = 3
"""Of the measurements of times."""
PEER_MINUTES = 12.0
"""Of one core, for each of the other packages."""


def main() -> None:
    """Do what is asked for and not done yet."""
    arguments = parse()
    data = arguments.data.resolve()
    if arguments.what == "split":
        for name in arguments.sets:
            draw(name, data)
        return
    if arguments.what == "time":
        time_again(data, arguments.runs, arguments.kinds)
        return
    if arguments.what == "peers":
        beside_peers(data, arguments)
        return
    runs = arguments.runs.resolve() / arguments.what
    folder = STUDIES[arguments.study].folder if arguments.what == "ask" else arguments.what
    for trial in TRIALS[arguments.what](arguments):
        once(folder, trial.name, partial(run, trial, data, runs))


def once(kind: str, name: str, train: Callable[[], dict[str, Any]]) -> None:
    """Write the result of a training, unless it is there."""
    file = RESULTS / kind / f"{name}.json"
    if not file.exists():
        result = train()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n")


def time_again(data: Path, runs: Path, kinds: list[str]) -> None:
    """Measure the times per atom of some results again, in rounds; the quietest of each counts."""
    files = [file for kind in kinds for file in sorted((RESULTS / kind).glob("*.json"))]
    times: dict[Path, list[float]] = {file: [] for file in files}
    for _ in range(ROUNDS):
        for file, measured in times.items():
            result = json.loads(file.read_text())
            fields = {key: result[key] for key in ("set", "label", "seed")}
            trial = Trial(**fields, settings=tuple(result["settings"]))
            measured.append(us_per_atom(trial, data, runs.resolve() / file.parent.name))
    for file, measured in times.items():
        result = json.loads(file.read_text()) | {"us_per_atom": round(min(measured), 2)}
        file.write_text(json.dumps(result, indent=1) + "\n")


def beside_peers(data: Path, arguments: argparse.Namespace) -> None:
    """Train the other packages."""
    chosen = arguments.sets, arguments.peers, arguments.minutes or PEER_MINUTES, arguments.device
    for trial in peers.trials(*chosen):
        places = arguments.runs / "peers", arguments.environments
        once("peers", trial.name, partial(peers.run, trial, data, *places))


def presets(arguments: argparse.Namespace) -> Iterator[Trial]:
    """Yield every preset on every set with every seed, the first seeds of all first."""
    for seed in arguments.seeds:
        for name in arguments.sets:
            for preset in arguments.presets:
                minutes = arguments.minutes or MINUTES[preset]
                own = SETTINGS.get(preset, (f"model.preset={preset}",))
                yield Trial(name, preset, own, seed, minutes=minutes)


def questions(arguments: argparse.Namespace) -> Iterator[Trial]:
    """Yield the changes of every question of a study on its sets."""
    study = STUDIES[arguments.study]
    fixed = {"judged": study.on_test}
    for seed in arguments.seeds:
        for question in arguments.questions or study.questions:
            for name, epochs in study.epochs.items():
                if name not in arguments.sets:
                    continue
                for label, changes in study.questions[question].items():
                    settings = (*study.base, *changes)
                    yield Trial(name, label, settings, seed, epochs=epochs, **fixed)


def originals(arguments: argparse.Namespace) -> Iterator[Trial]:
    """Yield the trainings of the original package, for each number of epochs."""
    for epochs in arguments.epochs:
        for trial in original.trials(arguments.seeds, epochs):
            if trial.set in arguments.sets:
                yield trial


TRIALS = {"train": presets, "ask": questions, "original": originals}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("split", *TRIALS, "peers", "time"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--presets", nargs="+", choices=list(MINUTES), default=list(MINUTES))
    parser.add_argument("--study", choices=list(STUDIES), default="equivariant")
    parser.add_argument("--questions", nargs="+", help="of the study; by default all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--minutes", type=float, help="instead of the preset's own")
    parser.add_argument("--epochs", nargs="+", type=int, default=[60])
    parser.add_argument("--peers", nargs="+", choices=list(peers.PEERS), default=list(peers.PEERS))
    parser.add_argument("--kinds", nargs="+", choices=list(TRIALS), default=list(TRIALS))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the peers")
    parser.add_argument("--environments", type=Path, default=Path("runs/peers"))
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

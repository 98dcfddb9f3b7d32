"""The figures: which tasks of which peers are timed side by side, on which structures.

Every figure gives blocks; a block is one structure with what was timed on it in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import systems
from alternate import alternate
from process import Peer, Worker
from published import PUBLISHED

Task = tuple[Peer, str, dict[str, Any]]
STEPS = 1000
THREADS = (1, 2)
PRESETS = ("fast", "density", "default", "accurate")
NEIGHBORS = {20: 3.65, 100: 6.2}
"""Cutoffs in Å that give an atom of water so many neighbors."""
CUTOFFS = {"water 192": tuple(NEIGHBORS.values()), "aspirin 105": (5.0,)}
"""Å, of the presets beside published settings."""


@dataclass(frozen=True)
class Bench:
    """Peers at hand, and where structures and what the peers print are written."""

    peers: dict[str, Peer]
    folder: Path
    repeats: int
    data: Path | None = None
    """Folder with the data sets."""

    def ours(self) -> list[Peer]:
        """Return our own engines."""
        return [peer for name, peer in self.peers.items() if name.startswith("reann")]

    def native(self) -> list[Peer]:
        """Return the native engine with both forms of the model."""
        return [peer for peer in self.ours() if peer.options["engine"] == "native"]

    def named(self, *names: str) -> list[Peer]:
        """Return those of the named peers that are at hand."""
        return [self.peers[name] for name in names if name in self.peers]

    def block(
        self, system: str, tasks: Sequence[Task], repeats: int | None = None, warm: int = 0
    ) -> dict[str, Any]:
        """Start the peers, time their tasks in turn and stop them.

        `warm`: steps of Langevin dynamics of each peer before its trajectory.
        """
        file = systems.write(system, self.folder, self.data)
        with ExitStack() as stack:
            running: dict[Peer, Worker] = {}
            for peer in dict.fromkeys(peer for peer, _, _ in tasks):
                worker = Worker(peer, file, self.folder / "peers.log")
                stack.callback(worker.stop)
                running[peer] = worker
                if warm:
                    worker.ask("thermalize", steps=warm)
            requests = [(running[peer], task, request) for peer, task, request in tasks]
            block = alternate(requests, repeats or self.repeats)
            versions = {k: v for w in running.values() for k, v in w.ready["versions"].items()}
        return {"system": system, "versions": versions, **block}


def inference(bench: Bench) -> Iterator[dict[str, Any]]:
    """Energy and forces, lists outside."""
    for threads in THREADS:
        for system in ("water 192", "water 1536"):
            peers = [*bench.named("original"), *bench.ours()]
            yield bench.block(system, [(p.using(threads), "evaluate", {}) for p in peers])
        native = [(p.using(threads), "evaluate", {}) for p in bench.native()]
        yield bench.block("water 12288", native)


def lists(bench: Bench) -> Iterator[dict[str, Any]]:
    """Energy and forces from positions, neighbor lists made at each call, one thread."""
    for system in ("water 192", "water 1536", "water 12288"):
        slower = ["DeePMD, compressed"] if system != "water 12288" else []
        peers = [*bench.named("NEP", *slower), *bench.native()]
        yield bench.block(system, [(p, "rebuild", {}) for p in peers])


def trajectory(bench: Bench) -> Iterator[dict[str, Any]]:
    """Molecular dynamics through ASE, NVE at 300 K, 0.5 fs, one thread."""
    tasks = [(p, "trajectory", {"steps": STEPS}) for p in [*bench.named("NEP"), *bench.native()]]
    yield bench.block("water 192", tasks, repeats=3, warm=STEPS)


def step(bench: Bench) -> Iterator[dict[str, Any]]:
    """A step of dynamics through `reann.Calculator` and ASE beside the engine alone."""
    tasks: list[Task] = []
    for peer in bench.native():
        tasks += [(peer, "evaluate", {}), (peer, "trajectory", {"steps": 100})]
    yield bench.block("water 1536", tasks, warm=200)


def methane(bench: Bench) -> Iterator[dict[str, Any]]:
    """CH4: positions in, energy and forces out; the yardstick is spared its list. ASE, and EMT."""
    tasks: list[Task] = [(p, "evaluate", {}) for p in bench.named("original")]
    for peer in bench.ours():
        untrained = peer.with_options(model=None)
        tasks += [(untrained, task, {}) for task in ("rebuild", "evaluate", "ase_call")]
    tasks += [(p, task, {}) for p in bench.named("EMT") for task in ("evaluate", "ase_call")]
    yield bench.block("CH4", tasks)


def training(bench: Bench) -> Iterator[dict[str, Any]]:
    """A step of training on four structures of water."""
    peers = [p.with_options(frames=4) for p in [*bench.named("original"), *bench.ours()]]
    for threads in THREADS:
        yield bench.block("water 192", [(p.using(threads), "train", {}) for p in peers])


def others(bench: Bench) -> Iterator[dict[str, Any]]:
    """Other potentials at their own settings; lists outside where they let them be."""
    apart = bench.named("MACE, 128x0e", "NequIP, l = 1")
    for threads in THREADS:
        tasks = [(p.using(threads), "evaluate", {}) for p in [*bench.native(), *apart]]
        included = bench.named("DeePMD, compressed")
        tasks += [(p.using(threads), "rebuild", {}) for p in included]
        yield bench.block("water 192", tasks, repeats=5)


def preset_at(preset: str, cutoff: float) -> str:
    """Return the name of a preset with a cutoff in Å."""
    return f"reann `{preset}`, {cutoff:g} Å"


def front(bench: Bench) -> Iterator[dict[str, Any]]:
    """Presets beside other potentials with published settings, one thread."""
    for system, cutoffs in CUTOFFS.items():
        if system.startswith("aspirin") and not bench.data:
            continue
        models = {preset_at(name, c): (name, c) for c in cutoffs for name in PRESETS}
        presets = Peer("reann", "reann_presets.py", options={"models": models})
        tasks: list[Task] = [(presets, name, {}) for name in models]
        tasks += [(p, "evaluate", {}) for p in bench.named(*(p.name for p in PUBLISHED[system]))]
        if system.startswith("water"):
            included = bench.named("NEP", "DeePMD, compressed")
            tasks += [(p, "rebuild", {}) for p in included]
        yield bench.block(system, tasks)


def epoch(bench: Bench) -> Iterator[dict[str, Any]]:
    """What loading and metrics take of an epoch of `reann train`."""
    peers = bench.named("epoch")
    yield bench.block("water 192", [(p, "epoch", {}) for p in peers], repeats=3)


FIGURES = {
    figure.__name__: figure
    for figure in (inference, lists, trajectory, step, methane, training, others, epoch, front)
}

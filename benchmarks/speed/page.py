"""Tables and plot of the page "Speed", from `results/`.

    python benchmarks/speed/page.py

Ratios of blocks that were measured on a busy machine are left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import front

BENCHMARKS = Path(__file__).parents[1]
RESULTS = BENCHMARKS / "results"
PLOT = BENCHMARKS.parent / "docs" / "explanation" / "speed.svg"
BUSY = 0.3
STEPS = 100
"""Steps of dynamics in the table of single steps."""

Block = dict[str, Any]
Cell = Callable[[Block, dict[str, Any], dict[str, Any]], str]


def atoms(block: Block) -> int:
    """Return the number of atoms of a block's structure."""
    return 5 if block["system"] == "CH4" else int(block["system"].split()[1])


def per_atom(block: Block, timing: dict[str, Any], _first: dict[str, Any]) -> str:
    """Microseconds per atom."""
    return _number(1e6 * timing["seconds"] / atoms(block))


def per_call(_block: Block, timing: dict[str, Any], _first: dict[str, Any]) -> str:
    """Microseconds."""
    return _number(1e6 * timing["seconds"])


def per_step(_block: Block, timing: dict[str, Any], _first: dict[str, Any]) -> str:
    """Microseconds of a step of dynamics, or of the engine alone."""
    steps = STEPS if timing["task"] == "trajectory" else 1
    return _number(1e6 * timing["seconds"] / steps)


def relative_time(block: Block, timing: dict[str, Any], first: dict[str, Any]) -> str:
    """Time relative to the first of the block."""
    quiet = block["load_of_others"] <= BUSY
    return _number(timing["seconds"] / first["seconds"]) if quiet else "–"


def speed(block: Block, timing: dict[str, Any], first: dict[str, Any]) -> str:
    """How many times as fast as the first of the block."""
    quiet = block["load_of_others"] <= BUSY
    return f"{first['seconds'] / timing['seconds']:.2f}" if quiet else "–"


def speed_beside_original(block: Block, timing: dict[str, Any], first: dict[str, Any]) -> str:
    """How many times as fast as the original, if it was measured for this structure."""
    return speed(block, timing, first) if first["peer"] == "original" else "–"


def memory(_block: Block, timing: dict[str, Any], _first: dict[str, Any]) -> str:
    """Megabytes at the peak of the work, beyond what was there before."""
    return _number(timing["found"]["peak_bytes"] / 1e6)


def step_ratio(block: Block, timing: dict[str, Any], _first: dict[str, Any]) -> str:
    """Time of a step of dynamics over that of the engine alone."""
    if timing["task"] != "trajectory" or block["load_of_others"] > BUSY:
        return "–"
    alone = next(
        t for t in block["timings"] if t["peer"] == timing["peer"] and t["task"] == "evaluate"
    )
    return f"{timing['seconds'] / STEPS / alone['seconds']:.2f}"


def found(name: str, factor: float = 1.0, digits: int = 3) -> Cell:
    """Return a column of what the task itself reported."""
    return lambda _block, timing, _first: f"{factor * timing['found'][name]:.{digits}g}"


COLUMNS: dict[str, dict[str, Cell]] = {
    "inference": {"µs/atom": per_atom, "speed / original": speed_beside_original},
    "lists": {"µs/atom": per_atom, "speed / first row": speed},
    "trajectory": {
        "s per 1000 steps": lambda _b, t, _f: _number(t["seconds"]),
        "speed / first row": speed,
        "mean temperature, K": found("temperature"),
    },
    "step": {"µs per step": per_step, "step / engine alone": step_ratio},
    "methane": {"µs per call": per_call, "speed / original": speed_beside_original},
    "training": {"µs/atom": lambda b, t, f: per_atom(b, t | {"seconds": t["seconds"] / 4}, f),
                 "speed / original": speed_beside_original, "peak memory, MB": memory},
    "others": {"µs/atom": per_atom, "time / first row": relative_time},
    "epoch": {"s per epoch": found("epoch_seconds"), "loading and metrics, %": found("share", 100)},
}  # fmt: skip


def table(blocks: Iterable[Block], columns: dict[str, Cell]) -> str:
    """Return a row for every timing of every block."""
    head = ["structure", "threads", "program", "task", *columns]
    rows = [f"| {' | '.join(head)} |", "| --- | --: | --- | --- |" + " --: |" * len(columns)]
    for block in blocks:
        first = block["timings"][0]
        for timing in block["timings"]:
            cells = [block["system"], str(timing["threads"]), timing["peer"], timing["task"]]
            cells += [cell(block, timing, first) for cell in columns.values()]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def plot(figures: dict[str, list[Block]]) -> None:
    """Draw time per atom against atoms, one thread: lists outside (full) or included (dashed)."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for name in ("inference", "lists"):
        for block in figures.get(name, ()):
            for t in block["timings"]:
                if t["threads"] == 1:
                    point = (atoms(block), 1e6 * t["seconds"] / atoms(block))
                    curves.setdefault((t["peer"], t["task"]), []).append(point)
    plt.rcParams |= {"svg.hashsalt": "reann", "svg.fonttype": "none", "font.size": 9}
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    colors = {peer: f"C{i}" for i, peer in enumerate(dict.fromkeys(p for p, _ in curves))}
    for (peer, task), points in curves.items():
        included = task == "rebuild"
        label = f"{peer}, list made at each call" if included else peer
        style = "s--" if included else "o-"
        axes.loglog(*zip(*points, strict=True), style, color=colors[peer], label=label, ms=4)
    axes.set(xlabel="atoms", ylabel="µs per atom, one thread")
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.savefig(PLOT, metadata={"Date": None})


def machine(measured: dict[str, Any]) -> str:
    """Return the machine and the versions in a sentence."""
    m = measured["machine"]
    versions: dict[str, str] = {}
    for blocks in measured["figures"].values():
        for block in blocks:
            versions |= block["versions"]
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"Measured {m['date']} on {m['processor']}, {m['cores']} cores, {m['level']}, "
        f"last-level cache {m['last_level_cache']}; {m['system']}; {listed}."
    )


def scaling() -> str:
    """Return what a second thread gives, from `results/scaling.json`."""
    rows = [
        "| model | atoms | 1 thread, µs/atom | 2 threads | ratio |",
        "| --- | --: | --: | --: | --: |",
    ]
    rows += [
        f"| {r['model']} | {r['atoms']} | {r['one']:.1f} | {r['two']:.1f} | {r['ratio']:.2f} |"
        for r in json.loads((RESULTS / "scaling.json").read_text())
    ]
    return "\n".join(rows)


def roofline() -> str:
    """Return operations, bytes and time of each kernel, from `results/roofline.json`."""
    measured = json.loads((RESULTS / "roofline.json").read_text())
    rows = [
        "| kernel | operations/atom | bytes/atom | at least, µs | takes, µs | of the limit |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    rows += [
        f"| {name} | {k['operations_per_atom']:.0f} | {k['bytes_per_atom']:.0f} "
        f"| {k['bound_us_per_atom']:.2f} | {k['us_per_atom']:.2f} "
        f"| {100 * k['bound_us_per_atom'] / k['us_per_atom']:.0f} % |"
        for name, k in measured["kernels"].items()
    ]
    peaks = f"{measured['matrix_GFLOP_per_s']:.0f} GFLOP/s, {measured['stream_GB_per_s']:.0f} GB/s"
    return "\n".join(rows) + f"\n\nMeasured peaks of one thread: {peaks}."


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def write_front(folder: Path) -> None:
    """Write tables and figure of the presets beside published settings."""
    measured = json.loads((RESULTS / "front.json").read_text())
    blocks = measured["figures"]["front"]
    (folder / "front-machine.md").write_text(machine(measured) + "\n")
    (folder / "front.md").write_text(front.table(blocks) + "\n")
    (folder / "neighbors.md").write_text(front.neighbors_table(blocks) + "\n")
    front.plot(blocks)


def main() -> None:
    measured = json.loads((RESULTS / "speed.json").read_text())
    folder = RESULTS / "speed"
    folder.mkdir(exist_ok=True)
    (folder / "machine.md").write_text(machine(measured) + "\n")
    for name, blocks in measured["figures"].items():
        (folder / f"{name}.md").write_text(table(blocks, COLUMNS[name]) + "\n")
    (folder / "scaling.md").write_text(scaling() + "\n")
    (folder / "roofline.md").write_text(roofline() + "\n")
    plot(measured["figures"])
    write_front(folder)


if __name__ == "__main__":
    main()

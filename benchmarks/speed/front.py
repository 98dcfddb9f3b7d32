"""Errors against times of presets and of other potentials, from `results/front.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from figures import NEIGHBORS, PRESETS, preset_at
from published import PUBLISHED

BENCHMARKS = Path(__file__).parents[1]
TRAINED = BENCHMARKS / "results" / "accuracy" / "train"
PLOT = BENCHMARKS.parent / "docs" / "explanation" / "front.svg"
ASPIRIN, WATER = "aspirin 105", "water 192"

Block = dict[str, Any]


def microseconds(block: Block) -> dict[str, float]:
    """Return the processor time per atom of each program."""
    n_atoms = int(block["system"].split()[1])
    return {
        t["task"] if t["peer"] == "reann" else t["peer"]: 1e6 * t["busy"] / n_atoms
        for t in block["timings"]
    }


def errors() -> dict[str, tuple[float, str]]:
    """Return force errors for aspirin (MAE in meV/Å) and their origin, by the name of a program."""
    found = {p.name: (p.forces_mae, "published") for p in PUBLISHED[ASPIRIN] if p.forces_mae}
    for preset in PRESETS:
        file = TRAINED / f"aspirin-{preset}-seed1.json"
        error = json.loads(file.read_text())["tests"]["test"]["forces_mae_meV_per_A"]
        found[preset_at(preset, 5.0)] = (error, "ours")
    return found


def table(blocks: list[Block]) -> str:
    """Return a row for each program on each structure."""
    known = errors()
    rows = ["| structure | program | µs/atom | forces MAE, meV/Å |", "| --- | --- | --: | --: |"]
    for block in blocks:
        for name, time in microseconds(block).items():
            error = f"{known[name][0]:.1f}" if block["system"] == ASPIRIN else "–"
            rows.append(f"| {block['system']} | {name} | {shown(time)} | {error} |")
    return "\n".join(rows)


def neighbors_table(blocks: list[Block]) -> str:
    """Return the times of the presets with few and with many neighbors."""
    times = microseconds(next(b for b in blocks if b["system"] == WATER))
    head = [f"{n} neighbors ({cutoff:g} Å), µs/atom" for n, cutoff in NEIGHBORS.items()]
    rows = [f"| preset | {' | '.join(head)} |", "| --- |" + " --: |" * len(head)]
    for preset in PRESETS:
        cells = [shown(times[preset_at(preset, cutoff)]) for cutoff in NEIGHBORS.values()]
        rows.append(f"| `{preset}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def shown(time: float) -> str:
    """Return a time with three digits."""
    return f"{float(f'{time:.3g}'):,.0f}".replace(",", " ") if time >= 100 else f"{time:.1f}"


def plot(blocks: list[Block]) -> None:
    """Draw force errors against times per atom of aspirin."""
    import matplotlib as mpl
    import matplotlib.ticker

    mpl.use("svg")
    from matplotlib import pyplot as plt

    (block,) = (b for b in blocks if b["system"] == ASPIRIN)
    known, times = errors(), microseconds(block)
    plt.rcParams |= {"svg.hashsalt": "reann", "svg.fonttype": "none", "font.size": 9}
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for origin, style, label in (
        ("ours", "o-", "reann, measured"),
        ("published", "s", "published errors, times measured here"),
    ):
        points = [
            (time, known[name][0]) for name, time in times.items() if known[name][1] == origin
        ]
        axes.loglog(*zip(*points, strict=True), style, label=label, ms=5)
    for name, time in times.items():
        short = name.removeprefix("reann ").split(",")[0].strip("`")
        place = {"xytext": (6, 4), "textcoords": "offset points", "fontsize": 8}
        axes.annotate(short, (time, known[name][0]), **place)
    axes.set(xlabel="µs per atom, one thread", ylabel="forces of aspirin, MAE in meV/Å")
    axes.set(ylim=(5, 40), xlim=(min(times.values()) / 2, max(times.values()) * 6))
    axes.yaxis.set_ticks((5, 10, 20, 40), ("5", "10", "20", "40"))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(PLOT, metadata={"Date": None})

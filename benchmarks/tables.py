"""The tables of the documentation's benchmark page, from the results in `results/`.

python benchmarks/tables.py
"""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def readout_start() -> str:
    """Return what the first guess of the readout changes."""
    rows = ["| reference energies | E, meV/atom | F, meV/Å |", "| --- | --: | --: |"]
    for name, seeds in json.loads((RESULTS / "readout_start.json").read_text()).items():
        energy = ", ".join(f"{energy:.2f}" for energy, _ in seeds)
        forces = ", ".join(f"{forces:.1f}" for _, forces in seeds)
        rows.append(f"| {name} | {energy} | {forces} |")
    return "\n".join(rows)


def step() -> str:
    """Return the speed of the reference engine beside the original's arithmetic."""
    measured = json.loads((RESULTS / "step.json").read_text())
    rows = ["| | threads | µs/atom | times the original's speed |", "| --- | --: | --: | --: |"]
    for threads, results in measured.items():
        for what, medians in results.items():
            for name, median in medians.items():
                ratio = medians["original"] / median
                rows.append(f"| {what}, {name} | {threads} | {median:.0f} | {ratio:.2f} |")
    return "\n".join(rows)


def nve() -> str:
    """Return how well energy is conserved."""
    head = [
        "engine, networks",
        "ps",
        "drift, meV/atom/ps",
        "temperature, K",
        "RMS at 0.5 / 0.25 fs, meV/atom",
        "ratio",
    ]
    rows = [f"| {' | '.join(head)} |", "| --- | --: | --: | --: | --: | --: |"]
    results = [json.loads((RESULTS / name).read_text()) for name in ("nve.json", "nve_native.json")]
    rows += [
        f"| {r['engine']}, {r['precision']} | {r['time_ps']:.0f} "
        f"| {r['drift_meV_per_atom_per_ps']:+.4f} "
        f"| {r['temperature_mean_K']:.0f} ({r['temperature_min_K']:.0f} to "
        f"{r['temperature_max_K']:.0f}) "
        f"| {r['rms_0.5fs_meV_per_atom']:.4f} / {r['rms_0.25fs_meV_per_atom']:.4f} "
        f"| {r['ratio']:.2f} |"
        for result in results
        for r in result["results"]
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    for table in (readout_start, step, nve):
        (RESULTS / f"{table.__name__}.md").write_text(table() + "\n")

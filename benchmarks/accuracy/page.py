"""Tables and figure of the accuracy pages, from `results/accuracy/`.

python benchmarks/accuracy/page.py
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "speed"))

from original import CURVES
from questions import STUDIES, Study
from sets import SETS, DataSet

BENCHMARKS = Path(__file__).parents[1]
RESULTS = BENCHMARKS / "results" / "accuracy"
PLOT = BENCHMARKS.parent / "docs" / "explanation" / "accuracy.svg"
PRESETS = ("fast", "density", "density-l3", "default", "accurate")
MEASURES = ("mae", "rmse")
FORCES = "forces_rmse_meV_per_A"
ENERGY = "energy_rmse_meV_per_atom"

Result = dict[str, Any]


def results(folder: str) -> list[Result]:
    """Return the results of a folder."""
    return [json.loads(file.read_text()) for file in sorted((RESULTS / folder).glob("*.json"))]


def spread(values: Iterable[float]) -> str:
    """Return the mean over the seeds and, of several, half the range."""
    found = list(values)
    mean = statistics.mean(found)
    digits = 0 if mean >= 100 else 1 if mean >= 10 else 2
    half = f" ± {(max(found) - min(found)) / 2:.{digits}f}" if len(found) > 1 else ""
    return f"{mean:.{digits}f}{half}"


def errors(one: DataSet, runs: list[Result], test: str) -> list[str]:
    """Return energy, forces and stress of a test in the units of the set's literature."""
    found = [run["tests"][test] for run in runs]
    size = statistics.mean(run["atoms"] for run in runs) if one.energy == "meV" else 1.0
    cells = [
        spread(size * f[f"energy_{one.measure}_meV_per_atom"] for f in found),
        spread(f[f"forces_{one.measure}_meV_per_A"] for f in found),
    ]
    stress = f"stress_{one.measure}_meV_per_A3"
    return [*cells, spread(f[stress] for f in found) if stress in found[0] else "–"]


def table(kind: str) -> str:
    """Return the errors on the tests of all sets of a kind, a row per preset."""
    head = ["set, test", "", "energy", "forces, meV/Å", "stress, meV/Å³", "µs/atom", "minutes"]
    head += ["seeds"]
    rows = [f"| {' | '.join(head)} |", "| --- | --- |" + " --: |" * 6]
    every = results("train")
    for name, one in SETS.items():
        runs = [run for run in every if run["set"] == name]
        if one.kind != kind or not runs:
            continue
        for test in runs[0]["tests"]:
            title = one.title if test == "test" else f"{one.title} → {test}"
            unit = f"{one.measure.upper()}, energy in {one.energy}"
            for preset in PRESETS:
                own = [run for run in runs if run["label"] == preset]
                if own:
                    cells = [f"**{title}**, {unit}", preset, *errors(one, own, test)]
                    cells += [f"{min(run['us_per_atom'] for run in own):.1f}"]  # the quietest
                    cells += [spread(run["processor_seconds"] / 60 for run in own).split(" ")[0]]
                    rows.append(f"| {' | '.join([*cells, str(len(own))])} |")
                    title = unit = ""
        rows += [
            f"| | *{source}* | {reached} | | | | |" for source, reached in one.published.items()
        ]
    return "\n".join(row.replace("| ****, ", "| ") for row in rows)


def answers(study: Study) -> str:
    """Return what each change does to the errors, relative to the base, the mean of its seeds."""
    every = results(study.folder)
    measured = [name for name in study.epochs if any(run["set"] == name for run in every)]

    def runs_of(label: str) -> dict[str, list[Result]]:
        return {n: [r for r in every if (r["set"], r["label"]) == (n, label)] for n in measured}

    head = ["question", "change"]
    shown = "F, E, time" if study.timed else "F, E"
    head += [f"{SETS[name].title}: {shown}" for name in measured]
    rows = [f"| {' | '.join(head)} |", "| --- | --- |" + " --: |" * len(measured)]
    base = runs_of("base")
    cells = [
        f"{spread(errors_of(runs, FORCES))} meV/Å, {spread(errors_of(runs, ENERGY))} meV/atom"
        + (f", {time_of(runs):.1f} µs" if study.timed else "")
        for runs in base.values()
    ]
    rows.append(f"| **base** | | {' | '.join(cells)} |")
    for question, changes in study.questions.items():
        title = f"**{question}**"
        for label in changes:
            found = runs_of(label)
            if label == "base" or not any(found.values()):
                continue
            cells = [change(found[n], base[n], timed=study.timed) for n in measured]
            rows.append(f"| {title} | {label} | {' | '.join(cells)} |")
            title = ""
    return "\n".join(rows)


def errors_of(runs: list[Result], key: str) -> list[float]:
    """Return an error of each seed, on the test, else on validation structures."""
    return [run["tests"].get("test", run["valid"])[key] for run in runs]


def time_of(runs: list[Result]) -> float:
    """Return the time per atom in µs."""
    return statistics.median(run["us_per_atom"] for run in runs)


def change(runs: list[Result], base: list[Result], *, timed: bool) -> str:
    """Return the changes of forces, energy and time."""
    if not runs:
        return "–"
    means = [[statistics.mean(errors_of(r, key)) for r in (runs, base)] for key in (FORCES, ENERGY)]
    parts = [f"{100 * (after / before - 1):+.0f} %" for after, before in means]
    if timed:
        parts.append(f"×{time_of(runs) / time_of(base):.2f}")
    return ", ".join(parts)


def beside_the_original() -> str:
    """Return what the original reached at the same epochs, and the time that it took."""
    every = results("original")
    head = ["set", "T", "epochs", "E, meV", "F, meV/Å", "minutes", "original: E", "F", "minutes"]
    rows = [f"| {' | '.join(head)} |", "| --- |" + " --: |" * 8]
    for curve in CURVES:
        for epochs, (energy, forces) in curve.reached.items():
            runs = [
                run
                for run in every
                if (run["set"], run["label"]) == (curve.set, f"{curve.label}-{epochs}")
            ]
            if not runs:
                continue
            test = [run["tests"]["test"] for run in runs]
            cells = [SETS[curve.set].title, curve.label.rpartition("T")[2], str(epochs)]
            cells += [
                spread(runs[0]["atoms"] * t[ENERGY] for t in test),
                spread(t[FORCES] for t in test),
                f"{statistics.mean(run['training_seconds'] for run in runs) / 60:.1f}",
            ]
            cells += [f"{energy}", f"{forces}"]
            each = curve.seconds_per_epoch
            cells.append(f"{each * epochs / 60:.0f}" if each else "–")
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def beside_peers() -> str:
    """Return what other packages reached on the same structures in a stated time of one core."""
    head = ["set", "", "minutes", "E, meV/atom: MAE, RMSE", "F, meV/Å: MAE, RMSE"]
    rows = [f"| {' | '.join(head)} |", "| --- | --- |" + " --: |" * 3]
    ours, theirs = results("train"), results("peers")
    for name in dict.fromkeys(run["set"] for run in theirs):
        lines = []
        for preset in PRESETS:
            own = [r for r in ours if (r["set"], r["label"]) == (name, preset)]
            if own:
                minutes = statistics.mean(run["processor_seconds"] for run in own) / 60
                lines.append((f"reann, {preset}", minutes, own))
        lines += [(run["label"], run["minutes"], [run]) for run in theirs if run["set"] == name]
        title = f"**{SETS[name].title}**"
        for label, minutes, runs in lines:
            cells = [title, label, f"{minutes:.1f}"]
            for error in ("energy_{}_meV_per_atom", "forces_{}_meV_per_A"):
                both = [[r["tests"]["test"][error.format(m)] for r in runs] for m in MEASURES]
                cells.append(", ".join(spread(values) for values in both))
            rows.append(f"| {' | '.join(cells)} |")
            title = ""
    return "\n".join(rows)


def front() -> None:
    """Draw the errors of the forces against the time per atom, a panel per kind."""
    import matplotlib as mpl
    import matplotlib.ticker

    mpl.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams |= {"svg.hashsalt": "reann", "svg.fonttype": "none", "font.size": 8}
    kinds = ("molecule", "liquid", "solid", "surface")
    figure, every = plt.subplots(2, 2, figsize=(7.2, 7.0), layout="constrained")
    found = results("train")
    for kind, axes in zip(kinds, every.flat, strict=True):
        for name, one in SETS.items():
            points = [
                (
                    statistics.median(run["us_per_atom"] for run in own),
                    statistics.mean(run["tests"]["test"][FORCES] for run in own),
                )
                for preset in PRESETS
                if (own := [r for r in found if (r["set"], r["label"]) == (name, preset)])
            ]
            if one.kind == kind and points:
                axes.loglog(*zip(*points, strict=True), "o-", label=one.title, ms=4)
        axes.set(xlabel="µs per atom, one thread", ylabel="forces, RMSE in meV/Å", title=kind)
        axes.set(xlim=(2, 20), ylim=(7, 300))
        for axis, ticks in ((axes.xaxis, (3, 5, 10, 20)), (axes.yaxis, (10, 20, 50, 100, 200))):
            axis.set_ticks(ticks, [f"{tick}" for tick in ticks])
            axis.set_minor_formatter(mpl.ticker.NullFormatter())
        axes.grid(visible=True, which="both", alpha=0.2)
        if axes.get_legend_handles_labels()[0]:
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
            axes.legend(fontsize=7, frameon=False, ncols=2, **place)
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    """Write everything."""
    for kind in ("molecule", "liquid", "solid", "surface"):
        (RESULTS / f"{kind}.md").write_text(table(kind) + "\n")
    for study in STUDIES.values():
        (RESULTS / f"{study.folder}.md").write_text(answers(study) + "\n")
    (RESULTS / "original.md").write_text(beside_the_original() + "\n")
    (RESULTS / "peers.md").write_text(beside_peers() + "\n")
    front()


if __name__ == "__main__":
    main()

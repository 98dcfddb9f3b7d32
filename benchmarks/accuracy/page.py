"""Tables and figure of the accuracy pages, from `results/accuracy/`.

python benchmarks/accuracy/page.py
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Iterable, Iterator
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
KINDS = ("molecule", "liquid", "solid", "surface")
FORCES = "forces_rmse_meV_per_A"
ENERGY = "energy_rmse_meV_per_atom"

Result = dict[str, Any]


def results(folder: str) -> list[Result]:
    """Return the results of a folder."""
    return [json.loads(file.read_text()) for file in sorted((RESULTS / folder).glob("*.json"))]


def spread(values: Iterable[float]) -> str:
    """Return the mean over the seeds and, of several, half the range."""
    numbers = list(values)
    mean = statistics.mean(numbers)
    digits = 0 if mean >= 100 else 1 if mean >= 10 else 2
    half = f" ± {(max(numbers) - min(numbers)) / 2:.{digits}f}" if len(numbers) > 1 else ""
    return f"{mean:.{digits}f}{half}"


def errors(dataset: DataSet, runs: list[Result], test: str) -> list[str]:
    """Return MAE and RMSE of energy and forces, and the RMSE of the stress, of one test."""
    every = [run["tests"][test] for run in runs]
    size = statistics.mean(run["atoms"] for run in runs) if dataset.energy == "meV" else 1.0
    energy = [spread(size * t[f"energy_{m}_meV_per_atom"] for t in every) for m in MEASURES]
    forces = [spread(t[f"forces_{m}_meV_per_A"] for t in every) for m in MEASURES]
    stress = "stress_rmse_meV_per_A3"
    return [*energy, *forces, spread(t[stress] for t in every) if stress in every[0] else "–"]


def tests_of(kind: str) -> Iterator[tuple[DataSet, str, str, dict[str, list[Result]]]]:
    """Yield set, test, title and the runs of each preset, for all tests of sets of a kind."""
    every = results("train")
    for name, dataset in SETS.items():
        runs = {p: [r for r in every if (r["set"], r["label"]) == (name, p)] for p in PRESETS}
        runs = {preset: own for preset, own in runs.items() if own}
        if dataset.kind != kind or not runs:
            continue
        for test in next(iter(runs.values()))[0]["tests"]:
            title = dataset.title if test == "test" else f"{dataset.title}, tested at {test}"
            yield dataset, test, title, runs


def tables(kind: str) -> str:
    """Return a table for each test of the sets of a kind: a row per preset, then literature."""
    parts = []
    for dataset, test, title, runs in tests_of(kind):
        head = ["potential", f"energy MAE, {dataset.energy}", f"energy RMSE, {dataset.energy}"]
        head += ["forces MAE, meV/Å", "forces RMSE, meV/Å", "stress RMSE, meV/Å³"]
        head += ["µs/atom", "minutes", "seeds"]
        rows = [f"| {' | '.join(head)} |", "| --- |" + " --: |" * 8]
        for preset, own in runs.items():
            cells = [f"`{preset}`", *errors(dataset, own, test)]
            cells += [f"{min(run['us_per_atom'] for run in own):.1f}"]  # the quietest
            cells += [spread(run["processor_seconds"] / 60 for run in own).split(" ")[0]]
            rows.append(f"| {' | '.join([*cells, str(len(own))])} |")
        notes = []
        if test == "test":  # what others reached is about the structures of this test only
            for source, reached in dataset.published.items():
                row, note = literature(dataset, source, reached)
                rows.append(row)
                notes.append(note)
        parts += [f"### {title}", "\n".join(rows)]
        parts += [f"Literature: {'; '.join(notes)}."] if notes else []
    return "\n\n".join(parts)


def literature(dataset: DataSet, source: str, reached: str) -> tuple[str, str]:
    """Return the row of a published result, in the columns of its measure, and its note."""
    match = re.fullmatch(r"(\S+) / (\S+) \((.*)\)", reached)
    assert match, reached
    energy, forces = ([match[i] if dataset.measure == m else "–" for m in MEASURES] for i in (1, 2))
    row = f"| *{source}* | {' | '.join([*energy, *forces])} | – | – | – | – |"
    return row, f"{source}, {match[3].replace(';', ',')}"


def summary() -> str:
    """Return the force errors (RMSE) of the presets on all tests."""
    every = [each for kind in KINDS for each in tests_of(kind)]
    presets = [p for p in PRESETS if any(p in runs for *_, runs in every)]
    rows = [f"| forces RMSE, meV/Å | {' | '.join(f'`{p}`' for p in presets)} |"]
    rows.append("| --- |" + " --: |" * len(presets))
    for _, test, title, runs in every:
        cells = [
            spread(r["tests"][test][FORCES] for r in runs[p]) if p in runs else "–" for p in presets
        ]
        rows.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(rows)


def answers(study: Study) -> str:
    """Return what each change does to the errors, relative to the base, the mean of its seeds."""
    every = results(study.folder)
    measured = [name for name in study.epochs if any(run["set"] == name for run in every)]

    def runs_of(label: str) -> dict[str, list[Result]]:
        return {n: [r for r in every if (r["set"], r["label"]) == (n, label)] for n in measured}

    head = ["setting", "value"]
    shown = "forces, energy, time" if study.timed else "forces, energy"
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
            of_label = runs_of(label)
            if label == "base" or not any(of_label.values()):
                continue
            cells = [change(of_label[n], base[n], timed=study.timed) for n in measured]
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
    head = ["set", "recursions", "epochs"]
    for code in ("reann", "original"):
        head += [f"{code}: energy RMSE, meV", "forces RMSE, meV/Å", "minutes"]
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
    head = ["set", "potential", "minutes", "energy MAE, meV/atom", "energy RMSE, meV/atom"]
    head += ["forces MAE, meV/Å", "forces RMSE, meV/Å"]
    rows = [f"| {' | '.join(head)} |", "| --- | --- |" + " --: |" * 5]
    ours, published = results("train"), results("peers")
    for name in dict.fromkeys(run["set"] for run in published):
        lines = []
        for preset in PRESETS:
            own = [r for r in ours if (r["set"], r["label"]) == (name, preset)]
            if own:
                minutes = statistics.mean(run["processor_seconds"] for run in own) / 60
                lines.append((f"reann, `{preset}`", minutes, own))
        lines += [(run["label"], run["minutes"], [run]) for run in published if run["set"] == name]
        title = f"**{SETS[name].title}**"
        for label, minutes, runs in lines:
            cells = [title, label, f"{minutes:.1f}"]
            for error in ("energy_{}_meV_per_atom", "forces_{}_meV_per_A"):
                both = [[r["tests"]["test"][error.format(m)] for r in runs] for m in MEASURES]
                cells += [spread(values) for values in both]
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
    figure, every = plt.subplots(2, 2, figsize=(7.2, 7.0), layout="constrained")
    trained = results("train")
    for kind, axes in zip(KINDS, every.flat, strict=True):
        for name, dataset in SETS.items():
            points = [
                (
                    statistics.median(run["us_per_atom"] for run in own),
                    statistics.mean(run["tests"]["test"][FORCES] for run in own),
                )
                for preset in PRESETS
                if (own := [r for r in trained if (r["set"], r["label"]) == (name, preset)])
            ]
            if dataset.kind == kind and points:
                axes.loglog(*zip(*points, strict=True), "o-", label=dataset.title, ms=4)
        axes.set(xlabel="µs per atom, one thread", ylabel="forces, RMSE in meV/Å", title=kind)
        axes.set(xlim=(1, 100), ylim=(4, 300))
        x_ticks, y_ticks = (1, 3, 10, 30, 100), (5, 10, 20, 50, 100, 200)
        for axis, ticks in ((axes.xaxis, x_ticks), (axes.yaxis, y_ticks)):
            axis.set_ticks(ticks, [f"{tick}" for tick in ticks])
            axis.set_minor_formatter(mpl.ticker.NullFormatter())
        axes.grid(visible=True, which="both", alpha=0.2)
        if axes.get_legend_handles_labels()[0]:
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
            axes.legend(fontsize=7, frameon=False, ncols=2, **place)
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    """Write everything."""
    for kind in KINDS:
        (RESULTS / f"{kind}.md").write_text(tables(kind) + "\n")
    (RESULTS / "summary.md").write_text(summary() + "\n")
    for study in STUDIES.values():
        (RESULTS / f"{study.folder}.md").write_text(answers(study) + "\n")
    (RESULTS / "original.md").write_text(beside_the_original() + "\n")
    (RESULTS / "peers.md").write_text(beside_peers() + "\n")
    front()


if __name__ == "__main__":
    main()

"""Tables and figures of the page "What the recursion adds", from `results/claims/`.

python benchmarks/claims/page.py
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1]
sys.path += [str(BENCHMARKS / "accuracy"), str(BENCHMARKS / "speed")]

import plots  # noqa: E402
from curves import CASES as SIZED  # noqa: E402
from curves import SIZES  # noqa: E402
from hosts import HOSTS  # noqa: E402
from manifold import CASES as METHANES  # noqa: E402
from plots import ENERGY, FORCES, Row, matching  # noqa: E402
from water import CASES as WATERS  # noqa: E402
from water import CUTOFFS  # noqa: E402

RESULTS = BENCHMARKS / "results" / "claims"
FIGURES = BENCHMARKS.parent / "docs" / "explanation"


def rows_of(claim: str) -> list[Row]:
    """Return the rows of a claim."""
    return [json.loads(file.read_text()) for file in sorted((RESULTS / claim).glob("*.json"))]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table whose first column is text."""
    names = list(head)
    lines = [f"| {' | '.join(names)} |", "| --- |" + " :-: |" * (len(names) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def spread(values: Iterable[float], digits: int | None = None) -> str:
    """Return the mean and, of several seeds, half the range."""
    numbers = list(values)
    mean = statistics.mean(numbers)
    if digits is None:
        digits = 0 if mean >= 100 else 1 if mean >= 10 else 2 if mean >= 1 else 3
    half = f" ± {(max(numbers) - min(numbers)) / 2:.{digits}f}" if len(numbers) > 1 else ""
    return f"{mean:.{digits}f}{half}"


def degenerate(rows: list[Row]) -> str:
    """Return the smallest number of recursions that distinguishes each pair."""

    def cell(measured: list[Row]) -> str:
        distinguished = [t for t, row in enumerate(measured) if row["told_apart"]]
        if len(measured) == 1:  # the control has no recursions
            return "yes" if distinguished else "no"
        if not distinguished:
            partly = [t for t, row in enumerate(measured) if not row["seeds_agree"]]
            return f"({partly[0]})" if partly else "–"
        return str(distinguished[0])

    names = list(rows[0]["pairs"])
    order = {"scalar": 0, "directional": 1, "averaged": 2}
    ordered = sorted(rows, key=lambda r: (list(HOSTS).index(r["host"]), order[r["messages"]]))
    body = [[r["host"], r["messages"], *(cell(r["pairs"][n]) for n in names)] for r in ordered]
    return table(["host", "messages", *names], body)


def chains(rows: list[Row]) -> str:
    """Return how many trainings tell the two classes apart, and how many steps that takes."""
    names = sorted({(r["messages"], r["optimizer"], r["T"]) for r in rows}, key=str)
    lengths = sorted({r["k"] for r in rows})
    body = []
    for messages, optimizer, t in names:
        about = {"messages": messages, "optimizer": optimizer, "T": t}
        own = {r["k"]: r for r in matching(rows, **about)}
        cells = [
            f"{own[k]['right']} of {len(own[k]['curves'])}" if k in own else "" for k in lengths
        ]
        body.append([f"{messages}, T = {t}, {optimizer.upper()}", *cells])
    return table(["messages, T, optimizer", *(f"k = {k}" for k in lengths)], body)


def manifold(rows: list[Row]) -> str:
    """Return the errors at the carbon atom."""
    body = []
    for case in METHANES:
        own = matching(
            rows,
            host=case.host,
            T=case.t,
            messages=case.messages,
            star=case.star,
            readout=case.readout,
            control=case.control,
        )
        if not own:
            continue
        graph = "bonds only" if case.star else "all pairs"
        kind = "directional" if case.messages == "directional" else ""
        note = ", ".join(filter(None, (kind, case.control, "all atoms" * (case.readout == "all"))))
        cells = [spread(r[key] for r in own) for key in ("degenerate", "train", "test")]
        body.append([case.host, str(case.t), graph, note, *cells, str(own[0]["parameters"])])
    head = ["host", "T", "neighbors", "variant", "degenerate pairs", "training set", "held out"]
    floor = f"Energies in eV, {len({r['seed'] for r in rows})} seeds. Their standard deviation is "
    floor += f"{rows[0]['deviation']:.1f}, the lower bound for descriptors of distances and angles "
    floor += f"at the carbon atom is {rows[0]['floor']:.2f} on the degenerate pairs."
    return table([*head, "parameters"], body) + f"\n\n{floor}"


def curves(rows: list[Row]) -> str:
    """Return the errors on the test for each number of structures."""
    body = []
    for case in SIZED:
        cells = []
        for size in SIZES:
            own = [r["tests"]["test"] for r in matching(rows, case=case, size=size)]
            cells.append(
                f"{spread(f[FORCES] for f in own)} / {spread(5 * f[ENERGY] for f in own)}"
                if own
                else ""
            )
        parameters = [r["parameters"] for r in matching(rows, case=case)]
        if parameters:
            body.append([case, *cells, str(parameters[0])])
    return table(["RMSE of forces, meV/Å / energy, meV", *map(str, SIZES), "parameters"], body)


def water(rows: list[Row]) -> str:
    """Return the force errors on the test, and times, for each cutoff."""
    body = []
    for t, messages in WATERS:
        cells = []
        for cutoff in CUTOFFS:
            own = matching(rows, cutoff=cutoff, T=t, messages=messages)
            error = spread(r["tests"]["test"][FORCES] for r in own) if own else ""
            time = f" ({min(r['us_per_atom'] for r in own):.1f} µs)" if own else ""
            cells.append(error + time)
        body.append([f"T = {t}" + (f", {messages}" if t else ""), *cells])
    return table(["forces RMSE, meV/Å (time per atom)", *(f"{c:g} Å" for c in CUTOFFS)], body)


def cost(rows: list[Row]) -> str:
    """Return time and memory per atom of each host, T and message."""
    body = []
    kinds = {(list(HOSTS).index(r["host"]), r["engine"], r["messages"]) for r in rows}
    for index, engine, messages in sorted(kinds, key=lambda k: (k[0], k[1], k[2] != "scalar")):
        host = list(HOSTS)[index]
        own = {r["T"]: r for r in matching(rows, host=host, messages=messages, engine=engine)}
        for name, key in (("energy and forces", ""), ("training step", "step_")):
            cells = [
                f"{own[t][f'{key}us_per_atom']:.0f} µs, {own[t][f'{key}KiB_per_atom']:.0f} KiB"
                if t in own
                else ""
                for t in range(4)
            ]
            title = f"{host}: {messages}, {engine}"
            body.append([f"{title}, {name}", *cells])
    return table(["per atom, one thread", *(f"T = {t}" for t in range(4))], body)


TABLES: dict[str, Callable[[list[Row]], str]] = {
    "degenerate": degenerate,
    "chains": chains,
    "manifold": manifold,
    "curves": curves,
    "water": water,
    "cost": cost,
}


def main() -> None:
    """Write what there are results for."""
    for name, make in TABLES.items():
        rows = rows_of(name)
        if rows:
            (RESULTS / f"{name}.md").write_text(make(rows) + "\n")
    for name, draw in plots.FIGURES.items():
        rows = rows_of(name)
        if rows:
            draw(rows, FIGURES / f"recursion-{name}.svg")


if __name__ == "__main__":
    main()

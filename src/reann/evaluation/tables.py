"""Error tables on the terminal: total, per element, per group, with units in the header."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from reann.error_measures import key, percentage, unit_of
from reann.errors import counted
from reann.evaluation.comparison import Evaluation
from reann.quantities import label_names, named
from reann.terminal import Terminal, plain_table

MEASURES = ("rmse", "mae", "rrmse")
WIDTH, LONGEST_NAME = 80, 18
"""Characters of a table, and of a name in a line of a heading."""


def columns(rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the (label, measure) pairs that occur in a table of errors."""
    return [
        (name, measure)
        for name in label_names()
        for measure in MEASURES
        if any(key(name, measure) in row for row in rows.values())
    ]


def number(value: float) -> str:
    """Return an error with about three digits."""
    if not np.isfinite(value):
        return "–"
    if value and abs(value) < 0.01:
        return f"{value:.2g}"
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}".replace(",", "\u202f")


def show(evaluation: Evaluation, console: Terminal) -> None:
    """Print the errors, or a note that there are no labels."""
    summary = evaluation.summary()
    counts = counted(evaluation.n_structures, "structure")
    counts += f", {counted(int(evaluation.n_atoms.sum()), 'atom')}"
    if not columns({"all": summary}):
        console.write(f"{counts}: no labels, only predictions.")
    else:
        shown = tables(f"Errors of {counts}", "", {"all": summary}, "n_structures")
        if len(evaluation.by_element()) > 1:
            shown += tables("Per element", "element", evaluation.by_element(), "n_atoms")
        if evaluation.by_group():
            shown += tables("Per group", "group", evaluation.by_group(), "n_structures")
        for table in shown:
            console.print(table)
    if evaluation.extrapolating is not None and evaluation.extrapolating.any():
        fraction = 100 * evaluation.extrapolating.mean()
        console.write(
            f"{percentage(fraction)} % of the atoms are outside the range of the training set."
        )
    if "forces" in evaluation.std:
        spread = 1e3 * np.sqrt(np.mean(evaluation.std["forces"] ** 2))
        console.write(f"Disagreement of the ensemble members: {number(spread)} meV/Å (rms).")


def tables(
    title: str, first: str, rows: Mapping[str, Mapping[str, Any]], count: str
) -> list[Table]:
    """Return tables of up to 80 columns; energy and derivatives are in a separate table."""
    label_width = 4 + max(len(label) for label in (*rows, first)) + len(count.removeprefix("n_"))
    families: list[list[tuple[str, str]]] = []
    remaining, of_energy = 0, True
    for name, group in groupby(columns(rows), key=itemgetter(0)):
        family = list(group)
        width = sum(2 + max(map(len, _heading(*column))) for column in family)
        if not families or width > remaining or of_energy != named(name).from_energy:
            families.append([])
            remaining, of_energy = WIDTH - label_width, named(name).from_energy
        families[-1] += family
        remaining -= width
    return [_table(title, first, rows, count, family) for family in families]


def _heading(name: str, measure: str) -> tuple[str, ...]:
    """Return the header lines of a column with at least eight characters; long names have two."""
    start, _, last = name.rpartition("_")
    lines = [f"{start}_", last] if len(name) > LONGEST_NAME else [name]
    return *lines, measure.upper(), f"{unit_of(name, measure).shown:>8}"


def _table(
    title: str,
    first: str,
    rows: Mapping[str, Mapping[str, Any]],
    count: str,
    errors: list[tuple[str, str]],
) -> Table:
    table = plain_table(title)
    table.add_column(first, overflow="fold")
    table.add_column(count.removeprefix("n_"), justify="right", no_wrap=True)
    for name, measure in errors:
        table.add_column(
            "\n".join(_heading(name, measure)), justify="right", no_wrap=True, vertical="bottom"
        )
    for label, row in rows.items():
        values = [number(row.get(key(*column), np.nan)) for column in errors]
        table.add_row(escape(label or "(no group)"), str(int(row[count])), *values)
    return table

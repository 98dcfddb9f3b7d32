"""Figures of the page "What the recursion adds"."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from curves import CASES as SIZED
from curves import SIZES
from manifold import EVERY
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from water import CASES as WATERS
from water import CUTOFFS

Row = dict[str, Any]
FORCES, ENERGY = "forces_rmse_meV_per_A", "energy_rmse_meV_per_atom"


def matching(rows: list[Row], **about: Any) -> list[Row]:
    """Return the rows that are about this."""
    return [r for r in rows if all(r[key] == value for key, value in about.items())]


def _figure(columns: int, height: float) -> tuple[Figure, list[Axes]]:
    mpl.rcParams |= {"svg.hashsalt": "reann", "svg.fonttype": "none", "font.size": 8}
    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)
    for ax in axes.flat:
        ax.grid(visible=True, alpha=0.2)
    return figure, list(axes.flat)


def _plain(axis: Axis, ticks: list[float]) -> None:
    """Write these numbers along a logarithmic axis, without powers of ten."""
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_minor_formatter(NullFormatter())


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None})


def manifold(rows: list[Row], file: Path) -> None:
    """Draw the error during the training of every host, without and with a recursion."""
    figure, axes = _figure(2, 2.8)
    plain = [r for r in rows if not (r["star"] or r["control"]) and r["readout"] == "carbon"]
    hosts = list(dict.fromkeys(r["host"] for r in plain))
    for ax, t in zip(axes, (0, 1), strict=True):
        for color, host in enumerate(hosts):
            own = matching(plain, host=host, T=t)
            if own:
                steps = [EVERY * i for i in range(len(own[0]["curve"]))]
                ax.semilogy(steps, own[0]["curve"], color=f"C{color}", label=host)
        ax.axhline(rows[0]["floor"], color="0.4", ls="--", lw=1, label="floor, degenerate pairs")
        ax.set(title=f"T = {t}", xlabel="step", ylabel="error of the training, eV")
        ax.set_ylim(1e-3, 100)
    axes[0].legend(frameon=False, fontsize=7)
    _save(figure, file)


def curves(rows: list[Row], file: Path) -> None:
    """Draw errors over the number of structures."""
    figure, axes = _figure(2, 2.8)
    for ax, key, unit, factor in zip(
        axes, (FORCES, ENERGY), ("forces, meV/Å", "energy, meV"), (1, 5), strict=True
    ):
        for color, case in enumerate(SIZED):
            points = []
            for size in SIZES:
                own = [
                    r["tests"]["test"][key] for r in rows if (r["case"], r["size"]) == (case, size)
                ]
                if own:
                    points.append((size, factor * statistics.mean(own)))
            style = "--" if "," in case else "-"
            if points:
                ax.loglog(
                    *zip(*points, strict=True), style, marker=".", color=f"C{color}", label=case
                )
        ax.set(xlabel="structures", ylabel=unit)
        _plain(ax.xaxis, list(SIZES))
        _plain(ax.yaxis, [100, 200, 500, 1000, 2000] if key == FORCES else [50, 100, 200, 500])
    axes[0].legend(frameon=False, fontsize=7)
    _save(figure, file)


def water(rows: list[Row], file: Path) -> None:
    """Draw force errors over the cutoff, and over the time per atom."""
    figure, axes = _figure(2, 2.8)
    for t, messages in WATERS:
        style = "--" if messages == "directional" else "-"
        label = f"T = {t}" + (f", {messages}" if t else "")
        points = []
        for cutoff in CUTOFFS:
            own = matching(rows, cutoff=cutoff, T=t, messages=messages)
            if own:
                error = statistics.mean(r["tests"]["test"][FORCES] for r in own)
                points.append((cutoff, min(r["us_per_atom"] for r in own), error))
        if points:
            cutoffs, times, errors = zip(*points, strict=True)
            axes[0].semilogy(cutoffs, errors, style, marker=".", color=f"C{t}", label=label)
            axes[1].loglog(times, errors, style, marker=".", color=f"C{t}", label=label)
    for ax in axes:
        _plain(ax.yaxis, [20, 30, 50, 80])
    _plain(axes[1].xaxis, [2.5, 5, 10, 20])
    axes[0].set_xticks(CUTOFFS)
    axes[0].set(xlabel="cutoff, Å", ylabel="forces, meV/Å")
    axes[1].set(xlabel="µs per atom, one thread", ylabel="forces, meV/Å")
    axes[0].legend(frameon=False, fontsize=7)
    _save(figure, file)


FIGURES: dict[str, Callable[[list[Row], Path], None]] = {
    "manifold": manifold,
    "curves": curves,
    "water": water,
}

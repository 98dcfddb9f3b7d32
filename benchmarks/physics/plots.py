"""Figures of the page "Does it behave?": DFT in gray, the potential in color."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Results = dict[str, Any]
DFT = {"color": "0.45", "lw": 1.2, "label": "DFT"}
OURS = {"color": "C0", "lw": 1.4, "label": "potential"}
OUTSIDE = {"color": "C1", "ls": "", "marker": ".", "ms": 4, "label": "an atom extrapolates"}


def _figure(rows: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    mpl.rcParams |= {"svg.hashsalt": "reann", "svg.fonttype": "none", "font.size": 8}
    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.grid(visible=True, alpha=0.2)
    return figure, list(axes.flat)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None})


def _potential(ax: Axes, x: Any, energy: Any, outside: Any) -> None:
    """Draw the potential's curve, with a mark where it extrapolates."""
    x, energy, outside = np.array(x), np.array(energy), np.array(outside, bool)
    ax.plot(x, energy, **OURS)
    ax.plot(x[outside], energy[outside], **OUTSIDE)


def dimers(results: Results, file: Path) -> None:
    """Draw six dimers and, below, the bond."""
    figure, axes = _figure(3, 3, 6.4)
    for ax, (pair, c) in zip(axes, results["pairs"].items(), strict=False):
        ax.plot(c["distance_A"], c["dft_eV"], **DFT)
        _potential(ax, c["distance_A"], c["potential_eV"], c["extrapolates"])
        if c["training_A"] is not None:
            ax.axvspan(*c["training_A"], color="C2", alpha=0.1, lw=0)
        depth = abs(c["dft_minimum"][1])
        ax.set(title=pair, ylim=(-1.2 * depth, 1.5 * depth))
        ax.set(xlim=(min(c["distance_A"]), max(c["distance_A"])), xlabel="r, Å", ylabel="E, eV")
    b, ax = results["bond"], axes[len(results["pairs"])]
    _potential(ax, b["distance_A"], b["potential_eV"], np.array(b["n_extrapolating"]) > 0)
    ax.axvspan(*b["training_A"], color="C2", alpha=0.15, lw=0, label="distances of the training")
    ax.set(title="O-H of ethanol, the potential alone", xlabel="r, Å", ylabel="E, eV")
    for rest in axes[len(results["pairs"]) + 1 :]:
        rest.set_axis_off()
    handles = [*axes[0].get_lines(), ax.patches[-1]]
    labels = [str(handle.get_label()) for handle in handles]
    axes[-2].legend(handles, labels, frameon=False, loc="center left")
    _save(figure, file)


def modes(results: Results, file: Path) -> None:
    """Draw the energies along both modes."""
    figure, axes = _figure(1, 2, 2.8)
    for ax, (name, s) in zip(axes, results["scans"].items(), strict=True):
        ax.plot(s["displacement"], s["dft_eV"], **DFT)
        _potential(ax, s["displacement"], s["potential_eV"], s["extrapolates"])
        ax.set(title=f"mode at {name} cm⁻¹", xlabel="displacement of the data", ylabel="E, eV")
    axes[0].legend(frameon=False)
    _save(figure, file)


def eos(results: Results, file: Path) -> None:
    """Draw the energy against the volume, and normal and shear stress against strain."""
    figure, axes = _figure(2, 3, 4.6)
    for row, (name, symbol) in enumerate((("si", "Si"), ("mo", "Mo"))):
        c = results[name]
        first, second, third = axes[3 * row : 3 * row + 3]
        first.plot(c["volumes_A3_per_atom"], c["energies_meV_per_atom"], ".-", **OURS)
        first.axvline(_volume(name, c["dft"]["a"]), ls="--", **DFT)
        first.set(title=symbol, xlabel="volume, Å³/atom", ylabel="E, meV/atom")
        strain = np.array(c["strains"])
        for key, style in (("dft", DFT), ("potential", OURS)):
            stress = np.array(c[f"{key}_stress_GPa"])
            marks = {"color": style["color"], "label": style["label"], "ls": ""}
            marks |= {"marker": "o", "ms": 5, "mfc": "none"} if key == "dft" else {"marker": "x"}
            along = np.abs(strain[:, 3:]).max(1) < 1e-4
            x, component = strain[along, :3], stress[along, :3]
            largest = np.abs(x).argmax(1)
            rows = np.arange(len(x))
            second.plot(100 * x[rows, largest], component[rows, largest], **marks)
            second.plot(100 * x[rows, largest], component[rows, (largest + 1) % 3], **marks)
            sheared = np.abs(strain[:, 3:]).max(1) >= 1e-4
            x, component = strain[sheared, 3:], stress[sheared, 3:]
            largest = np.abs(x).argmax(1)
            rows = np.arange(len(x))
            third.plot(100 * x[rows, largest], component[rows, largest], **marks)
        second.set(title="along and across", xlabel="normal strain, %", ylabel="stress, GPa")
        third.set(title="shear", xlabel="shear strain, %", ylabel="stress, GPa")
    handles, labels = axes[2].get_legend_handles_labels()
    axes[2].legend(handles, labels, frameon=False)
    _save(figure, file)


def _volume(name: str, a: float) -> float:
    return a**3 / {"si": 8, "mo": 2}[name]


def rdf(results: Results, file: Path) -> None:
    """Draw the three distribution functions."""
    figure, axes = _figure(1, 3, 2.8)
    r = np.array(results["r_A"])
    for ax, (pair, f) in zip(axes, results["functions"].items(), strict=True):
        g, error = np.array(f["potential"]), np.array(f["error"])
        ax.plot(r, f["dft_path_integral"], **DFT | {"label": "path-integral DFT"})
        ax.plot(r, g, **OURS | {"label": "potential, classical"})
        ax.fill_between(r, g - error, g + error, color="C0", alpha=0.3, lw=0)
        ax.set(title=f"g({pair})", xlabel="r, Å", xlim=(0.7, r[-1]), ylim=(0, 3.5))
    axes[0].legend(frameon=False, loc="upper right")
    _save(figure, file)


def surface(results: Results, file: Path) -> None:
    """Draw the total energy of every trajectory."""
    figure, (ax,) = _figure(1, 1, 2.6)
    for t in results["trajectories"]:
        label = f"frame {t['frame']}"
        ax.plot(t["times_ps"], t["energy_meV_per_atom"], lw=0.8, label=label)
    ax.set(xlabel="ps", ylabel="E(t) - E(0), meV/atom")
    ax.legend(frameon=False, ncols=len(results["trajectories"]))
    _save(figure, file)


PLOTS: dict[str, Callable[[Results, Path], None]] = {
    "dimers": dimers,
    "modes": modes,
    "eos": eos,
    "rdf": rdf,
    "surface": surface,
}

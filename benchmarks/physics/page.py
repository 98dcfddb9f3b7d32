"""Tables and figures of the page "Does it behave?", from `results/physics/`.

python benchmarks/physics/page.py
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import plots
from compare import compare

BENCHMARKS = Path(__file__).parents[1]
RESULTS = BENCHMARKS / "results" / "physics"
FIGURES = BENCHMARKS.parent / "docs" / "explanation"
PRESETS = ("density", "default", "accurate")
"""In the order of the columns."""
WITH_FIGURES = "density"
"""Preset whose figures are drawn; its column of the comparison is the first."""
NAMES = {"si": "Si", "mo": "Mo"}
Results = dict[str, Any]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table whose first column is text."""
    names = list(head)
    lines = [f"| {' | '.join(names)} |", "| --- |" + " --: |" * (len(names) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def dimers(results: Results) -> str:
    """Return minima of the dimers, and where the potential turns attractive again."""
    head = ["pair", "training, Å", "DFT: r, Å", "E, eV", "potential: r, Å", "E, eV"]
    head += ["attractive again below, Å", "extrapolating points"]
    rows = []
    for pair, c in results["pairs"].items():
        trained = "none" if c["training_A"] is None else _range(c["training_A"], 2)
        (r, e), (own_r, own_e) = c["dft_minimum"], c["potential_minimum"]
        bound = own_e < 0
        rows.append([
            pair, trained, f"{r:.2f}", f"{e:.2f}",
            f"{own_r:.2f}" if bound else "unbound", f"{own_e:.2f}" if bound else "–",
            "–" if c["turns_over_A"] is None else f"{c['turns_over_A']:.2f}",
            f"{sum(c['extrapolates'])} of {len(c['extrapolates'])}",
        ])  # fmt: skip
    return table(head, rows)


def bond(results: Results) -> str:
    """Return the energy of the O-H bond at some lengths, and how many atoms extrapolate."""
    b = results["bond"]
    distances = (0.7, 0.8, 0.9, 1.1, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0)
    at = {r: i for i, r in enumerate(b["distance_A"])}
    rows = [
        [f"{r:.2f}", f"{b['potential_eV'][at[r]]:.2f}",
         f"{b['n_extrapolating'][at[r]]} of {b['n_atoms']}"]
        for r in distances
    ]  # fmt: skip
    text = f"Relaxed: {b['equilibrium_A']:.3f} Å; training: {_range(b['training_A'], 2)} Å."
    return table(["O-H, Å", "E, eV", "extrapolating atoms"], rows) + f"\n\n{text}"


def modes(results: Results) -> str:
    """Return wavenumbers and errors along the scans."""
    head = ["scan", "DFT curvature, cm⁻¹", "potential curvature", "nearest mode, cm⁻¹", "overlap"]
    head += [
        "structures",
        "RMSE, meV: all",
        "within the training energies",
        "without extrapolation",
    ]
    rows = []
    for name, s in results["scans"].items():
        errors = [
            "–" if error is None else f"{error:.1f} ({s['n_frames'][part]})"
            for part, error in s["rmse_meV"].items()
        ]
        curvature = s["curvature_per_cm"]
        rows.append([
            name, f"{curvature['dft']:.0f}", f"{curvature['potential']:.0f}",
            f"{s['nearest_mode_per_cm']:.0f}", f"{s['overlap']:.4f}",
            str(len(s["dft_eV"])), *errors,
        ])  # fmt: skip
    return table(head, rows)


def frequencies(results: Results) -> str:
    """Return all wavenumbers in a sentence, and how the relaxation ended."""
    values = results["frequencies_per_cm"]
    still = ", ".join(f"{value:.1f}" for value in sorted(values, key=abs)[:6])
    vibrations = ", ".join(f"{value:.0f}" for value in sorted(sorted(values, key=abs)[6:]))
    r = results["relaxed"]
    return (
        f"Vibrations, cm⁻¹: {vibrations}. Translations and rotations: {still}. Relaxed from the "
        f"minimum of DFT, where the largest force is {1e3 * r['force_at_dft_minimum_eV_per_A']:.0f}"
        f" meV/Å; bonds change by {1e3 * r['rms_change_of_bonds_A']:.1f} mÅ (root mean square); "
        f"{r['n_extrapolating']} atoms extrapolate."
    )


def eos(results: Results) -> str:
    """Return lattice and elastic constants."""
    head = ["", "a, Å", "B", "B'", "C11", "C12", "C44", "C44, clamped ions", "stable"]
    rows = []
    for name, symbol in NAMES.items():
        c = results[name]
        for label, key in (("DFT", "dft"), ("potential, same cells", "potential, same frames"),
                           ("potential, its own crystal", "potential")):  # fmt: skip
            own = c[key]
            cells = [f"{own[k]:.{d}f}" if k in own else "–" for k, d in
                     (("a", 4), ("B", 1), ("B'", 2), ("C11", 1), ("C12", 1), ("C44", 1),
                      ("C44 clamped", 1))]  # fmt: skip
            holds = c["stable"].get(key)
            rows.append(
                [f"{symbol}, {label}", *cells, {None: "–", True: "yes", False: "no"}[holds]]
            )
    return table(head, rows)


def frames(results: Results) -> str:
    """Return in sentences which strained cells were fitted."""
    return " ".join(
        f"{NAMES[name]}: {c['n_frames']} of {c['n_labeled']} cells, largest force on an ion "
        f"{_range(c['largest_forces_eV_per_A'], 2)} eV/Å, {c['dft']['residual']:.2f} GPa residual "
        f"of the fit to DFT, error of the potential's stress {c['stress_rmse_GPa']:.2f} GPa (RMSE)."
        for name, c in ((name, results[name]) for name in NAMES)
    )


def rdf(results: Results) -> str:
    """Return the first peaks between molecules."""
    head = ["pair", "r, Å", "height", "path-integral DFT: r, Å", "height"]
    rows = []
    for pair, f in results["functions"].items():
        (r, g), (dr, dg), (pr, pg) = f["peak"], f["peak_error"], f["dft_peak"]
        rows.append([pair, f"{r:.3f} ± {dr:.3f}", f"{g:.2f} ± {dg:.2f}", f"{pr:.3f}", f"{pg:.2f}"])
    return table(head, rows)


def diffusion(results: Results) -> str:
    """Return diffusion, temperature and extrapolation in a sentence."""
    mean, error = results["diffusion"]["mean_A2_per_ps"]
    blocks = ", ".join(f"{d:.3f}" for d in results["diffusion"]["blocks_A2_per_ps"])
    t, dt = results["temperature_K"]
    outside = results["extrapolating"]
    return (
        f"D(O) = {mean:.3f} ± {error:.3f} Å²/ps (blocks {blocks}) at {t:.1f} ± {dt:.1f} K; "
        "1 Å²/ps is 10⁻⁴ cm²/s. "
        f"On average {100 * outside['mean']:.2f} % of the atoms extrapolate, "
        f"at most {100 * outside['largest']:.2f} %."
    )


def surface(results: Results) -> str:
    """Return drift, fluctuation and extrapolation of every trajectory."""
    head = ["structure", "ps", "drift, meV/atom/ps", "fluctuation, meV/atom", "temperature, K"]
    head += ["checks with extrapolation", "most atoms at once", "elements"]
    rows = []
    for t in results["trajectories"]:
        mean, low, high = t["temperature_K"]
        ps = f"{t['ps']:g}" + ("" if t["exploded"] is None else " (exploded)")
        rows.append([
            str(t["frame"]), ps, f"{t['drift_meV_per_atom_per_ps']:+.4f}",
            f"{t['rms_meV_per_atom']:.4f}", f"{mean:.0f} ({low:.0f} to {high:.0f})",
            f"{t['looks_with_extrapolation']} of {t['looks']}",
            str(t["most_atoms_extrapolating"]), ", ".join(t["elements_extrapolating"]) or "–",
        ])  # fmt: skip
    return table(head, rows)


def models(every: dict[str, Results]) -> str:
    """Return which potentials were asked, and how accurate they are."""
    head = ["potential", "epochs", "energy RMSE, meV/atom", "forces RMSE, meV/Å", "file (SHA-256)"]
    known = {name: m for results in every.values() for name, m in results["models"].items()}
    rows = [
        [name, str(m["epoch"]), f"{m['valid']['energy_rmse_meV_per_atom']:.2f}",
         f"{m['valid']['forces_rmse_meV_per_A']:.1f}", f"`{m['sha256']}`"]
        for name, m in known.items()
    ]  # fmt: skip
    return table(head, rows)


PARTS: dict[str, tuple[Callable[[Results], str], ...]] = {
    "dimers": (dimers, bond),
    "modes": (modes, frequencies),
    "eos": (eos, frames),
    "rdf": (rdf, diffusion),
    "surface": (surface,),
}
"""Check: the files of its tables, each named after what makes it."""


def _range(pair: list[float], digits: int) -> str:
    return f"{pair[0]:.{digits}f} to {pair[1]:.{digits}f}"


def main() -> None:
    """Write all tables and figures whose results are there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--figures", type=Path, default=FIGURES)
    arguments = parser.parse_args()
    folders = sorted(path for path in arguments.results.iterdir() if path.is_dir())
    presets = {folder.name: write_tables(folder) for folder in sorted(folders, key=_order)}
    for name, about in presets[WITH_FIGURES].items():
        plots.PLOTS[name](about, arguments.figures / f"physics-{name}.svg")
    (arguments.results / "compare.md").write_text(compare(presets) + "\n", encoding="utf-8")


def write_tables(folder: Path) -> dict[str, Results]:
    """Write the tables of one preset and return the results they come from."""
    every = {}
    for name, makers in PARTS.items():
        file = folder / f"{name}.json"
        if not file.exists():
            print(f"{folder.name}: {name} was not run")
            continue
        every[name] = json.loads(file.read_text(encoding="utf-8"))
        for maker in makers:
            text = maker(every[name]) + "\n"
            (folder / f"{maker.__name__}.md").write_text(text, encoding="utf-8")
    (folder / "models.md").write_text(models(every) + "\n", encoding="utf-8")
    return every


def _order(folder: Path) -> int:
    return PRESETS.index(folder.name)


if __name__ == "__main__":
    main()

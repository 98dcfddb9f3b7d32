"""One table of the physical tests: DFT beside the potentials of several presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Results = Mapping[str, Any]
Row = tuple[str, str, Callable[[Results], str], Callable[[Results], str] | None]
"""Quantity, check, its value of a potential, and its value of DFT if there is one."""


def _mode(name: str) -> list[Row]:
    title = f"Ethanol, mode at {name} cm⁻¹"

    def curvature(of: str) -> Callable[[Results], str]:
        return lambda results: f"{results['scans'][name]['curvature_per_cm'][of]:.0f}"

    def error(results: Results) -> str:
        return (
            f"{results['scans'][name]['rmse_meV']['in the range of energies of the training']:.1f}"
        )

    return [
        (f"{title}: curvature, cm⁻¹", "modes", curvature("potential"), curvature("dft")),
        (f"{title}: RMSE within the training energies, meV", "modes", error, None),
    ]


def _overturned(results: Results) -> str:
    pairs = {
        pair: curve["turns_over_A"]
        for pair, curve in results["pairs"].items()
        if curve["turns_over_A"] is not None
    }
    return ", ".join(f"{pair} below {r:.2f} Å" for pair, r in pairs.items()) or "none"


def _crystal(name: str, symbol: str) -> list[Row]:
    def value(key: str, of: str, digits: int) -> Callable[[Results], str]:
        return lambda results: f"{results[name][of][key]:.{digits}f}"

    quantities = [("a", "Å", 4), ("B", "GPa", 1)]
    moduli = [("C11", "GPa", 1), ("C12", "GPa", 1), ("C44 clamped", "GPa", 1)]
    return [
        (
            f"{symbol}: {key}, {unit}",
            "eos",
            value(key, "potential", digits),
            value(key, "dft", digits),
        )
        for key, unit, digits in [*quantities, *moduli]
    ]


def _drift(results: Results) -> str:
    largest = max(abs(t["drift_meV_per_atom_per_ps"]) for t in results["trajectories"])
    return f"{largest:.4f}"


def _oxygen_peak(results: Results) -> str:
    (_, height), (_, error) = (results["functions"]["O-O"][key] for key in ("peak", "peak_error"))
    return f"{height:.2f} ± {error:.2f}"


def _diffusion(results: Results) -> str:
    mean, error = results["diffusion"]["mean_A2_per_ps"]
    return f"{mean:.3f} ± {error:.3f}"


ROWS: tuple[Row, ...] = (
    *_mode("874"),
    *_mode("3005"),
    ("Isolated pairs that attract each other at short distance", "dimers", _overturned, None),
    *_crystal("si", "Si"),
    *_crystal("mo", "Mo"),
    ("Water: first O-O peak, height", "rdf", _oxygen_peak, None),
    ("Water: diffusion of oxygen, Å²/ps", "rdf", _diffusion, None),
    ("CO₂ on Ni(100): largest drift, meV/atom/ps", "surface", _drift, None),
)


def compare(presets: Mapping[str, Mapping[str, Results]]) -> str:
    """Return the table; a dash where a check was not run."""
    lines = [
        f"| | DFT | {' | '.join(f'`{preset}`' for preset in presets)} |",
        "| --- | --: |" + " --: |" * len(presets),
    ]
    for quantity, check, of_potential, of_dft in ROWS:
        known = {name: checks[check] for name, checks in presets.items() if check in checks}
        values = [of_potential(known[name]) if name in known else "–" for name in presets]
        dft = of_dft(next(iter(known.values()))) if of_dft and known else "–"
        lines.append(f"| {quantity} | {dft} | {' | '.join(values)} |")
    return "\n".join(lines)

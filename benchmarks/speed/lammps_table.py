"""Table of the pair style in LAMMPS, from the results of `benchmarks/lammps.py`."""

from __future__ import annotations

from typing import Any

TWOJMAX = {6: 30, 8: 55}
"""Of SNAP, and the number of its coefficients per element."""


def table(found: dict[str, Any]) -> str:
    """Return the results as a table."""
    rows = [*own(found), *beside(found)]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def own(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return rows of the pair style alone."""
    rows = []
    if "python" in found:
        one = found["python"]
        rows += [
            (
                "12 288 atoms, calculator of ASE, list with the same skin",
                f"{one['engine']:.2f} µs/atom",
            ),
            ("the same in LAMMPS, a whole step", f"{one['lammps']:.2f} µs/atom"),
        ]
    for preset, sizes in found.get("engine", {}).items():
        for n, one in sizes.items():
            ghosts = one["ghosts per atom"]
            title = f"`{preset}`, {int(n):,} atoms, {ghosts:.1f} ghosts per atom: ASE, LAMMPS"
            ratio = one["lammps"] / one["engine"]
            text = f"{one['engine']:.1f}, {one['lammps']:.1f} µs/atom: {ratio:.2f} times"
            rows.append((title, text))
    if "ranks" in found:
        one, two = found["ranks"]["1"], found["ranks"]["2"]
        rows.append(("one rank, two ranks", f"{one:.2f}, {two:.2f} µs/atom: {one / two:.2f} times"))
    if "sizes" in found:
        text = ", ".join(f"{t:.2f} ({int(n):,} atoms)" for n, t in found["sizes"].items())
        rows.append(("one rank, µs/atom", text))
    if "memory" in found:
        one = found["memory"]
        rows.append((f"memory, {one['atoms']:,} atoms, one rank", f"{one['GB']:.1f} GB"))
    if "halo" in found:
        one = found["halo"]
        for name, key in (
            ("ghosts of a rank, of two", "ghosts"),
            ("a step exchanges", "kB per step"),
        ):
            both = (
                f"{one[key]:.0f}; with a halo of T + 1 cutoffs {one[f'{key} of T + 1 cutoffs']:.0f}"
            )
            rows.append((name, f"{both} kB" if key.startswith("kB") else both))
    return rows


def beside(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return rows of the pair style and something else."""
    rows = []
    if "flux" in found:
        one, two = found["flux"]["without"], found["flux"]["with"]
        title = "12 288 atoms, a step, and one with the exact heat flux"
        rows.append((title, f"{one:.2f}, {two:.2f} µs/atom"))
    if "snap" in found:
        text = ", ".join(
            f"{found['snap'][str(j)]:.1f} (twojmax {j})" for j in TWOJMAX if str(j) in found["snap"]
        )
        rows.append(("SNAP, 1536 atoms, the same cutoff, µs/atom", text))
        rows.append(("reann, 1536 atoms, µs/atom", f"{found['snap']['reann']:.2f}"))
    if "deepmd" in found:
        for name, title in (
            ("deepmd", "DeePMD 3.2, se_e2_a compressed, 6 Å, double"),
            ("reann", "reann beside it"),
        ):
            one, two = (found["deepmd"][f"{name}, {ranks}"] for ranks in (1, 2))
            text = f"{one:.2f}, {two:.2f} µs/atom"
            rows.append((f"{title}: 12 288 atoms, one rank, two ranks", text))
    return rows

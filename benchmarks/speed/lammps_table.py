"""Tables of the pair style in LAMMPS, from the results of `benchmarks/lammps.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TWOJMAX = {6: 30, 8: 55}
"""Of SNAP, and the number of its coefficients per element."""

Row = tuple[str, ...]


def table(results: dict[str, Any]) -> str:
    """Return the times of a step, then what ranks store and exchange."""
    times = _table(("compared", "program", "atoms", "ranks", "µs/atom"), times_of(results))
    return "\n\n".join([times, *_of_ranks(results)])


def times_of(results: dict[str, Any]) -> Iterator[Row]:
    """Give the rows; those of one comparison were measured in one run."""
    for name, rows in COMPARISONS.items():
        if name in results:
            yield from rows(results[name])


def _python(times: dict[str, Any]) -> Iterator[Row]:
    yield "ASE and LAMMPS", "`density`, ASE calculator", "12288", "1", us(times["engine"])
    yield "", "`density`, LAMMPS", "12288", "1", us(times["lammps"])


def _engine(presets: dict[str, Any]) -> Iterator[Row]:
    for preset, sizes in presets.items():
        for n, times in sizes.items():
            program = f"`{preset}`, LAMMPS, {times['ghosts per atom']:.1f} ghosts per atom"
            yield "ASE and LAMMPS", f"`{preset}`, ASE calculator", n, "1", us(times["engine"])
            yield "", program, n, "1", us(times["lammps"])


def _ranks(times: dict[str, float]) -> Iterator[Row]:
    for ranks, time in times.items():
        yield "ranks" if ranks == "1" else "", "`density`", "12288", ranks, us(time)


def _sizes(times: dict[str, float]) -> Iterator[Row]:
    for n, (atoms, time) in enumerate(times.items()):
        yield "" if n else "sizes", "`density`", atoms, "1", us(time)


def _flux(times: dict[str, float]) -> Iterator[Row]:
    yield "heat flux", "`density`, without", "12288", "1", us(times["without"])
    yield "", "`density`, with the exact heat flux", "12288", "1", us(times["with"])


def _snap(times: dict[str, float]) -> Iterator[Row]:
    yield "SNAP", "`density`", "1536", "1", us(times["reann"])
    for j in TWOJMAX:
        if str(j) in times:
            yield "", f"SNAP, the same cutoff, twojmax {j}", "1536", "1", us(times[str(j)])


def _deepmd(times: dict[str, float]) -> Iterator[Row]:
    other = "DeePMD-kit 3.2, se_e2_a compressed, 6 Å, double precision"
    for title, name, program in (("DeePMD-kit", "reann", "`density`"), ("", "deepmd", other)):
        for ranks in ("1", "2"):
            compared = title if ranks == "1" else ""
            yield compared, program, "12288", ranks, us(times[f"{name}, {ranks}"])


COMPARISONS = {
    "python": _python,
    "engine": _engine,
    "ranks": _ranks,
    "sizes": _sizes,
    "flux": _flux,
    "snap": _snap,
    "deepmd": _deepmd,
}


def _of_ranks(results: dict[str, Any]) -> Iterator[str]:
    if "halo" in results:
        of = results["halo"]
        rows = [
            (title, f"{of[key]:.0f}", f"{of[f'{key} of T + 1 cutoffs']:.0f}")
            for title, key in (("ghost atoms of a rank", "ghosts"), ("kB per step", "kB per step"))
        ]
        yield _table(("two ranks, 12 288 atoms", "halo of one cutoff", "T + 1 cutoffs"), rows)
    if "memory" in results:
        of = results["memory"]
        yield f"A rank with {of['atoms']} atoms needs {of['GB']:.1f} GB."


def _table(head: Row, rows: Any) -> str:
    texts = 2 if len(head) > 3 else 1
    marks = ["---"] * texts + ["--:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, tuple(marks), *rows])


def us(time: float) -> str:
    """Return a time with three digits."""
    return f"{time:#.3g}" if time < 100 else f"{time:.0f}"

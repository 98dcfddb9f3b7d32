"""The results of `reann check` as tables and as JSON."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from reann import strict_json
from reann.atomic_file import write_text
from reann.data.check.survey import FileSummary, Survey
from reann.errors import counted, listed
from reann.terminal import Terminal, plain_table

FILES_CAPTION = (
    "n: structures · E: lowest and highest energy, eV/atom · |F|: median of the rms forces and"
    " largest force, eV/Å · d: shortest distance, Å\n"
)
STYLE = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def show(result: Survey, console: Terminal) -> None:
    """Print the files, their keys and the findings."""
    if result.files:
        console.print(_files(result.files))
        console.write(FILES_CAPTION, style="dim")
        console.print(_keys(result.files))
        console.write("\n".join([_labels(result.files), *result.notes]) + "\n", style="dim")
    if result.findings:
        console.print(_findings(result))
    counts = {s: sum(f.severity == s for f in result.findings) for s in STYLE}
    total, n_files = sum(f.structures for f in result.files), len(result.files)
    summary = ", ".join(counted(n, s) for s, n in counts.items() if n)
    scope = f"{counted(total, 'structure')} in {counted(n_files, 'file')}"
    console.write(f"{scope}: {summary or 'nothing to report'}.")


def as_json(result: Survey) -> dict[str, Any]:
    """Return everything as plain dictionaries, lists, numbers and strings."""
    files: list[dict[str, Any]] = []
    for summary in result.files:
        plain = {**vars(summary)}
        plain["keys"] = [{**asdict(key), "structures": n} for key, n in summary.keys.items()]
        files.append(plain)
    return {
        "worst": result.worst(),
        "n_structures": sum(f.structures for f in result.files),
        "files": files,
        "findings": [asdict(f) for f in result.findings],
        "notes": list(result.notes),
    }


def write_json(result: Survey, path: Path) -> None:
    """Write `as_json` to a file; raises `UserError` if it cannot be written."""
    write_text(path, strict_json.dumps(as_json(result), indent=2, ensure_ascii=False) + "\n")


def _files(files: list[FileSummary]) -> Table:
    table = plain_table("Files", show_lines=True)
    table.add_column("file", overflow="fold", min_width=10)
    for name in ("n", "atoms", "elements", "pbc"):
        table.add_column(name)
    for name in ("E", "|F|", "d"):
        table.add_column(name, justify="right", no_wrap=True)
    for f in files:
        atoms = f"{f.fewest_atoms}" + (f"-{f.most_atoms}" if f.most_atoms > f.fewest_atoms else "")
        energy = "-" if f.energy_per_atom is None else "{:.3f}\n{:.3f}".format(*f.energy_per_atom)
        force = "-" if f.force_rms is None else f"{f.force_rms:.3g}\n{f.force_max:.3g}"
        nearest = "-" if f.nearest is None else f"{f.nearest:.3f}"
        pbc = (
            next(iter(f.periodicity), "-")
            if len(f.periodicity) < 2
            else ", ".join(f"{p} ({n})" for p, n in f.periodicity.items())
        )
        table.add_row(
            escape(f.name),
            str(f.structures),
            atoms,
            listed(f.elements),
            pbc,
            energy,
            force,
            nearest,
        )
    return table


def _keys(files: list[FileSummary]) -> Table:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    shapes: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for f in files:
        for key, n in f.keys.items():
            counts[key.place, key.name] += n
            shapes[key.place, key.name][key.shape] = None
    total = sum(f.structures for f in files)
    table = plain_table("Keys")
    for name in ("place", "key", "shape", "structures"):
        table.add_column(name, overflow="fold")
    for place, name in sorted(counts):
        shape = listed(shapes[place, name], limit=3)
        table.add_row(place, escape(name), shape, f"{counts[place, name]} of {total}")
    return table


def _labels(files: list[FileSummary]) -> str:
    total = sum(f.structures for f in files)
    labels: dict[str, int] = defaultdict(int)
    for f in files:
        for label, n in f.labels.items():
            labels[label] += n
    used = ", ".join(f"{label} ({n} of {total})" for label, n in labels.items())
    return f"Labels: {used or 'none'}"


def _findings(result: Survey) -> Table:
    table = plain_table("Findings", show_lines=True)
    table.add_column("severity")
    table.add_column("structures", justify="right")
    table.add_column("finding, examples, advice", overflow="fold")
    for f in result.findings:
        style = STYLE[f.severity]
        text = f"[bold]{f.name}[/]: {escape(f.message)}"
        if f.examples:
            more = ", …" if f.count > len(f.examples) else ""
            text += f"\n[dim]{escape(', '.join(f.examples))}{more}[/]"
        if f.fix:
            text += f"\n→ {escape(f.fix)}"
        table.add_row(f"[{style}]{f.severity}[/]", str(f.count) if f.count else "", text)
    return table

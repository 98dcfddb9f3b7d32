"""The verb `select`: from files to a file, with a table of the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
from ase.io.extxyz import write_xyz

from reann import atomic_file
from reann.data.read import iter_atoms
from reann.data.skipped import ignore
from reann.device import device_named
from reann.errors import UserError, counted
from reann.evaluation.progress import progress_bar
from reann.output_files import check_outputs
from reann.potential import load
from reann.selection.map import write_map
from reann.selection.result import INFO, Selection
from reann.selection.select import By, select
from reann.terminal import Terminal, plain_table

SHOWN = 20
"""Chosen structures that the table lists."""


def select_files(
    pool: Sequence[str],
    model: Path,
    data: Sequence[str],
    n: int,
    output: Path,
    *,
    by: By = "both",
    show: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    console: Terminal | None = None,
) -> Selection:
    """Choose structures of files, write them, and print why each was chosen.

    Parameters
    ----------
    pool, data
        Files or globs: what to choose from, and what the potential was trained on.
    output
        Extended XYZ, with the reasons in `info`.
    show
        Page with a map of the pool.

    Raises
    ------
    UserError
        For unusable files, outputs that would replace an input, and as `reann.selection.select`.
    """
    console = console or Terminal()
    if output.suffix.lower() not in (".xyz", ".extxyz"):
        raise UserError(
            f"Structures are written as extended XYZ, not as '{output.name}'.",
            "--output",
            "Use a name that ends in .xyz.",
        )
    check_outputs({"--output": output, "--show": show}, [*pool, model, *data])
    potential = load(model, device_named(device, "--device"))
    structures, origins = _read(pool)
    training, _ = _read(data)
    with progress_bar(len(training) + len(structures)) as (bar, task):
        found = select(
            structures,
            potential,
            training,
            n,
            by=by,
            seed=seed,
            progress=lambda done: bar.advance(task, done),
        )
    for atoms, index in zip(found.atoms, found.indices, strict=True):
        atoms.info[f"{INFO}origin"] = origins[index]
    with atomic_file.replacing(output) as temporary:
        write_xyz(temporary, found.atoms)
    print_reasons(found, [origins[i] for i in found.indices], len(structures), console)
    if len(found.indices) < n:
        console.write(f"Fewer than {n}: no more structures of the pool can be chosen.")
    console.write(f"Chosen structures: {output}")
    if show is not None:
        write_map(show, found, origins, structures)
        console.write(f"Map of the pool: {show}")
    return found


def _read(files: Sequence[str]) -> tuple[list[ase.Atoms], list[str]]:
    """Return structures, and where each comes from."""
    every = list(iter_atoms(list(files), report_skipped=ignore))
    return [atoms for atoms, _ in every], [origin for _, origin in every]


def print_reasons(found: Selection, origins: Sequence[str], n_pool: int, console: Terminal) -> None:
    """Print a table of the chosen structures, and how many were rejected for which reason."""
    unit = found.reasons[0].unit
    table = plain_table(f"{counted(len(origins), 'structure')} chosen from {n_pool}")
    table.add_column("structure", overflow="fold")
    for heading in (f"spread\n{unit}", "at atom", "not explained\nby earlier, %", "distance"):
        table.add_column(heading, justify="right")
    for origin, reason in list(zip(origins, found.reasons, strict=True))[:SHOWN]:
        table.add_row(
            Path(origin).name,
            f"{reason.spread:.3g}",
            f"{reason.element} {reason.atom}",
            f"{100 * reason.left:.0f}",
            f"{reason.distance:.2g}",
        )
    console.print(table)
    if len(origins) > SHOWN:
        console.write(f"… and {len(origins) - SHOWN} more, with the same numbers in the file.")
    console.write(
        "Spread: the largest uncertainty of a force. Distance: from the nearest structure of the"
        " training or chosen before; 1 is usual among training structures."
    )
    for kind, number in found.rejections().items():
        console.write(f"Not chosen, {kind}: {counted(number, 'structure')}")

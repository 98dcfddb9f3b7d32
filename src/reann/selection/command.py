"""The command `select`: chooses structures of files, writes them and prints the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
from ase.io.extxyz import write_xyz

from reann import atomic_file
from reann.criteria import By
from reann.data.files.read import iter_atoms
from reann.data.files.skipped import ignore
from reann.device import device_named
from reann.errors import UserError, counted
from reann.evaluation.progress import progress_bar
from reann.output_files import check_outputs
from reann.potential import Ensemble, Potential, load
from reann.selection.map import write_map
from reann.selection.result import INFO, Selection
from reann.selection.select import select
from reann.terminal import Terminal, plain_table

SHOWN = 20
"""Most rows of the table."""


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
        Files or globs of the structures to choose from, and of the training structures.
    output
        Extended XYZ, with the reasons in `info`.
    show
        HTML file for a map of the pool.

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
    structures, origins = _read(pool, potential)
    training, _ = _read(data, potential)
    with progress_bar(len(training) + len(structures)) as (bar, task):
        selection = select(
            structures,
            potential,
            training,
            n,
            by=by,
            seed=seed,
            progress=lambda done: bar.advance(task, done),
        )
    for atoms, index in zip(selection.atoms, selection.indices, strict=True):
        atoms.info[f"{INFO}origin"] = origins[index]
    with atomic_file.replacing(output) as temporary:
        write_xyz(temporary, selection.atoms)
    print_reasons(selection, [origins[i] for i in selection.indices], len(structures), console)
    if len(selection.indices) < n:
        console.write(f"Fewer than {n}: the pool has no more candidates.")
    console.write(f"Chosen structures: {output}")
    if show is not None:
        write_map(show, selection, origins, structures)
        console.write(f"Map of the pool: {show}")
    return selection


def _read(
    files: Sequence[str], potential: Potential | Ensemble
) -> tuple[list[ase.Atoms], list[str]]:
    """Return structures with the inputs of a potential, and their origins."""
    structures = list(iter_atoms(list(files), report_skipped=ignore))
    for atoms, origin in structures:
        potential.input_keys.rename(atoms, origin)
    return [atoms for atoms, _ in structures], [origin for _, origin in structures]


def print_reasons(
    selection: Selection, origins: Sequence[str], n_pool: int, console: Terminal
) -> None:
    """Print a table of the chosen structures, and the number of rejections by reason."""
    unit = selection.reasons[0].unit
    table = plain_table(f"{counted(len(origins), 'structure')} chosen from {n_pool}")
    table.add_column("structure", overflow="fold")
    for heading in (f"spread\n{unit}", "at atom", "spread\nleft, %", "distance"):
        table.add_column(heading, justify="right")
    for origin, reason in list(zip(origins, selection.reasons, strict=True))[:SHOWN]:
        table.add_row(
            Path(origin).name,
            f"{reason.spread:.3g}",
            f"{reason.element} {reason.atom}",
            f"{100 * reason.left:.0f}",
            f"{reason.distance:.2g}",
        )
    console.print(table)
    if len(origins) > SHOWN:
        console.write(f"… and {len(origins) - SHOWN} more; their numbers are in the file.")
    console.write(
        "Spread: the largest uncertainty of a force. Distance: to the nearest structure of the"
        " training data or chosen before; typically 1 within the training data."
    )
    for kind, number in selection.rejections().items():
        console.write(f"Not chosen, {kind}: {counted(number, 'structure')}")

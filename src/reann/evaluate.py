"""Predict structures with a potential and compare: `reann evaluate`, and the end of a training.

Every structure is predicted once, in batches limited by their neighbor pairs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray
from rich.progress import Progress, TaskID

from reann import checkpoint, quantities, strict_json
from reann.backends import choice
from reann.backends.choice import Engine
from reann.config import DataConfig, Keys, Units
from reann.conventions import conventions, described, position_unit
from reann.data.dataset import Subset, open_dataset
from reann.data.loader import pieces
from reann.data.neighbors import graph_from_atoms
from reann.data.read import iter_atoms
from reann.data.remarks import ignore, print_notes
from reann.data.stated import angstrom
from reann.device import device_named
from reann.errors import UserError, listed
from reann.evaluation import Evaluation
from reann.graph import Graph
from reann.model.reann import MARGIN
from reann.output_files import check_outputs
from reann.potential import Ensemble, Potential, load
from reann.report import predictions, tables
from reann.terminal import Terminal

MAX_EDGES = 200_000
Told = Callable[[int], None]


@dataclass(frozen=True)
class _Batch:
    graph: Graph
    origins: list[str]
    groups: list[str]


def evaluate(
    potential: Potential | Ensemble,
    subset: Subset,
    max_edges: int = MAX_EDGES,
    progress: Told | None = None,
    engine: Engine = "auto",
) -> Evaluation:
    """Predict every structure of a part of a data set.

    Parameters
    ----------
    max_edges
        Most neighbor pairs in memory at once; a larger structure is alone.
    progress
        Called with the number of structures after each batch.
    engine
        As for `Potential.evaluate`.

    Raises
    ------
    UserError
        When structures have elements that the potential does not know: which structures.
    """
    dataset = subset.dataset

    def batches() -> Iterator[_Batch]:
        # One more for each structure: isolated atoms need memory, too.
        for batch in pieces(np.asarray(subset.indices), dataset.n_edges + 1, max_edges):
            which = batch.tolist()
            origins = [dataset.origin(i) for i in which]
            yield _Batch(dataset.graph(batch), origins, [dataset.groups[i] for i in which])

    return _compared(potential, batches(), progress, engine)


def evaluate_unlabeled(
    potential: Potential | Ensemble,
    structures: Iterator[tuple[ase.Atoms, str]],
    max_edges: int = MAX_EDGES,
    progress: Told | None = None,
    engine: Engine = "auto",
) -> Evaluation:
    """Predict structures that stream by, with the names of where they come from."""

    def batches() -> Iterator[_Batch]:
        graphs: list[Graph] = []
        origins: list[str] = []
        for atoms, origin in structures:
            graph = graph_from_atoms(atoms, potential.cutoff, origin)
            if graphs and sum(g.n_edges + 1 for g in graphs) + graph.n_edges >= max_edges:
                yield _Batch(Graph.batch(graphs), origins, [""] * len(origins))
                graphs, origins = [], []
            graphs.append(graph)
            origins.append(origin)
        if graphs:
            yield _Batch(Graph.batch(graphs), origins, [""] * len(origins))

    return _compared(potential, batches(), progress, engine)


def _compared(
    potential: Potential | Ensemble,
    batches: Iterator[_Batch],
    progress: Told | None,
    engine: Engine,
) -> Evaluation:
    has_range = all(member.model.has_range for member in potential.members)
    wanted = [*potential.labels, *(["extrapolation"] if has_range else [])]
    engine = choice.check(engine) or engine  # looked up once
    origins: list[str] = []
    groups: list[str] = []
    n_atoms, numbers, outside = [], [], []
    reference: dict[str, list[NDArray]] = {}
    predicted: dict[str, list[NDArray]] = {}
    for batch in batches:
        _check_elements(potential, batch)
        graph = batch.graph.to(potential.device)
        found = potential.evaluate(graph, wanted, engine)
        if has_range:
            outside.append((found.pop("extrapolation") > MARGIN).cpu().numpy())
        for name, value in found.items():
            predicted.setdefault(name, []).append(value.detach().cpu().double().numpy())
        for name in quantities.label_names():
            if name in graph.labels:
                reference.setdefault(name, []).append(graph.labels[name].cpu().double().numpy())
        n_atoms.append(graph.atoms_per_system.cpu().numpy())
        numbers.append(graph.atomic_numbers.cpu().numpy())
        origins += batch.origins
        groups += batch.groups
        if progress:
            progress(len(batch.origins))
    together = {name: np.concatenate(parts) for name, parts in predicted.items()}
    if "stress" in together and not np.isfinite(together["stress"]).any():
        together = {k: v for k, v in together.items() if not k.startswith("stress")}
    return Evaluation(
        origins=origins,
        groups=groups,
        n_atoms=np.concatenate(n_atoms) if n_atoms else np.empty(0, np.int64),
        numbers=np.concatenate(numbers) if numbers else np.empty(0, np.int64),
        reference={name: np.concatenate(parts) for name, parts in reference.items()},
        predicted={k: v for k, v in together.items() if not k.endswith("_std")},
        extrapolating=np.concatenate(outside) if outside else None,
        std={k.removesuffix("_std"): v for k, v in together.items() if k.endswith("_std")},
    )


def _check_elements(potential: Potential | Ensemble, batch: _Batch) -> None:
    numbers = batch.graph.atomic_numbers.numpy()
    unknown = ~np.isin(numbers, potential.model.elements)
    if unknown.any():
        symbols = sorted({chemical_symbols[z] for z in numbers[unknown]})
        system = batch.graph.system.numpy()
        atoms = {i: np.flatnonzero(unknown[system == i]) for i in np.unique(system[unknown])}
        raise UserError(
            f"The potential knows {', '.join(potential.elements)}; "
            f"the data also have {', '.join(symbols)}.",
            listed(f"{batch.origins[i]} atom {listed(which)}" for i, which in atoms.items()),
            "Leave these structures out, or train with structures that hold these elements.",
        )


def evaluate_command(
    model: Path,
    files: Sequence[str],
    json_path: Path | None = None,
    output: Path | None = None,
    *,
    group: str | None = None,
    engine: Engine = "auto",
    keys: Keys | None = None,
    units: Units | None = None,
    as_trained: bool = True,
    device: str = "cpu",
    console: Terminal | None = None,
) -> Evaluation:
    """Print error tables, and write them as JSON and the predictions as extended XYZ.

    Parameters
    ----------
    group
        Label that names the group of a structure; `config_type` is found.
    keys, units
        Of the files; by default found automatically, and eV and Å.
    as_trained
        Whether fields of `keys` and `units` that are not set come from the training of the
        potential, if the labels of the files are under the keys that they had there.

    Raises
    ------
    UserError
        For unreadable files, unknown elements, and outputs that cannot be written, or would replace
        an input.
    """
    choice.check(engine, f"--engine {engine}")
    predictions.check_name(output)
    console = console or Terminal()
    check_outputs({"--output": output, "--json": json_path}, [model, *files])
    potential = load(model, device_named(choice.device_for(engine, device), "--device"))
    names = [str(file) for file in files]
    metadata = potential.metadata if as_trained else {}
    known = conventions(names, metadata, keys or Keys(), units or Units())
    by_group = known.keys.model_copy(update={"group": group}) if group else known.keys
    data = DataConfig(train=names, keys=by_group, units=known.units, missing="allow")
    with ExitStack() as stack:
        if known.labeled:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reann-")))
            trained = known.as_trained
            predicted = _with_labels(potential, names, data, folder, engine, as_trained=trained)
        else:
            predicted = _without_labels(potential, names, data.units, engine)
        lines, found, structures = predicted
        for line in lines:
            console.say(line)
        tables.show(found, console)
        if output is not None:
            predictions.write(output, found, structures)
            console.say(f"Predictions: {output}")
    if json_path is not None:
        about = {"model": str(model), "files": names}
        checkpoint.write_text(Path(json_path), _as_json(about | found.as_json()))
    return found


def _as_json(content: dict[str, Any]) -> str:
    return strict_json.dumps(content, indent=2, ensure_ascii=False) + "\n"


Predicted = tuple[list[str], Evaluation, Iterator[ase.Atoms]]
"""What to say about the labels, the predictions, and their structures once more."""


def _with_labels(
    potential: Potential | Ensemble,
    names: list[str],
    data: DataConfig,
    folder: Path,
    engine: Engine,
    *,
    as_trained: bool,
) -> Predicted:
    """Predict files with labels; `folder` holds their neighbor lists meanwhile."""
    with _progress() as (bar, task):
        dataset = open_dataset(names, data, potential.cutoff, folder)
        print_notes(dataset.remarks)
        bar.update(task, total=len(dataset))
        subset = Subset(dataset, np.arange(len(dataset)))
        found = evaluate(potential, subset, progress=lambda n: bar.advance(task, n), engine=engine)
    labels = described(dataset.keys, data.units) + ", as in the training" * as_trained
    about = [f"Labels: {labels}", *(f"Note: {note}" for note in dataset.notes)]
    return about, found, (dataset.atoms(i) for i in range(len(dataset)))


def _without_labels(
    potential: Potential | Ensemble, names: list[str], units: Units, engine: Engine
) -> Predicted:
    """Predict files of which no labels are known."""
    with _progress() as (bar, task):
        structures = angstrom(iter_atoms(names), units)
        found = evaluate_unlabeled(
            potential, structures, progress=lambda n: bar.advance(task, n), engine=engine
        )
    again = angstrom(iter_atoms(names, remarks=ignore), units)
    about = [f"Labels: none; positions in {position_unit(names, units)}"]
    return about, found, (atoms for atoms, _ in again)


@contextmanager
def _progress() -> Iterator[tuple[Progress, TaskID]]:
    """Yield a bar on standard error and its task; it is gone at the end."""
    quiet = not sys.stderr.isatty()
    with Progress(console=Terminal(stderr=True), transient=True, disable=quiet) as bar:
        yield bar, bar.add_task("predicting", total=None)

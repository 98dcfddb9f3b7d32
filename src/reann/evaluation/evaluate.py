"""Errors of a potential on structures, as tables, JSON and extended XYZ."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np

from reann import atomic_file, strict_json
from reann.backends import choice
from reann.backends.choice import Engine
from reann.config import DataConfig, Keys, Units
from reann.data.dataset import Dataset, Subset, open_dataset
from reann.data.files.read import iter_atoms
from reann.data.files.skipped import ignore, print_notes
from reann.data.labels.file_units import angstrom
from reann.data.labels.inputs import with_input_names
from reann.device import device_named
from reann.errors import UserError
from reann.evaluation import predictions, tables
from reann.evaluation.compare import compare, predict_unlabeled
from reann.evaluation.comparison import Evaluation
from reann.evaluation.label_keys import conventions, described, position_unit
from reann.evaluation.progress import progress_bar
from reann.evaluation.quality import quality_of
from reann.output_files import check_outputs
from reann.potential import Ensemble, Potential, load
from reann.quantities import SOUGHT
from reann.terminal import Terminal

Structures = str | Path | ase.Atoms | Sequence[str] | Sequence[Path] | Sequence[ase.Atoms]
"""Files, globs or structures."""


def file_names(structures: Structures, folder: Path) -> list[str]:
    """Return the names of files; structures in memory are written to a file in `folder`."""
    items = [structures] if isinstance(structures, str | Path | ase.Atoms) else list(structures)
    in_memory = [item for item in items if isinstance(item, ase.Atoms)]
    if not in_memory:
        return [str(item) for item in items]
    if len(in_memory) < len(items):
        raise UserError("Files and structures cannot be evaluated together.", fix="Read the files.")
    file = folder / "structures.traj"  # keeps all digits, labels and their keys
    ase.io.write(file, in_memory)
    return [str(file)]


def evaluate(
    model: Potential | Ensemble | str | Path,
    files: Structures,
    json_path: str | Path | None = None,
    output: str | Path | None = None,
    *,
    group: str | None = None,
    engine: Engine = "auto",
    keys: Keys | None = None,
    units: Units | None = None,
    as_trained: bool = True,
    device: str = "cpu",
    console: Terminal | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Print error tables; optionally write them as JSON and the predictions as extended XYZ.

    Parameters
    ----------
    model
        A potential, a `.reann` file or a run folder.
    files
        Files or globs, or structures with labels: of a calculator, or in `info` and `arrays`.
    group
        Key of the group of a structure; `config_type` is detected.
    keys, units
        Keys and units of the files; by default keys are detected and units are eV and Å.
    as_trained
        Whether to take unset keys and units from the training of the potential if the files have
        the labels under the same keys.
    device
        For a file; a given potential is not moved.
    quiet
        Print nothing.

    Returns
    -------
    Evaluation
        Predictions, references and errors, with `.table()` and `.plot()`.

    Raises
    ------
    UserError
        If files cannot be read, elements are unknown, or outputs cannot be written or would
        overwrite an input.
    """
    choice.check(engine, f"--engine {engine}")
    output, json_path = (None if path is None else Path(path) for path in (output, json_path))
    predictions.check_name(output)
    console = console or Terminal(quiet=quiet)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reann-")))
        names = file_names(files, folder)
        check_outputs({"--output": output, "--json": json_path}, [model, *names])
        if isinstance(model, str | Path):
            potential = load(model, device_named(choice.device_for(engine, device), "--device"))
        else:
            potential = model
        settings = _Settings(keys or Keys(), units or Units(), group, engine, as_trained)
        lines, evaluation, structures = _predicted(potential, names, folder, settings)
        for line in lines:
            console.write(line)
        tables.show(evaluation, console)
        quality = quality_of(evaluation)
        for line in quality.lines():
            console.write(line)
        if output is not None:
            predictions.write(output, evaluation, structures)
            console.write(f"Predictions: {output}")
    if json_path is not None:
        about = {"model": model_name(model), "files": names}
        verdict = {"verdict": quality.as_json()} if quality.sentences else {}
        atomic_file.write_text(json_path, _as_json(about | evaluation.as_json() | verdict))
    return evaluation


@dataclass(frozen=True)
class _Settings:
    keys: Keys
    units: Units
    group: str | None
    engine: Engine
    as_trained: bool


Predicted = tuple[list[str], Evaluation, Iterator[ase.Atoms]]
"""Lines about the labels, the evaluation, and its structures."""


def _predicted(
    potential: Potential | Ensemble, names: list[str], folder: Path, settings: _Settings
) -> Predicted:
    """Predict files with or without labels; `folder` is for temporary files."""
    metadata = potential.metadata if settings.as_trained else {}
    outputs, group = potential.model.output_names, settings.group
    label_conventions = conventions(names, metadata, settings.keys, settings.units, outputs)
    detected = {n: SOUGHT for n in potential.model.inputs if label_conventions.keys.of(n) is None}
    keys = label_conventions.keys.model_copy(update=detected | ({"group": group} if group else {}))
    data = DataConfig(train=names, keys=keys, units=label_conventions.units, missing="allow")
    if not label_conventions.labeled:
        return _without_labels(potential, names, data, settings.engine)
    trained = label_conventions.as_trained
    return _with_labels(potential, names, data, folder, settings.engine, as_trained=trained)


def model_name(model: object) -> str:
    """Return the name of a file of a potential; of a potential in memory, its kind."""
    return str(model) if isinstance(model, str | Path) else type(model).__name__


def _as_json(content: dict[str, Any]) -> str:
    return strict_json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _with_labels(
    potential: Potential | Ensemble,
    names: list[str],
    data: DataConfig,
    folder: Path,
    engine: Engine,
    *,
    as_trained: bool,
) -> Predicted:
    """Predict files with labels; `folder` is for their temporary neighbor lists."""
    with progress_bar() as (bar, task):
        dataset = open_dataset(names, data, potential.cutoff, folder)
        print_notes(dataset.skipped)
        of_heads = _assign_heads(dataset, potential.model.config.heads)
        bar.update(task, total=len(dataset))
        subset = Subset(dataset, np.arange(len(dataset)))
        evaluation = compare(
            potential, subset, progress=lambda n: bar.advance(task, n), engine=engine
        )
    labels = described(dataset.keys, data.units) + ", as in the training" * as_trained
    about = [f"Labels: {labels}", *of_heads, *(f"Note: {note}" for note in dataset.notes)]
    return about, evaluation, (dataset.atoms(i) for i in range(len(dataset)))


def _assign_heads(dataset: Dataset, heads: Sequence[str]) -> list[str]:
    """Assign structures to the heads they name; return a line about the heads that are used."""
    if dataset.keys.of("head") is not None:
        dataset.assign_heads(heads)
    if len(heads) == 1:
        return []
    index = np.zeros(len(dataset), int) if dataset.head is None else dataset.head
    counts = np.bincount(index, minlength=len(heads))
    numbers = (f"{name} ({n})" for name, n in zip(heads, counts, strict=True) if n)
    return [f"Heads (number of structures): {', '.join(numbers)}"]


def _without_labels(
    potential: Potential | Ensemble, names: list[str], data: DataConfig, engine: Engine
) -> Predicted:
    """Predict files without labels."""
    units, inputs = data.units, potential.model.inputs
    with progress_bar() as (bar, task):
        structures = with_input_names(angstrom(iter_atoms(names), units), inputs, data.keys)
        evaluation = predict_unlabeled(
            potential, structures, progress=lambda n: bar.advance(task, n), engine=engine
        )
    again = angstrom(iter_atoms(names, report_skipped=ignore), units)
    again = with_input_names(again, inputs, data.keys)
    about = [f"Labels: none; positions in {position_unit(names, units)}"]
    return about, evaluation, (atoms for atoms, _ in again)

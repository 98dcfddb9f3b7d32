"""Training, validation and test sets: drawn by hashes, or given by files, indices or groups."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann import strict_json
from reann.atomic_file import write_text
from reann.config import DataConfig, GroupSplit, IndexSplit, Part
from reann.data.dataset import Dataset, Subset
from reann.data.draw import Drawing, group_names
from reann.data.fingerprint import draws
from reann.errors import UserError, counted, did_you_mean, listed

SPLIT_VERSION = 1
NONE_LEARNED = np.empty(0, dtype=np.uint64)
OpenFiles = Callable[[list[str]], Dataset]


def split(
    train: Dataset,
    data: DataConfig,
    seed: int,
    open_files: OpenFiles,
    learned: NDArray[np.uint64] = NONE_LEARNED,
) -> dict[str, Subset]:
    """Return the parts train, valid and, if configured, test.

    Parts given by files, indices or names of groups are taken first. Then fractions of the groups
    are drawn from the remaining groups, and fractions of the structures from the remaining
    structures. All other structures, or `data.train_fraction` of them, are
    the training set.

    A structure (or group) is drawn if the hash of its geometry (or name) and the seed, as a number
    between 0 and 1, is below the fraction. Therefore it remains in its part when structures are
    added, and equal geometries are in the same part. If no hash is below the fraction, the
    structure with the smallest is drawn.

    Parameters
    ----------
    train
        All structures of the training files.
    seed
        Part of the hashes; the same seed gives the same split.
    open_files
        Opens the files of a part with the settings of the training files.
    learned
        Fingerprints (`Subset.recorded`) of structures that are never drawn because the training
        starts from a potential that was trained on them.

    Raises
    ------
    UserError
        If a part or the training set is empty, an index is out of range or in two parts, a group
        is unknown, or an element is missing in the training set.
    """
    requested: dict[str, Part] = {"valid": data.valid}
    if data.test is not None:
        requested["test"] = data.test
    free = np.ones(len(train), dtype=bool)
    parts = _explicit_parts(train, requested, open_files, free)
    drawing = Drawing(train, seed, free, Subset(train, np.arange(len(train))).among(learned))
    for name, part in requested.items():
        if isinstance(part, GroupSplit) and isinstance(part.groups, float):
            parts[name] = Subset(train, drawing.of_groups(name, part.groups))
    for name, part in requested.items():
        if isinstance(part, float):
            parts[name] = Subset(train, drawing.of_structures(name, part))
    rest = np.flatnonzero(free)
    if len(rest) == 0:
        raise _no_training_set(train, requested)
    rest = _thinned(train, rest, data.train_fraction, seed)
    parts = {"train": Subset(train, rest), **{name: parts[name] for name in requested}}
    _check_elements(parts)
    return parts


def _thinned(
    train: Dataset, rest: NDArray[np.int64], fraction: float, seed: int
) -> NDArray[np.int64]:
    """Return a fraction of structures; a smaller fraction is part of a larger one."""
    if fraction == 1.0:
        return rest
    prints = train.fingerprints[rest].astype("<u8")
    # Other hashes than those of the split, which have put the structures here.
    numbers = draws((b"train" + each.tobytes() for each in prints), seed)
    n_kept = max(1, round(fraction * len(rest)))
    return np.sort(rest[np.argsort(numbers, kind="stable")[:n_kept]])


def _no_training_set(train: Dataset, names: Iterable[str]) -> UserError:
    alike = len(train) > 1 and len(np.unique(train.fingerprints)) == 1
    subject = "the only one is" if len(train) == 1 else f"all {len(train)} are"
    if alike:
        fix = "All structures have the same geometry, and equal geometries are not separated."
    elif len(train) == 1:
        fix = "Add structures."
    else:
        fix = "Make the other parts smaller, add structures, or change run.seed."
    return UserError(
        f"No structure is left for training: {subject} in {' and '.join(names)}.",
        "data",
        fix,
    )


def known_structures(parts: dict[str, Subset], learned: NDArray[np.uint64]) -> list[str]:
    """Return a note for each part with structures that are also in the training set.

    This is possible only for parts given by files, indices or groups.
    """
    notes = []
    for name, title in (("valid", "validation"), ("test", "test")):
        if name not in parts:
            continue
        known = np.isin(parts[name].fingerprints, parts["train"].fingerprints)
        n = int((known | parts[name].among(learned)).sum())
        if n:
            notes.append(
                f"{n} of {len(parts[name])} {title} structures are also in the training set of"
                " this run or of the potential it starts from: their errors are too optimistic"
                if len(learned)
                else f"{n} of {len(parts[name])} {title} structures are also in the training set:"
                " their errors are too optimistic"
            )
    return notes


def save_split(path: Path, parts: dict[str, Subset], seed: int | None = None) -> None:
    """Write the files, their hashes, and the indices of each part to a JSON file."""
    content = {
        "version": SPLIT_VERSION,
        "seed": seed,
        "parts": {
            name: {
                "files": [{"name": file, "sha256": digest} for file, digest in part.dataset.files],
                "indices": part.indices.tolist(),
            }
            for name, part in parts.items()
        },
    }
    write_text(path, strict_json.dumps(content))


def load_split(
    path: Path, train: Dataset, data: DataConfig, open_files: OpenFiles
) -> dict[str, Subset]:
    """Return the parts written by `save_split`.

    Separate files of a part may have been moved: their names are taken from `data`, and their
    content is compared.

    Raises
    ------
    UserError
        If the file cannot be read, or the data files have changed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        saved = {
            name: (part["files"], [int(index) for index in part["indices"]])
            for name, part in content["parts"].items()
        }
        digests = {name: [file["sha256"] for file in files] for name, (files, _) in saved.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"The split cannot be read: {error}.", str(path)) from error
    parts: dict[str, Subset] = {}
    for name, (files, indices) in saved.items():
        names = _files_now(name, data) or [file["name"] for file in files]
        same = digests[name] == digests.get("train")
        dataset = train if same else open_files(names)
        if [digest for _, digest in dataset.files] != digests[name]:
            fix = "Restore the files, or start a new run."
            if name != "train":
                fix = f"Restore the files, set data.{name}=FILE if moved, or start a new run."
            raise UserError(
                f"The files of the part {name} have changed since the data were split.",
                f"{path}; {listed(names)}",
                fix,
            )
        parts[name] = Subset(dataset, _checked(indices, dataset, str(path)))
    return parts


def _files_now(name: str, data: DataConfig) -> list[str]:
    """Return the separate files of a part in the configuration; empty if there are none."""
    part = getattr(data, name, None)
    return part if isinstance(part, list) else [part] if isinstance(part, str) else []


def _explicit_parts(
    train: Dataset, requested: dict[str, Part], open_files: OpenFiles, free: NDArray[np.bool_]
) -> dict[str, Subset]:
    """Return the parts given by files, indices or names; remove them from `free`."""
    parts: dict[str, Subset] = {}
    for name, part in requested.items():
        if isinstance(part, str | list):
            other = open_files([part] if isinstance(part, str) else part)
            parts[name] = Subset(other, np.arange(len(other)))
        elif isinstance(part, IndexSplit) or (
            isinstance(part, GroupSplit) and isinstance(part.groups, list)
        ):
            chosen = _chosen(train, name, part)
            if not free[chosen].all():
                twice = chosen[~free[chosen]]
                raise UserError(
                    f"Structures {listed(twice)} are both in valid and in test.",
                    f"data.{name}",
                    "Assign each structure to one part only.",
                )
            free[chosen] = False
            parts[name] = Subset(train, chosen)
    return parts


def _chosen(train: Dataset, name: str, part: IndexSplit | GroupSplit) -> NDArray[np.int64]:
    """Return the structures given by indices or by names of groups."""
    if isinstance(part, IndexSplit):
        indices = part.indices
        where = f"data.{name}.indices"
        if isinstance(indices, Path):
            where += f" ({indices})"
            indices = _read_indices(indices)
        return _checked(indices, train, where)
    assert isinstance(part.groups, list)
    names = group_names(train, name)
    for group in part.groups:
        if group not in names:
            raise UserError(
                f"There is no group '{group}'.{did_you_mean(group, names)}",
                f"data.{name}.groups",
                f"The groups are {listed(names, 20)}.",
            )
    member = np.isin(train.groups, part.groups)
    if not member.any():
        raise UserError(f"The part {name} is empty.", f"data.{name}.groups", "List a group.")
    return np.flatnonzero(member)


def _read_indices(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The indices cannot be read: {error}.", str(path)) from error
    try:
        values = json.loads(text) if text.lstrip().startswith("[") else text.split()
        return [int(value) for value in values]
    except (ValueError, TypeError) as error:
        raise UserError(
            f"The file is not a list of indices: {error}.",
            str(path),
            "Write integers starting at 0, one per line or as a JSON list.",
        ) from error


def _checked(indices: list[int], dataset: Dataset, where: str) -> NDArray[np.int64]:
    if not indices:
        raise UserError("The list of indices is empty.", where, "List at least one structure.")
    outside = [index for index in indices if not 0 <= index < len(dataset)]
    if outside:
        raise UserError(
            f"The index {listed(outside)} is out of range: the data have"
            f" {counted(len(dataset), 'structure')}.",
            where,
            f"Indices run from 0 to {len(dataset) - 1}, in the order of the files.",
        )
    unique, counts = np.unique(np.array(indices, dtype=np.int64), return_counts=True)
    if (counts > 1).any():
        raise UserError(f"The index {listed(unique[counts > 1])} appears twice.", where)
    return unique


def _check_elements(parts: dict[str, Subset]) -> None:
    """Raise `UserError` if a part has an element that is not in the training set."""
    known = _elements(parts["train"])
    for name, part in parts.items():
        for z in sorted(_elements(part) - known):
            column = part.dataset.elements.index(z)
            has_element = part.dataset.composition()[part.indices, column] > 0
            first = part.dataset.origin(int(part.indices[has_element][0]))
            raise UserError(
                f"{chemical_symbols[z]} is in {name} but in no training structure.",
                first,
                "Add training structures with this element, or remove these structures.",
            )


def _elements(part: Subset) -> set[int]:
    counts = part.dataset.composition()[part.indices].sum(axis=0)
    return {z for z, count in zip(part.dataset.elements, counts, strict=True) if count}

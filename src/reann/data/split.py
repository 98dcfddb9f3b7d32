"""Which structures train, validate and test: drawn by seed, or given by files, indices, groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from reann.checkpoint import replacing
from reann.config import DataConfig, GroupSplit, IndexSplit, Part
from reann.data.dataset import Dataset, Subset
from reann.errors import UserError, counted, did_you_mean, listed

SPLIT_VERSION = 1
OpenFiles = Callable[[list[str]], Dataset]


def split(train: Dataset, data: DataConfig, seed: int, open_files: OpenFiles) -> dict[str, Subset]:
    """Return the parts train, valid and, where it is configured, test.

    Parts given by indices or groups are taken out first, then fractions (of all structures in the
    training files) are drawn from the rest, which remains for training.

    Parameters
    ----------
    train
        All structures of the training files.
    seed
        Of the random draws; the same seed gives the same split.
    open_files
        Opens the files of a part that has its own, with the settings of the training files.

    Raises
    ------
    UserError
        For an empty part, an index out of range or in two parts, an unknown group, and an element
        that no training structure has.
    """
    wanted: dict[str, Part] = {"valid": data.valid}
    if data.test is not None:
        wanted["test"] = data.test
    free = np.ones(len(train), dtype=bool)
    parts: dict[str, Subset] = {}
    random = np.random.default_rng(seed)
    for name, part in wanted.items():
        if isinstance(part, str | list):
            other = open_files([part] if isinstance(part, str) else part)
            parts[name] = Subset(other, np.arange(len(other)))
        elif isinstance(part, IndexSplit | GroupSplit):
            chosen = _indices(train, name, part, random)
            if not free[chosen].all():
                twice = chosen[~free[chosen]]
                raise UserError(
                    f"Structures {listed(twice)} are both in valid and in test.",
                    f"data.{name}",
                    "Give each structure to one part.",
                )
            free[chosen] = False
            parts[name] = Subset(train, chosen)
    for name, part in wanted.items():
        if isinstance(part, float):
            rest = np.flatnonzero(free)
            n_drawn = max(1, round(part * len(train)))
            if n_drawn >= len(rest):
                raise UserError(
                    f"A fraction of {part} for {name} is {counted(n_drawn, 'structure')}, but only"
                    f" {len(rest)} are left, and some must remain for training.",
                    f"data.{name}",
                    "Give more structures or a smaller fraction.",
                )
            drawn = np.sort(random.choice(rest, n_drawn, replace=False))
            free[drawn] = False
            parts[name] = Subset(train, drawn)
    rest = np.flatnonzero(free)
    if len(rest) == 0:
        raise UserError(
            f"No structure is left for training: all {len(train)} are in {' and '.join(wanted)}.",
            "data",
            "Make the other parts smaller.",
        )
    parts = {"train": Subset(train, rest), **parts}
    _check_elements(parts)
    return parts


def save_split(path: Path, parts: dict[str, Subset], seed: int | None = None) -> None:
    """Write files, their hashes, and the indices of each part to a JSON file."""
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
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")


def load_split(path: Path, train: Dataset, open_files: OpenFiles) -> dict[str, Subset]:
    """Return the parts that `save_split` wrote.

    Raises
    ------
    UserError
        If the file cannot be read, or the data files have changed since it was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        saved = {name: (part["files"], part["indices"]) for name, part in content["parts"].items()}
        digests = {name: [file["sha256"] for file in files] for name, (files, _) in saved.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"The split cannot be read: {error}.", str(path)) from error
    parts: dict[str, Subset] = {}
    for name, (files, indices) in saved.items():
        same = digests[name] == digests["train"]
        dataset = train if same else open_files([file["name"] for file in files])
        if [digest for _, digest in dataset.files] != digests[name]:
            raise UserError(
                f"The files of the part {name} have changed since they were split.",
                f"{path}; {listed(file['name'] for file in files)}",
                "Restore the files, or start a new run.",
            )
        parts[name] = Subset(
            dataset, _checked(np.array(indices, dtype=np.int64), dataset, str(path))
        )
    return parts


def _indices(
    train: Dataset, name: str, part: IndexSplit | GroupSplit, random: np.random.Generator
) -> NDArray[np.int64]:
    if isinstance(part, IndexSplit):
        given = part.indices
        where = f"data.{name}.indices"
        if isinstance(given, Path):
            where += f" ({given})"
            given = _read_indices(given)
        return _checked(np.array(given, dtype=np.int64), train, where)
    names = sorted({group for group in train.groups if group})
    if not names:
        raise UserError(
            "The structures have no groups.",
            f"data.{name}.groups",
            "Name the key of the group in data.keys.group, or split by a fraction.",
        )
    if not isinstance(part.groups, list):
        n_drawn = max(1, round(part.groups * len(names)))
        chosen = set(random.choice(names, n_drawn, replace=False).tolist())
    else:
        chosen = set(part.groups)
        for group in part.groups:
            if group not in names:
                raise UserError(
                    f"There is no group '{group}'.{did_you_mean(group, names)}",
                    f"data.{name}.groups",
                    f"The groups are {listed(names, 20)}.",
                )
    member = np.array([group in chosen for group in train.groups])
    if not member.any():
        raise UserError(f"The part {name} is empty.", f"data.{name}.groups", "Name a group.")
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
            "Write whole numbers from 0, one per line or as a JSON list.",
        ) from error


def _checked(indices: NDArray[np.int64], dataset: Dataset, where: str) -> NDArray[np.int64]:
    if len(indices) == 0:
        raise UserError("The list of indices is empty.", where, "Name at least one structure.")
    outside = indices[(indices < 0) | (indices >= len(dataset))]
    if len(outside):
        raise UserError(
            f"The index {listed(outside)} is out of range: the data have"
            f" {counted(len(dataset), 'structure')}.",
            where,
            f"Count from 0 to {len(dataset) - 1}, in the order of the files.",
        )
    unique, counts = np.unique(indices, return_counts=True)
    if (counts > 1).any():
        raise UserError(f"The index {listed(unique[counts > 1])} is given twice.", where)
    return unique


def _check_elements(parts: dict[str, Subset]) -> None:
    """Stop before training when a part needs an element that training does not show."""
    known = _elements(parts["train"])
    for name, part in parts.items():
        for z in sorted(_elements(part) - known):
            column = part.dataset.elements.index(z)
            having = part.dataset.composition()[part.indices, column] > 0
            first = part.dataset.origin(int(part.indices[having][0]))
            raise UserError(
                f"{chemical_symbols[z]} is in {name} but in no training structure.",
                first,
                "Add training structures with it, or remove these structures.",
            )


def _elements(part: Subset) -> set[int]:
    counts = part.dataset.composition()[part.indices].sum(axis=0)
    return {z for z, count in zip(part.dataset.elements, counts, strict=True) if count}

"""The data of each training: what was labeled before, and what is new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from reann.data.read import iter_atoms
from reann.errors import UserError
from reann.learning.choose import CHOICE, RANDOM
from reann.learning.folders import Iteration, read_frames, write_frames
from reann.learning.label.calculation import results_of
from reann.learning.settings import LoopConfig
from reann.motion.start import read_start
from reann.quantities import inputs

FEWEST = 2
"""Labeled structures: one to train on, one for validation."""


def write_first(iteration: Iteration, settings: LoopConfig) -> None:
    """Write the structures that the loop begins with, and their labels where these are kept.

    Raises
    ------
    UserError
        If the files cannot be read, have too few structures, or lack labels that should be kept.
    """
    read = list(iter_atoms(settings.structures))
    if len(read) < FEWEST:
        raise UserError(
            "A loop begins with two structures at least.", "structures", "Add structures."
        )
    if settings.labeled:
        # Written before `chosen.xyz`, whose presence ends this step.
        write_frames(iteration.labels, [_labeled(atoms, origin) for atoms, origin in read])
    write_frames(iteration.chosen, [read_start(atoms)[0] for atoms, _ in read])


def extend(iteration: Iteration, before: Iteration | None, settings: LoopConfig) -> None:
    """Write the training and validation sets: those of the iteration before, and the new labels.

    A structure stays where it is once. Those that were drawn at random from exploration join the
    validation set.
    """
    labeled = read_frames(iteration.labels)
    if before is None:
        train, valid = _divided(labeled, settings)
    else:
        is_random = [atoms.info.get(CHOICE) == RANDOM for atoms in labeled]
        train = read_frames(before.train)
        train += [a for a, drawn in zip(labeled, is_random, strict=True) if not drawn]
        valid = read_frames(before.valid)
        valid += [a for a, drawn in zip(labeled, is_random, strict=True) if drawn]
    write_frames(iteration.train, [_bare(atoms) for atoms in train])
    write_frames(iteration.valid, [_bare(atoms) for atoms in valid])


def _divided(
    labeled: Sequence[ase.Atoms], settings: LoopConfig
) -> tuple[list[ase.Atoms], list[ase.Atoms]]:
    if len(labeled) < FEWEST:
        raise UserError(
            f"Of the first structures {len(labeled)} have labels, which are too few to train on.",
            "label",
            "Look at `reann learn`'s folder for the reasons, and correct section label.",
        )
    order = np.random.default_rng(settings.run.seed).permutation(len(labeled))
    n_valid = min(max(1, round(settings.validation * len(labeled))), len(labeled) - 1)
    valid = set(order[:n_valid].tolist())
    parts: tuple[list[ase.Atoms], list[ase.Atoms]] = ([], [])
    for number, atoms in enumerate(labeled):
        parts[number in valid].append(atoms)
    return parts


def _bare(atoms: ase.Atoms) -> ase.Atoms:
    """Return a structure with its labels, and with inputs of models such as the total charge."""
    copy = read_start(atoms)[0]
    kept = {quantity.name for quantity in inputs()}
    copy.info = {name: value for name, value in copy.info.items() if name in kept}
    copy.calc = SinglePointCalculator(copy, **results_of(atoms))
    return copy


def _labeled(atoms: ase.Atoms, origin: str) -> ase.Atoms:
    results = results_of(atoms)
    for name, values in (("energy", atoms.info), ("forces", atoms.arrays), ("stress", atoms.info)):
        if name in values:
            results.setdefault(name, values[name])
    missing = [name for name in ("energy", "forces") if name not in results]
    if missing:
        raise UserError(
            f"The structure has no {' and no '.join(missing)}, and `labeled: true` keeps labels.",
            origin,
            "Remove `labeled`: then all labels are computed.",
        )
    copy = read_start(atoms)[0]
    names = ("energy", "forces", "stress")
    kept = {name: results[name] for name in names if name in results}
    copy.calc = SinglePointCalculator(copy, **kept)
    return copy


def all_labeled(iteration: Iteration) -> list[ase.Atoms]:
    """Return training and validation structures of an iteration."""
    return [*read_frames(iteration.train), *read_frames(iteration.valid)]


def model_of(iteration: Iteration) -> Path:
    """Return the file of the potential that an iteration has trained."""
    from reann.model_file import MODEL

    return iteration.run / MODEL

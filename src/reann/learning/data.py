"""Training and validation data of each iteration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from reann.data.files.read import iter_atoms
from reann.data.labels.inputs import every_input
from reann.errors import UserError
from reann.learning.choose import CHOICE, RANDOM
from reann.learning.explore.plan import explorations
from reann.learning.folders import Iteration, read_frames, write_frames
from reann.learning.label.calculation import results_of
from reann.learning.settings import LoopConfig
from reann.motion.start import read_start
from reann.quantities import inputs

FEWEST = 2
"""Fewest labeled structures: one for training, one for validation."""
SAME = 1e-3
"""Difference of equal charges, e."""


def write_first(iteration: Iteration, settings: LoopConfig) -> None:
    """Write the initial structures of the loop, and their labels if these are kept.

    Raises
    ------
    UserError
        If the files cannot be read, have too few structures, or lack labels that should be kept; if
        the calculator would compute another charge than that of a structure; if several keys state
        different charges.
    """
    read = list(iter_atoms(settings.structures))
    if len(read) < FEWEST:
        raise UserError(
            "A loop needs at least two initial structures.", "structures", "Add structures."
        )
    for atoms, origin in read:
        every_input().rename(atoms, origin)  # the files of the loop contain only these names
    _refuse_unread_charges(read, settings)
    if settings.labeled:
        # Written before `chosen.xyz`, whose presence ends this step.
        write_frames(iteration.labels, [_labeled(atoms, origin) for atoms, origin in read])
    write_frames(iteration.chosen, [read_start(atoms)[0] for atoms, _ in read])


def _refuse_unread_charges(
    structures: Sequence[tuple[ase.Atoms, str]], settings: LoopConfig
) -> None:
    """Raise `UserError` if a calculator of ASE would not know the charge of a structure.

    The total charge of these calculators is the sum of the initial charges of the atoms, or an
    argument. Functions of the user may read it from `info`.
    """
    calculator = settings.label.calculator
    if calculator is None or ":" in calculator.name or "charge" in calculator.arguments():
        return
    for atoms, origin in structures:
        charge = float(atoms.info.get("charge", atoms.get_initial_charges().sum()))
        if abs(atoms.get_initial_charges().sum() - charge) > SAME:
            raise UserError(
                f"The charge of the structure is {charge:g} e, but its initial charges, which the"
                f" calculator {calculator.name} reads, add up to"
                f" {atoms.get_initial_charges().sum():g} e.",
                origin,
                "Set initial charges (column `initial_charges`), the argument `charge` of the"
                " calculator, or a function `module:function` that makes the calculator.",
            )


def extend(iteration: Iteration, before: Iteration | None, settings: LoopConfig) -> None:
    """Write the training and validation sets: those of the previous iteration plus the new labels.

    A structure never changes between the sets. Structures that were drawn at random from
    exploration join the validation set.
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
            f"Only {len(labeled)} of the initial structures have labels; at least {FEWEST} are"
            " needed.",
            "label",
            "The reasons are in the folder of the loop; correct the section label.",
        )
    order = np.random.default_rng(settings.run.seed).permutation(len(labeled))
    n_valid = min(max(1, round(settings.validation * len(labeled))), len(labeled) - 1)
    valid = set(order[:n_valid].tolist())
    parts: tuple[list[ase.Atoms], list[ase.Atoms]] = ([], [])
    for number, atoms in enumerate(labeled):
        parts[number in valid].append(atoms)
    return parts


def _bare(atoms: ase.Atoms) -> ase.Atoms:
    """Return a structure with only its labels and inputs of models, such as the total charge."""
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
    if "free_energy" in results:  # of which the forces are derivatives, see `energy_of`
        results["energy"] = results["free_energy"]
    missing = [name for name in ("energy", "forces") if name not in results]
    if missing:
        raise UserError(
            f"The structure has no {' and no '.join(missing)}, which `labeled: true` requires.",
            origin,
            "Remove `labeled`: then all labels are computed.",
        )
    copy = read_start(atoms)[0]
    names = ("energy", "forces", "stress")
    kept = {name: results[name] for name in names if name in results}
    copy.calc = SinglePointCalculator(copy, **kept)
    return copy


def starts(earlier: Sequence[Iteration]) -> list[ase.Atoms]:
    """Return the labeled structures of all earlier iterations from which explorations may start.

    These are the initial structures and those of explorations that were not ended early. Dynamics
    that starts where a potential failed would fail at once and explore nothing.
    """
    first, *others = earlier
    labeled = read_frames(first.labels)
    for iteration in others:
        ended = {name for name, about in explorations(iteration).items() if about["ended"]}
        labeled += [a for a in read_frames(iteration.labels) if a.info["exploration"] not in ended]
    return [_bare(atoms) for atoms in labeled]


def all_labeled(iteration: Iteration) -> list[ase.Atoms]:
    """Return training and validation structures of an iteration."""
    return [*read_frames(iteration.train), *read_frames(iteration.valid)]


def model_of(iteration: Iteration) -> Path:
    """Return the file of the potential of an iteration."""
    from reann.model_file import MODEL

    return iteration.run / MODEL

"""Which of the structures found are labeled: some at random as a test, the others by selection."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np

from reann.errors import UserError
from reann.learning.explore.plan import structures
from reann.learning.folders import Iteration, write_frames
from reann.learning.settings import LoopConfig
from reann.potential import Ensemble, Potential

CHOICE = "choice"
"""Entry of `info`: why a structure was chosen."""
RANDOM = "random"


def choose(
    iteration: Iteration,
    settings: LoopConfig,
    training: Sequence[ase.Atoms],
    potential: Potential | Ensemble,
    most: int,
) -> None:
    """Write the structures to label, at most so many.

    Raises
    ------
    UserError
        If exploration has given no structure.
    """
    pool = thinned(structures(iteration), settings.select.pool)
    if not pool:
        raise UserError(
            "Exploration has given no possible structure.",
            str(iteration.explored),
            "Explore for longer, at lower temperatures or with smaller displacements.",
        )
    seeds = np.random.SeedSequence([settings.run.seed, iteration.number]).generate_state(2)
    n_random = min(settings.select.random, len(pool), most)
    order = np.random.default_rng(seeds[0]).permutation(len(pool))
    drawn = sorted(order[:n_random].tolist())
    rest = [pool[i] for i in range(len(pool)) if i not in set(drawn)]
    chosen = [_with(pool[i], RANDOM) for i in drawn]
    number = min(settings.select.number, len(rest), most - n_random)
    if number > 0:
        by, seed = settings.select.by, int(seeds[1])
        if by == RANDOM:
            own = sorted(np.random.default_rng(seed).permutation(len(rest))[:number].tolist())
            chosen += [_with(rest[i], "to train on") for i in own]
        else:
            from reann.selection import select  # pyright: ignore[reportMissingImports]

            selection = select(rest, potential, training, number, by=by, seed=seed)
            pairs = zip(selection.indices, selection.reasons, strict=True)
            chosen += [_with(rest[int(i)], reason) for i, reason in pairs]
    write_frames(iteration.chosen, chosen)


def thinned(frames: list[ase.Atoms], most: int) -> list[ase.Atoms]:
    """Return at most so many structures, at equal distances in their order."""
    if len(frames) <= most:
        return frames
    return [frames[i] for i in np.linspace(0, len(frames) - 1, most).round().astype(int)]


def _with(atoms: ase.Atoms, reason: str) -> ase.Atoms:
    copy = atoms.copy()
    copy.info[CHOICE] = reason
    return copy

"""Choice of the structures to label: some at random as a test, the others by selection."""

from __future__ import annotations

import ase
import numpy as np

from reann.errors import UserError
from reann.learning.explore.plan import structures
from reann.learning.folders import Iteration, write_frames
from reann.learning.settings import LoopConfig
from reann.potential import Ensemble, Potential
from reann.selection.known import Known
from reann.selection.select import select_beside

CHOICE = "choice"
"""Entry of `info`: why a structure was chosen."""
RANDOM = "random"


def choose(
    iteration: Iteration,
    settings: LoopConfig,
    known: Known,
    potential: Potential | Ensemble,
    most: int,
) -> None:
    """Write the structures to label, at most `most`.

    Random structures are drawn from all candidates, so that the errors on them are those on
    explored structures in general.

    Raises
    ------
    UserError
        If exploration produced no candidate.
    """
    pool = thinned(structures(iteration), settings.select.pool)
    if not pool:
        raise UserError(
            "Exploration produced no usable structure.",
            str(iteration.explored),
            "Explore for longer, at lower temperatures or with smaller displacements.",
        )
    words = [settings.run.seed, iteration.number]
    seeds = [int(seed) for seed in np.random.SeedSequence(words).generate_state(2)]
    n_random = min(settings.select.random, most)
    number = min(settings.select.number, most - n_random)
    by = settings.select.by
    selection = select_beside(known, pool, potential, number + n_random, by=by, seed=seeds[1])
    candidates = [i for i in range(len(pool)) if i not in selection.rejected]
    order = np.random.default_rng(seeds[0]).permutation(len(candidates))
    drawn = sorted(candidates[i] for i in order[:n_random])
    reasons = dict(zip(selection.indices, map(str, selection.reasons), strict=True))
    others = [i for i in selection.indices if i not in drawn][:number]
    chosen = [_with(pool[i], RANDOM) for i in drawn]
    chosen += [_with(pool[i], reasons[i]) for i in others]
    write_frames(iteration.chosen, chosen)


def thinned(frames: list[ase.Atoms], most: int) -> list[ase.Atoms]:
    """Return at most `most` structures, evenly spaced in their order."""
    if len(frames) <= most:
        return frames
    return [frames[i] for i in np.linspace(0, len(frames) - 1, most).round().astype(int)]


def _with(atoms: ase.Atoms, reason: str) -> ase.Atoms:
    copy = atoms.copy()
    copy.info[CHOICE] = reason
    return copy

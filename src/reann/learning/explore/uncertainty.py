"""Cuts trajectories where the potential becomes uncertain.

Beyond that point, dynamics is governed by errors of the potential and visits structures with
energies of many eV and forces of tens of eV/Å. These are the most uncertain structures, but the
true dynamics never visits them, and training on them increases the errors of relevant structures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import ase
import numpy as np
from numpy.typing import NDArray

from reann.learning.explore.trajectory import Trajectory
from reann.potential import Ensemble, Potential
from reann.selection.describe import batches, spreads
from reann.selection.known import graph_of

LARGEST = 3.0
"""Uncertainty of a structure, in medians of the training structures, that ends a trajectory."""


class UncertaintyLimit:
    """The largest uncertainty of structures that the potential describes reasonably.

    It is `LARGEST` times the median of the training structures, or the uncertainty of the most
    uncertain one of them if that is larger. The uncertainty of a structure is the largest standard
    deviation of a force, of an ensemble or of draws of the last layer, see `reann.selection`.

    Parameters
    ----------
    training
        Training structures of the potential.
    ensemble
        Members or draws for the uncertainty.
    """

    def __init__(
        self,
        potential: Potential | Ensemble,
        training: Sequence[ase.Atoms],
        ensemble: Ensemble,
    ) -> None:
        self.potential, self.ensemble = potential, ensemble
        of_training = self._spreads(training)
        self.median = float(np.median(of_training))
        self.limit = max(LARGEST * self.median, float(of_training.max()))

    def cut(self, trajectory: Trajectory) -> Trajectory:
        """Return a trajectory up to its first structure beyond the limit, which is included."""
        if not trajectory.time or not trajectory.frames:  # not dynamics
            return trajectory
        deviations = self._spreads(trajectory.frames)
        beyond = np.flatnonzero(~(deviations <= self.limit))  # NaN is beyond, too
        if not len(beyond):
            return trajectory
        frames = trajectory.frames[: int(beyond[0]) + 1]
        times = deviations[beyond[0]] / max(self.median, 1e-300)
        why = f"the uncertainty is {times:.1f} times that of the training data"
        time = float(frames[-1].info["time_fs"])
        return dataclasses.replace(trajectory, frames=frames, ended=why, time=time)

    def _spreads(self, structures: Iterable[ase.Atoms]) -> NDArray[np.float64]:
        """Return the uncertainty of each structure."""
        graphs = (graph_of(self.potential, atoms) for atoms in structures)
        return np.array(
            [s.largest for some in batches(graphs) for s in spreads(self.ensemble, some)]
        )

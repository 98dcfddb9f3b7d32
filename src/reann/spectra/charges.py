"""What moving charges of atoms radiate, of a model that has charges but no dipoles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reann.errors import UserError
from reann.spectra.recorded import Recorded


def of_charges(charges: NDArray[np.float64], recorded: Recorded) -> dict[str, NDArray[np.float64]]:
    """Return sum_i q_i r_i as `dipoles`, of a periodic system sum_i q_i v_i as `currents`.

    A periodic dipole would jump when an atom crosses the border of the cell. The current lacks what
    charges that change without a motion add to it.

    Parameters
    ----------
    charges
        e, (structures, atoms).
    recorded
        Of the same structures, with their motion.

    Raises
    ------
    UserError
        If a structure of a periodic system has no velocities.
    """
    if not recorded.is_periodic:
        away = np.stack(recorded.positions)
        return {"dipoles": np.einsum("ta,tax->tx", charges, away - away.mean(1, keepdims=True))}
    if np.isnan(recorded.temperatures).any():
        raise UserError(
            "The current of charges needs velocities, which the trajectory does not record.",
            fix="Write velocities or momenta, or train a model with dipoles.",
        )
    return {"currents": np.einsum("ta,tax->tx", charges, np.stack(recorded.velocities))}

"""Dipoles or currents from the charges of the atoms, for models without dipoles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reann.errors import UserError
from reann.spectra.recorded import Recorded


def of_charges(charges: NDArray[np.float64], recorded: Recorded) -> dict[str, NDArray[np.float64]]:
    """Return sum_i q_i r_i as `dipoles`, or sum_i q_i v_i as `currents` for periodic systems.

    The dipole of a periodic system would jump when an atom crosses the boundary of the cell. The
    current neglects the contribution of time-dependent charges.

    Parameters
    ----------
    charges
        e, (structures, atoms).
    recorded
        Record of the same structures, with positions and velocities.

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
            "The current of the charges needs velocities, which the trajectory does not have.",
            fix="Write velocities or momenta, or train a model with dipoles.",
        )
    return {"currents": np.einsum("ta,tax->tx", charges, np.stack(recorded.velocities))}

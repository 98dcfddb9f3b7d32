"""Checks of non-periodic structures: net torques, and unused lattices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reann.data.check.finding import Finding, about
from reann.data.check.record import Record

FEWEST = 3
LEAST_FORCE, NET_FORCE = 0.1, 0.05
"""Minimum norm of forces above noise, eV/Å; maximum net force over this norm."""
TORQUE_WARNING, TORQUE_ERROR = 0.05, 0.2
"""Net torque relative to forces in random directions: 0.001 for correct forces, 0.01 in strong
fields, 0.5 for forces in another orientation."""


def net_torque(records: Sequence[Record]) -> Finding | None:
    """Report net torques on isolated molecules, which no potential can reproduce."""
    isolated = [r for r in records if r.torque is not None and _is_isolated(r) and not _in_field(r)]
    if len(isolated) < FEWEST:
        return None
    typical = float(np.median([r.torque or 0.0 for r in isolated]))
    if typical < TORQUE_WARNING:
        return None
    return about(
        [r for r in isolated if (r.torque or 0.0) >= TORQUE_WARNING],
        "net-torque",
        "error" if typical > TORQUE_ERROR else "warning",
        f"the forces exert a net torque on isolated structures: {typical:.0%} of that of forces "
        "in random directions, instead of zero",
        "Positions and forces are in different orientations (such as standard and input "
        "orientation of Gaussian) or in different orders of the atoms: use the same for both. "
        "Small torques are expected in strong external fields.",
    )


def _in_field(r: Record) -> bool:
    """Return whether a structure is in an external field, which exerts a torque on its dipole."""
    conditions = (*r.inputs, *r.conditions)
    fields = [value for name, value in conditions if "field" in name.lower()]
    return any(isinstance(value, tuple) and any(value) for value in fields)


def _is_isolated(r: Record) -> bool:
    """Return whether the net force vanishes, unlike with fixed or embedded atoms."""
    size = (r.force_rms or 0.0) * r.n_atoms**0.5
    return size > LEAST_FORCE and r.net_force < NET_FORCE * size and not r.filled_lattice


def lattice_not_used(records: Sequence[Record]) -> Finding | None:
    """Report non-periodic structures with a lattice that their atoms fill."""
    return about(
        [r for r in records if r.filled_lattice],
        "lattice-not-used",
        "warning",
        "structures are not periodic although their atoms fill the given lattice: neighbors "
        "across the cell boundaries are missing",
        'Write pbc="T T T" for bulk; remove the lattice for a cluster.',
    )

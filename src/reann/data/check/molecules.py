"""Structures without periodicity: net torques, and a lattice that is not used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reann.data.check.finding import Finding, about
from reann.data.check.record import Record

FEWEST = 3
LEAST_FORCE, NET_FORCE = 0.1, 0.05
"""eV/Å, root of the sum of squares of forces that are no noise; net force over it, at most."""
TORQUE_WARNING, TORQUE_ERROR = 0.05, 0.2
"""Net torque over what forces of random directions have; right forces have 0.001, in strong fields
0.01, those of another orientation 0.5."""


def net_torque(records: Sequence[Record]) -> Finding | None:
    """Forces that turn an isolated molecule, which no potential can reproduce."""
    some = [r for r in records if r.torque is not None and _is_isolated(r) and not _in_field(r)]
    if len(some) < FEWEST:
        return None
    typical = float(np.median([r.torque or 0.0 for r in some]))
    if typical < TORQUE_WARNING:
        return None
    return about(
        [r for r in some if (r.torque or 0.0) >= TORQUE_WARNING],
        "net-torque",
        "error" if typical > TORQUE_ERROR else "warning",
        f"forces turn the isolated structures as a whole: their net torque is {typical:.0%} of "
        "that of forces in random directions, and should be zero",
        "Positions and forces are in different orientations (as standard and input orientation of "
        "Gaussian), or in another order of atoms: take both from the same one. A strong external "
        "field explains a small torque.",
    )


def _in_field(r: Record) -> bool:
    """Whether a structure states an external field, which turns its dipole."""
    stated = (*r.inputs, *r.conditions)
    fields = [value for name, value in stated if "field" in name.lower()]
    return any(isinstance(value, tuple) and any(value) for value in fields)


def _is_isolated(r: Record) -> bool:
    """Whether the net force vanishes, as it does not where atoms are fixed or surrounded."""
    size = (r.force_rms or 0.0) * r.n_atoms**0.5
    return size > LEAST_FORCE and r.net_force < NET_FORCE * size and not r.filled_lattice


def lattice_not_used(records: Sequence[Record]) -> Finding | None:
    """A lattice that atoms fill, of structures that are said not to be periodic."""
    return about(
        [r for r in records if r.filled_lattice],
        "lattice-not-used",
        "warning",
        "structures have lattice vectors that their atoms fill, but are not periodic: neighbors "
        "across the faces of the cell are missing",
        'Write pbc="T T T" for bulk; remove the lattice of a cluster.',
    )

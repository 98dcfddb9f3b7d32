"""Comparison of an exported potential with Python; an export that differs is not written."""

from __future__ import annotations

from dataclasses import dataclass

from reann.errors import UserError


@dataclass(frozen=True)
class Difference:
    """Largest differences between another program and Python."""

    energy: float
    """eV per atom."""
    forces: float
    """eV/Å."""

    def __str__(self) -> str:
        return (
            f"energies within {self.energy:.0e} eV per atom, forces within {self.forces:.0e} eV/Å"
        )


def checked(difference: Difference, program: str, where: str) -> Difference:
    """Return a difference within rounding errors; `UserError` for a larger one."""
    if difference.energy < 1e-6 and difference.forces < 1e-4:
        return difference
    raise UserError(
        f"The results of {program} and Python differ by {difference.energy:.1e} eV per atom and"
        f" {difference.forces:.1e} eV/Å.",
        where,
        "Please report this, with the potential and the structure; nothing was written.",
    )


def not_computed(program: str, message: str, where: str, fix: str) -> UserError:
    """Return the error of an export whose check failed in the other program."""
    return UserError(
        f"{program} failed to compute the structure, so nothing was written: {message}", where, fix
    )

"""Options of `reann spectrum`, by kind of spectrum."""

from __future__ import annotations

from dataclasses import dataclass

from reann.errors import UserError, listed

OF_STRUCTURE = {"no_relax": "--no-relax", "fmax": "--fmax", "displacement": "--displacement"}
OF_TRAJECTORY = {
    "timestep": "--timestep",
    "temperature": "--temperature",
    "blocks": "--blocks",
    "correction": "--correction",
}
"""Options of only one kind of spectrum, by field."""


@dataclass(frozen=True)
class Settings:
    """Options of the command; None for the default."""

    harmonic: bool = False
    width: float | None = None
    """cm^-1."""
    no_relax: bool = False
    fmax: float | None = None
    """eV/Å."""
    displacement: float | None = None
    """Å."""
    timestep: float | None = None
    """fs."""
    temperature: float | None = None
    """K."""
    blocks: int | None = None
    correction: str | None = None

    def check(self, *, harmonic: bool) -> None:
        """Raise `UserError` for an option that has no effect."""
        others = OF_TRAJECTORY if harmonic else OF_STRUCTURE
        refused = [option for name, option in others.items() if getattr(self, name)]
        if refused:
            kind = "a single structure" if harmonic else "a trajectory"
            raise UserError(
                f"The spectrum of {kind} has no option {listed(refused)}.",
                fix="Leave it out"
                + (", or give a trajectory." if harmonic else ", or add --harmonic."),
            )

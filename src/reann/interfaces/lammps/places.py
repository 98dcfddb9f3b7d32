"""Former name of `installation`, which the entry point of earlier installations contains."""

from reann.interfaces.lammps.installation import folder

__all__ = ["folder"]

"""The former place of `reann.interfaces.openmm`, for programs that import it from here."""

from reann.interfaces.openmm import force_of, system_of

__all__ = ["force_of", "system_of"]

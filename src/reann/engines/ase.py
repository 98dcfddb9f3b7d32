"""The former place of `reann.interfaces.ase`, for programs that import it from here."""

from reann.interfaces.ase import Calculator

__all__ = ["Calculator"]

"""The former place of `reann.interfaces.ipi.driver`, for programs that import it from here."""

from reann.interfaces.ipi.driver import Driver

__all__ = ["Driver"]

"""The former place of `reann.simulate.relax`, for programs that import it from here."""

from reann.simulate.relax import relax

__all__ = ["relax"]

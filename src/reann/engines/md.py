"""The former place of `reann.simulate.md`, for programs that import it from here."""

from reann.simulate.md import run_md

__all__ = ["run_md"]

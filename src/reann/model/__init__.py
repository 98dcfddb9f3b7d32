"""The potential, from neighbor vectors to atomic energies.

neighborhood -> radial, angular -> density <-> recursion -> readout
"""

from reann.model.reann import Reann, build

__all__ = ["Reann", "build"]

"""The potential: from neighbor vectors to atomic energies.

neighborhood -> host: radial, angular -> density; host <-> recursion -> readout
"""

from reann.model.reann import Reann, build

__all__ = ["Reann", "build"]

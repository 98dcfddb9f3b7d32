"""Choice of structures to label: uncertain and diverse, neither known nor unphysical."""

from reann.criteria import By
from reann.selection.result import Reason, Selection
from reann.selection.select import select

__all__ = ["By", "Reason", "Selection", "select"]

"""Choice of structures to label: uncertain and diverse, excluding known and unphysical ones."""

from reann.criteria import By
from reann.selection.result import Reason, Selection
from reann.selection.select import select

__all__ = ["By", "Reason", "Selection", "select"]

"""Choice of structures to label: uncertain, diverse, neither known nor broken."""

from reann.selection.result import Reason, Selection
from reann.selection.select import By, select

__all__ = ["By", "Reason", "Selection", "select"]

"""The report of a run, `report.html`."""

from reann.report.page import write_report

__all__ = ["write_report"]

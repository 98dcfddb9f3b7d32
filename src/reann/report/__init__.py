"""What people read: tables on the terminal, files of predictions, and `report.html`."""

from reann.report.page import write_report

__all__ = ["write_report"]

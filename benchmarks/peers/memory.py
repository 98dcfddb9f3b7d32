"""How much memory a piece of work needs at its peak, beyond what was there before it."""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")


class Peak:
    """Remembers how much memory the process has; its peak is forgotten (Linux)."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM becomes VmRSS
        self.before = _bytes("VmRSS")

    def above(self) -> int:
        """Return the largest resident memory since then, less that of then, in bytes."""
        return _bytes("VmHWM") - self.before


def _bytes(field: str) -> int:
    line = next(t for t in STATUS.read_text().splitlines() if t.startswith(field))
    return 1024 * int(line.split()[1])

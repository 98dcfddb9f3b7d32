"""Names of backends, known without PyTorch, so that a configuration is checked without it."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

AUTO = "auto"
"""The native engine on CPUs and that of Triton on GPUs where they can, else the reference."""
BUILT_IN = (AUTO, "native", "triton", "torch")
GROUP = "reann.backends"


def added() -> dict[str, EntryPoint]:
    """Return the backends that installed packages add, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}

"""Names of the backends, without importing PyTorch, so that configurations load quickly."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

AUTO = "auto"
"""The native engine on CPUs and Triton on GPUs if they support the model, else PyTorch."""
BUILT_IN = (AUTO, "native", "triton", "torch")
GROUP = "reann.backends"


def added() -> dict[str, EntryPoint]:
    """Return the backends of installed packages, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}

"""What the original package reached, epoch by epoch, and the same trainings with this one.

The original (bjiangch/REANN 6fbbfc2) as published: 8 radial functions, l <= 2, 108 orbitals, nets
64-64-64, plateau schedule; validation errors of one run each. Ours get the same structures but for
those that choose the best epoch here, the same batch and the same number of epochs, and are tested
on what the original was validated on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trial import Trial


@dataclass(frozen=True)
class Curve:
    """A run of the original and its errors: epoch -> energy in meV, forces in meV/Å."""

    set: str
    settings: tuple[str, ...]
    seconds_per_epoch: float | None
    """On one core of a machine with AVX-512, where it was noted."""
    reached: dict[int, tuple[float, float]]

    @property
    def label(self) -> str:
        """Name of the same training with this package."""
        recursions = next(s for s in self.settings if "n_recursions" in s).rpartition("=")[2]
        return f"as-original-T{recursions}"


DENSITY = "model.preset=density"


def _ch4(t: int) -> tuple[str, ...]:
    return DENSITY, f"model.n_recursions={t}", "model.cutoff=6", "training.batch_size=32"


CURVES = [
    Curve(
        "co2-ni100",
        (DENSITY, "model.n_recursions=3", "training.batch_size=16"),
        10.0,
        {60: (3615, 195.4), 150: (402, 57.8), 304: (202, 43.5)},
    ),
    Curve("ch4", _ch4(0), None, {60: (1680, 1227.9), 150: (351, 567.4), 249: (253, 455.1)}),
    Curve("ch4", _ch4(1), None, {60: (1129, 567.4), 150: (430, 379.7), 249: (259, 310.5)}),
    Curve("ch4", _ch4(3), 5.0, {60: (1008, 598.1), 150: (446, 328.2), 249: (131, 261.7)}),
    Curve(
        "acac",
        (DENSITY, "model.n_recursions=3", "training.batch_size=8"),
        4.0,
        {60: (1947, 251.9), 150: (24, 69.1), 249: (35, 55.6)},
    ),
]


def trials(seeds: list[int], epochs: int) -> Iterator[Trial]:
    """Yield the same trainings with this package."""
    for seed in seeds:
        for curve in CURVES:
            label = f"{curve.label}-{epochs}"
            yield Trial(curve.set, label, curve.settings, seed, epochs=epochs)

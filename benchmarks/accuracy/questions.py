"""What is tried, one change at a time, with the density and with equivariant messages."""

from __future__ import annotations

from dataclasses import dataclass

Changes = dict[str, dict[str, tuple[str, ...]]]
"""Settings by the label of a change, by question."""


@dataclass(frozen=True)
class Study:
    """A base, and changes of it that are compared with it."""

    folder: str
    """Of the results."""
    base: tuple[str, ...]
    """Settings to which every change is added."""
    epochs: dict[str, int]
    """By set."""
    questions: Changes
    on_test: bool
    """Whether changes are compared on test structures, else on those of validation."""
    timed: bool
    """Whether the times per atom were taken on a quiet machine and are shown."""


def _networks(settings: str) -> tuple[str, ...]:
    return f"model.readout.{settings}", f"model.update.{settings}"


OF_THE_DENSITY: Changes = {
    "base": {"base": ()},
    "n_radial": {f"n_radial-{k}": (f"model.n_radial={k}",) for k in (12, 16)},
    "recursions": {f"recursions-{t}": (f"model.n_recursions={t}",) for t in (0, 1, 3)},
    "width": {"width-128": _networks("hidden=[128, 128]")},
    "l_max": {f"l_max-{l}": (f"model.l_max={l}",) for l in (1, 3, 4)},
    "batch": {f"batch-{n}": (f"training.batch_size={n}",) for n in (1, 4)},
    "cutoff": {f"cutoff-{r}": (f"model.cutoff={r}",) for r in (4, 6)},
    "optimizer": {"adamw": ("training.optimizer=adamw",)},
    "rate": {f"rate-{r}": (f"training.learning_rate={r}",) for r in ("1e-3", "1e-2")},
    "depth": {
        "one-layer": _networks("hidden=[64]"),
        "two-blocks": _networks("blocks=2"),
    },
    "cutoff function": {"polynomial": ("model.cutoff_function=polynomial",)},
    "features": {
        "many-body": ("model.features=many_body",),
        "many-body-64": ("model.features=many_body", "model.n_orbitals=64"),
        "orbitals": ("model.features=orbitals",),
        "orbitals-64": ("model.features=orbitals", "model.n_orbitals=64"),
    },
    "messages": {"directional": ("model.messages=directional",)},
    "angular": {"raw": ("model.angular=raw",)},
    "radial": {"pair": ("model.radial=pair",)},
    "standardization": {"none": ("model.standardize=false",)},
    "layer norm": {"layer-norm": _networks("layer_norm=true")},
    "average": {f"average-{x}": (f"training.ema={x}",) for x in (0, 0.999)},
    "decay": {f"decay-{x}": (f"training.weight_decay={x}",) for x in (0.1, 0.3, 1)},
    "energy emphasis": {f"emphasis-{x}": (f"training.loss.energy_emphasis={x}",) for x in (1, 100)},
    "stress": {f"stress-{x}": (f"training.loss.stress={x}",) for x in (0, 0.3)},
    "huber": {"huber-0.1": ("training.loss.huber=0.1",)},
    "precision": {"float64": ("training.precision=float64",)},
}

OF_EQUIVARIANT_MESSAGES: Changes = {
    "base": {"base": ()},
    "channels": {f"channels-{k}": (f"model.channels={k}",) for k in (32, 96)},
    "rate": {f"rate-{r}": (f"training.learning_rate={r}",) for r in ("3e-3", "6e-3")},
    "warm-up": {
        f"warm-up-{x}": (f"training.schedule={{name: cosine, warmup: {x}}}",) for x in (0.01, 0.15)
    },
    "limit": {
        "limit-1": ("model.moment_limit=1",),
        "no-limit": ("model.moment_limit=null",),
    },
    "cutoff": {f"cutoff-{r}": (f"model.cutoff={r}",) for r in (4, 4.5, 6)},
    "cutoff function": {"polynomial": ("model.cutoff_function=polynomial",)},
    "radial functions": {f"n_radial-{n}": (f"model.n_radial={n}",) for n in (6, 12)},
    "batch": {f"batch-{n}": (f"training.batch_size={n}",) for n in (2, 5)},
    "decay": {f"decay-{x}": (f"training.weight_decay={x}",) for x in (0.1, 1)},
}

STUDIES = {
    "density": Study(
        "ask",
        (
            "model.preset=density",
            "model.n_radial=8",
            "model.features=gram",
            "training.weight_decay=1e-4",
        ),
        {"ethanol": 60, "water-revpbe0": 40, "si": 60, "co2-ni100": 20},
        OF_THE_DENSITY,
        on_test=True,
        timed=True,
    ),
    "equivariant": Study(
        "ask-equivariant",
        ("model.preset=accurate",),
        {"aspirin-50": 200, "si": 60},
        OF_EQUIVARIANT_MESSAGES,
        on_test=False,
        timed=False,
    ),
}

"""What is tried, one change at a time, on a molecule, a liquid, a solid and a surface."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """The budget of the answers on a data set."""

    epochs: int


SYSTEMS = {
    "ethanol": System(60),
    "water-revpbe0": System(40),
    "si": System(60),
    "co2-ni100": System(20),
}


def _networks(settings: str) -> tuple[str, ...]:
    return f"model.readout.{settings}", f"model.update.{settings}"


BASE = (
    "model.preset=density",
    "model.n_radial=8",
    "model.features=gram",
    "training.weight_decay=1e-4",
)
"""What every change is added to: small, so that many can be tried."""

QUESTIONS: dict[str, dict[str, tuple[str, ...]]] = {
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

"""Other potentials with the settings of their publications, for the figure `front`.

Settings come from the appendices of arXiv 2206.07697 (MACE for rMD17: two layers, 256 channels,
l = 3, 5 Å, float32, the order L of its messages not stated; NequIP: five layers, 64 features of
even and odd parity, l = 3, 4 Å) and arXiv 2204.05249 (Allegro for rMD17: three layers, 128 tensor
features of both parities, l = 3, 7 Å), from the configuration of MACE-MP-0 medium (128 channels,
L = 1, 6 Å) and from the one for 3BPA in NequIP's repository (four layers, 64 features, l = 3, 5 Å).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SOURCE = "arXiv 2206.07697, Table 1"
"""Of the errors."""


@dataclass(frozen=True)
class Published:
    """Settings of another potential for one of the structures."""

    name: str
    environment: str
    """Name in `peers/environments.py`."""
    script: str
    options: dict[str, Any]
    task: str = "evaluate"
    """`rebuild` where the neighbor list is always included."""
    forces_mae: float | None = None
    """Published for aspirin, rMD17, 950 + 50 structures, in meV/Å."""


def _mace(hidden: str, cutoff: float, error: float | None = None) -> Published:
    name = f"MACE, {hidden}, {cutoff:g} Å"
    options = {"hidden": hidden, "cutoff": cutoff}
    return Published(name, "mace", "mace_random.py", options, forces_mae=error)


def _nequip(layers: int, cutoff: float, error: float | None = None) -> Published:
    settings = {"num_layers": layers, "l_max": 3, "num_features": 64}
    settings |= {"radial_mlp_depth": 2, "radial_mlp_width": 64}
    options = {"cutoff": cutoff, "settings": settings}
    name = f"NequIP, {layers} layers, l = 3, {cutoff:g} Å"
    return Published(name, "nequip", "nequip_random.py", options, forces_mae=error)


_BESSEL = {
    "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
    "num_bessels": 8,
}
_ALLEGRO = {
    "num_layers": 3,
    "l_max": 3,
    "num_scalar_features": 1024,
    "num_tensor_features": 128,
    "radial_chemical_embed": _BESSEL,
    "scalar_embed_mlp_hidden_layers_depth": 3,
    "scalar_embed_mlp_hidden_layers_width": 512,
    "allegro_mlp_hidden_layers_depth": 3,
    "allegro_mlp_hidden_layers_width": 1024,
    "readout_mlp_hidden_layers_width": 128,
}

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "aspirin 105": (
        _mace("256x0e+256x1o", 5.0, 6.6),
        _nequip(5, 4.0, 8.2),
        Published(
            "Allegro, 3 layers, l = 3, 7 Å",
            "nequip",
            "nequip_random.py",
            {"form": "allegro", "cutoff": 7.0, "settings": _ALLEGRO},
            forces_mae=7.3,
        ),
    ),
    "water 192": (_mace("128x0e+128x1o", 6.0), _nequip(4, 5.0)),
}

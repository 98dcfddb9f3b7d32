"""The draws of a calibrated potential, kept as long as its weights and calibration are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from reann.calibration import Calibration

if TYPE_CHECKING:
    from torch import Tensor

    from reann.potential import Ensemble, Potential


class Draws:
    """Draws of the last layer of one potential, made when they are first needed."""

    def __init__(self) -> None:
        self._weights: dict[str, Tensor] = {}
        self._calibration: Calibration | None = None
        self._ensemble: Ensemble | None = None

    def of(self, potential: Potential) -> Ensemble | None:
        """Return the ensemble of `with_uncertainty`; None if the potential is not calibrated."""
        calibration, weights = potential.calibration, potential.model.state_dict()
        if calibration is None:
            return None
        if self._ensemble is None or calibration != self._calibration or not self._has(weights):
            self._weights = {name: tensor.clone() for name, tensor in weights.items()}
            self._calibration, self._ensemble = calibration, potential.with_uncertainty()
        return self._ensemble

    def _has(self, weights: dict[str, Tensor]) -> bool:
        """Return whether these are the weights of the draws; they may be changed in place."""
        return all(
            (known := self._weights[name]).dtype == tensor.dtype
            and known.device == tensor.device
            and torch.equal(known, tensor)
            for name, tensor in weights.items()
        )

"""The draws of a calibrated potential, kept as long as its weights and calibration are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reann.calibration import Calibration
from reann.kept_weights import are_current, kept

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
        calibration, model = potential.calibration, potential.model
        if calibration is None:
            return None
        is_made = self._ensemble is not None and calibration == self._calibration
        if not (is_made and are_current(self._weights, model.state_dict())):
            self._weights, self._calibration = kept(model), calibration
            self._ensemble = potential.with_uncertainty()
        return self._ensemble

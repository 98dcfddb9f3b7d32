"""Potentials in the form in which they are compared with labels."""

from __future__ import annotations

import copy

from reann.potential import Ensemble, Potential
from reann.torch_state import differentiable


@differentiable()
def as_labeled(potential: Potential | Ensemble) -> Potential | Ensemble:
    """Return a potential without its dispersion, if it was trained on labels without dispersion.

    This is a copy: the dispersion of the potential itself stays on, also in other threads.
    """
    dispersion = potential.model.dispersion
    if dispersion is None or dispersion.config.labels == "contain":
        return potential
    members = []
    for member in potential.members:
        model = copy.deepcopy(member.model)
        if model.dispersion is not None:
            model.dispersion.is_on = False
        members.append(Potential(model, member.metadata))
    return members[0] if len(members) == 1 else Ensemble(members)

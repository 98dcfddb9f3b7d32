"""Hosts: descriptors to which the recursion can be applied, such as the embedded density.

Packages add hosts through entry points of the group `reann.hosts`. The file of a potential
contains the name of its host, but no code.
"""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points

import torch

from reann.config import ModelConfig
from reann.errors import UserError, did_you_mean
from reann.facts import FIELD_DENSITY
from reann.model.hosts.deep_pot import DeepPot
from reann.model.hosts.embedded_density import EmbeddedDensity
from reann.model.hosts.field_density import FieldDensity
from reann.model.hosts.host import Host, MomentHost
from reann.model.hosts.power_spectrum import PowerSpectrum
from reann.model.hosts.symmetry_functions import SymmetryFunctions

__all__ = ["GROUP", "HOSTS", "Host", "MomentHost", "host_of", "kind_of"]

HOSTS: dict[str, type[Host]] = {
    "density": EmbeddedDensity,
    "symmetry_functions": SymmetryFunctions,
    "deep_pot": DeepPot,
    "power_spectrum": PowerSpectrum,
}
CONVERTED: dict[str, type[Host]] = {FIELD_DENSITY: FieldDensity}
"""Hosts of converted models, whose features of an isolated atom are not zero."""
GROUP = "reann.hosts"


def host_of(config: ModelConfig, n_elements: int, generator: torch.Generator | None = None) -> Host:
    """Return the host of a configuration, with seeded weights.

    Raises
    ------
    UserError
        If there is no such host, or its options are not valid.
    """
    kind = kind_of(config.host)
    known = inspect.signature(kind).parameters
    options = [n for n, p in known.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for name in config.host_options:
        if name not in options:
            raise UserError(
                f"The host {config.host} has no option '{name}'.{did_you_mean(name, options)}",
                "model.host_options",
                f"It has {', '.join(options) or 'none'}.",
            )
    try:
        return kind(config, n_elements, generator, **config.host_options)
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        if not config.host_options:
            raise
        raise UserError(
            f"The host {config.host} refuses {config.host_options}: {error}.", "model.host_options"
        ) from error


def kind_of(name: str) -> type[Host]:
    """Return the class of a host; `UserError` if there is no host with this name."""
    if name in HOSTS or name in CONVERTED:
        return (HOSTS | CONVERTED)[name]
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name not in installed:
        known = [*HOSTS, *installed]
        raise UserError(
            f"There is no host '{name}'.{did_you_mean(name, known)}",
            "model.host",
            f"Use one of {', '.join(known)}, or install the package that has it.",
        )
    return installed[name].load()

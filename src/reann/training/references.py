"""The reference energies of each head, from the settings of the data and its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from reann.config import Config
from reann.data.dataset import Subset
from reann.data.statistics import ReferenceEnergies, reference_energies
from reann.errors import UserError

Reference = Literal["auto", "fit", "isolated"] | dict[str, float]
"""The setting `reference_energies`."""


def references(config: Config, train: Subset) -> list[ReferenceEnergies]:
    """Return the reference energies of each head.

    Raises
    ------
    UserError
        If `data` sets them but there are several heads, if sources of one head differ, or if a
        head has no structures.
    """
    settings = reference_settings(config)
    for head, name in enumerate(config.model.heads):
        if not len(train.of_head(head)):
            raise UserError(
                f"No structure of the training set belongs to the head '{name}', so it cannot be"
                " trained.",
                "model.heads",
                "Add structures of this head to data.train, or remove the head.",
            )
    return [reference_energies(train, setting, head) for head, setting in enumerate(settings)]


def reference_settings(config: Config) -> list[Reference]:
    """Return `reference_energies` of each head, from its sources or `data`; see `references`."""
    heads, general = config.model.heads, config.data.reference_energies
    by_head: dict[str, dict[str, Reference]] = {head: {} for head in heads}
    for number, source in enumerate(config.data.all_sources()):
        if source.reference_energies is not None:
            place = f"data.sources.{number}.reference_energies"
            if len(heads) > 1 and source.keys.head is not None:
                raise UserError(
                    "Reference energies belong to one head, but the structures of this source may"
                    " belong to different heads (keys.head).",
                    place,
                    "Divide the files into sources with one head each, or remove"
                    " reference_energies.",
                )
            by_head[source.head or heads[0]][place] = source.reference_energies
    settings = []
    for head, of_sources in by_head.items():
        if any(setting != next(iter(of_sources.values())) for setting in of_sources.values()):
            raise UserError(
                f"Sources of the head {head} have different reference energies.",
                ", ".join(of_sources),
                "Set them in only one of these sources.",
            )
        settings.append(next(iter(of_sources.values()), general))
        if len(heads) > 1 and not of_sources and isinstance(general, Mapping):
            raise UserError(
                "There is only one set of reference energies, but the model has the heads"
                f" {', '.join(heads)}.",
                "data.reference_energies",
                "Set them in the sources of each head (data.sources), add isolated atoms to the"
                " data of each head, or use `fit`.",
            )
    return settings


def fitted(train: Subset, of_heads: Sequence[ReferenceEnergies]) -> list[ReferenceEnergies]:
    """Return fitted energies for each head, for the errors that a network has to reduce.

    The errors of isolated atoms' energies would be those of the binding energies, compared with
    which any model is good.
    """
    return [
        known if known.source == "fit" else reference_energies(train, "fit", head)
        for head, known in enumerate(of_heads)
    ]

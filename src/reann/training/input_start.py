"""Reference energies of charge and spin: what they change in the energies of the training set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from reann.data.dataset import Subset
from reann.data.statistics import ReferenceEnergies
from reann.errors import UserError
from reann.model import Reann
from reann.model.inputs import numbers_of_values
from reann.quantities import named


@torch.no_grad()
def set_input_energies(
    model: Reann, train: Subset, references: Sequence[ReferenceEnergies]
) -> None:
    """Fit eta of each head to the total energies, the smallest that fit best.

    Where the e_Z were fitted, both are fitted at once; else e_Z stay as they are.

    Raises
    ------
    UserError
        If no structure has an input that the model depends on.
    """
    names = model.config.inputs
    if not names:
        return
    require_inputs(train, names)
    dataset = train.dataset
    for number, (head, reference) in enumerate(zip(model.heads.as_list(), references, strict=True)):
        part = train.of_head(number)
        known = np.isfinite(dataset.rows("energy", part.indices)) if dataset.has("energy") else None
        if known is None or not known.any():
            continue
        indices = part.indices[known]
        composition = dataset.composition()[indices].astype(np.float64)
        values = {name: torch.from_numpy(dataset.rows(name, indices)) for name in names}
        x = numbers_of_values(values, torch.from_numpy(dataset.n_atoms[indices])).numpy()
        of_inputs = (x[:, :, None] * composition[:, None]).reshape(len(indices), -1)
        energies = dataset.rows("energy", indices)
        if reference.source == "fit":
            columns = np.concatenate([composition, of_inputs], axis=1)
        else:
            columns, energies = of_inputs, energies - composition @ head.reference_energies.numpy()
        solution = torch.from_numpy(np.linalg.lstsq(columns, energies, rcond=1e-12)[0])
        if reference.source == "fit":
            head.reference_energies.copy_(solution[: len(model.elements)])
        head.of_inputs.copy_(solution[-head.of_inputs.numel() :].view(head.of_inputs.shape))


def require_inputs(train: Subset, names: Sequence[str]) -> None:
    """Raise `UserError` unless structures have the inputs of a model; defaults are not assumed."""
    for name in names:
        if not train.dataset.has(name):
            raise UserError(
                f"The energy of the model depends on the {named(name).about}, but no structure"
                " has it.",
                f"data.keys.{name}",
                f"Set its key with data.keys.{name}, or remove {name} from model.inputs.",
            )

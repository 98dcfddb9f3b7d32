"""`Potential`: a model with metadata and methods to predict, save and load.

`Ensemble` has the same methods for several potentials: mean and standard deviation.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.data import chemical_symbols
from torch import Tensor

from reann.arbitrary_sign import stacked_members
from reann.backends import choice
from reann.backends.choice import Engine
from reann.calibration import Calibration
from reann.data.labels.inputs import InputKeys
from reann.device import memory_advice
from reann.display import Displayed, Summary
from reann.draws import Draws
from reann.elements import check_elements
from reann.errors import UserError, counted
from reann.graph import Graph
from reann.model import Reann
from reann.model.last_layer import last_layer, set_last_layer
from reann.model_file import model_file
from reann.potential_file import read_members, write_members
from reann.potential_summary import rows_of
from reann.prediction import DEFAULT_PROPERTIES, Prediction, calibrate, labels_of, predict
from reann.quantities import named
from reann.torch_state import differentiable


class Potential(Displayed):
    """A trained model with its metadata.

    Attributes
    ----------
    model
        The model.
    metadata
        Source of the reference energies, errors, settings, versions.
    """

    def __init__(self, model: Reann, metadata: dict[str, Any] | None = None) -> None:
        self.model = model.eval()
        self.metadata = metadata or {}
        self._draws = Draws()

    @property
    def elements(self) -> list[str]:
        """Symbols of the supported elements."""
        return [chemical_symbols[z] for z in self.model.elements]

    @property
    def cutoff(self) -> float:
        """Largest distance of neighbors in Å."""
        return self.model.cutoff

    @property
    def members(self) -> list[Potential]:
        """The potential itself, for a common interface with ensembles."""
        return [self]

    @property
    def labels(self) -> list[str]:
        """Predicted labels: the energy and its derivatives, and other outputs."""
        return labels_of(self.model)

    @cached_property
    def input_keys(self) -> InputKeys:
        """Inputs of the model, and the keys in `atoms.info` under which they are read."""
        return InputKeys.of_training(self.model.inputs, self.metadata)

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.element_index.device

    @property
    def calibration(self) -> Calibration | None:
        """Draws of the last layer and factors for the uncertainty; None if not calibrated."""
        return Calibration.of(self.metadata, "last layer")

    @differentiable()
    def with_uncertainty(self) -> Ensemble:
        """Return an ensemble of draws of the last layer, whose spread is calibrated.

        It is used and saved like any other ensemble. Its mean is this potential; it takes as long
        as all its members together.

        Raises
        ------
        UserError
            If the potential is not calibrated.
        """
        if (calibration := self.calibration) is None:
            raise UserError(
                "This potential has no uncertainty: it is not calibrated.",
                fix="Calibrate it: `reann calibrate MODEL --validation VALID --training TRAIN`.",
            )
        weights = last_layer(self.model)
        of_draws = calibration.model_copy(update={"kind": "ensemble", "draws": ""})
        metadata = self.metadata | of_draws.metadata()
        members = []
        for change in torch.from_numpy(calibration.drawn(weights.numel())):
            model = copy.deepcopy(self.model)
            set_last_layer(model, weights + change.view_as(weights).to(weights.device))
            members.append(Potential(model, metadata))
        return Ensemble(members)

    def to(self, device: torch.device | str) -> Potential:
        """Move the model to a device."""
        self.model.to(device)
        return self

    def predict(
        self,
        atoms: Atoms | Sequence[Atoms],
        names: Iterable[str] = DEFAULT_PROPERTIES,
        engine: Engine = "auto",
        *,
        spread: bool = True,
    ) -> Prediction | list[Prediction]:
        """Return properties of one structure, or of each of several, as numpy arrays.

        A calibrated potential also gives `energy_std`, `forces_std` and `stress_std`.

        Parameters
        ----------
        names
            Out of energy (eV), energies (eV), forces (eV/Å), stress (3x3, eV/Å^3, ASE's sign),
            virial and virials (eV), extrapolation: distances of the atoms' densities from the
            range of the training, in its widths, and outputs of the model such as dipole (e Å).
            Models that depend on them take the total charge and the electric field from
            `atoms.info`: `charge` in e, `spin` as multiplicity 2 S + 1, `field` in V/Å; also under
            the keys of the training files, and under names that are detected in such files.
        engine
            `native`, `triton`, `torch`, `auto` (native on CPUs, triton on GPUs, else torch), or
            a backend; see `reann.backends`.
        spread
            Whether a calibrated potential gives standard deviations: each draw of the last layer
            takes as long as the prediction itself.

        Raises
        ------
        UserError
            If elements, properties or the backend are unknown, atoms coincide, the cell is invalid,
            several keys state different values of an input, the model has no energy, or the stress
            is requested for a structure that is not periodic in three dimensions.
        """
        return predict(self, atoms, names, engine, self._draws.of(self) if spread else None)

    def evaluate(
        self, graph: Graph, names: Iterable[str], engine: Engine = "auto"
    ) -> dict[str, Tensor]:
        """Return properties of a batch as tensors, no uncertainties; see `reann.properties`.

        Raises
        ------
        UserError
            If elements are not supported, or the memory of a GPU is insufficient.
        """
        check_elements(self.model.elements, graph.atomic_numbers.cpu().numpy())
        less = "fewer structures at once" if graph.n_systems > 1 else "fewer atoms"
        advice = f"Compute {less}, or on the CPU: --device cpu, in Python device='cpu'."
        with memory_advice(graph.n_atoms, graph.n_edges, advice):
            return choice.evaluate(self.model, graph, names, engine=engine)

    def save(self, path: str | Path) -> None:
        """Write a `.reann` file, which `reann.load` reads."""
        write_members(path, [(member.model, member.metadata) for member in self.members])

    def _summary(self) -> Summary:
        return Summary(f"Potential of {', '.join(self.elements)}", rows_of(self))


def _form(model: Reann) -> tuple[list[int], dict[str, Any], torch.dtype]:
    """Return what the members of an ensemble must share: elements, settings and precision."""
    settings = model.config.model_dump(exclude={"preset"})
    return model.elements, settings, model.dtype


class Ensemble(Displayed):
    """Several potentials for the same elements: mean and standard deviation of predictions.

    If a member is an ensemble, its members are used.
    """

    def __init__(self, members: Sequence[Potential | Ensemble]) -> None:
        self.members = [potential for member in members for potential in member.members]
        if not self.members:
            raise UserError("An ensemble needs at least one potential.")
        if any(_form(p.model) != _form(self.members[0].model) for p in self.members):
            raise UserError(
                "The potentials of an ensemble differ in elements, settings or precision.",
                fix="Train them together with `run.seeds=4`.",
            )

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the first member."""
        return self.members[0].metadata

    @property
    def calibration(self) -> Calibration | None:
        """Factors of its standard deviations; None if it is not calibrated with these members."""
        calibration = Calibration.of(self.metadata, "ensemble")
        return (
            calibration
            if calibration is not None and calibration.number == len(self.members)
            else None
        )

    @property
    def elements(self) -> list[str]:
        """Symbols of the supported elements."""
        return self.members[0].elements

    @property
    def cutoff(self) -> float:
        """Largest distance of neighbors in Å."""
        return self.members[0].cutoff

    @property
    def model(self) -> Reann:
        """The model of the first member."""
        return self.members[0].model

    @property
    def labels(self) -> list[str]:
        """Predicted labels."""
        return self.members[0].labels

    @property
    def input_keys(self) -> InputKeys:
        """Inputs of the models, and the keys in `atoms.info` under which they are read."""
        return self.members[0].input_keys

    @property
    def device(self) -> torch.device:
        """Device of the models."""
        return self.members[0].device

    def to(self, device: torch.device | str) -> Ensemble:
        """Move all models to a device."""
        for member in self.members:
            member.to(device)
        return self

    def predict(
        self,
        atoms: Atoms | Sequence[Atoms],
        names: Iterable[str] = DEFAULT_PROPERTIES,
        engine: Engine = "auto",
        *,
        spread: bool = True,
    ) -> Prediction | list[Prediction]:
        """Return the mean of each property, and `energy_std`, `forces_std`, `stress_std`."""
        return predict(self, atoms, names, engine, self if spread else None)

    def evaluate(
        self, graph: Graph, names: Iterable[str], engine: Engine = "auto"
    ) -> dict[str, Tensor]:
        """Return means of a batch, the largest extrapolation, and standard deviations (n - 1).

        Standard deviations are calibrated where the ensemble is. Where the sign of a quantity is
        arbitrary, the signs of all members are those closest to the first member.
        """
        names = list(names)
        predictions = [member.evaluate(graph, names, engine) for member in self.members]
        stacked = {
            name: stacked_members(name, [values[name] for values in predictions])
            for name in predictions[0]
        }
        mean = {k: v.amax(0) if k == "extrapolation" else v.mean(0) for k, v in stacked.items()}
        if len(self.members) > 1:
            spreads = [name for name in stacked if named(name).has_spread]
            mean |= {f"{name}_std": stacked[name].std(0) for name in spreads}
            if (calibration := self.calibration) is not None:
                calibrate(mean, calibration, graph)
        return mean

    def save(self, path: str | Path) -> None:
        """Write all members to one `.reann` file."""
        write_members(path, [(member.model, member.metadata) for member in self.members])

    def _summary(self) -> Summary:
        size = counted(len(self.members), "potential")
        return Summary(f"Ensemble of {size} of {', '.join(self.elements)}", rows_of(self))


def load(path: str | Path, device: torch.device | str = "cpu") -> Potential | Ensemble:
    """Read a `.reann` file, given itself or its run folder; nothing in it is executed.

    Raises
    ------
    UserError
        If the file does not exist, is damaged, of another kind, or newer than this program, if the
        header does not agree with the tensors, or if these are not finite.
    """
    members = [Potential(model, about) for model, about in read_members(model_file(path))]
    potential = members[0] if len(members) == 1 else Ensemble(members)
    return potential.to(device)

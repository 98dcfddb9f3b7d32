"""`reann export --to metatomic`: a file for the engines of metatomic, and a check of it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput
from metatomic_ase import MetatomicCalculator

from reann.engines.files import at_start, read_start
from reann.engines.parity import Difference, checked
from reann.metatomic.model import recorded
from reann.potential import Ensemble, Potential, load

PAPER = "Zhang, Xia, Jiang, Phys. Rev. Lett. 127, 156002 (2021)"


def export(model: Path, start: Path, folder: Path) -> tuple[Path, Difference]:
    """Write the file of a potential, and compare metatomic's calculator with Python for `start`.

    Raises
    ------
    UserError
        If the structure or the potential cannot be read or do not fit, or metatomic and Python
        differ.
    """
    potential = load(model)
    atoms, origin = read_start(start)
    with at_start(origin):
        expected = potential.predict(atoms, ["energy", "forces"])
    assert isinstance(expected, dict)
    folder.mkdir(parents=True, exist_ok=True)
    file, unchecked = folder / f"{model.stem}.pt", folder / f"{model.stem}.unchecked.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript
        atomistic(potential, model.stem).save(str(unchecked))
        atoms.calc = MetatomicCalculator(
            unchecked,
            check_consistency=True,
            uncertainty_threshold=None,  # pyright: ignore[reportArgumentType]
        )
        energy, forces = atoms.get_potential_energy(), atoms.get_forces(apply_constraint=False)
    difference = Difference(
        abs(energy - float(expected["energy"])) / len(atoms),
        float(np.abs(forces - expected["forces"]).max()),
    )
    checked(difference, "metatomic", folder)
    unchecked.replace(file)
    return file, difference


def atomistic(potential: Potential | Ensemble, name: str) -> AtomisticModel:
    """Return the model with what engines have to know about it."""
    elements, config = potential.model.elements, potential.model.config
    energy = ModelOutput(unit="eV", sample_kind="atom", description="energies of atoms")
    outputs = {"energy": energy}
    if len(potential.members) > 1:
        outputs |= {"energy_ensemble": energy, "energy_uncertainty": energy}
    capabilities = ModelCapabilities(
        outputs=outputs,
        atomic_types=elements,
        interaction_range=(config.n_recursions + 1) * potential.cutoff,
        length_unit="angstrom",
        supported_devices=["cpu"],  # the recorded model holds the device where it was recorded
        dtype="float64",
    )
    about = ModelMetadata(
        name=name,
        description=f"REANN potential for {', '.join(potential.elements)}",
        references={"architecture": [PAPER]},
    )
    model = recorded(potential)
    return AtomisticModel(model, about, capabilities)  # pyright: ignore[reportArgumentType]

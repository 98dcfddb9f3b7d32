"""`reann export --to metatomic`: write the file, and compare metatomic with Python."""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from io import BytesIO
from pathlib import Path

import ase
import numpy as np
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput
from metatomic_ase import MetatomicCalculator
from numpy.typing import NDArray

from reann.interfaces.beyond import require_neighbors_alone
from reann.interfaces.metatomic.model import recorded
from reann.interfaces.parity import Difference, checked, not_computed
from reann.model_file import model_file
from reann.motion.start import at_start, read_start
from reann.output_files import check_folder, write_folder
from reann.potential import Ensemble, Potential, load

PAPER = "Zhang, Xia, Jiang, Phys. Rev. Lett. 127, 156002 (2021)"


OF_EACH_WRITING = ("export-metadata", "serialization_id", ".debug_pkl")
"""Parts of a file that differ each time it is written: date, counter, stack traces."""


def export(
    model: Path, start: Path, folder: Path, *, overwrite: bool = False
) -> tuple[Path, Difference]:
    """Write the file of a potential, and compare metatomic's calculator with Python for `start`.

    The file contains only the potential, nothing of the structure.

    Raises
    ------
    UserError
        If the structure or the potential cannot be read or do not fit, if metatomic fails or
        differs from Python, and as `write_folder`.
    """
    check_folder(folder)
    model = model_file(model)
    potential = load(model)
    require_neighbors_alone(potential.model, "metatomic", str(model))
    atoms, origin = read_start(start)
    with at_start(origin):
        expected = potential.predict(atoms, ["energy", "forces"])
    assert isinstance(expected, dict)
    name = f"{model.stem}.pt"
    with tempfile.TemporaryDirectory(prefix="reann-") as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript
        file = Path(temporary) / name
        atomistic(potential, model.stem).save(str(file))
        energy, forces = _computed(file, atoms, str(model))
        content = file.read_bytes()
    difference = Difference(
        abs(energy - float(expected["energy"])) / len(atoms),
        float(np.linalg.norm(forces - expected["forces"], axis=1).max()),
    )
    checked(difference, "metatomic", str(model))
    write_folder(folder, {name: content}, [model, start], overwrite=overwrite, same=_same)
    return folder / name, difference


def _computed(file: Path, atoms: ase.Atoms, where: str) -> tuple[float, NDArray[np.float64]]:
    """Return energy (eV) and forces (eV/Å) of metatomic's calculator."""
    try:
        atoms.calc = MetatomicCalculator(
            file,
            check_consistency=True,
            uncertainty_threshold=None,  # pyright: ignore[reportArgumentType]
        )
        # The calculator divides by the volume, which is zero for molecules.
        with np.errstate(invalid="ignore", divide="ignore"):
            return atoms.get_potential_energy(), atoms.get_forces(apply_constraint=False)
    except (RuntimeError, ValueError) as error:
        output = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        fix = "Please report this, with the potential and the structure."
        raise not_computed("metatomic", output[0], where, fix) from error


def _same(old: bytes, new: bytes) -> bool:
    parts = _parts(old)
    return parts is not None and parts == _parts(new)


def _parts(content: bytes) -> dict[str, bytes] | None:
    """Return the content of a TorchScript file without variable parts; None for other files."""
    if not zipfile.is_zipfile(BytesIO(content)):
        return None
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = [n for n in archive.namelist() if not n.endswith(OF_EACH_WRITING)]
        return {name: archive.read(name) for name in names}


def atomistic(potential: Potential | Ensemble, name: str) -> AtomisticModel:
    """Return the model with its metadata for engines."""
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
        supported_devices=["cpu"],  # the traced model keeps the device where it was traced
        dtype="float64",
    )
    about = ModelMetadata(
        name=name,
        description=f"REANN potential for {', '.join(potential.elements)}",
        references={"architecture": [PAPER]},
    )
    model = recorded(potential)
    return AtomisticModel(model, about, capabilities)  # pyright: ignore[reportArgumentType]

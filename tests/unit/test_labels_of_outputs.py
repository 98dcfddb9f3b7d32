"""Labels of outputs other than energies: shapes, units, and what cannot be one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
from ase import units as ase_units

from reann.config import Config, DataConfig, ModelConfig
from reann.data.check import survey
from reann.data.dataset import open_dataset
from reann.data.labels.extract import extract, resolve_keys
from reann.errors import UserError
from reann.evaluation.label_keys import described
from reann.quantities import OF_HEADS
from reann.training.describe import notes_of_outputs

ALPHA = np.array([[1.5, 0.1, 0.2], [0.1, 1.6, 0.3], [0.2, 0.3, 1.7]])
SIX = [1.5, 1.6, 1.7, 0.3, 0.2, 0.1]
COULOMB = 14.39964548
"""e^2 / (4 pi epsilon_0), eV Å."""


def water(**labels: Any) -> ase.Atoms:
    """Return a molecule with labels; those with a row for each atom are columns."""
    atoms = ase.Atoms("OH2", [[0, 0, 0], [0.97, 0, 0], [-0.24, 0.94, 0]])
    for name, value in labels.items():
        if isinstance(value, np.ndarray) and len(value) == 3 and name in ("charges", "shieldings"):
            atoms.arrays[name] = value
        else:
            atoms.info[name] = value
    return atoms


def read(atoms: ase.Atoms, units: dict[str, str] | None = None) -> dict[str, Any]:
    names = [q.name for q in OF_HEADS if q.name in atoms.info or q.name in atoms.arrays]
    keys = {name: name for name in names}
    data = DataConfig.model_validate({"train": "a.xyz", "keys": keys, "units": units or {}})
    return extract(atoms, resolve_keys([atoms], data, "a.xyz"), data, "a.xyz#0")


@pytest.mark.parametrize("value", [ALPHA, ALPHA.ravel(), SIX])
def test_a_polarizability_is_a_matrix_nine_numbers_or_six_in_the_order_of_voigt(value) -> None:
    np.testing.assert_array_equal(read(water(polarizability=value))["polarizability"], ALPHA)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"dipole": 1.0}, "The shape of 'dipole' is (); expected (3,)"),
        ({"dipole": [1.0, 2.0, 3.0, 4.0]}, "is (4,); expected (3,)"),
        ({"dipole": np.ones((3, 3))}, "is (3, 3); expected (3,)"),
        ({"dipole": "none"}, "'dipole' is not numeric"),
        ({"dipole": [1.0, np.inf, 0.0]}, "The dipole is inf"),
        ({"dipole": [1.0, np.nan, 0.0]}, "The dipole is nan"),
        ({"transition_dipole": np.ones((2, 3))}, "is (2, 3); expected (3,)"),
        ({"polarizability": [1.0, 1.0, 1.0]}, "(6,) or (9,) or (3, 3) (six in the order xx yy zz"),
        ({"polarizability": np.arange(9.0)}, "is not symmetric: xz is 2, but zx is 6"),
        ({"charges": [0.1, 0.2]}, "The shape of 'charges' is (2,); expected (3,)"),
        ({"charges": np.ones((3, 2))}, "The shape of 'charges' is (3, 2); expected (3,)"),
        ({"shieldings": np.ones((3, 9))}, "is (3, 9); expected (3,)"),
        ({"gap": [1.0, 2.0]}, "The shape of 'gap' is (2,); expected a single number"),
    ],
)
def test_what_cannot_be_the_label_is_named_with_its_place(labels, says) -> None:
    with pytest.raises(UserError) as raised:
        read(water(**labels))
    assert says in str(raised.value)
    assert raised.value.where.startswith("a.xyz#0")


def test_the_last_digits_of_a_polarizability_may_break_its_symmetry() -> None:
    alpha = ALPHA + np.triu(np.full((3, 3), 1e-4), 1)
    found = read(water(polarizability=alpha))["polarizability"]
    np.testing.assert_allclose(found, (alpha + alpha.T) / 2, atol=1e-15)


@pytest.mark.parametrize(
    ("units", "stated", "dipole", "polarizability"),
    [
        ({}, {}, 1.0, 1.0),
        ({"dipole": "Debye"}, {}, ase_units.Debye, 1.0),
        ({"dipole": "a.u.", "polarizability": "a.u."}, {}, ase_units.Bohr, ase_units.Bohr**3),
        ({"length": "Bohr"}, {}, ase_units.Bohr, ase_units.Bohr**3),
        ({"length": "Bohr", "dipole": "e*Ang"}, {}, 1.0, ase_units.Bohr**3),
        ({"polarizability": "e*Ang^2/V"}, {}, 1.0, COULOMB),
        ({"polarizability": "e^2 Å^2/eV"}, {}, 1.0, COULOMB),
        ({}, {"dipole_unit": "Debye"}, ase_units.Debye, 1.0),
        ({}, {"polarizability-unit": "a0 a0 a0"}, 1.0, ase_units.Bohr**3),
        ({}, {"units": {"dipole": "e*Bohr"}}, ase_units.Bohr, 1.0),
    ],
)
def test_labels_are_converted_from_units_that_are_given_or_stated(
    units, stated, dipole, polarizability
) -> None:
    mu = np.array([0.1, -0.2, 0.3])
    found = read(water(dipole=mu, transition_dipole=-mu, polarizability=SIX, **stated), units)
    np.testing.assert_allclose(found["dipole"], dipole * mu, rtol=1e-8)
    np.testing.assert_allclose(found["polarizability"], polarizability * ALPHA, rtol=1e-8)
    if not units.get("dipole") and not stated:
        np.testing.assert_allclose(found["transition_dipole"], -dipole * mu, rtol=1e-8)


@pytest.mark.parametrize(
    ("units", "stated", "says"),
    [
        ({"dipole": "Ang"}, {}, "'Ang' is not a known dipole unit"),
        ({"polarizability": "Ang^2"}, {}, "'Ang^2' is not a known polarizability unit"),
        ({}, {"dipole_unit": "furlong"}, "unknown unit of the dipole: 'furlong'"),
        ({"dipole": "e*Ang"}, {"dipole_unit": "Debye"}, "but data.units.dipole is 'e*Ang'"),
    ],
)
def test_units_that_are_unknown_or_contradict_each_other_are_errors(units, stated, says) -> None:
    with pytest.raises(UserError, match=says.replace("^", r"\^").replace("*", r"\*")):
        read(water(dipole=np.ones(3), polarizability=SIX, **stated), units)


def test_a_key_that_names_another_unit_is_noted_and_the_unit_that_is_read_is_said() -> None:
    keys = {"dipole": "mu_debye"}
    data = DataConfig.model_validate({"train": "a.xyz", "keys": keys})
    resolved = resolve_keys([water(mu_debye=np.ones(3))], data, "a.xyz")
    assert "'mu_debye' is in Debye, but it is read in e*Å" in resolved.notes[0]
    assert described(resolved, data.units) == "dipole 'mu_debye' in e*Ang"


def test_labels_of_outputs_are_read_under_their_own_names_unless_others_are_given() -> None:
    values = {
        "data": {"train": "a.xyz", "keys": {"dipole": "mu"}},
        "model": {"outputs": ["dipole", "charges"]},
    }
    keys = Config.model_validate(values).data.keys
    assert (keys.of("dipole"), keys.of("charges"), keys.of("gap")) == ("mu", "charges", None)


def test_what_labels_may_be_wrong_is_noted_before_a_training(tmp_path: Path) -> None:
    structures = [water(dipole=np.ones(3), polarizability=SIX) for _ in range(3)]
    slab = structures[1]
    slab.pbc, slab.cell = (True, True, False), [9.0, 9.0, 9.0]
    structures[2].info["polarizability"] = [1.5, 0.1, 1.6, 0.2, 0.3, 1.7]  # xx xy yy xz yz zz
    path = str(tmp_path / "a.xyz")
    ase.io.write(path, structures, format="extxyz")
    model = ModelConfig(outputs=["dipole", "polarizability"])
    data = DataConfig.model_validate({"train": path, "keys": {n: n for n in model.outputs}})
    notes = notes_of_outputs(model, open_dataset(path, data, 3.0, tmp_path / "cache"))
    assert "labels must be on the same branch of the polarization" in notes[0]
    assert "the polarizability of 1 structure" in notes[1]
    assert "a.xyz#2, has a negative eigenvalue" in notes[1]
    assert len(notes) == 2
    (finding,) = (f for f in survey([path], data, 3.0).findings if f.name == "periodic-dipoles")
    assert (finding.severity, finding.count) == ("note", 1)

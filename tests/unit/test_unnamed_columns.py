"""What extended XYZ files hold without the name that readers expect is neither lost nor guessed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from reann.config import DataConfig, Keys
from reann.data.check.survey import survey
from reann.data.dataset import open_dataset
from reann.data.files.read import iter_atoms
from reann.errors import UserError

LATTICE = '"6.0 0.0 0.0 0.0 6.0 0.0 0.0 0.0 6.0"'
FORCES = np.array([[0.3, -0.1, 0.2], [0.1, 0.4, -0.5], [-0.4, -0.3, 0.3]])
NAMED = "Properties=species:S:1:pos:R:3:forces:R:3"


def frames(path: Path, comment: str, *, columns=FORCES) -> Path:
    """Write four waters; `{e}` in the comment is the energy."""
    text = ""
    for i in range(4):
        text += f"3\n{comment.format(e=-76.4 - 0.1 * i)}\n"
        positions = np.eye(3) + 0.01 * i
        for symbol, row in zip("OHH", np.hstack([positions, columns]), strict=True):
            text += f"{symbol} {' '.join(f'{x:.6f}' for x in row)}\n"
    path.write_text(text)
    return path


def opened(path: Path, **keys):
    data = DataConfig(train=str(path), keys=Keys(**keys))
    return open_dataset(str(path), data, 3.0, path.parent / "cache")


@pytest.mark.parametrize(
    "comment", ["energy={e}", "energy={e} Properties=species:S:1:pos:R:3", "{e}"]
)
def test_columns_without_a_name_are_asked_about_and_can_be_named(tmp_path, comment):
    path = frames(tmp_path / "a.xyz", comment)
    with pytest.raises(UserError, match="columns_5_to_7") as info:
        opened(path)
    assert "forces: columns_5_to_7" in info.value.fix
    assert any(f.severity == "error" for f in survey([str(path)], None, 3.0).findings)
    energy = "word_1" if comment == "{e}" else "energy"
    dataset = opened(path, forces="columns_5_to_7", energy=energy)
    assert np.allclose(dataset.label("forces")[:3], FORCES)
    assert np.allclose(dataset.label("energy"), [-76.4, -76.5, -76.6, -76.7])


def test_one_column_without_a_name_is_listed(tmp_path):
    path = frames(tmp_path / "a.xyz", "energy={e}", columns=FORCES[:, :1])
    assert "Not used: column_5." in opened(path).notes


@pytest.mark.parametrize(
    "comment",
    [
        "energy={e} " + NAMED.replace("Properties", "properties"),
        'energy={e} PROPERTIES="species:S:1:pos:R:3:forces:R:3"',
        f"energy={{e}} lattice={LATTICE} {NAMED}",
    ],
)
def test_properties_and_lattice_are_read_in_any_case(tmp_path, comment):
    dataset = opened(frames(tmp_path / "a.xyz", comment))
    assert np.allclose(dataset.label("forces")[:3], FORCES)
    assert dataset.atoms(0).cell.array.any() == ("lattice" in comment)
    assert dataset.atoms(0).pbc.all() == ("lattice" in comment)


@pytest.mark.parametrize(
    ("comment", "key"),
    [
        ("energy: {e} gnorm: 0.0004 " + NAMED, "word_2"),
        ("Coordinates from ORCA-job a b E {e} " + NAMED, "word_7"),
        (f"Lattice={LATTICE} {NAMED} {{e}}", "word_3"),
    ],
)
def test_an_energy_without_a_key_is_asked_about_and_can_be_named(tmp_path, comment, key):
    path = frames(tmp_path / "a.xyz", comment)
    with pytest.raises(UserError, match=f"'{key}' ") as info:
        opened(path)
    assert f"energy: {key}" in info.value.fix
    assert np.allclose(opened(path, energy=key).label("energy"), [-76.4, -76.5, -76.6, -76.7])


@pytest.mark.parametrize("key", ["Cell", "box", "unit_cell", "supercell", "lattice_vectors"])
def test_a_cell_under_another_key_is_an_error(tmp_path, key):
    comment = f"energy={{e}} {key}={LATTICE} {NAMED}"
    with pytest.raises(UserError, match=f"The cell is under the key '{key}'") as info:
        list(iter_atoms(str(frames(tmp_path / "a.xyz", comment))))
    assert "Lattice=" in info.value.fix
    molecule = frames(tmp_path / "b.xyz", f'{comment} pbc="F F F"')
    assert len(list(iter_atoms(str(molecule)))) == 4


def test_rows_that_end_in_words_are_read_as_before(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("2\nenergy=-1.0\nO 0 0 0 0.1 # first\nH 0 0 1 0.2\n")
    ((atoms, _),) = iter_atoms(str(path))
    assert set(atoms.arrays) == {"numbers", "positions"}


def test_what_ase_writes_is_read_unchanged(tmp_path):
    ((given, _), *_) = iter_atoms(str(frames(tmp_path / "a.xyz", f"energy={{e}} {NAMED}")))
    given.info |= {"flag": True, "7": 3, "text": "1.5 2.5", "list": np.array([1.0, 2.0])}
    stream = io.StringIO()
    write(stream, given, format="extxyz")
    (tmp_path / "b.xyz").write_text(stream.getvalue())
    ((read, _),) = iter_atoms(str(tmp_path / "b.xyz"))
    assert set(read.info) == {"flag", "7", "text", "list"}
    assert set(read.arrays) == {"numbers", "positions"}

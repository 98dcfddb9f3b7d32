"""Data files of the original: kind of coordinates, images, labels, isotopes."""

from pathlib import Path

import ase.io
import numpy as np
import pytest

from reann import UserError, upstream

WATER = """point= 1
10.0 0.0 0.0
0.0 10.0 0.0
1.0 0.0 10.0
pbc 1 1 0
O 15.999 {o}  0.1 -0.2 0.30000000001
H 1.008 {h}  0.0 0.0 1e-3
abprop: -156.25
"""


def configuration(folder: Path, text: str, table_coor: int | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "configuration").write_text(text)
    if table_coor is not None:
        (folder / "para").mkdir()
        (folder / "para" / "input_nn").write_text(f"table_coor = {table_coor}\n")
    return folder / "configuration"


CARTESIAN = WATER.format(o="1.5 2.5 3.25", h="1.5 3.5 3.123456789012")
FRACTIONAL = WATER.format(o="0.15 0.25 0.3", h="0.15 0.35 0.3")


def read(path: Path, tmp_path: Path, **given: str) -> list[ase.Atoms]:
    """Return the structures of the converted file."""
    upstream.convert(path, tmp_path / "data.xyz", **given)
    return ase.io.read(tmp_path / "data.xyz", ":")


def test_cell_mass_coordinates_forces_and_energy_are_kept_to_the_last_digit(tmp_path):
    atoms, _ = read(configuration(tmp_path / "d", CARTESIAN + CARTESIAN + "\n"), tmp_path)
    assert atoms.get_chemical_symbols() == ["O", "H"]
    assert atoms.cell.tolist() == [[10, 0, 0], [0, 10, 0], [1, 0, 10]]
    assert atoms.pbc.tolist() == [True, True, False]
    assert atoms.get_masses().tolist() == [15.999, 1.008]
    assert atoms.positions.tolist() == [[1.5, 2.5, 3.25], [1.5, 3.5, 3.123456789012]]
    assert atoms.get_potential_energy() == -156.25
    assert atoms.get_forces().tolist() == [[0.1, -0.2, 0.30000000001], [0.0, 0.0, 1e-3]]


@pytest.mark.parametrize("table_coor", [1, None])
def test_fractional_coordinates_become_cartesian(tmp_path, table_coor):
    (atoms,) = read(configuration(tmp_path / "d", FRACTIONAL, table_coor), tmp_path)
    assert np.allclose(atoms.positions, [[1.8, 2.5, 3.0], [1.8, 3.5, 3.0]], rtol=0, atol=1e-15)


def test_coordinates_that_cannot_be_what_they_are_said_to_be_are_refused(tmp_path):
    with pytest.raises(UserError, match="closer than"):
        read(configuration(tmp_path / "d", FRACTIONAL, table_coor=0), tmp_path)


def test_coordinates_that_may_be_both_need_a_setting(tmp_path):
    text = FRACTIONAL.replace("0.35", "0.95")
    with pytest.raises(UserError, match="could be Cartesian"):
        read(configuration(tmp_path / "unknown", text), tmp_path)
    (atoms,) = read(configuration(tmp_path / "given", text, table_coor=0), tmp_path)
    assert atoms.positions[1].tolist() == [0.15, 0.95, 0.3]


def test_structures_without_forces_and_tensor_labels_are_read(tmp_path):
    text = "t\n10 0 0\n0 10 0\n0 0 10\npbc 0 0 0\nO 16 5 5 5\nabprop: 0.1 0.2 0.3\n"
    path = configuration(tmp_path / "dipole", text)
    with pytest.raises(UserError, match="do not contain the unit of the dipole"):
        read(path, tmp_path)
    (atoms,) = read(path, tmp_path, unit="e*Å")
    assert atoms.get_dipole_moment().tolist() == [0.1, 0.2, 0.3]
    (atoms,) = read(path, tmp_path, unit="Debye")
    np.testing.assert_allclose(
        atoms.get_dipole_moment(), [0.02081943, 0.04163887, 0.0624583], rtol=1e-6
    )
    (path.parent / "para").mkdir()
    (path.parent / "para" / "input_nn").write_text("start_table = 3\ntable_coor = 0\n")
    (atoms,) = read(path, tmp_path, unit="e*Å")
    assert atoms.info["transition_dipole"].tolist() == [0.1, 0.2, 0.3]
    tensor = text.replace("0.1 0.2 0.3", "1 2 3 4 5 6 7 8 9")
    (atoms,) = read(configuration(tmp_path / "tensor", tensor), tmp_path, unit="Å^3")
    assert np.ravel(atoms.info["polarizability"]).tolist() == list(range(1, 10))
    with pytest.raises(UserError, match="has no meaning for data"):
        read(path, tmp_path, unit="e*Å", dipole_definition="center")
    with pytest.raises(UserError, match="has no meaning for the energy of a structure"):
        read(configuration(tmp_path / "energy", text.replace("0.2 0.3", "")), tmp_path, unit="Å^3")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("pbc 1 1 0", "1 1 0"), 5),
        (("H 1.008", "Hx 1.008"), 7),
        (("H 1.008", "H"), 7),
        (("abprop: -156.25", "abprop: -156.25 3"), 8),
        (("abprop: -156.25", "abprop: nan"), 8),
        (("0.0 10.0 0.0", "0.0 10.0"), 3),
        (("-0.2 0.30000000001", ""), 6),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, change, line):
    path = configuration(tmp_path / "d", CARTESIAN.replace(*change, 1))
    with pytest.raises(UserError, match=f"line {line}"):
        upstream.convert(path, tmp_path / "data.xyz")
    assert not (tmp_path / "data.xyz").exists()


def test_a_truncated_file_is_refused(tmp_path):
    path = configuration(tmp_path / "d", CARTESIAN.split("abprop")[0])
    with pytest.raises(UserError, match="ends within"):
        upstream.convert(path, tmp_path / "data.xyz")


def test_an_empty_file_writes_nothing(tmp_path):
    with pytest.raises(UserError, match="empty"):
        upstream.convert(configuration(tmp_path / "d", "\n"), tmp_path / "data.xyz")
    assert not (tmp_path / "data.xyz").exists()


@pytest.mark.parametrize(
    ("given", "said"), [("cartesian", "Cartesian"), ("fractional", "fractional")]
)
def test_the_kind_of_coordinates_can_be_given_and_is_said(tmp_path, given, said):
    path = configuration(tmp_path / "d", FRACTIONAL.replace("0.35", "0.95") * 2)
    lines = upstream.convert(path, tmp_path / "data.xyz", coordinates=given)
    assert lines == [f"2 structures; coordinates are {said}, according to --coordinates."]
    y = ase.io.read(tmp_path / "data.xyz").positions[1, 1]
    assert y == pytest.approx(0.95 if given == "cartesian" else 9.5, abs=1e-14)
    with pytest.raises(UserError, match="'scaled' has no meaning"):
        upstream.convert(path, tmp_path / "data.xyz", coordinates="scaled")
    with pytest.raises(UserError, match="no meaning for a model"):
        upstream.convert(path, tmp_path / "x.reann", coordinates=given)


def test_the_source_of_the_kind_of_coordinates_is_said(tmp_path):
    lines = upstream.convert(configuration(tmp_path / "a", CARTESIAN), tmp_path / "data.xyz")
    assert lines == ["1 structure; coordinates are Cartesian, according to the first structure."]
    lines = upstream.convert(configuration(tmp_path / "b", FRACTIONAL, 1), tmp_path / "data.xyz")
    assert lines == ["1 structure; coordinates are fractional, according to para/input_nn."]


SLAB = """slab
4.0 0.0 0.0
0.0 4.0 0.0
1.0 0.0 20.0
pbc {pbc}
Cu 63.5 0.0 0.0 1.0
Cu 63.5 2.0 2.0 2.5
Cu 63.5 {last}
abprop: -1.0
"""


def test_a_slab_that_its_cell_cuts_is_joined_as_in_the_original(tmp_path):
    text = SLAB.format(pbc="1 1 0", last="1.0 0.0 19.0")
    path = configuration(tmp_path / "d", text, 0)
    lines = upstream.convert(path, tmp_path / "data.xyz")
    atoms = ase.io.read(tmp_path / "data.xyz")
    assert atoms.positions.tolist() == [[0, 0, 1], [2, 2, 2.5], [0, 0, -1]]
    assert "In 1 of them the cell cuts a slab" in lines[1]
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("pbc", "last", "said"),
    [
        ("1 1 1", "1.0 0.0 19.0", False),  # periodic: the same structure
        ("1 1 0", "1.0 0.0 9.0", False),  # less than half a cell
        ("1 1 0", "1.0 0.0 31.0", True),  # not in one cell
        ("0 0 0", "1.0 0.0 19.0", True),  # a molecule
    ],
)
def test_atoms_of_other_structures_stay_and_the_difference_is_said(tmp_path, pbc, last, said):
    path = configuration(tmp_path / "d", SLAB.format(pbc=pbc, last=last), 0)
    lines = upstream.convert(path, tmp_path / "data.xyz")
    expected = [[0, 0, 1], [2, 2, 2.5], [float(x) for x in last.split()]]
    assert ase.io.read(tmp_path / "data.xyz").positions.tolist() == expected
    assert said == any("They were kept" in line for line in lines)


def test_numbers_that_the_original_does_not_read_are_left_out_if_the_settings_say_so(tmp_path):
    text = CARTESIAN.replace("-156.25", "-156.25 0.1 0.2")
    path = configuration(tmp_path / "d", text, table_coor=0)
    (path.parent / "para/input_nn").write_text("table_coor = 0\nstart_table = 1\n")
    lines = upstream.convert(path, tmp_path / "data.xyz")
    assert ase.io.read(tmp_path / "data.xyz").get_potential_energy() == -156.25
    assert "abprop has more than 1 numbers" in lines[1]
    path.write_text(CARTESIAN.replace("-156.25", "-156.25 0.1"))
    (path.parent / "para/input_nn").write_text("table_coor = 0\n")
    with pytest.raises(UserError, match=r"(?s)abprop has 2 numbers; expected 1 or 3 or 9.*line 8"):
        upstream.convert(path, tmp_path / "data.xyz")
    (path.parent / "para/input_nn").write_text("start_table = 4\n")
    with pytest.raises(UserError, match="abprop has 2 numbers; expected 9"):
        upstream.convert(path, tmp_path / "data.xyz")


def test_deuterium_is_hydrogen_with_its_mass(tmp_path):
    (atoms,) = read(
        configuration(tmp_path / "d", CARTESIAN.replace("H 1.008", "D 2.014")), tmp_path
    )
    assert atoms.get_chemical_symbols() == ["O", "H"]
    assert atoms.get_masses().tolist() == [15.999, 2.014]


def test_a_setting_of_data_that_is_wrong_is_named_with_its_file(tmp_path):
    path = configuration(tmp_path / "d", CARTESIAN, table_coor=2)
    with pytest.raises(UserError, match="neither 0 nor 1") as caught:
        upstream.convert(path, tmp_path / "data.xyz")
    assert caught.value.where == f"{path.parent}/para/input_nn, line 1"

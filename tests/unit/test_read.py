"""Structures from files of many kinds, and errors that name file, frame and line."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import ase
import ase.db
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from reann.data.read import file_hash, find_files, iter_atoms
from reann.errors import UserError

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"

FRAME = """2
Properties=species:S:1:pos:R:3:forces:R:3 energy={energy} pbc="F F F"
H 0.0 0.0 0.0 0.1 0.0 0.0
H 0.0 0.0 0.8 -0.1 0.0 0.0
"""


def frames(n):
    return "".join(FRAME.format(energy=-float(i)) for i in range(n))


def labeled(energy=-1.5):
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]])
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.full((2, 3), 0.25))
    return atoms


def error_of(path, base=None):
    with pytest.raises(UserError) as info:
        list(iter_atoms(str(path), base or Path()))
    return info.value


def test_structures_come_in_order_with_their_origin(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(3))
    found = list(iter_atoms("a.xyz", tmp_path))
    assert [origin for _, origin in found] == ["a.xyz#0", "a.xyz#1", "a.xyz#2"]
    assert [atoms.calc.results["energy"] for atoms, _ in found] == [0.0, -1.0, -2.0]


@pytest.mark.parametrize(("ending", "module"), [("gz", gzip), ("xz", lzma)])
def test_compressed_files_hold_what_the_plain_file_holds(tmp_path, ending, module):
    path = tmp_path / f"ethanol.xyz.{ending}"
    with module.open(path, "wb") as stream:
        stream.write(ETHANOL.read_bytes())
    plain = [atoms for atoms, _ in iter_atoms(str(ETHANOL))]
    packed = [atoms for atoms, _ in iter_atoms(str(path))]
    assert len(packed) == 20
    assert packed == plain
    assert packed[7].calc.results["energy"] == plain[7].calc.results["energy"]


def test_own_frame_cutting_reads_what_ase_reads():
    ours = [atoms for atoms, _ in iter_atoms(str(ETHANOL))]
    theirs = ase.io.read(ETHANOL, ":")
    assert ours == theirs
    assert (ours[3].calc.results["forces"] == theirs[3].calc.results["forces"]).all()


def test_reading_streams_and_does_not_wait_for_the_end_of_the_file(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(frames(2) + "garbage\n")
    stream = iter_atoms(str(path))
    assert next(stream)[1].endswith("#0")
    assert next(stream)[1].endswith("#1")
    with pytest.raises(UserError):
        next(stream)


def test_globs_are_sorted_and_files_may_be_many(tmp_path):
    for name in ("b.xyz", "a.xyz", "c.xyz"):
        (tmp_path / name).write_text(frames(1))
    origins = [origin for _, origin in iter_atoms(["c.xyz", "[ab].xyz"], tmp_path)]
    assert origins == ["c.xyz#0", "a.xyz#0", "b.xyz#0"]


def test_an_empty_line_between_frames_hides_nothing_behind_it(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(1) + "\n\n" + frames(2))
    assert len(list(iter_atoms("a.xyz", tmp_path))) == 3


def test_plain_xyz_without_properties_is_read(tmp_path):
    (tmp_path / "a.xyz").write_text("1\nsome words\nH 0 0 0\n")
    ((atoms, _),) = iter_atoms("a.xyz", tmp_path)
    assert atoms.get_chemical_formula() == "H"


def test_trajectories_and_databases_are_read(tmp_path):
    ase.io.write(tmp_path / "a.traj", [labeled(-1.0), labeled(-2.0)])
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(labeled(-3.0), config_type="bulk", data={"REF_energy": -3.5})
    found = list(iter_atoms(["a.traj", "a.db"], tmp_path))
    assert [origin for _, origin in found] == ["a.traj#0", "a.traj#1", "a.db#0"]
    assert [atoms.calc.results["energy"] for atoms, _ in found] == [-1.0, -2.0, -3.0]
    info = found[2][0].info
    assert (info["config_type"], info["REF_energy"]) == ("bulk", -3.5)


def test_vasprun_is_read_with_both_energies(tmp_path):
    (tmp_path / "vasprun.xml").write_text(VASPRUN)
    ((atoms, _),) = iter_atoms("vasprun.xml", tmp_path)
    results = atoms.calc.results
    assert (results["energy"], results["free_energy"]) == (-1.25, -1.5)
    assert results["forces"][0, 2] == 0.5


def test_an_absent_file_is_named_with_the_one_that_was_meant(tmp_path):
    (tmp_path / "water.xyz").write_text(frames(1))
    error = error_of("watr.xyz", tmp_path)
    assert error.what == "'watr.xyz' does not exist. Did you mean 'water.xyz'?"
    assert "files there: water.xyz" in error.where


def test_an_absent_folder_is_named(tmp_path):
    assert "there is no folder" in error_of("nowhere/a.xyz", tmp_path).what


def test_a_glob_without_a_match_is_an_error(tmp_path):
    assert error_of("*.xyz", tmp_path).what == "No file matches '*.xyz'."


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path):
    assert "is a folder" in error_of(str(tmp_path)).what


def test_no_file_at_all_is_an_error():
    with pytest.raises(UserError, match="No file of structures"):
        find_files([])


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_an_error(tmp_path, content):
    (tmp_path / "a.xyz").write_text(content)
    error = error_of("a.xyz", tmp_path)
    assert "empty" in error.what or "no structure" in error.what
    assert error.where == "a.xyz"


def test_an_empty_compressed_file_is_an_error(tmp_path):
    with gzip.open(tmp_path / "a.xyz.gz", "wb"):
        pass
    assert error_of("a.xyz.gz", tmp_path).what == "The file holds no structure."


def test_a_truncated_file_is_an_error_with_frame_and_line(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(3)[: -len("H 0.0 0.0 0.8 -0.1 0.0 0.0\n")])
    error = error_of("a.xyz", tmp_path)
    assert error.what == "The file is truncated: it ends after 1 of 2 atoms."
    assert error.where == "a.xyz#2, line 11"


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_truncated_archive_is_an_error_with_the_frame(tmp_path, keep):
    packed = gzip.compress(ETHANOL.read_bytes())
    (tmp_path / "a.xyz.gz").write_bytes(packed[: int(keep * len(packed))])
    error = error_of("a.xyz.gz", tmp_path)
    assert "truncated or damaged" in error.what
    assert error.where.startswith("a.xyz.gz#")


def test_a_line_cut_in_the_middle_is_an_error_with_the_line(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(2)[:-10])
    error = error_of("a.xyz", tmp_path)
    assert "cannot be parsed" in error.what
    assert error.where == "a.xyz#1, line 8"


def test_a_binary_file_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_bytes(frames(1).encode() + b"\x00\x01\x02\n")
    error = error_of("a.xyz", tmp_path)
    assert "binary" in error.what
    assert error.where == "a.xyz#1, line 5"


def test_a_file_that_is_not_utf8_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_bytes(frames(1).replace("energy", "näme").encode("latin-1"))
    error = error_of("a.xyz", tmp_path)
    assert "not UTF-8" in error.what
    assert error.where == "a.xyz#0, line 2"


def test_a_plain_file_under_the_name_of_an_archive_is_an_error(tmp_path):
    (tmp_path / "a.xyz.gz").write_text(frames(1))
    assert "truncated or damaged" in error_of("a.xyz.gz", tmp_path).what


def test_a_wrong_header_is_an_error_with_its_line(tmp_path):
    (tmp_path / "a.xyz").write_text(frames(1) + "H 0 0 0\n")
    error = error_of("a.xyz", tmp_path)
    assert error.what == "Expected the number of atoms, found 'H 0 0 0'."
    assert error.where == "a.xyz#1, line 5"


def test_an_unknown_element_in_the_file_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_text("1\nwords\nQq 0 0 0\n")
    assert "unknown element" in error_of("a.xyz", tmp_path).what
    (tmp_path / "b.xyz").write_text("1\nwords\nX 0 0 0\n")
    assert error_of("b.xyz", tmp_path).what == "Atom 0 is not a chemical element."


def test_a_structure_without_atoms_is_an_error(tmp_path):
    (tmp_path / "a.xyz").write_text("0\nwords\n")
    assert error_of("a.xyz", tmp_path).what == "The structure has no atoms."


@pytest.mark.parametrize("name", ["a.traj", "a.db", "vasprun.xml", "a.nonsense"])
def test_garbage_under_any_name_is_a_user_error(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(range(256)) * 8)
    assert error_of(name, tmp_path).where == f"{name}#0"


def test_the_hash_of_a_file_follows_its_content(tmp_path):
    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).write_text(text)
    a, b, c = (file_hash(tmp_path / name) for name in "abc")
    assert a == b != c


VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="program" type="string">vasp</i></generator>
 <kpoints>
  <varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray>
 </kpoints>
 <atominfo>
  <atoms>1</atoms><types>1</types>
  <array name="atoms"><field type="string">element</field><field type="int">atomtype</field>
   <set><rc><c>H </c><c>1</c></rc></set></array>
 </atominfo>
 <structure name="initialpos">
  <crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v></varray>
 </structure>
 <calculation>
  <structure>
   <crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
   <varray name="positions"><v>0 0 0</v></varray>
  </structure>
  <varray name="forces"><v>0 0 0.5</v></varray>
  <varray name="stress"><v>1 0 0</v><v>0 1 0</v><v>0 0 1</v></varray>
  <energy>
   <i name="e_fr_energy">-1.5</i><i name="e_wo_entrp">-1.0</i><i name="e_0_energy">-1.25</i>
  </energy>
  <scstep><energy><i name="e_fr_energy">-1.5</i><i name="e_wo_entrp">-1.0</i>
   <i name="e_0_energy">-1.25</i></energy></scstep>
 </calculation>
 <structure name="finalpos">
  <crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v></varray>
 </structure>
</modeling>
"""

"""Files and folders of other kinds are refused at once, with a conversion that works."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import ase.io
import numpy as np
import pytest

from reann.data.files.file_types import check_file
from reann.data.files.read import iter_atoms
from reann.errors import UserError
from reann.input_files import find_files


def error_of(path: Path, name: str) -> UserError:
    with pytest.raises(UserError) as info:
        list(iter_atoms(name, path))
    return info.value


def deepmd_system(folder: Path, mixed: bool = False) -> None:
    (folder / "set.000").mkdir(parents=True)
    (folder / "type.raw").write_text("0\n0\n")
    np.save(folder / "set.000" / "coord.npy", np.zeros((1, 6)))
    if mixed:
        np.save(folder / "set.000" / "real_atom_types.npy", np.zeros((1, 2)))


def test_a_system_of_deepmd_is_named_with_the_command_of_dpdata(tmp_path):
    deepmd_system(tmp_path / "water")
    error = error_of(tmp_path, "water")
    assert error.what == "'water' is a system of DeePMD-kit."
    assert "pip install dpdata" in error.fix
    code = error.fix.partition('python -c "')[2].rstrip('"')
    assert code == (
        "import dpdata, ase.io; ase.io.write('water.xyz',"
        " dpdata.LabeledSystem('water', 'deepmd/npy').to('ase/structure'))"
    )
    error = error_of(tmp_path, "water/set.000/coord.npy")
    assert "system of DeePMD-kit" in error.what
    assert "'deepmd/npy'" in error.fix


@pytest.mark.parametrize("mixed", [False, True])
def test_a_folder_of_systems_of_deepmd_is_named(tmp_path, mixed):
    for name in ("a", "b"):
        deepmd_system(tmp_path / "data" / name, mixed)
    error = error_of(tmp_path, "data")
    assert error.what == "'data' is a folder of systems of DeePMD-kit."
    kind = "deepmd/npy/mixed" if mixed else "deepmd/npy"
    assert f"load_systems_from_file('data', '{kind}')" in error.fix
    compile(error.fix.partition('python -c "')[2].rstrip('"'), "fix", "exec")


@pytest.mark.parametrize(
    "names", [("nuclear_charges", "coords", "energies", "forces"), ("z", "R", "E", "F")]
)
def test_npz_of_md17_and_rmd17_comes_with_a_script_that_converts_it(tmp_path, names, monkeypatch):
    monkeypatch.chdir(tmp_path)
    energies = np.array([[-1.0], [-2.0]]) if names[2] == "E" else np.array([-1.0, -2.0])
    arrays = [np.array([1, 1]), np.ones((2, 2, 3)), energies, np.full((2, 2, 3), 0.5)]
    np.savez("h2.npz", **dict(zip(names, arrays, strict=True)), theory="PBE")
    error = error_of(tmp_path, "h2.npz")
    assert all(name in error.what for name in names)
    assert "kcal/mol" in error.fix
    script = [line[4:] for line in error.fix.splitlines() if line.startswith("    ")]
    exec("\n".join(script), {})  # noqa: S102
    structures = ase.io.read("h2.xyz", ":")
    assert [atoms.info["REF_energy"] for atoms in structures] == [-1.0, -2.0]
    assert (structures[1].arrays["REF_forces"] == 0.5).all()


def test_npz_with_other_arrays_is_named_with_its_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.zeros(2), two=np.zeros(2))
    error = error_of(tmp_path, "a.npz")
    assert "one, two" in error.what
    assert "atoms.info['REF_energy']" in error.fix


@pytest.mark.parametrize(
    ("name", "content", "what", "fix"),
    [
        ("ani.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5", "h5py"),
        ("a.hdf5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5", "h5py"),
        ("a.xyz", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5", "h5py"),
        ("a.aselmdb", b"lmdb", "LMDB", "pip install ase-db-backends"),
        ("OUTCAR", b" vasp.6.4\n", "ASE cannot read", "dpdata"),
        ("OUTCAR", b" vasp.6.4\n", "ASE cannot read", "vasprun.xml"),
    ],
)
def test_other_kinds_of_files_are_named_with_a_way_to_convert_them(
    tmp_path, name, content, what, fix
):
    (tmp_path / name).write_bytes(content)
    error = error_of(tmp_path, name)
    assert what in error.what
    assert fix in error.fix
    assert error.where.startswith(name)


def test_a_zip_archive_is_named_with_what_is_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.xyz", "w") as archive:
        archive.writestr("train.xyz", "1\n\nH 0 0 0\n")
    assert "zip archive with train.xyz" in error_of(tmp_path, "a.xyz").what


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "a.xyz").touch()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        check_file(tmp_path / "a.xyz", "a.xyz")


def test_a_folder_with_files_beside_a_system_of_deepmd_is_a_folder(tmp_path):
    deepmd_system(tmp_path / "system")
    (tmp_path / "train.xyz").touch()
    with pytest.raises(UserError, match="is a folder, not a file"):
        find_files(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "what", "fix"),
    [
        ("a.xyz", gzip.compress(b"1\n\nH 0 0 0\n", mtime=0), "compressed with gzip", "a.xyz.gz"),
        ("a.xyz", bz2.compress(b"1\n\nH 0 0 0\n"), "compressed with bzip2", "a.xyz.bz2"),
        ("a.xyz", lzma.compress(b"1\n\nH 0 0 0\n"), "compressed with xz", "a.xyz.xz"),
        ("a.xyz.zst", b"\x28\xb5\x2f\xfd" + bytes(20), "compressed with zstd", "Uncompress it"),
        ("a.tar", bytes(257) + b"ustar" + bytes(250), "tar archive", "Unpack it"),
        ("a.tar.gz", gzip.compress(bytes(600), mtime=0), "tar archive", "Unpack it"),
        ("a.xyz", b"<!DOCTYPE HTML><html>404</html>", "web page", "Download the file again"),
        ("a.xyz", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
        ("a.cfg", b"BEGIN_CFG\n Size\n", "file of MLIP", "Write extended XYZ with ASE"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path, name, content, what, fix):
    (tmp_path / name).write_bytes(content)
    error = error_of(tmp_path, name)
    assert what in error.what
    assert fix in error.fix


@pytest.mark.parametrize("name", ["data", "data.extxyz"])
def test_extended_xyz_is_read_in_the_same_way_under_any_name(tmp_path, name):
    comment = 'Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3 energy=-1.0'
    frame = f"2\n{comment}\nH 0 0 0 0 0 1\nH 0 0 1 0 0 -1\n"
    (tmp_path / name).write_text(frame * 2 + frame[:-20])
    skipped = []
    first, second = (atoms for atoms, _ in iter_atoms(name, tmp_path, skipped.append))
    assert first.arrays["columns_5_to_7"].tolist() == [[0, 0, 1], [0, 0, -1]]
    assert first == second
    assert [item.kind for item in skipped] == ["cut-structure"]

"""Recognition of files that are not structures, with advice on how to convert them.

Only the first bytes are read, so that wrong or huge files are refused at once.
"""

from __future__ import annotations

import importlib.util
import os
import zipfile
from pathlib import Path

from reann.errors import UserError, listed

HDF5, NUMPY, ZIP = b"\x89HDF\r\n\x1a\n", b"\x93NUMPY", b"PK\x03\x04"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
PACKED = {
    b"\x1f\x8b": ("gzip", (".gz", ".tgz")),
    b"BZh": ("bzip2", (".bz2",)),
    b"\xfd7zXZ\0": ("xz", (".xz",)),
    b"\x28\xb5\x2f\xfd": ("zstd", ()),
}
"""First bytes of a compressed file, its program, and suffixes with which it can be read."""
WEB_PAGE = "This is a web page, not a file of structures."
FOREIGN = {
    b"<!doctype html": (WEB_PAGE, "Download the file again."),
    b"<html": (WEB_PAGE, "Download the file again."),
    b"version https://git-lfs": (
        "This is a pointer of Git LFS, not the file itself.",
        "Fetch the file: git lfs pull.",
    ),
    b"begin_cfg": ("This is a file of MLIP (moment tensor potentials), which cannot be read.", ""),
}
"""First bytes in lower case, description of the file, and advice (empty: `HOW_TO_WRITE`)."""
TAR = b"ustar", 257
SAMPLED = 1 << 26
"""Bytes; larger files are sampled at several positions before they are read."""
N_PLACES, PLACE = 32, 4096

ARRAYS = {
    "numbers": ("nuclear_charges", "z", "Z", "numbers", "atomic_numbers"),
    "positions": ("coords", "R", "positions", "xyz"),
    "energies": ("energies", "E", "energy"),
    "forces": ("forces", "F", "force"),
}
"""Names of the arrays in .npz files such as MD17 and rMD17."""

NPZ_SCRIPT = """Convert it in Python:
    import numpy, ase, ase.io
    data = numpy.load({file!r})
    numbers, structures = data[{numbers!r}], []
    for r, e, f in zip(data[{positions!r}], data[{energies!r}], data[{forces!r}]):
        atoms = ase.Atoms(numbers, r)
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = e.item(), f
        structures.append(atoms)
    ase.io.write({target!r}, structures, format="extxyz")
  MD17 and rMD17 are in kcal/mol and kcal/mol/Å: `data: {{units: {{energy: kcal/mol}}}}`."""

HOW_TO_WRITE = (
    "Write extended XYZ with ASE: energies into atoms.info['REF_energy'], forces into"
    " atoms.arrays['REF_forces'], then ase.io.write('train.xyz', structures, format='extxyz')."
)


def check_file(path: Path, name: str) -> None:
    """Refuse a file that cannot be opened or is not a file of structures.

    Raises
    ------
    UserError
        With advice on how to convert the file, if possible.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(PLACE)
            size = os.fstat(stream.fileno()).st_size
            positions = range(0, size, size // N_PLACES) if size > SAMPLED else range(0)
            blank = 0
            for position in positions:
                stream.seek(position)
                blank += not stream.read(PLACE).strip(b"\0")
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"The file cannot be read: {reason}.", name) from error
    if not start:
        raise UserError("The file is empty.", name)
    if blank > N_PLACES // 2:
        what = f"Most of this file of {size / 1e9:.1f} GB consists of zeros: a copy is incomplete."
        raise UserError(what, name, "Copy it again.")
    if start.startswith(UTF16):
        fix = f"Convert it: iconv -f UTF-16 -t UTF-8 '{name}' > utf8.xyz"
        raise UserError("The file is text in UTF-16, not in UTF-8.", name, fix)
    _check_packed(path, name, start)
    _check_foreign(name, start)
    if start.startswith(HDF5):
        what = "This is an HDF5 file, which has no standard names for its arrays."
        raise UserError(what, name, f"List it with `h5ls -r`, read it with h5py. {HOW_TO_WRITE}")
    if start.startswith(NUMPY):
        raise _numpy_array(path, name)
    if start.startswith(ZIP):
        raise _archive(path, name)
    if path.suffix == ".aselmdb":
        _check_lmdb(name)


def _check_packed(path: Path, name: str, start: bytes) -> None:
    """Refuse archives, and compressed files without the suffix of the compression."""
    if start[TAR[1] :].startswith(TAR[0]) or path.name.lower().endswith((".tgz", ".tar.gz")):
        raise UserError("This is a tar archive.", name, "Unpack it and give the files in it.")
    for first, (program, endings) in PACKED.items():
        if start.startswith(first) and path.suffix.lower() not in endings:
            fix = f"Rename it to {path.name}{endings[0]}." if endings else "Uncompress it."
            raise UserError(f"The file is compressed with {program}.", name, fix)


def _check_foreign(name: str, start: bytes) -> None:
    for first, (what, fix) in FOREIGN.items():
        if start.lstrip()[: len(first)].lower() == first:
            raise UserError(what, name, fix or HOW_TO_WRITE)


def deepmd_error(folder: Path, name: str) -> UserError | None:
    """Return the error for a system of DeePMD-kit, or for a folder of systems without files."""
    if _is_deepmd(folder):
        what = f"'{name}' is a system of DeePMD-kit."
        return UserError(what, fix=_dpdata(folder, name, single=True))
    entries = list(folder.iterdir()) if os.access(folder, os.R_OK | os.X_OK) else []
    if any(map(_is_deepmd, entries)) and not any(entry.is_file() for entry in entries):
        what = f"'{name}' is a folder of systems of DeePMD-kit."
        return UserError(what, fix=_dpdata(folder, name, single=False))
    return None


def _is_deepmd(folder: Path) -> bool:
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        return False
    return (folder / "type.raw").is_file() or any(folder.glob("set.*/"))


def _dpdata(path: Path, name: str, single: bool) -> str:
    """Return the command that converts systems of DeePMD-kit; dpdata is installed with pip."""
    arrays = "deepmd/npy" if any(path.glob("**/set.*/")) else "deepmd/raw"
    kind = "deepmd/npy/mixed" if any(path.glob("**/real_atom_types.npy")) else arrays
    if single and kind != "deepmd/npy/mixed":
        structures = f"dpdata.LabeledSystem({name!r}, {kind!r}).to('ase/structure')"
    else:
        systems = f"dpdata.MultiSystems().load_systems_from_file({name!r}, {kind!r})"
        structures = f"[a for s in {systems} for a in s.to('ase/structure')]"
    target = f"{path.resolve().name}.xyz"
    code = f"import dpdata, ase.io; ase.io.write({target!r}, {structures})"
    return f'Convert it (pip install dpdata): python -c "{code}"'


def _numpy_array(path: Path, name: str) -> UserError:
    what = "This is a single array of NumPy, not a file of structures."
    system = path.parent.parent
    if _is_deepmd(system):
        what = "This is an array of a system of DeePMD-kit."
        return UserError(what, name, _dpdata(system, str(system), single=True))
    return UserError(what, name, HOW_TO_WRITE)


def _archive(path: Path, name: str) -> UserError:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        return UserError(f"The file is a damaged zip archive: {error}.", name, "Copy it again.")
    keys = [member.removesuffix(".npy") for member in members]
    if not members or not all(member.endswith(".npy") for member in members):
        fix = "Unpack it and give the files in it."
        return UserError(f"This is a zip archive with {listed(members, 4)}.", name, fix)
    roles = {role: [n for n in names if n in keys] for role, names in ARRAYS.items()}
    what = f"This is a .npz file of NumPy with the arrays {listed(keys)}."
    if not all(roles.values()):
        return UserError(what, name, HOW_TO_WRITE)
    chosen = {role: names[0] for role, names in roles.items()}
    script = NPZ_SCRIPT.format(file=name, target=f"{path.stem}.xyz", **chosen)
    return UserError(what, name, script)


def _check_lmdb(name: str) -> None:
    if importlib.util.find_spec("ase_db_backends") is None:
        what = "This is an LMDB database of ASE (fairchem), which ASE reads with an extension."
        raise UserError(what, name, "Install it: pip install ase-db-backends")

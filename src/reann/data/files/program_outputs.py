"""Removal of wrong labels from the outputs of programs that ASE reads.

The readers of ASE ignore that electronic steps did not converge, and assign an energy of zero and
elements numbered like the atom types to LAMMPS dumps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import ase
from ase.io.formats import open_with_compression
from ase.units import Hartree

from reann.data.files.skipped import ReportSkipped, SkippedData
from reann.errors import UserError

IsUnconverged = Callable[[int, ase.Atoms], bool]
"""Takes index and structure; returns whether its electronic steps did not converge."""
Lines = Iterable[bytes]

TYPE_1, TYPE_2 = "ELEMENT_OF_TYPE_1", "ELEMENT_OF_TYPE_2"
"""Placeholders, so that a copied command cannot run with wrong elements."""
SAME_ENERGY = 1e-6
"""eV."""
PHRASES = {
    "abinit-out": b"was not enough SCF cycles to converge",
    "castep-castep": b"max. SCF cycles performed but system has not reached the groundstate",
    "gamess-us-out": b"SCF IS UNCONVERGED",
    "gpaw-out": b"Did not converge!",
    "nwchem-out": b"Calculation failed to converge",
    "octopus-in": b"SCF *not* converged",
}
"""Text in an output whose electronic steps did not converge, for programs in whose output the
ionic step cannot be determined."""
_ITERATION = re.compile(rb"Iteration\s+\d+\(\s*(\d+)\s*\)")
_MOST_ITERATIONS = re.compile(rb"NELM\s*=\s*(\d+)")
_VASPRUN = re.compile(
    rb"<scstep>|</scstep>|</calculation>|name=\"(NELM|EDIFF|e_fr_energy)\">\s*([^<\s]+)"
)


def as_computed(
    structures: Iterable[ase.Atoms], path: Path, name: str, kind: str, report_skipped: ReportSkipped
) -> Iterator[ase.Atoms]:
    """Yield the structures of a file with correct labels only.

    Parameters
    ----------
    kind
        Name of the file format in ASE.
    report_skipped
        Called for structures whose electronic steps did not converge; their labels are removed.

    Raises
    ------
    UserError
        If a file of LAMMPS has types of atoms but no elements.
    """
    is_dump = kind.startswith("lammps-dump")
    if is_dump:
        _check_dump(path, name, kind)
    elif kind == "lammps-data":
        _check_lammps_data(path, name)
    unconverged = _is_unconverged(path, kind)
    for index, atoms in enumerate(structures):
        if is_dump and atoms.calc is not None:
            del atoms.calc.results["energy"]
            if index == 0:
                report_skipped(
                    SkippedData("no-energy", name, "a LAMMPS dump has forces but no energies.")
                )
        if atoms.calc is not None and unconverged(index, atoms):
            atoms.calc = None
            what = "the electronic steps did not converge; energy, forces and stress are ignored."
            report_skipped(SkippedData("not-converged", f"{name}#{index}", what))
        yield atoms


# --- LAMMPS -----------------------------------------------------------------------------------


def _check_dump(path: Path, name: str, kind: str) -> None:
    columns: list[str] = []
    if kind == "lammps-dump-text":
        header = next((line for line in _lines(path) if line.startswith(b"ITEM: ATOMS")), b"")
        columns = header.decode("ascii", "replace").split()[2:]
    if "element" in columns or "mass" in columns or ("type" not in columns and columns):
        return
    read = f"s = read({name!r}, ':', specorder=['{TYPE_1}', '{TYPE_2}'])"
    drop = "[a.calc.results.pop('energy') for a in s]; " if "fx" in columns else ""
    code = f"from ase.io import read, write; {read}; {drop}write('{path.stem}.xyz', s)"
    raise UserError(
        "The dump contains types of atoms, not elements.",
        name,
        "Dump the column `element` and set the elements with `dump_modify ID element O H`. To"
        f' convert this dump, insert the elements of its types: python -c "{code}"',
    )


def _check_lammps_data(path: Path, name: str) -> None:
    if not any(line.startswith((b"Masses", b"Atom Type Labels")) for line in _lines(path)):
        raise UserError(
            "The file contains types of atoms, not elements.",
            name,
            "Add the section Masses, from which the elements can be recognized.",
        )


# --- unconverged electrons --------------------------------------------------------------------


def _is_unconverged(path: Path, kind: str) -> IsUnconverged:
    if kind in ("vasp-out", "vasp-xml"):
        steps = (_steps_of_outcar if kind == "vasp-out" else _steps_of_vasprun)(_lines(path))
        return lambda index, _: index in steps
    if kind in ("gaussian-out", "orca-output"):
        of_kind = _energies_of_gaussian if kind == "gaussian-out" else _energies_of_orca
        energies = list(of_kind(_lines(path)))
        return lambda _, atoms: _is_one_of(energies, atoms)
    if kind == "espresso-out":
        failed = any(b"convergence NOT achieved" in line for line in _lines(path))
        # pw.x marks energies of converged steps, and ASE reads only these.
        return lambda _, atoms: failed and _energy(atoms) is None
    phrase = PHRASES.get(kind)
    failed = phrase is not None and any(phrase in line for line in _lines(path))
    return lambda *_: failed


def _lines(path: Path) -> Iterator[bytes]:
    with closing(open_with_compression(str(path), "rb")) as stream:
        yield from stream


def _steps_of_outcar(lines: Lines) -> set[int]:
    """Return the ionic steps whose electronic steps ended before EDIFF was reached."""
    steps: set[int] = set()
    index = iteration = most = 0
    reached: bool | None = None
    for line in lines:
        if b"Iteration" in line and (match := _ITERATION.search(line)):
            iteration = int(match[1])
        elif b"aborting loop" in line:
            failed = b"not reached" in line or b"hard stop" in line
            reached = True if b"EDIFF is reached" in line else (False if failed else None)
        elif b"NELM " in line and (match := _MOST_ITERATIONS.search(line)):
            most = int(match[1])
        elif b"FREE ENERGIE OF THE ION-ELECTRON SYSTEM" in line:
            # VASP 5 prints no message if the maximum number of electronic steps was reached.
            if reached is False or (reached is None and 0 < most <= iteration):
                steps.add(index)
            index, iteration, reached = index + 1, 0, None
    return steps


def _steps_of_vasprun(lines: Lines) -> set[int]:
    """Return the ionic steps that used all electronic steps while the energy still changed."""
    steps: set[int] = set()
    index = n_steps = 0
    energies: list[float] = []
    limits: dict[bytes, float] = {}
    inside = False
    for match in (match for line in lines for match in _VASPRUN.finditer(line)):
        if match[0] == b"</calculation>":
            most, allowed = limits.get(b"NELM", 0), limits.get(b"EDIFF", 0)
            changes = len(energies) > 1 and abs(energies[-1] - energies[-2]) > allowed
            if 0 < most <= n_steps and changes:
                steps.add(index)
            index, n_steps, energies = index + 1, 0, []
        elif match[1] == b"e_fr_energy":
            energies += [float(match[2])] * inside
        elif match[1] is not None:
            limits.setdefault(match[1], float(match[2]))
        else:
            inside = match[0] == b"<scstep>"
            n_steps += inside
    return steps


def _energies_of_gaussian(lines: Lines) -> Iterator[float]:
    """Yield the energies in eV of SCF calculations that did not converge."""
    failed = False
    for line in lines:
        if b"Convergence criterion not met" in line:
            failed = True
        elif failed and b"SCF Done:" in line:
            failed = False
            yield float(line.split(b"=")[1].split()[0].replace(b"D", b"e")) * Hartree


def _energies_of_orca(lines: Lines) -> Iterator[float]:
    """Yield the energies in eV of SCF calculations that did not converge."""
    for line in lines:
        if b"FINAL SINGLE POINT ENERGY" in line and b"not fully converged" in line:
            yield float(line.split()[-1]) * Hartree


def _is_one_of(energies: list[float], atoms: ase.Atoms) -> bool:
    energy = _energy(atoms)
    if energy is None or not energies:
        return False
    # ASE returns NaN for an energy if it recognizes the warning of ORCA.
    return math.isnan(energy) or any(abs(energy - other) < SAME_ENERGY for other in energies)


def _energy(atoms: ase.Atoms) -> float | None:
    return None if atoms.calc is None else atoms.calc.results.get("energy")

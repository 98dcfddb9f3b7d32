"""Inputs of LAMMPS: dynamics, or a single computation if all atoms are fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reann.interfaces.lammps.data import System
from reann.motion.constraints import fixed_directions
from reann.motion.dynamics import has_velocities
from reann.motion.start import time_step

SETUP = """units metal
boundary {boundary}
read_data start.data
pair_style reann{charge}
pair_coeff * * {model} {elements}
"""
CHECK = """thermo_style custom pe
thermo_modify format float %.12g
dump 1 all custom 1 check.dump id fx fy fz
dump_modify 1 sort id format float %.12g
run 0
"""
ENSEMBLES = """variable ensemble index nvt
variable temperature index 300   # K
variable pressure index 1        # bar, with npt
variable steps index 2000
"""
CONSTANT_VOLUME = """variable ensemble index nvt
variable temperature index 300   # K
variable steps index 2000
if "${ensemble} != nvt" then "print 'Only nvt: the structure is not periodic or has fixed atoms.'" &
    "quit 1"
"""
EITHER = """variable heat string "temp ${temperature} ${temperature} 0.1"
if "${ensemble} == npt" then &
    "fix md all npt ${heat} aniso ${pressure} ${pressure} 1.0" &
else &
    "fix md all nvt ${heat}"
"""
OUTPUT = """
# Distance of each atom from the range of the training data, in widths of the range; 0: inside.
#fix outside all pair 100 reann extrapolation 1
#compute farthest all reduce max f_outside
thermo 100
thermo_style custom step temp pe etotal{press}
{thermal}dump trajectory all custom 100 trajectory.dump id element x y z fx fy fz
dump_modify trajectory element {elements} sort id
run ${{steps}}
"""
ONCE = """velocity all set 0.0 0.0 0.0
thermo_style custom step pe{press}
dump forces all custom 1 forces.dump id element x y z fx fy fz
dump_modify forces element {elements} sort id
run 0
"""
THERMOSTAT = "fix md {group} nvt temp ${{temperature}} ${{temperature}} 0.1\n"
OWN_TEMPERATURE = "fix_modify md temp thermal\n"
ATOMS_PER_RANK = 50
"""Minimum for which more than one rank is useful."""


@dataclass(frozen=True)
class Fixed:
    """Fixed atoms and directions in the frame of LAMMPS."""

    directions: NDArray[np.bool_]
    """Whether each atom is fixed along each axis, (atoms, 3)."""
    dropped: list[str]
    """Names of the constraints that are not exported."""

    @property
    def all_atoms(self) -> bool:
        """Whether all atoms are fixed in all directions."""
        return bool(self.directions.all())

    @property
    def groups(self) -> dict[str, NDArray[np.int64]]:
        """Numbers of atoms, from 1 on, by the axes along which they are fixed, such as `xyz`."""
        names = ["".join(np.array(list("xyz"))[row]) for row in self.directions]
        return {
            name: np.flatnonzero([other == name for other in names]) + 1
            for name in sorted(set(names) - {""}, key=len, reverse=True)
        }


def fixed_in(system: System) -> Fixed:
    """Return the atoms and directions that the constraints of a structure fix."""
    return Fixed(*fixed_directions(system.atoms, turned=system.turned))


def command(n_atoms: int) -> str:
    """Return the command that runs the input, on two ranks if there are enough atoms."""
    ranks = min(2, n_atoms // ATOMS_PER_RANK)
    return f"mpirun -n {ranks} lmp -in in.lammps" if ranks > 1 else "lmp -in in.lammps"


def check_input(system: System, model: str) -> str:
    """Return an input that computes energy and forces of the structure."""
    return _setup(system, model) + CHECK


def start_input(system: System, fixed: Fixed, model: str, title: str) -> str:
    """Return an input for molecular dynamics, or for one computation if all atoms are fixed."""
    if fixed.all_atoms:
        head = f"# {title}\n#   lmp -in in.lammps\n# All atoms are fixed: energy and forces, once."
        output = ONCE.format(press=_press(system), elements=" ".join(system.elements))
        return f"{head}\n{_setup(system, model)}\n{output}"
    return _dynamics_input(system, fixed, model, title)


def _dynamics_input(system: System, fixed: Fixed, model: str, title: str) -> str:
    constant_volume = bool(fixed.groups) or not system.atoms.pbc.all()
    run = command(len(system.atoms))
    lines = [f"# {title}", f"#   {run}"]
    if not constant_volume:
        lines.append(f"#   {run} -var ensemble npt -var temperature 350")
    lines += [f"# This constraint of the structure is not exported: {n}" for n in fixed.dropped]
    head = "\n".join([*lines, CONSTANT_VOLUME if constant_volume else ENSEMBLES])
    step = f"timestep {1e-3 * time_step(system.atoms):g}   # ps\nneighbor 1.0 bin\n"
    thermal = _has_own_temperature(system, fixed)
    body = _fixes(fixed) + (_temperature(fixed) if thermal else "") + _velocities(system, fixed)
    body += THERMOSTAT.format(group=_moving(fixed)) if constant_volume else EITHER
    output = OUTPUT.format(
        press=_press(system),
        thermal="thermo_modify temp thermal\n" if thermal else "",
        elements=" ".join(system.elements),
    )
    return f"{head}\n{_setup(system, model)}\n{step}{body}{OWN_TEMPERATURE * thermal}{output}"


def _setup(system: System, model: str) -> str:
    return SETUP.format(
        boundary=" ".join("p" if periodic else "m" for periodic in system.atoms.pbc),
        charge=f" charge {system.charge:g}" if system.charge else "",
        model=model,
        elements=" ".join(system.elements),
    )


def _press(system: System) -> str:
    return " press vol" if system.atoms.pbc.all() else ""


def _fixes(fixed: Fixed) -> str:
    """Return groups of fixed atoms, whose forces are set to zero, and the group of the others."""
    if not fixed.groups:
        return ""
    lines = []
    for axes, atoms in fixed.groups.items():
        zeros = _components(axes)
        lines.append(f"group fixed_{axes} id {_ranges(atoms)}")
        lines.append(f"fix hold_{axes} fixed_{axes} setforce {zeros}")
    still = " fixed_xyz" if "xyz" in fixed.groups else ""
    lines.append(f"group mobile subtract all{still}" if still else "group mobile union all")
    return "\n".join([*lines, ""])


def _moving(fixed: Fixed) -> str:
    return "mobile" if fixed.groups else "all"


def _has_own_temperature(system: System, fixed: Fixed) -> bool:
    """Return whether the center of mass moves.

    By default, LAMMPS assumes that it is at rest and subtracts three degrees of freedom. It moves
    if atoms are fixed, or if there is only one atom.
    """
    return bool(fixed.groups) or len(system.atoms) == 1


def _temperature(fixed: Fixed) -> str:
    """Return the command for the temperature of the degrees of freedom that can move."""
    partly = sum(len(axes) * len(atoms) for axes, atoms in fixed.groups.items() if axes != "xyz")
    return f"compute thermal {_moving(fixed)} temp\ncompute_modify thermal extra/dof {partly}\n"


def _velocities(system: System, fixed: Fixed) -> str:
    still = [f"velocity fixed_{axes} set {_components(axes)}" for axes in fixed.groups]
    if has_velocities(system.atoms):
        lines = ["# The velocities are those of the structure, in start.data.", *still]
    elif _has_own_temperature(system, fixed):
        group = _moving(fixed)
        drawn = f"velocity {group} create ${{temperature}} 4711 mom no rot no temp thermal"
        lines = [drawn, *still, f"velocity {group} scale ${{temperature}} temp thermal"]
    else:
        lines = ["velocity all create ${temperature} 4711 mom yes rot yes"]
    return "\n".join([*lines, ""])


def _components(axes: str) -> str:
    return " ".join("0.0" if axis in axes else "NULL" for axis in "xyz")


def _ranges(atoms: NDArray[np.int64]) -> str:
    """Return numbers of atoms as ranges, such as `1:8 12`."""
    parts = np.split(atoms, np.flatnonzero(np.diff(atoms) != 1) + 1)
    return " ".join(f"{p[0]}:{p[-1]}" if len(p) > 1 else f"{p[0]}" for p in parts)

"""Energies and forces with charges in LAMMPS are continuous where pairs cross distances and ranks.

With lists of every structure, and with the lists of a run, which hold for several steps.
"""

from __future__ import annotations

from pathlib import Path

import ase
import numpy as np
import pytest
from numpy.typing import NDArray

from crossing import DIRECTION, STEPS, assert_same_side, half_of, pair
from lammps_runs import lammps, prepare
from models import random_model
from reann.electrostatics import balance
from reann.interfaces.ase import Calculator
from reann.model import Reann
from reann.potential import Potential

pytestmark = pytest.mark.usefixtures("plugin")
CUTOFF, SKIN = 4.0, 0.5
CENTER, SWING, PERIOD = 4.2, 0.6, 24
"""Å; the distance of the pair in a run, its amplitude, and the steps of a period."""
TOLERANCE = 1e-5
"""eV and eV/Å."""
ALONG = pair(1.0).positions - pair(0.0).positions
OUTPUT = f"""neighbor {SKIN} bin
thermo 1
thermo_style custom pe
thermo_modify format float %.15g
"""
COLUMNS = "a.dump id x y z fx fy fz"
each_case = pytest.mark.parametrize(
    ("charges", "length", "ranks"),
    [
        ("latent", None, 2),
        ("latent", 10.0, 1),
        ("latent", 24.0, 2),
        ("equilibrated", None, 2),
        ("equilibrated", 10.0, 1),
    ],
)


def charged(charges: str) -> Reann:
    """Return a model with forces of some eV/Å."""
    long_range = {"smearing": 0.8, "charges": charges}
    form = {"messages": "equivariant", "l_max": 2, "n_recursions": 1, "moment_limit": 2.0}
    model = random_model([1, 6, 8, 28], cutoff=CUTOFF, long_range=long_range, **form)
    for name, head in model.output_heads.items():
        head.get_buffer("scale").fill_({"charges": 1.0, "electronegativities": 9.0}[name])
    return model


def in_a_box(distance: float, length: float | None) -> ase.Atoms:
    """Return a pair of molecules, with space around them if there is no cell."""
    atoms, width = pair(distance, length), 24.0 if length is None else length
    atoms.cell = [width] * 3
    atoms.positions += 0.25 * width  # ranks meet at half the width, on the way of the molecules
    return atoms


def results(printed: str, folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the energies of all steps, and positions and forces (steps, atoms, 6)."""
    energies = []
    for table in printed.split("PotEng")[1:]:
        energies += [float(x) for x in table.partition("Loop")[0].split()]
    frames = (folder / "a.dump").read_text().split("ITEM: ATOMS")[1:]
    rows = [[line.split()[1:] for line in frame.splitlines()[1:5]] for frame in frames]
    return np.array(energies), np.array(rows, dtype=float)


@each_case
def test_pairs_cross_distances(
    tmp_path: Path, charges: str, length: float | None, ranks: int
) -> None:
    distances = [CUTOFF, CUTOFF + SKIN, *([] if length is None else [half_of(length)])]
    script = prepare(tmp_path, Potential(charged(charges)), in_a_box(CUTOFF, length)) + OUTPUT
    for distance in distances:
        for step in STEPS:
            atoms = in_a_box(distance + step, length)
            for i, (x, y, z) in enumerate(atoms.positions, 1):
                script += f"set atom {i} x {x:.17g} y {y:.17g} z {z:.17g}\n"
            sorted_by_atom = "modify append yes sort id format float %.15g"
            script += f"run 0\nwrite_dump all custom {COLUMNS} {sorted_by_atom}\n"
    energies, rows = results(lammps(tmp_path, script, ranks), tmp_path)
    shape = (len(distances), len(STEPS))
    found = zip(energies.reshape(shape), rows[..., 3:].reshape(*shape, 4, 3), strict=True)
    for at_distance, forces in found:
        assert_same_side(at_distance, forces, ALONG, 1e-7)


@each_case
def test_lists_of_a_run_are_as_good_as_new_ones(
    tmp_path: Path,
    charges: str,
    length: float | None,
    ranks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The molecules approach each other and part, so that atoms go to another rank and back."""
    potential = Potential(charged(charges))
    x, y, z = 0.5 * SWING * DIRECTION / np.linalg.norm(DIRECTION)
    script = prepare(tmp_path, potential, in_a_box(CENTER, length)) + OUTPUT
    script += (
        "group first id 1 2\ngroup second id 3 4\ntimestep 1.0\n"
        f"fix 1 first move wiggle {x:.15g} {y:.15g} {z:.15g} {PERIOD}\n"
        f"fix 2 second move wiggle {-x:.15g} {-y:.15g} {-z:.15g} {PERIOD}\n"
        f"dump 1 all custom 1 {COLUMNS}\ndump_modify 1 sort id format float %.15g\n"
        f"run {PERIOD}\n"
    )
    printed = lammps(tmp_path, script, ranks)
    assert 4 <= int(printed.partition("Neighbor list builds = ")[2].split()[0]) < PERIOD // 2
    assert "Dangerous builds = 0" in printed
    energies, rows = results(printed, tmp_path)
    monkeypatch.setattr(balance, "DENSE", 0)  # on meshes, as in LAMMPS, and faster
    calculator, atoms = Calculator(potential, engine="native", skin=0.0), in_a_box(0.0, length)
    distances = []
    for energy, row in zip(energies, rows, strict=True):
        atoms.positions, atoms.calc = row[:, :3], calculator
        distances.append(atoms.get_distance(0, 2, mic=True))
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=TOLERANCE)
        np.testing.assert_allclose(row[:, 3:], atoms.get_forces(), rtol=0, atol=TOLERANCE)
    assert min(distances) < CUTOFF - 0.2
    assert max(distances) > CUTOFF + SKIN

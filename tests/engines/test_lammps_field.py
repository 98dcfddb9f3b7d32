"""Electric fields and dipoles in the real LAMMPS: those of Python, on any ranks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase
import ase.build
import numpy as np
import pytest
import torch
from ase import units
from ase.io.lammpsdata import write_lammps_data
from numpy.typing import NDArray

from lammps_runs import SPECIES, attempt, lammps, prepare, water
from models import random_model
from reann.backends import choice
from reann.data.neighbors import graph_from_atoms
from reann.model import Reann
from reann.potential import Ensemble, Potential

pytestmark = pytest.mark.usefixtures("plugin")
BAR = units.bar
FIELD = (0.15, -0.3, 0.2)
"""V/Å."""
SIX = ([0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2])
"""xx yy zz xy xz yz, the order of LAMMPS."""
APPLY = "fix F all reann/field {} {} {}\n"
DIPOLE = "compute mu all reann/dipole polarizability\n"
NUMBERS = "thermo_modify format float %.15g\n"
NAMES = ["energy", "forces", "stress", "dipole", "polarizability"]


def fielded(T: int = 1, **choices: Any) -> Reann:
    form = {"messages": "equivariant", "l_max": 2, "n_recursions": T, "field": True}
    return random_model([1, 6, 8, 28], **(form | choices))


def with_heads(seed: int = 0) -> Reann:
    form = {"messages": "equivariant", "outputs": ["dipole", "polarizability"]}
    model = random_model([1, 6, 8, 28], seed=seed, l_max=2, n_recursions=1, **form)
    for number, head in enumerate(model.output_heads.values()):
        head.scale.fill_(0.7 + 0.2 * number)
    return model


def drop() -> ase.Atoms:
    """Return two molecules without periodic images, far from the origin."""
    atoms = ase.build.molecule("CH3CH2OH")
    other = ase.build.molecule("CH3OH")
    other.translate((3.0, 0.4, 0.3))
    atoms.extend(other)
    atoms.rattle(0.1, seed=3)
    atoms.center(vacuum=4.0)
    return atoms


def reference(
    models: list[Reann], atoms: ase.Atoms, field: tuple[float, ...] | None
) -> dict[str, NDArray[np.float64]]:
    """Return properties of the mean of models by PyTorch."""
    graph = graph_from_atoms(atoms, models[0].cutoff)
    if field is not None:
        graph = replace(graph, field=torch.tensor([field], dtype=torch.float64))
    each = [choice.evaluate(model, graph, NAMES, engine="torch") for model in models]
    return {name: np.mean([one[name].numpy() for one in each], axis=0) for name in NAMES}


def rows_of(printed: str, first: str = "PotEng") -> NDArray[np.float64]:
    """Return the last table of numbers whose header begins with a word."""
    lines = [line.split() for line in printed.splitlines()]
    head = max(i for i, words in enumerate(lines) if words[:1] == [first])
    table = itertools.takewhile(lambda words: words[0] != "Loop", lines[head + 1 :])
    return np.array([words for words in table if len(words) == len(lines[head])], dtype=float)


def forces_in(folder: Path) -> NDArray[np.float64]:
    table = (folder / "a.dump").read_text().split("ITEM: ATOMS")[1].splitlines()[1:]
    return np.array([line.split()[1:] for line in table], dtype=float)


STRUCTURES = {"periodic": lambda: water(2), "cluster": drop}
MODELS = {
    "field": lambda: [fielded()],
    "field, two recursions": lambda: [fielded(2, l_max=3)],
    "field, ensemble": lambda: [fielded(seed=seed) for seed in range(2)],
    "heads": lambda: [with_heads()],
    "heads, ensemble": lambda: [with_heads(seed) for seed in range(2)],
}


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("form", MODELS)
def test_it_computes_what_python_computes(tmp_path: Path, form: str, structure: str) -> None:
    models, atoms = MODELS[form](), STRUCTURES[structure]()
    members = [Potential(model) for model in models]
    setup = prepare(tmp_path, members[0] if len(members) == 1 else Ensemble(members), atoms)
    in_field = form.startswith("field")
    columns = "pe pxx pyy pzz pxy pxz pyz c_mu[*]" + (" f_F f_F[*]" if in_field else "")
    script = (
        f"{setup}{APPLY.format(*FIELD) if in_field else ''}{DIPOLE}"
        f"dump 1 all custom 1 a.dump id fx fy fz\ndump_modify 1 sort id format float %.15g\n"
        f"thermo_style custom {columns}\n{NUMBERS}run 0\n"
    )
    expected = reference(models, atoms, FIELD if in_field else None)
    alpha = expected["polarizability"][0][SIX]
    size = 1.0 + np.abs(expected["forces"]).max()
    for ranks in (1, 2, 4):
        found = rows_of(lammps(tmp_path, script, ranks))[0]
        np.testing.assert_allclose(found[0], expected["energy"][0], atol=1e-9 * size)
        np.testing.assert_allclose(forces_in(tmp_path), expected["forces"], atol=1e-8 * size)
        if atoms.pbc.all():
            stress = expected["stress"][0][SIX]
            np.testing.assert_allclose(-found[1:7] * BAR, stress, atol=1e-7 * np.abs(stress).max())
        np.testing.assert_allclose(found[7:10], expected["dipole"][0], atol=1e-9 * size)
        np.testing.assert_allclose(found[10:16], alpha, atol=1e-8 * np.abs(alpha).max())
        if in_field:
            without = reference(models, atoms, None)["energy"]
            np.testing.assert_allclose(found[16], (expected["energy"] - without)[0], atol=1e-8)
            np.testing.assert_array_equal(found[17:20], FIELD)


def test_the_energy_falls_along_the_field_as_the_dipole_says(tmp_path: Path) -> None:
    setup = prepare(tmp_path, Potential(fielded()), drop())
    ask = f"thermo_style custom pe c_mu[*]\n{NUMBERS}run 0\n"
    h, slopes = 1e-4, []
    for axis in range(3):
        energies = []
        for sign in (1.0, -1.0):
            field = np.array(FIELD)
            field[axis] += sign * h
            printed = lammps(tmp_path, f"{setup}{APPLY.format(*field)}{DIPOLE}{ask}")
            energies.append(rows_of(printed)[0, 0])
        slopes.append((energies[0] - energies[1]) / (2.0 * h))
    dipole = rows_of(lammps(tmp_path, f"{setup}{APPLY.format(*FIELD)}{DIPOLE}{ask}"))[0, 1:4]
    np.testing.assert_allclose(-np.array(slopes), dipole, rtol=1e-6, atol=1e-6)


def test_a_constant_field_conserves_the_energy_and_does_work(tmp_path: Path) -> None:
    atoms = drop()
    setup = prepare(tmp_path, Potential(fielded(moment_limit=2.0)), atoms)
    script = (
        f"{setup}{APPLY.format(*FIELD)}fix 1 all nve\nthermo 20\n"
        f"thermo_style custom etotal f_F\n{NUMBERS}timestep {{}}\nrun {{}}\n"
    )
    drifts = []
    for step, n in ((1e-5, 200), (5e-6, 400)):
        table = rows_of(lammps(tmp_path, script.format(step, n), 2), "TotEng")
        drifts.append(np.ptp(table[:, 0]))
        assert np.ptp(table[:, 1]) > 100.0 * drifts[-1]
    assert drifts[1] < 0.4 * drifts[0]  # of second order in the time step


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_field_that_changes_in_time_counts_at_every_step(tmp_path: Path, ranks: int) -> None:
    model, atoms = fielded(), water(2)
    setup = prepare(tmp_path, Potential(model), atoms)
    script = (
        f"{setup}timestep 1e-13\nvariable E equal 0.1*step-0.1\nfix F all reann/field 0 v_E 0.05\n"
        f"compute mu all reann/dipole\nfix 1 all nve\nthermo 1\n"
        f"thermo_style custom pe f_F[2] f_F c_mu[*]\n{NUMBERS}run 3\n"
    )
    table = rows_of(lammps(tmp_path, script, ranks))
    without = reference([model], atoms, None)["energy"][0]
    for row, strength in zip(table, (-0.1, 0.0, 0.1, 0.2), strict=True):
        expected = reference([model], atoms, (0.0, strength, 0.05))
        np.testing.assert_allclose(row[0], expected["energy"][0], rtol=1e-9)
        np.testing.assert_allclose(row[1], strength, atol=1e-12)
        np.testing.assert_allclose(row[2], expected["energy"][0] - without, atol=1e-7)
        np.testing.assert_allclose(row[3:6], expected["dipole"][0], atol=1e-7)


def test_without_the_fix_there_is_no_field_any_more(tmp_path: Path) -> None:
    model, atoms = fielded(), water(2)
    setup = prepare(tmp_path, Potential(model), atoms)
    script = (
        f"{setup}{APPLY.format(*FIELD)}thermo_style custom pe\n{NUMBERS}run 0\nunfix F\nrun 0\n"
    )
    found = rows_of(lammps(tmp_path, script))[0, 0]
    assert found == pytest.approx(reference([model], atoms, None)["energy"][0], rel=1e-12)


def test_minimization_ends_in_the_field(tmp_path: Path) -> None:
    setup = prepare(tmp_path, Potential(fielded(moment_limit=2.0)), drop())
    script = (
        f"{setup}variable Z equal 0.2\nfix F all reann/field 0 0 v_Z\n"
        f"thermo_style custom pe fnorm f_F[3]\n{NUMBERS}thermo 1\nminimize 0 1e-3 20 200\n"
    )
    table = rows_of(lammps(tmp_path, script))
    assert (np.diff(table[:, 0]) <= 0.0).all()
    np.testing.assert_array_equal(table[:, 2], 0.2)


def test_the_pressure_is_that_of_python_beside_other_styles(tmp_path: Path) -> None:
    model, atoms = fielded(), water(2)
    setup = prepare(tmp_path, Potential(model), atoms)
    setup = setup.replace("pair_style reann", "pair_style hybrid/overlay reann zero 3.0")
    setup = setup.replace("pair_coeff * * a", "pair_coeff * * zero\npair_coeff * * reann a")
    ask = f"thermo_style custom pe pxx pyy pzz pxy pxz pyz\n{NUMBERS}run 0\n"
    found = rows_of(lammps(tmp_path, setup + APPLY.format(*FIELD) + ask, 2))[0]
    stress = reference([model], atoms, FIELD)["stress"][0][SIX]
    np.testing.assert_allclose(-found[1:] * BAR, stress, atol=1e-7 * np.abs(stress).max())


def test_units_real_take_the_same_field(tmp_path: Path) -> None:
    model, atoms = fielded(), water(2)
    setup = prepare(tmp_path, Potential(model), atoms).replace("units metal", "units real")
    with (tmp_path / "a.data").open("w") as file:
        write_lammps_data(file, atoms, specorder=SPECIES, masses=True, units="real")
    ask = f"{DIPOLE}thermo_style custom pe f_F c_mu[*]\n{NUMBERS}run 0\n"
    found = rows_of(lammps(tmp_path, setup + APPLY.format(*FIELD) + ask, 2))[0]
    expected, without = reference([model], atoms, FIELD), reference([model], atoms, None)
    kcal = units.kcal / units.mol
    np.testing.assert_allclose(found[0] * kcal, expected["energy"][0], rtol=1e-7)
    gained = expected["energy"][0] - without["energy"][0]
    np.testing.assert_allclose(found[1] * kcal, gained, rtol=1e-7)
    np.testing.assert_allclose(found[2:5], expected["dipole"][0], atol=1e-8)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fix F all reann/field 0 0", "needs the three components of the field in V/Å"),
        ("fix F some reann/field 0 0 0.1", "needs the group all"),
        ("fix F all reann/field 0 0 north", "Expected floating point parameter"),
        ("variable n equal exp(1000)\nfix F all reann/field 0 0 v_n", "is not finite at step 0"),
        ("fix F all reann/field 0 0 v_none", "variable none does not exist"),
        (
            "variable a atom x\nfix F all reann/field 0 0 v_a",
            "variable a must be of style equal",
        ),
        (
            "fix F all reann/field 0 0 1\nfix G all reann/field 0 0 1",
            "fix F and fix G both set the electric field",
        ),
        ("compute mu some reann/dipole", "needs the group all"),
        ("compute mu all reann/dipole alpha", "has no argument except `polarizability`"),
        ("pair_style zero 3.0\npair_coeff * *\n" + APPLY.format(0, 0, 1), "needs exactly one"),
        ("pair_style zero 3.0\npair_coeff * *\n" + DIPOLE, "needs exactly one pair_style reann"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, command: str, said: str) -> None:
    setup = prepare(tmp_path, Potential(fielded()), water(1))
    done = attempt(tmp_path, f"{setup}group some id 1\n{command}\nrun 0\n")
    assert done.returncode
    assert said in done.stdout


@pytest.mark.parametrize(
    ("form", "command", "said"),
    [
        ({}, APPLY.format(0, 0, 1), "does not depend on an electric field: train one with"),
        ({}, DIPOLE, "the potential has no output 'dipole'"),
        ({"outputs": ["dipole"]}, DIPOLE, "the potential has no output 'polarizability'"),
        ({"outputs": ["polarizability"]}, DIPOLE, "the potential has no output 'dipole'"),
        (
            {"outputs": ["dipole", "polarizability"], "induction": True},
            DIPOLE,
            "the potential has no output 'polarizability' in a form that LAMMPS supports",
        ),
        ({"outputs": ["dipole"]}, APPLY.format(0, 0, 1), "does not depend on an electric field"),
    ],
)
def test_a_potential_without_the_output_is_refused(
    tmp_path: Path, form: dict[str, Any], command: str, said: str
) -> None:
    model = random_model([1, 6, 8, 28], messages="equivariant", l_max=2, **form)
    setup = prepare(tmp_path, Potential(model), water(1))
    done = attempt(tmp_path, f"{setup}{command}run 0\n", 2)
    assert done.returncode
    assert said in done.stdout


def test_a_dipole_of_what_has_changed_is_refused(tmp_path: Path) -> None:
    setup = prepare(tmp_path, Potential(fielded()), water(1))
    change = "displace_atoms all random 0.1 0.1 0.1 1\n"
    done = attempt(tmp_path, f"{setup}{DIPOLE}run 0\n{change}print $(c_mu[1])\n")
    assert done.returncode
    assert "has no results for these atoms at step 0: request the dipole" in done.stdout

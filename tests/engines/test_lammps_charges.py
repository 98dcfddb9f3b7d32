"""Charges and their Coulomb energy in the real LAMMPS: those of Python, on any ranks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from ase import units
from numpy.typing import NDArray

from lammps_runs import attempt, lammps, prepare, water
from models import random_model, set_range
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.interfaces.lammps.export import export
from reann.model import Reann
from reann.potential import Ensemble, Potential

pytestmark = pytest.mark.usefixtures("plugin")
BAR = units.bar
SIX = ([0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2])
"""xx yy zz xy xz yz, the order of LAMMPS."""
NUMBERS = "thermo_modify format float %.15g\n"
ASK = f"""compute atomic all pe/atom
compute mu all reann/dipole
fix q all pair 1 reann charge 0
thermo_style custom pe pxx pyy pzz pxy pxz pyz c_mu[*] ecoul
{NUMBERS}dump 1 all custom 1 a.dump id c_atomic fx fy fz f_q
dump_modify 1 sort id format float %.15g
run 0
"""


def charged(seed: int = 0, sigma: float = 0.8, charges: str = "latent", **choices: Any) -> Reann:
    form = {"messages": "equivariant", "l_max": 2, "n_recursions": 1, "outputs": ["dipole"]}
    long_range = {"smearing": sigma, "charges": charges}
    model = random_model([1, 6, 8, 28], seed=seed, long_range=long_range, **(form | choices))
    for name, head in model.output_heads.items():
        head.scale.fill_({"charges": 0.7, "dipole": 0.9, "electronegativities": 9.0}[name])
    return model


def triclinic() -> ase.Atoms:
    cell = [[4.0, 0, 0], [1.3, 4.5, 0], [-0.9, 1.1, 5.0]]
    atoms = ase.Atoms("HCOHCO", cell=cell, pbc=True)
    atoms.set_scaled_positions(
        np.random.default_rng(5).permutation(np.indices((2, 2, 2)).reshape(3, 8).T)[:6] / 2.0
    )
    atoms.rattle(0.2, seed=5)
    return atoms


def slab() -> ase.Atoms:
    atoms = ase.build.fcc100("Ni", (2, 2, 2), a=3.5, vacuum=6.0)
    atoms.set_pbc(True)
    atoms.rattle(0.1, seed=2)
    molecule = ase.build.molecule("CO2")
    molecule.positions += atoms.positions[-1] + [0.4, 0.3, 2.0]
    return atoms + molecule


def drop() -> ase.Atoms:
    atoms = ase.build.molecule("CH3CH2OH")
    other = ase.build.molecule("H2O")
    other.translate((9.0, 0.4, 0.3))  # beyond the cutoff of the network
    atoms.extend(other)
    atoms.rattle(0.1, seed=3)
    atoms.center(vacuum=4.0)
    return atoms


STRESS = """compute each all stress/atom NULL
compute sum all reduce sum c_each[*]
thermo_style custom c_sum[*]
run 0"""
STRUCTURES = {"water": lambda: water(2), "triclinic": triclinic, "slab": slab, "molecules": drop}


def rows_of(printed: str, first: str = "PotEng") -> NDArray[np.float64]:
    """Return the last table of numbers whose header begins with a word."""
    lines = [line.split() for line in printed.splitlines()]
    head = max(i for i, words in enumerate(lines) if words[:1] == [first])
    table = itertools.takewhile(lambda words: words[0] != "Loop", lines[head + 1 :])
    return np.array([words for words in table if len(words) == len(lines[head])], dtype=float)


def asked(folder: Path, setup: str, ranks: int = 1) -> dict[str, Any]:
    numbers = rows_of(lammps(folder, setup + ASK, ranks))[0]
    table = (folder / "a.dump").read_text().split("ITEM: ATOMS")[1].splitlines()[1:]
    rows = np.array([line.split()[1:] for line in table], dtype=float)
    return {
        "energy": numbers[0],
        "stress": -numbers[1:7] * BAR,
        "dipole": numbers[7:10],
        "coulomb": numbers[10],
        "energies": rows[:, 0],
        "forces": rows[:, 1:4],
        "charges": rows[:, 4],
    }


def predicted(potential: Potential | Ensemble, atoms: ase.Atoms, *names: str) -> dict[str, Any]:
    found = potential.predict(atoms, names)
    assert isinstance(found, dict)
    return {**found}


def with_charge(setup: str, charge: float) -> str:
    return setup.replace("pair_style reann", f"pair_style reann charge {charge}")


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("charge", [0.0, 1.0])
@pytest.mark.parametrize("name", STRUCTURES)
def test_it_computes_what_python_computes(
    tmp_path: Path, name: str, charge: float, members: int
) -> None:
    potentials, atoms = [Potential(charged(seed)) for seed in range(members)], STRUCTURES[name]()
    potential = potentials[0] if members == 1 else Ensemble(potentials)
    setup = with_charge(prepare(tmp_path, potential, atoms), charge)
    atoms.info["charge"] = charge
    names = ["energy", "energies", "forces", "charges", "dipole", "stress"]
    expected = predicted(potential, atoms, *names[: 6 if atoms.pbc.all() else 5])
    size = 1.0 + np.abs(expected["forces"]).max()
    assert np.abs(expected["charges"]).max() > 0.1
    for ranks in (1, 2, 4):
        found = asked(tmp_path, setup, ranks)
        for key in ("energy", "energies", "forces", "charges", "dipole"):
            np.testing.assert_allclose(found[key], expected[key], atol=1e-8 * size, err_msg=key)
        if "stress" in expected:
            stress = np.reshape(expected["stress"], (3, 3))[SIX]
            np.testing.assert_allclose(found["stress"], stress, atol=1e-7 * np.abs(stress).max())
        assert found["charges"].sum() == pytest.approx(charge, abs=1e-9)
        assert abs(found["coulomb"]) > 0.01


@pytest.mark.parametrize("charge", [0.0, 1.0])
@pytest.mark.parametrize("name", ["box of 375 atoms", "molecules"])
def test_equilibrated_charges_are_those_of_python(tmp_path: Path, name: str, charge: float) -> None:
    atoms = drop() if name == "molecules" else water(5)
    potential = Ensemble([Potential(charged(s, charges="equilibrated")) for s in range(2)])
    setup = with_charge(prepare(tmp_path, potential, atoms), charge)
    atoms.info["charge"] = charge
    names = ["energy", "energies", "forces", "charges", "dipole", "stress"]
    expected = predicted(potential, atoms, *names[: 6 if atoms.pbc.all() else 5])
    size = 1.0 + np.abs(expected["forces"]).max()
    assert np.ptp(expected["charges"]) > 0.1
    for ranks in (1, 2, 4):
        found = asked(tmp_path, setup, ranks)
        # The charges are solved iteratively; those of Python, of few atoms, by factorization.
        for key in ("energy", "energies", "forces", "charges", "dipole"):
            np.testing.assert_allclose(found[key], expected[key], atol=1e-6 * size, err_msg=key)
        assert found["energy"] == pytest.approx(float(expected["energy"]), rel=1e-9)
        if "stress" in expected:
            stress = np.reshape(expected["stress"], (3, 3))[SIX]
            np.testing.assert_allclose(found["stress"], stress, atol=1e-6 * np.abs(stress).max())


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
def test_it_agrees_with_the_reference_too(tmp_path: Path, charges: str) -> None:
    """Ewald's sum instead of the mesh."""
    potential, atoms = Potential(charged(charges=charges)), triclinic()
    expected = potential.predict(atoms, ["energy", "forces", "stress"], "torch")
    assert isinstance(expected, dict)
    found = asked(tmp_path, prepare(tmp_path, potential, atoms))
    assert found["energy"] == pytest.approx(float(expected["energy"]), rel=1e-5)
    np.testing.assert_allclose(found["forces"], expected["forces"], atol=1e-4)
    stress = np.reshape(expected["stress"], (3, 3))[SIX]
    np.testing.assert_allclose(found["stress"], stress, atol=1e-4 * np.abs(stress).max())


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
@pytest.mark.parametrize("name", ["triclinic", "molecules"])
def test_forces_are_derivatives_of_the_energy_of_lammps(
    tmp_path: Path, name: str, charges: str
) -> None:
    potential = Potential(charged(charges=charges))
    setup = with_charge(prepare(tmp_path, potential, STRUCTURES[name]()), 1.0)
    script = setup + (
        "fix n all numdiff 1 1.0e-5\n"
        "variable off atom sqrt((fx-f_n[1])^2+(fy-f_n[2])^2+(fz-f_n[3])^2)\n"
        "compute worst all reduce max v_off\n"
        f"thermo_style custom pe c_worst\n{NUMBERS}run 0\n"
    )
    assert rows_of(lammps(tmp_path, script, 2))[0, 1] < 1e-5


@pytest.mark.parametrize(
    ("charges", "charge"), [("latent", 0.0), ("latent", 2.0), ("equilibrated", 2.0)]
)
def test_the_pressure_is_the_derivative_with_respect_to_the_box(
    tmp_path: Path, charges: str, charge: float
) -> None:
    atoms, h = triclinic(), 1e-4
    # With a mesh of the same size at all strains.
    potential = Potential(charged(sigma=0.9, charges=charges))
    setup = with_charge(prepare(tmp_path, potential, atoms), charge)
    script = [f"{setup}thermo_style custom pe pxx pyy pzz pxy pxz pyz", f"{NUMBERS}run 0"]
    for (row, column), sign in itertools.product(zip(*SIX, strict=True), (1.0, -1.0)):
        strain = np.eye(3)
        strain[row, column] += sign * h
        (x, *_), (xy, y, _), (xz, yz, z) = atoms.cell.array @ strain.T
        script.append(
            f"change_box all x final 0 {x:.15g} y final 0 {y:.15g} z final 0 {z:.15g} xy final"
            f" {xy:.15g} xz final {xz:.15g} yz final {yz:.15g} remap units box\nrun 0"
        )
    printed = lammps(tmp_path, "\n".join([*script, ""]), 2)
    tables = printed.split("PotEng")[1:]
    first, *others = (np.array(t.splitlines()[1].split(), dtype=float) for t in tables)
    energies = np.array([row[0] for row in others]).reshape(6, 2)
    wanted = -(energies[:, 0] - energies[:, 1]) / (2.0 * h) / atoms.get_volume() / BAR
    np.testing.assert_allclose(first[1:7], wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("charges", ["latent", "equilibrated"])
def test_ranks_follow_each_other_and_the_energy_stays(tmp_path: Path, charges: str) -> None:
    """NVE, atoms that migrate, new lists on the way."""
    model = charged(charges=charges, zbl={}, moment_limit=2.0)
    setup = prepare(tmp_path, Potential(model), water(3))
    script = setup + (
        "timestep 0.00002\nneighbor 0.02 bin\nvelocity all create 3000 1 loop geom\nfix 1 all nve\n"
        f"thermo 10\nthermo_style custom pe etotal ecoul\n{NUMBERS}run 100\n"
    )
    runs = []
    for ranks in (1, 2):
        printed = lammps(tmp_path, script, ranks)
        runs.append(rows_of(printed))
        assert "Neighbor list builds = 0" not in printed
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-8)
    kinetic = runs[0][:, 1] - runs[0][:, 0]
    assert np.ptp(runs[0][:, 2]) > 1e-3
    assert np.ptp(runs[0][:, 1]) < 0.01 * np.ptp(kinetic)


def test_spread_and_extrapolation_of_an_ensemble(tmp_path: Path) -> None:
    models, atoms = [charged(seed) for seed in range(2)], water(2)
    for seed, model in enumerate(models):
        other = atoms.copy()
        other.rattle(0.05, seed=seed)
        set_range(model, graph_from_atoms(other, model.cutoff))
    ensemble = Ensemble([Potential(model) for model in models])
    expected = predicted(ensemble, atoms, "forces", "extrapolation")
    script = prepare(tmp_path, ensemble, atoms) + (
        "fix more all pair 1 reann spread 1 extrapolation 1\n"
        "dump 1 all custom 1 a.dump id f_more[*]\ndump_modify 1 sort id format float %.15g\nrun 0\n"
    )
    spread = np.linalg.norm(expected["forces_std"], axis=1)
    assert expected["extrapolation"].max() > 0.0
    for ranks in (1, 2):
        lammps(tmp_path, script, ranks)
        table = (tmp_path / "a.dump").read_text().split("ITEM: ATOMS")[1].splitlines()[1:]
        rows = np.array([line.split()[1:] for line in table], dtype=float)
        np.testing.assert_allclose(rows[:, 0], spread, atol=1e-8)
        np.testing.assert_allclose(rows[:, 1], expected["extrapolation"], rtol=1e-6, atol=1e-9)


def test_it_shares_with_other_styles_in_kilocalories(tmp_path: Path) -> None:
    """Single precision, units real, and hydrogen atoms that belong to nobody."""
    potential, atoms = Potential(charged(dtype=torch.float32)), water(2)
    oxygen = atoms[atoms.numbers == 8]
    expected = predicted(potential, oxygen, "energy", "forces", "charges", "stress")
    setup = prepare(tmp_path, potential, atoms).replace("units metal", "units real")
    setup = setup.replace("pair_style reann", "pair_style hybrid reann zero 4.0")
    setup = setup.replace("* * a.reann H C O Ni", "* * reann a.reann NULL C O Ni")
    found = asked(tmp_path, setup + "pair_coeff 1 * zero\n", 2)
    kcal, of_oxygen = units.mol / units.kcal, atoms.numbers == 8
    assert found["energy"] == pytest.approx(float(expected["energy"]) * kcal, rel=1e-6)
    forces = expected["forces"] * kcal
    tolerance = 1e-5 * np.abs(forces).max()
    np.testing.assert_allclose(found["forces"][of_oxygen], forces, atol=tolerance)
    np.testing.assert_allclose(found["charges"][of_oxygen], expected["charges"], atol=1e-6)
    stress = np.reshape(expected["stress"], (3, 3))[SIX] / 1.01325  # atmospheres
    np.testing.assert_allclose(found["stress"], stress, atol=1e-4 * np.abs(stress).max())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("boundary p p p", "boundary p p f"), "`boundary p p p` with a vacuum"),
        (("pair_style reann", "pair_style reann 1"), "no arguments except `charge Q`"),
        (("pair_style reann", "pair_style reann charge"), "no arguments except `charge Q`"),
        (("run 0", STRESS), "no stress of single atoms"),
        (("run 0", "compute J all reann/flux\nrun 0"), "does not support potentials with charges"),
    ],
)
def test_what_it_cannot_compute_is_refused(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    script = prepare(tmp_path, Potential(charged()), water(1)) + "run 0\n"
    done = attempt(tmp_path, script.replace(*change))
    assert done.returncode != 0
    assert said in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"inputs": ["charge"]}, "depends on model.inputs"),
        ({"dispersion": {"functional": "pbe", "labels": "lack"}}, "depends on model.dispersion"),
    ],
)
def test_potentials_of_python_alone_are_refused(tmp_path: Path, form: Any, said: str) -> None:
    model = random_model([1, 6, 8, 28], messages="equivariant", **form)
    done = attempt(tmp_path, prepare(tmp_path, Potential(model), water(1)) + "run 0\n")
    assert done.returncode != 0
    assert said in " ".join((done.stdout + done.stderr).split())
    ase.io.write(tmp_path / "a.xyz", water(1))
    with pytest.raises(UserError, match="does not support"):
        export(tmp_path / "a.reann", tmp_path / "a.xyz", tmp_path / "run")


def test_a_total_charge_needs_charges(tmp_path: Path) -> None:
    setup = with_charge(prepare(tmp_path, Potential(random_model([1, 6, 8, 28])), water(1)), 1.0)
    done = attempt(tmp_path, setup + "run 0\n")
    assert "this one has none: remove it" in " ".join(done.stdout.split())


@pytest.mark.parametrize("charge", [0.0, -1.0])
def test_an_export_states_the_total_charge(tmp_path: Path, charge: float) -> None:
    Potential(charged()).save(tmp_path / "model.reann")
    atoms = drop()
    atoms.info["charge"] = charge
    ase.io.write(tmp_path / "start.xyz", atoms)
    found = export(tmp_path / "model.reann", tmp_path / "start.xyz", tmp_path / "run")
    assert found.difference is not None
    assert found.difference.energy < 1e-8
    assert ("reann charge -1\n" in (tmp_path / "run" / "in.lammps").read_text()) == (charge != 0.0)

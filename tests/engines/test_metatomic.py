"""metatomic runs an exported potential: what its calculator computes is what Python computes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest
import torch
from ase.constraints import FixAtoms

from models import random_atoms, random_model
from reann.potential import Ensemble, Potential

if importlib.util.find_spec("metatomic") is None:
    if os.environ.get("CI"):
        pytest.fail("metatomic is not installed, and CI is set", pytrace=False)
    pytest.skip("needs metatomic", allow_module_level=True)

with warnings.catch_warnings():  # TorchScript is deprecated
    warnings.simplefilter("ignore")
    from metatensor.torch import Labels
    from metatomic.torch import ModelOutput, load_atomistic_model
    from metatomic_ase import MetatomicCalculator

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    # Where only some axes are periodic, its calculator divides the virial by no volume.
    pytest.mark.filterwarnings("ignore::RuntimeWarning:metatomic_ase"),
]

FORMS = {
    "density": {},
    "single": {"n_recursions": 0},
    "directional": {"messages": "directional", "features": "many_body", "n_recursions": 2},
    "orbitals": {"features": "orbitals", "radial": "pair", "zbl": {}},
    "power_spectrum": {"host": "power_spectrum", "messages": "directional"},
    "symmetry_functions": {"host": "symmetry_functions"},
    "deep_pot": {"host": "deep_pot"},
    "equivariant": {"messages": "equivariant", "n_recursions": 1, "l_max": 3},
    "float32": {"dtype": torch.float32},
}
EXPORT = """import sys
from pathlib import Path
from reann.errors import UserError
from reann.interfaces.metatomic.export import export
for name in sys.argv[1:]:
    export(Path(name), Path("silicon.xyz" if "silicon" in name else "start.xyz"), Path("."))
Path("other").mkdir()
Path("other/density.reann").write_bytes(Path("single.reann").read_bytes())
try:
    export(Path("other/density.reann"), Path("start.xyz"), Path("."))
except UserError as error:
    Path("refused.txt").write_text(error.what)

def fail(*arguments, **settings):
    raise RuntimeError("Traceback of TorchScript\\nno such operator")

sys.modules[export.__module__].MetatomicCalculator = fail
try:
    export(Path("density.reann"), Path("start.xyz"), Path("failed"))
except UserError as error:
    Path("failed.txt").write_text(error.what)
"""


def potential_of(name: str) -> Potential | Ensemble:
    if name == "ensemble":
        return Ensemble([Potential(random_model(seed=s)) for s in range(3)])
    if name == "silicon":
        return Potential(random_model([14], cutoff=4.0))
    return Potential(random_model(**FORMS[name]))


def silicon() -> ase.Atoms:
    atoms = ase.build.bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.set_constraint(FixAtoms([0, 1]))  # forces are those of the potential all the same
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Export every form; in a program of its own, as TorchScript cannot read checked functions."""
    home = tmp_path_factory.mktemp("metatomic")
    every = [*FORMS, "ensemble", "silicon"]
    for name in every:
        potential_of(name).save(home / f"{name}.reann")
    ase.io.write(home / "start.xyz", ase.build.molecule("CH3CH2OH"))
    ase.io.write(home / "silicon.xyz", silicon())
    command = [sys.executable, "-c", EXPORT]
    files = [f"{name}.reann" for name in every]
    done = subprocess.run([*command, *files], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return home


def calculator(folder: Path, name: str) -> MetatomicCalculator:
    return MetatomicCalculator(
        folder / f"{name}.pt", check_consistency=True, uncertainty_threshold=None
    )


@pytest.mark.parametrize("name", [*FORMS, "ensemble"])
def test_energies_forces_and_stresses_are_those_of_python(folder, name):
    potential, known = potential_of(name), calculator(folder, name)
    rounding = 1e-5 if name == "float32" else 1e-10
    water = ase.build.molecule("H2O", vacuum=1.1, pbc=True)  # images are neighbors
    for atoms in (
        water,
        random_atoms(3, 7, (True, True, True)),
        random_atoms(4, 5, (True, False, True)),
        ase.build.molecule("C6H6"),
        ase.Atoms("O"),
    ):
        names = ["energy", "forces", *(["stress"] if atoms.pbc.all() else [])]
        expected = potential.predict(atoms, names, engine="torch")
        atoms.calc = known
        assert atoms.get_potential_energy() == pytest.approx(float(expected["energy"]), abs=1e-5)
        np.testing.assert_allclose(atoms.get_forces(), expected["forces"], atol=rounding)
        if "stress" in names:
            found = atoms.get_stress(voigt=False)
            np.testing.assert_allclose(found, expected["stress"], atol=rounding)


def test_one_element_is_enough(folder):
    atoms = silicon()
    expected = potential_of("silicon").predict(atoms, ["energy", "forces", "stress"])
    atoms.calc = calculator(folder, "silicon")
    for _ in range(3):
        assert atoms.get_potential_energy() == pytest.approx(float(expected["energy"]))
        found = atoms.get_forces(apply_constraint=False)
        np.testing.assert_allclose(found, expected["forces"], atol=1e-10)
        np.testing.assert_allclose(atoms.get_stress(voigt=False), expected["stress"], atol=1e-10)
        atoms.calc.reset()


def test_atoms_of_several_structures_are_selected(folder):
    structures = [random_atoms(s, n, (True, True, True)) for s, n in ((1, 3), (2, 6))]
    selected = Labels(["system", "atom"], torch.tensor([[0, 2], [1, 0], [1, 5]]))
    known = calculator(folder, "directional")
    asked = {"energy": ModelOutput(unit="eV", sample_kind="atom")}
    found = known.run_model(structures, asked, selected)["energy"].block()
    every = [potential_of("directional").predict(a, ["energies"])["energies"] for a in structures]
    assert found.samples.values.tolist() == [[0, 2], [1, 0], [1, 5]]
    expected = [every[0][2], every[1][0], every[1][5]]
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-10)
    of_structures = known.run_model(structures, {"energy": ModelOutput(unit="meV")}, selected)
    np.testing.assert_allclose(
        of_structures["energy"].block().values[:, 0],
        [1e3 * expected[0], 1e3 * (expected[1] + expected[2])],
    )


@pytest.mark.parametrize("kind", ["system", "atom"])
def test_an_ensemble_tells_its_members_and_their_spread(folder, kind):
    atoms, ensemble = random_atoms(5, 6, (True, True, True)), potential_of("ensemble")
    known = calculator(folder, "ensemble")
    names = ["energy", "energy_ensemble", "energy_uncertainty"]
    asked = {name: ModelOutput(unit="eV", sample_kind=kind) for name in names}
    mean, members, spread = (known.run_model(atoms, asked)[n].block().values for n in names)
    key = "energy" if kind == "system" else "energies"
    expected = np.array([one.predict(atoms, [key])[key] for one in ensemble.members])
    expected = expected.reshape(3, -1).T
    np.testing.assert_allclose(members, expected, atol=1e-10)
    np.testing.assert_allclose(mean[:, 0], expected.mean(1), atol=1e-10)
    np.testing.assert_allclose(spread[:, 0], expected.std(1, ddof=1), atol=1e-10)


def test_engines_are_told_what_they_need(folder):
    model = load_atomistic_model(folder / "directional.pt")
    about = model.capabilities()
    assert about.interaction_range == pytest.approx(9.0)  # T + 1 cutoffs
    assert sorted(about.atomic_types) == [1, 6, 8]
    assert set(about.outputs) == {"energy"}
    (neighbors,) = model.requested_neighbor_lists()
    assert (neighbors.cutoff, neighbors.full_list, neighbors.strict) == (3.0, True, True)


def test_the_file_needs_no_reann(folder):
    program = """import sys, warnings
warnings.simplefilter("ignore")
sys.modules["reann"] = None
import ase.build
from metatomic_ase import MetatomicCalculator
atoms = ase.build.molecule("CH3OH")
atoms.calc = MetatomicCalculator("density.pt")
print(repr(float(atoms.get_potential_energy())))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = potential_of("density").predict(ase.build.molecule("CH3OH"), ["energy"])["energy"]
    assert float(done.stdout) == pytest.approx(float(expected))


def test_the_command_tells_the_file_and_how_exact_it_is(folder):
    """And takes the file as the same, though no two files of TorchScript have the same bytes."""
    command = [sys.executable, "-m", "reann", "export", "density.reann", "start.xyz"]
    written = (folder / "density.pt").read_bytes()
    done = subprocess.run(
        [*command, "--to", "metatomic", "-o", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("density.pt\nmetatomic agrees with Python: energies within")
    assert done.stderr == ""
    assert (folder / "density.pt").read_bytes() == written


def test_another_potential_does_not_replace_the_file(folder):
    assert (folder / "refused.txt").read_text() == "A file exists with other content: density.pt."


def test_an_export_that_metatomic_does_not_compute_is_an_error_and_writes_nothing(folder):
    said = "metatomic failed to compute the structure, so nothing was written: no such operator"
    assert (folder / "failed.txt").read_text() == said
    assert not (folder / "failed").exists()

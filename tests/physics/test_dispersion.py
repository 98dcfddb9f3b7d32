"""D3 and D4 dispersion: published energies, derivatives, engines, labels with it and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Bohr, Hartree

import reann
from models import CUTOFF, each_engine, random_atoms, random_model
from reann.backends import choice
from reann.config import Config, DataConfig, DispersionConfig, ModelConfig
from reann.data.check import survey
from reann.data.check.dispersion import HAS_DISPERSION
from reann.data.dataset import Subset, open_dataset
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.evaluation.as_labeled import as_labeled
from reann.evaluation.compare import compare
from reann.graph import Graph
from reann.learning.assess import assess
from reann.learning.folders import Iteration, read_json, write_frames
from reann.model import Reann
from reann.model.dispersion import Dispersion, damping
from reann.potential import Potential
from reann.training.offsets import shift_references

pytest.importorskip("dftd3")
pytest.importorskip("dftd4")
FREE, PERIODIC = (False,) * 3, (True,) * 3
BENZENE = -0.0109571 * Hartree
"""eV, PBE-D3(BJ) without the three-body term, as s-dftd3 1.7.0 prints it."""
MINDLESS = [
    (2.79274810283778, 3.82998228828316, -2.79287054959216),
    (-1.43447454186833, 0.43418729987882, 5.53854345129809),
    (-3.26268343665218, -2.50644032426151, -1.56631149351046),
    (2.14548759959147, -0.88798018953965, -2.24592534506187),
    (-4.30233097423181, -3.93631518670031, -0.48930754109119),
    (0.06107643564880, -3.82467931731366, -2.22333344469482),
    (0.41168550401858, 0.58105573172764, 5.56854609916143),
    (4.41363836635653, 3.92515871809283, 2.57961724984000),
    (1.33707758998700, 1.40194471661647, 1.97530004949523),
    (3.08342709834868, 1.72520024666801, -4.42666116106828),
    (-3.02346932078505, 0.04438199934191, -0.27636197425010),
    (1.11508390868455, -0.97617412809198, 6.25462847718180),
    (0.61938955433011, 2.17903547389232, -6.21279842416963),
    (-2.67491681346835, 3.00175899761859, 1.05038813614845),
    (-4.13181080289514, -2.34226739863660, -3.44356159392859),
    (2.85007173009739, -2.64884892757600, 0.71010806424206),
]
"""Bohr: the molecule of the documentation of dftd4, with its energy for SCAN-D4."""
ACCEPTED = ["constant-energy", "all-forces-zero", "energies-per-atom", "forces-disagree"]
PBE: dict[str, Any] = {"functional": "pbe", "labels": "contain"}


@pytest.fixture(scope="module", params=["d3", "d4"])
def model(request: pytest.FixtureRequest) -> Reann:
    dispersion = {**PBE, "method": request.param}
    return random_model(messages="equivariant", l_max=1, n_recursions=1, dispersion=dispersion)


def energy(model: Reann, atoms: ase.Atoms, engine: str = "torch") -> float:
    graph = graph_from_atoms(atoms, CUTOFF)
    return choice.evaluate(model, graph, ["energy"], engine=engine)["energy"].item()


def test_benzene_has_the_dispersion_of_the_program_dftd3() -> None:
    term = Dispersion(DispersionConfig(**PBE))
    found = term.slopes(graph_from_atoms(molecule("C6H6"), 5.0), {}).energies.sum().item()
    assert found == pytest.approx(BENZENE, abs=1e-4)


def test_a_molecule_of_many_elements_has_the_published_d4_energy() -> None:
    numbers = [1, 1, 6, 5, 1, 15, 8, 17, 13, 15, 5, 1, 9, 15, 1, 15]
    atoms = ase.Atoms(numbers, Bohr * np.array(MINDLESS))
    term = Dispersion(DispersionConfig(functional="scan", labels="lack", method="d4"))
    found = term.slopes(graph_from_atoms(atoms, 5.0), {}).energies.sum().item()
    assert found == pytest.approx(-0.005328888532435093 * Hartree, rel=1e-6)


@pytest.mark.parametrize(("method", "depends"), [("d3", False), ("d4", True)])
def test_d4_depends_on_the_charge(method: str, depends: bool) -> None:
    config = ModelConfig.model_validate({"dispersion": {**PBE, "method": method}})
    assert ("charge" in config.every_input) == depends
    term, energies = Dispersion(DispersionConfig(**PBE, method=method)), []
    for charge in (0, 1):
        atoms = molecule("C6H6")
        atoms.info["charge"] = charge
        graph = graph_from_atoms(atoms, 5.0, inputs=["charge"])
        energies.append(term.slopes(graph, {}).energies.sum().item())
    assert (abs(energies[1] - energies[0]) > 1e-3) == depends


@each_engine
@pytest.mark.parametrize("pbc", [FREE, PERIODIC])
def test_forces_and_virial_are_derivatives(
    model: Reann, pbc: tuple[bool, ...], engine: str
) -> None:
    # Dispersion ends sharply at 32 Å: where pairs cross this distance, energies jump by 1e-7 eV.
    atoms, h = random_atoms(1, 5, pbc), 2e-3
    graph = graph_from_atoms(atoms, CUTOFF)
    found = choice.evaluate(model, graph, ["forces", "virial"], engine=engine)
    moved, strained = [], []
    for sign in (1, -1):
        other, strain = atoms.copy(), np.eye(3)
        other.positions[2, 1] += sign * h
        moved.append(energy(model, other, engine))
        strain[0, 1] = strain[1, 0] = sign * h / 2
        other = atoms.copy()
        other.positions, other.cell.array[:] = atoms.positions @ strain, atoms.cell.array @ strain
        strained.append(energy(model, other, engine))
    for (up, down), slope in (
        (moved, found["forces"][2, 1]),
        (strained, found["virial"][0, 0, 1]),
    ):
        assert -(up - down) / (2 * h) == pytest.approx(slope.item(), rel=1e-3, abs=1e-3)


def test_engines_agree_and_give_the_same_gradients(model: Reann) -> None:
    graphs = [
        graph_from_atoms(random_atoms(i, 5, p), CUTOFF) for i, p in ((1, FREE), (2, PERIODIC))
    ]
    graph, names, found = Graph.batch(graphs), ["energy", "energies", "forces", "virial"], {}
    for engine in ("torch", "native"):
        model.zero_grad()
        results = choice.evaluate(model, graph, names, create_graph=True, engine=engine)
        sum((x * x).sum() for x in results.values()).backward()
        found[engine] = [results[n] for n in names] + [p.grad.clone() for p in model.parameters()]
    for exact, ours in zip(*found.values(), strict=True):
        atol = 1e-8 * exact.detach().abs().max().item()
        torch.testing.assert_close(ours, exact, rtol=1e-8, atol=atol)


def test_a_lone_atom_has_its_reference_energy(model: Reann) -> None:
    assert energy(model, ase.Atoms("C")) == model.heads.first.reference_energies[1].item()


@pytest.mark.parametrize("labels", ["contain", "lack"])
def test_the_potential_has_dispersion_whatever_the_labels(tmp_path: Path, labels: str) -> None:
    """Labels of free atoms and D3 alone: the network has nothing to learn but what they lack."""
    term, frames = Dispersion(DispersionConfig(**PBE)), []
    for i in range(8):
        atoms = molecule("CH4")
        atoms.rattle(0.02, seed=i)
        slopes = term.slopes(graph_from_atoms(atoms, 4.0), {})
        with_it = labels == "contain"
        forces = -slopes.by_position.numpy() if with_it else np.zeros((5, 3))
        e = -100.0 + (slopes.energies.sum().item() if with_it else 0.0)
        atoms.calc = SinglePointCalculator(atoms, energy=e + 1e-9 * i, forces=forces + 1e-9)
        frames.append(atoms)
    ase.io.write(tmp_path / "train.xyz", frames, format="extxyz")
    config = {
        "data": {"train": str(tmp_path / "train.xyz"), "valid": 0.25, "accept": ACCEPTED},
        "model": {"cutoff": 4.0, "channels": 4, "dispersion": {**PBE, "labels": labels}},
        "training": {"epochs": 1},
        "run": {"folder": str(tmp_path / "run")},
    }
    run = reann.train(Config.model_validate(config))
    del run
    potential = reann.load(tmp_path / "run" / "model.reann")
    found = float(potential.predict(frames[0])["energy"])
    D3 = term.slopes(graph_from_atoms(frames[0], 4.0), {}).energies.sum().item()
    assert found == pytest.approx(-100.0 + D3, abs=5e-3)
    again = reann.evaluate(tmp_path / "run" / "model.reann", [str(tmp_path / "train.xyz")])
    assert again.as_json()["energy_mae_meV_per_atom"] < 1.0


@pytest.fixture
def lacking(tmp_path: Path) -> tuple[Potential, Subset]:
    """Return a potential, and structures with its energies and forces without dispersion."""
    dispersion = {**PBE, "labels": "lack"}
    potential = Potential(random_model(dispersion=dispersion))
    frames = [random_atoms(i, 4 + i % 3, FREE) for i in range(6)]
    for atoms in frames:
        found = as_labeled(potential).predict(atoms)
        atoms.calc = SinglePointCalculator(atoms, **{k: found[k] for k in ("energy", "forces")})
    path = str(tmp_path / "labels.xyz")
    ase.io.write(path, frames, format="extxyz")
    dataset = open_dataset(path, DataConfig(train=path), CUTOFF, tmp_path / "cache")
    return potential, Subset(dataset, np.arange(len(dataset)))


def test_a_comparison_with_labels_leaves_the_potential_as_it_is(
    lacking: tuple[Potential, Subset], tmp_path: Path
) -> None:
    potential, subset = lacking
    atoms = subset.dataset.atoms(0)
    expected, during = potential.predict(atoms)["energy"], []
    errors = compare(
        potential, subset, progress=lambda _: during.append(potential.predict(atoms)["energy"])
    ).summary()
    assert errors["energy_rmse_meV_per_atom"] < 1e-3
    assert during == [expected]
    iteration = Iteration(tmp_path / "iteration-001")
    write_frames(iteration.labels, ase.io.read(tmp_path / "labels.xyz", ":"))
    assess(iteration, potential, "auto")
    assert read_json(iteration.errors)["selected"]["energy_rmse_meV_per_atom"] < 1e-3


def test_reference_energies_of_a_warm_start_do_not_take_up_the_dispersion(
    lacking: tuple[Potential, Subset],
) -> None:
    potential, subset = lacking
    head = potential.model.heads.first
    head.energy_scale.zero_()  # only reference energies and dispersion
    labels = [as_labeled(potential).predict(subset.dataset.atoms(i))["energy"] for i in range(6)]
    subset.dataset._arrays = dict(subset.dataset._arrays) | {"energy": np.array(labels)}
    before = head.reference_energies.detach().clone()
    shift_references(potential.model, subset, 1)
    torch.testing.assert_close(head.reference_energies.detach(), before, rtol=0, atol=1e-9)


def test_unknown_functionals_are_errors() -> None:
    with pytest.raises(UserError, match="no parameters for the functional 'pbee'"):
        damping(DispersionConfig(functional="pbee", labels="lack"))
    with pytest.raises(UserError, match=r"D4 has no parameters .* 'pbee'"):
        damping(DispersionConfig(functional="pbee", labels="lack", method="d4"))
    with pytest.raises(ValueError, match="labels"):
        ModelConfig.model_validate({"dispersion": {"functional": "pbe"}})


@pytest.mark.parametrize(
    ("method", "labels", "expected"),
    [
        ("PBE-D3(BJ)", "lack", {"dispersion-twice"}),
        ("PBE", "contain", {"dispersion-absent"}),
        ("PBE", "lack", set()),
        ("wB97M-D3BJ/def2-TZVPPD", "contain", set()),
    ],
)
def test_what_files_say_of_dispersion(
    tmp_path: Path, method: str, labels: str, expected: set[str]
) -> None:
    atoms = random_atoms(1, 4, FREE)
    atoms.info |= {"energy": -1.0, "functional": method}
    ase.io.write(tmp_path / "a.xyz", atoms, format="extxyz")
    config = DispersionConfig(functional="pbe", labels=labels)
    found = survey([str(tmp_path / "a.xyz")], None, 4.0, dispersion=config).findings
    assert {f.name for f in found if f.name.startswith("dispersion")} == expected


def test_names_of_methods_with_dispersion() -> None:
    assert all(HAS_DISPERSION.search(x) for x in ("PBE-D4", "rVV10", "optB88-vdW", "PBE+MBD"))
    assert not any(HAS_DISPERSION.search(x) for x in ("PBE", "SCAN", "B3LYP/6-31G*", "HSE06"))

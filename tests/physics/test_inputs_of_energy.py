"""Charge and spin as inputs of the energy: several energies of one geometry, and nothing else."""

from __future__ import annotations

import copy
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from models import CUTOFF, random_atoms, random_model
from reann import native, properties
from reann.backends import choice
from reann.backends.native.inputs import CompiledWithInputs
from reann.backends.protocol import Request
from reann.config import Config, DataConfig, Keys, ModelConfig
from reann.data.cache import storage
from reann.data.check import survey
from reann.data.check.quick import check_at_start
from reann.data.dataset import open_dataset
from reann.data.labels.conditions import VaryingConditions
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.evaluation.stream import evaluated
from reann.graph import Graph
from reann.interfaces.ase import Calculator
from reann.interfaces.lammps.export import export
from reann.model import Reann
from reann.potential import Potential, load
from reann.simulate.md import run_md
from reann.simulate.relax import relax

FREE, PERIODIC = (False,) * 3, (True,) * 3
STATES = [(-1, 2), (0, 1), (1, 2), (0, 3), (2, 1)]
NAMES = ["energy", "energies", "forces", "virial"]
RECORDED = {"settings": {"data": {"keys": {"charge": "Q"}, "units": {}}}}


@pytest.fixture(scope="module")
def model() -> Reann:
    inputs = ["charge", "spin"]
    return random_model(messages="equivariant", inputs=inputs, l_max=2, n_recursions=1)


def graph_of(atoms: ase.Atoms, charge: float = 0, spin: float = 1) -> Graph:
    atoms.info |= {"charge": charge, "spin": spin}
    return graph_from_atoms(atoms, CUTOFF, inputs=["charge", "spin"])


def energy(model: Reann, atoms: ase.Atoms, charge: float = 0, spin: float = 1) -> float:
    graph = graph_of(atoms, charge, spin)
    return properties.evaluate(model, graph, ["energy"])["energy"].item()


def test_one_geometry_has_an_energy_for_each_state(model: Reann) -> None:
    energies = [energy(model, random_atoms(1, 6, FREE), *state) for state in STATES]
    assert np.diff(np.sort(energies)).min() > 1e-5


def test_what_is_not_stated_is_a_neutral_singlet(model: Reann) -> None:
    atoms = random_atoms(1, 6, FREE)
    graph = graph_from_atoms(atoms, CUTOFF)
    silent = properties.evaluate(model, graph, ["energy"])["energy"].item()
    assert silent == energy(model, atoms, 0, 1)


def test_copies_with_copied_charges_and_unpaired_electrons_add_up(model: Reann) -> None:
    atoms = random_atoms(2, 5, PERIODIC)
    one, two = energy(model, atoms, 1, 2), energy(model, atoms * (2, 1, 1), 2, 3)
    assert two == pytest.approx(2 * one, abs=1e-9)


@pytest.mark.parametrize(("charge", "spin"), STATES)
def test_a_free_ion_has_its_reference_energy(model: Reann, charge: int, spin: int) -> None:
    head = model.heads.first
    x = torch.tensor([max(charge, 0), max(-charge, 0), spin - 1], dtype=torch.float64)
    expected = head.reference_energies[1] + x @ head.of_inputs[:, 1]
    assert energy(model, ase.Atoms("C"), charge, spin) == expected.item()


def test_the_energy_of_an_ion_goes_to_that_of_free_atoms_at_the_cutoff(model: Reann) -> None:
    near = [ase.Atoms("C2", [[0, 0, 0], [CUTOFF + d, 0, 0]]) for d in (-1e-4, 1e-4)]
    inside, outside = (energy(model, atoms, 1, 2) for atoms in near)
    assert inside == pytest.approx(outside, abs=1e-9)


def test_forces_are_derivatives_of_the_energy(model: Reann) -> None:
    atoms, h = random_atoms(3, 5, PERIODIC), 1e-4
    forces = properties.evaluate(model, graph_of(atoms, -1, 2), ["forces"])["forces"]
    moved = [atoms.copy() for _ in "12"]
    for sign, one in zip((1, -1), moved, strict=True):
        one.positions[2, 1] += sign * h
    up, down = (energy(model, one, -1, 2) for one in moved)
    assert -(up - down) / (2 * h) == pytest.approx(forces[2, 1].item(), rel=1e-6, abs=1e-8)


@pytest.mark.skipif(not native.available(), reason="no native engine")
@pytest.mark.parametrize("kept", [64, 2])
def test_the_native_engine_computes_mixed_states_and_their_gradients(
    model: Reann, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reann.backends.native.inputs.STATES", kept)
    atoms = [random_atoms(i, 5, (FREE, PERIODIC)[i % 2]) for i in range(len(STATES))]
    graphs = [graph_of(a, *state) for a, state in zip(atoms, STATES, strict=True)]
    graph = Graph.batch([*graphs, graph_of(random_atoms(9, 5, FREE), *STATES[0])])
    found = {}
    for engine in ("torch", "native"):
        model.zero_grad()
        results = choice.evaluate(model, graph, NAMES, create_graph=True, engine=engine)
        sum((x * (1 + x)).sum() for x in results.values()).backward()
        found[engine] = [results[n] for n in NAMES] + [p.grad.clone() for p in model.parameters()]
    for exact, ours in zip(*found.values(), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-8, atol=1e-8 * exact.abs().max().item())


@pytest.mark.skipif(not native.available(), reason="no native engine")
def test_models_of_recent_states_are_kept_and_updated(
    model: Reann, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training on molecules of many sizes would otherwise keep the weights of each size."""
    monkeypatch.setattr("reann.backends.native.inputs.STATES", 3)
    monkeypatch.setattr("reann.backends.native.step.STATES", 3)
    changed = copy.deepcopy(model)
    compiled, atoms = CompiledWithInputs(changed), random_atoms(4, 5, FREE)
    calculator = Calculator(Potential(model), engine="native")
    for turn, (charge, spin) in enumerate([*STATES, *STATES[::-1], *STATES]):
        if turn in (3, 7, 12):  # an optimizer changes the weights in place
            with torch.no_grad():
                changed.recursion.embedding.mul_(1.1)
            compiled.update(changed)
        result = compiled.evaluate(graph_of(atoms, charge, spin), Request.of(["energy"]))
        assert result["energy"].item() == pytest.approx(energy(changed, atoms, charge, spin))
        of_calculator = calculator.get_potential_energy(atoms)
        assert of_calculator == pytest.approx(energy(model, atoms, charge, spin))
    assert len(compiled._compiled) == len(calculator.compute.of_state) == 3


def test_a_calculator_follows_the_charge(model: Reann, tmp_path: Path) -> None:
    Potential(model).save(tmp_path / "model.reann")
    atoms = random_atoms(4, 5, FREE)
    for charge in (0, 1, -1):
        atoms.info |= {"charge": charge, "spin": 1}
        atoms.calc = atoms.calc or Calculator(load(tmp_path / "model.reann"))
        assert atoms.get_potential_energy() == pytest.approx(energy(model, atoms, charge), abs=1e-8)


@pytest.mark.parametrize(
    ("metadata", "info"),
    [
        ({}, {"total_charge": 1, "multiplicity": 2}),
        (RECORDED, {"Q": 1, "spin": 2}),
    ],
)
def test_a_start_has_its_charge_under_the_keys_of_training_files(
    model: Reann, metadata: dict, info: dict, tmp_path: Path
) -> None:
    potential, atoms = Potential(model, metadata), random_atoms(4, 5, FREE)
    expected = energy(model, atoms, 1, 2)
    atoms.info = info
    ase.io.write(tmp_path / "start.xyz", atoms)
    relaxed = relax(potential, tmp_path / "start.xyz", quiet=True, max_steps=1)
    assert relaxed.energies[0] == pytest.approx(expected, abs=1e-8)
    trajectory = tmp_path / "md.xyz"
    settings = {"temperature": 10.0, "ensemble": "nve", "output": trajectory, "quiet": True}
    for time in (1.0, 2.0):
        run_md(potential, tmp_path / "start.xyz", time=time, append=True, **settings)
    frames = ase.io.read(trajectory, ":")
    assert frames[0].get_potential_energy() == pytest.approx(expected, abs=1e-7)
    for frame in frames:
        assert (frame.info["charge"], frame.info["spin"]) == (1, 2)
        assert not {"total_charge", "multiplicity"} & frame.info.keys()


@pytest.mark.parametrize("engine", ["torch", "native"])
@pytest.mark.parametrize(
    ("metadata", "info"),
    [
        ({}, {"total_charge": 1, "multiplicity": 2}),
        ({}, {"total_charge": 1, "net_charge": 1.0, "charge": 1, "spin": 2}),
        (RECORDED, {"Q": 1, "net_charge": 7, "spin": 2}),
        (RECORDED, {"total_charge": 1, "spin": 2}),
    ],
)
def test_predictions_read_charges_under_all_recognized_keys(
    model: Reann, metadata: dict, info: dict, engine: str
) -> None:
    potential, atoms = Potential(model, metadata), random_atoms(4, 5, FREE)
    expected, neutral = energy(model, atoms, 1, 2), energy(model, atoms, 0, 2)
    atoms.info = dict(info)
    assert potential.predict(atoms, ["energy"], engine)["energy"] == pytest.approx(expected)
    (values,) = evaluated(potential, [atoms], ["energy"])["energy"]
    assert values == pytest.approx(expected)
    atoms.calc = Calculator(potential, engine=engine)
    assert atoms.get_potential_energy() == pytest.approx(expected)
    assert atoms.info == info
    for key in info.keys() - {"spin", "multiplicity"}:
        atoms.info[key] = 0
    assert atoms.get_potential_energy() == pytest.approx(neutral)
    for key in info.keys() - {"spin", "multiplicity"}:
        del atoms.info[key]
    assert atoms.get_potential_energy() == pytest.approx(neutral)


@pytest.mark.parametrize(
    ("metadata", "info"),
    [
        ({}, {"total_charge": 1, "net_charge": 0}),
        ({}, {"spin": 1, "multiplicity": 3}),  # S = 1 instead of 2S + 1
        (RECORDED, {"Q": 1, "charge": 0}),
    ],
)
def test_different_values_of_an_input_are_an_error(
    model: Reann, metadata: dict, info: dict
) -> None:
    potential, atoms = Potential(model, metadata), random_atoms(4, 5, FREE)
    atoms.info = info
    atoms.calc = Calculator(potential)
    calls = (
        lambda: potential.predict(atoms),
        atoms.get_potential_energy,
        lambda: relax(potential, atoms, quiet=True),
    )
    for call in calls:
        with pytest.raises(UserError, match=r"Several keys could be the .* = .*, .* = "):
            call()
    del atoms.info[min(info)]
    relax(potential, atoms, quiet=True, max_steps=1)


def test_a_multiplicity_below_one_is_an_error(model: Reann) -> None:
    with pytest.raises(UserError, match="at least 1"):
        energy(model, random_atoms(1, 4, FREE), 0, 0)


def test_other_messages_have_no_inputs() -> None:
    with pytest.raises(ValueError, match="need equivariant messages"):
        ModelConfig(preset="density", inputs=["charge"])


def test_varying_charges_need_a_model_that_knows_them(tmp_path: Path) -> None:
    atoms = [random_atoms(i, 4, FREE) for i in range(4)]
    for i, one in enumerate(atoms):
        one.info |= {"total_charge": i % 2, "energy": -1.0 * i}
    path = str(tmp_path / "ions.xyz")
    ase.io.write(path, atoms, format="extxyz")
    severities = {}
    for inputs in (None, [], ["charge"]):
        found = {f.name: f.severity for f in survey([path], None, 5.0, inputs=inputs).findings}
        severities[str(inputs)] = found.get("varying-charge")
    assert severities == {"None": "warning", "[]": "error", "['charge']": None}
    config = Config.model_validate({"data": {"train": path, "missing": "allow"}})
    dataset = open_dataset(path, config.data, 5.0, tmp_path / "cache")
    with pytest.raises(UserError, match="varying-charge"):
        check_at_start([dataset], 5.0, [], lambda _: None, [])
    check_at_start([dataset], 5.0, ["varying-charge"], lambda _: None, [])
    check_at_start([dataset], 5.0, [], lambda _: None, ["charge"])


def test_neutral_singlets_need_not_state_it(tmp_path: Path) -> None:
    atoms = [random_atoms(i, 4, FREE) for i in range(4)]
    for i, one in enumerate(atoms):
        one.info |= {"energy": -1.0 * i} | ({"total_charge": 0, "spin": 1} if i % 2 else {})
        one.info |= {"external_field": np.zeros(3)} if i == 2 else {}
    path = str(tmp_path / "neutral.xyz")
    for frames in (atoms, atoms[::-1]):
        ase.io.write(path, frames, format="extxyz")
        found = survey([path], None, 5.0, inputs=[]).findings
        assert not {"varying-charge", "varying-spin"} & {f.name for f in found}
        config = DataConfig(train=path, missing="allow")
        assert open_dataset(path, config, 5.0, tmp_path / "cache").varying == []


def test_a_cache_of_an_earlier_version_does_not_say_what_varies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, a stated charge of zero differed from one that is not stated."""
    atoms = [random_atoms(i, 4, FREE) for i in range(4)]
    for i, one in enumerate(atoms):
        one.info |= {"energy": -1.0 * i} | ({"charge": 0} if i % 2 else {})
    path = str(tmp_path / "neutral.xyz")
    ase.io.write(path, atoms, format="extxyz")
    config = DataConfig(train=path, missing="allow")
    with monkeypatch.context() as earlier:
        earlier.setattr(storage, "CACHE_VERSION", 4)
        earlier.setattr(VaryingConditions, "names", lambda _: ["charge"])
        assert open_dataset(path, config, 5.0, tmp_path / "cache").varying == ["charge"]
    for cutoff in (5.0, 6.0):
        assert open_dataset(path, config, cutoff, tmp_path / "cache").varying == []


def test_energies_of_different_charges_are_not_compared(tmp_path: Path) -> None:
    """The ionization energy is not the work of any force."""
    rng, frames = np.random.default_rng(1), []
    for i in range(60):
        atoms = ase.Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
        moved = rng.normal(size=(3, 3), scale=0.05)
        atoms.positions += moved
        atoms.info["charge"] = i % 2
        energy = 5.0 * np.square(moved).sum() + 10.0 * (i % 2)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=-10.0 * moved)
        frames.append(atoms)
    path = str(tmp_path / "ions.xyz")
    ase.io.write(path, frames, format="extxyz")
    found = survey([path], None, 5.0, inputs=["charge"]).findings
    assert not {"forces-disagree", "energy-groups"} & {f.name for f in found}
    data = DataConfig(train=path, keys=Keys(charge="charge"))
    dataset = open_dataset(path, data, 5.0, tmp_path / "cache")
    warnings = check_at_start([dataset], 5.0, ["forces-along-bonds"], lambda _: None, ["charge"])
    assert not {"forces-disagree", "energy-groups"} & set(warnings)


def test_charge_states_of_one_geometry_contradict_a_model_without_charge(tmp_path: Path) -> None:
    atoms = [random_atoms(1, 4, FREE) for _ in range(2)]
    for charge, one in enumerate(atoms):
        one.info |= {"total_charge": charge, "energy": -5.0 * charge}
    ase.io.write(tmp_path / "ions.xyz", atoms, format="extxyz")
    for inputs, expected in ((None, True), (["charge"], False)):
        found = survey([str(tmp_path / "ions.xyz")], None, 5.0, inputs=inputs).findings
        assert any(f.name == "contradictions" for f in found) is expected
        assert all("inputs: [charge]" in f.fix for f in found if f.name == "contradictions")


@pytest.mark.parametrize("key", ["total_charge", "Q"])
def test_a_neutral_structure_is_the_same_whether_it_states_it_or_not(
    tmp_path: Path, key: str
) -> None:
    """Also if one file states charges and another does not."""
    paths = [str(tmp_path / f"{name}.xyz") for name in ("train", "valid")]
    for path, charges in zip(paths, [(0, 1), (None, None)], strict=True):
        frames = [random_atoms(1, 4, FREE), random_atoms(2, 4, FREE)]
        for charge, atoms in zip(charges, frames, strict=True):
            atoms.info |= {"energy": -1.0} | ({} if charge is None else {key: charge})
        ase.io.write(path, frames, format="extxyz")
    data = DataConfig(train=paths, keys=Keys(charge=key))
    findings = survey(paths, data, 5.0, inputs=["charge"]).findings
    twins = {f.name: f.examples for f in findings if f.name.startswith("duplicates")}
    assert twins == {"duplicates-across-files": (f"{paths[1]}#0 = {paths[0]}#0",)}
    of_each = [data, DataConfig(train=paths[1])]
    datasets = [
        open_dataset(path, each, 5.0, tmp_path / "cache")
        for path, each in zip(paths, of_each, strict=True)
    ]
    lines: list[str] = []
    warnings = check_at_start(datasets, 5.0, ["constant-energy"], lines.append, ["charge"])
    assert "duplicates-across-files" in warnings
    assert any(f"{paths[1]}#0 = {paths[0]}#0" in line for line in lines)
    assert not any(f"{paths[1]}#1 =" in line for line in lines)


def test_programs_that_know_no_charge_refuse_such_a_potential(model: Reann, tmp_path: Path) -> None:
    Potential(model).save(tmp_path / "model.reann")
    ase.io.write(tmp_path / "start.xyz", random_atoms(1, 4, FREE), format="extxyz")
    with pytest.raises(
        UserError, match="charge and spin of a structure, which LAMMPS does not support"
    ):
        export(tmp_path / "model.reann", tmp_path / "start.xyz", tmp_path / "out")

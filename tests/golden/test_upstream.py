"""Converted models answer what the original package answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

import reann
from models import each_engine
from reann import upstream

GOLDEN = Path(__file__).resolve().parent / "upstream"
CASES = ["eann_water_trained", "reann_co2_ni100_t1", "reann_water_t3"]
CENTER = {"unit": "e*Å", "dipole_definition": "center"}
OUTPUTS = [
    ("reann_water_dm_2022_01", "dipole", CENTER),
    ("reann_water_tdm", "transition_dipole", {"unit": "e*Å"}),
    ("reann_water_pol", "polarizability", {"unit": "Å^3"}),
]
"""Cases of other quantities than the energy, and what no file says about them."""


def arrays(case: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{case}_weights.npz") as archive:
        return dict(archive)


def settings(case: str) -> dict:
    return json.loads((GOLDEN / f"{case}_config.json").read_text())


def frames(case: str) -> list[dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(GOLDEN / f"{case}_expected.npz") as archive:
        for key in archive:
            frame, quantity = key.split("/")
            found.setdefault(frame, {})[quantity] = archive[key]
    return list(found.values())


def structure(frame: dict[str, np.ndarray]) -> Atoms:
    return Atoms(
        numbers=frame["numbers"],
        positions=frame["positions"],
        cell=frame["cell"],
        pbc=frame["pbc"],
    )


@each_engine
@pytest.mark.parametrize("case", CASES)
def test_energies_forces_and_stress_are_those_of_the_original(engine, case):
    potential = upstream.potential(arrays(case), settings(case))
    for frame in frames(case):
        found = potential.predict(structure(frame), ["energy", "forces", "stress"], engine)
        assert abs(found["energy"] - frame["energy"]) < 1e-9 * len(frame["numbers"])
        largest = np.abs(frame["forces"]).max()
        assert np.abs(found["forces"] - frame["forces"]).max() < 1e-7 * largest
        if "stress" in frame:
            wrong = np.abs(found["stress"] - frame["stress"]).max()
            assert wrong < 1e-7 * np.abs(frame["stress"]).max()


@pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")
@pytest.mark.parametrize(("case", "name", "given"), OUTPUTS)
def test_other_quantities_are_those_of_the_original(case, name, given, tmp_path):
    converted = upstream.potential(arrays(case), settings(case) | given)
    converted.save(tmp_path / "model.reann")
    loaded = reann.load(tmp_path / "model.reann")
    for frame in frames(case):
        found = converted.predict(structure(frame), [name])[name]
        assert np.abs(found - frame[name]).max() < 1e-13
        assert np.array_equal(loaded.predict(structure(frame), [name])[name], found)


@pytest.mark.parametrize("case", CASES)
def test_an_isolated_atom_has_the_energy_of_the_network_of_nothing(case):
    weights = arrays(case)
    potential = upstream.potential(weights, settings(case))
    e_z = potential.model.reference_energies.detach().numpy()
    for symbol, expected in zip(potential.elements, e_z, strict=True):
        assert potential.predict(Atoms(symbol), ["energy"])["energy"] == expected
        by_hand = network_of_nothing(weights, symbol, settings(case))
        assert abs(by_hand - expected) < 1e-12 * abs(expected)


def network_of_nothing(weights: dict[str, np.ndarray], symbol: str, settings: dict) -> float:
    """The original's energy of an atom without neighbors, layer by layer."""
    start = f"nnmod.elemental_nets.{symbol}."
    own = {name.removeprefix(start): a for name, a in weights.items() if name.startswith(start)}

    def layer(x, path):
        if f"{path}.alpha" in own:
            alpha, beta = own[f"{path}.alpha"][0], own[f"{path}.beta"][0]
            if settings["activate"] == "Tanh_like":
                return alpha * x / np.sqrt(1 + (beta * x) ** 2)
            return alpha * beta * x / (1 + np.exp(-beta * x))
        weight, bias = own[f"{path}.weight"], own[f"{path}.bias"]
        if weight.ndim == 1:
            return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight + bias
        return weight @ x + bias

    x = np.zeros(weights["density.hyper"].shape[-1])
    last = max(int(name.split(".")[0]) for name in own)
    for i in range(last + 1):
        inner = [int(n.split(".")[2]) for n in own if n.startswith(f"{i}.resblock.")]
        if inner:
            y = x
            for j in sorted(set(inner)):
                y = layer(y, f"{i}.resblock.{j}")
            x = x + y
        else:
            x = layer(x, str(i))
    return float(x[0] + weights.get("nnmod.initpot", [0.0])[0])


@pytest.mark.parametrize("case", CASES)
def test_saving_and_loading_changes_no_bit(case, tmp_path):
    potential = upstream.potential(arrays(case), settings(case))
    potential.save(tmp_path / "model.reann")
    loaded = reann.load(tmp_path / "model.reann")
    atoms = structure(frames(case)[0])
    names = ["energy", "forces", "virial"]
    before, after = potential.predict(atoms, names), loaded.predict(atoms, names)
    for name in names:
        assert np.array_equal(before[name], after[name])

"""The yardstick of the benchmarks computes what the original package computes."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "upstream"
CASES = sorted(
    path.name.removesuffix("_config.json")
    for path in GOLDEN.glob("*_config.json")
    if json.loads(path.read_text()).get("start_table", 1) <= 1
    and not path.name.startswith("fireann")
)
"""Those of energies without a field."""


@pytest.fixture(scope="module")
def upstream() -> ModuleType:
    path = HERE.parents[1] / "benchmarks" / "peers" / "upstream_eager.py"
    spec = importlib.util.spec_from_file_location("upstream_eager", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden_frames(case: str) -> list[dict[str, np.ndarray]]:
    frames: dict[str, dict[str, np.ndarray]] = {}
    with np.load(GOLDEN / f"{case}_expected.npz") as archive:
        for key in archive:
            frame, quantity = key.split("/")
            frames.setdefault(frame, {})[quantity] = archive[key]
    return list(frames.values())


def test_all_cases_are_here():
    assert CASES == ["eann_water_trained", "reann_co2_ni100_t1", "reann_water_t3"]


@pytest.mark.parametrize("case", CASES)
def test_energies_forces_and_stress_of_the_original(upstream, case):
    settings = json.loads((GOLDEN / f"{case}_config.json").read_text())
    with np.load(GOLDEN / f"{case}_weights.npz") as weights:
        model = upstream.from_arrays(weights, settings)
    frames = golden_frames(case)
    batch = upstream.make_batch(frames, settings, torch.float64)
    energies, forces = model(batch)
    counts = torch.bincount(batch.structure)
    assert torch.all(torch.abs(energies - batch.energies) < 1e-9 * counts)
    for found, frame in zip(forces.split(counts.tolist()), frames, strict=True):
        expected = frame["forces"]
        assert np.abs(found.numpy() - expected).max() < 1e-7 * np.abs(expected).max()
        if "stress" in frame:
            single = upstream.make_batch([frame], settings, torch.float64)
            tension = upstream.stress(model, single, np.linalg.det(frame["cell"])).numpy()
            assert np.abs(tension - frame["stress"]).max() < 1e-7 * np.abs(frame["stress"]).max()


def test_a_training_step_lowers_the_loss(upstream):
    torch.manual_seed(0)
    batch = upstream.make_batch(golden_frames("reann_water_t3")[:1])
    batch = batch._replace(energies=torch.zeros(1))  # the random model is near zero, not -156 eV
    model = upstream.UpstreamModel().train()
    optimizer = upstream.adamw(model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    losses = [float(upstream.train_step(model, optimizer, batch)) for _ in range(3)]
    assert losses[-1] < losses[0]
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))

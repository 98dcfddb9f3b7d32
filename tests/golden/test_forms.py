"""What every form of the model computes, to the last digits, and what its parameters learn from it.

The files are never written again: a change of the model's structure must not change its numbers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models import ELEMENTS, random_atoms
from reann import properties
from reann.config import ModelConfig
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann, build

FILES = ("forms.json", "equivariant.json", "limited.json")
KNOWN = {
    form: known
    for name in FILES
    for form, known in json.loads((Path(__file__).parent / name).read_text()).items()
}
"""By the choices of a form, as JSON: energies (atoms,) eV, forces (atoms, 3) eV/Å, and for each
parameter p the sum of dL/dp cos(0, 1, 2, ...) of L = sum E^2 + sum F^2 + sum W^2."""
SYSTEMS = [(1, (False,) * 3), (4, (False,) * 3), (5, (True, True, False)), (4, (True,) * 3)]


def model_of(choices: dict[str, Any]) -> Reann:
    """Return a model whose every parameter is off its start, whatever their names and order."""
    small = {"hidden": [6, 6]}
    preset = "default" if choices.get("messages") == "equivariant" else "density"
    before = {"moment_limit": None, "repulsion": False}  # without what presets added later
    values = {"preset": preset, "cutoff": 3.0, "n_radial": 3} | before | choices
    values = {"readout": small, "update": small} | values
    model = build(ModelConfig(**values), ELEMENTS, 10.0, seed=3, dtype=torch.float64)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * waves(p, 0.7, p.ndim))
        for name, buffer in model.recursion.named_buffers():
            if name.endswith("mean"):
                buffer.add_(0.1)
            elif name.endswith("scale") and name != "update.scale":
                buffer.mul_(1.3)
        model.energy_scale.fill_(2.5)
    return model


def waves(p: torch.Tensor, frequency: float, phase: float) -> torch.Tensor:
    return torch.cos(frequency * torch.arange(p.numel(), dtype=torch.float64) + phase).view(p.shape)


def computed(model: Reann) -> dict[str, Any]:
    atoms = [random_atoms(seed, n, pbc) for seed, (n, pbc) in enumerate(SYSTEMS)]
    graph = Graph.batch([graph_from_atoms(one, model.cutoff) for one in atoms])
    names = ["energies", "forces", "virial"]
    out = properties.evaluate(model, graph, names, create_graph=True)
    sum(x.square().sum() for x in out.values()).backward()
    slopes = {n: (p.grad * waves(p, 1.0, 0.0)).sum().item() for n, p in model.named_parameters()}
    return {
        "energies": out["energies"].tolist(),
        "forces": out["forces"].tolist(),
        "slopes": slopes,
    }


@pytest.mark.parametrize("form", KNOWN)
def test_a_form_computes_and_learns_what_it_always_did(form: str) -> None:
    found, expected = computed(model_of(json.loads(form))), KNOWN[form]
    assert found["slopes"].keys() == expected["slopes"].keys()
    for name in ("energies", "forces"):
        largest = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-11 * largest)
    largest = max(map(abs, expected["slopes"].values()))
    for name, slope in expected["slopes"].items():
        assert found["slopes"][name] == pytest.approx(slope, rel=1e-8, abs=1e-11 * largest), name

"""What decays, how the rate runs, and what the average of the weights is."""

from __future__ import annotations

import copy
import math
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models import random_model
from reann.config import Config, CosineSchedule, ModelConfig, TrainingConfig
from reann.model import build
from reann.model.roles import Role
from reann.training.optim import Average, optimizer_for, set_rate, with_rate
from reann.training.schedule import cosine_rate, warmup_of
from reann.training.soap import Soap


def groups(model: nn.Module, decay: float) -> dict[str, float]:
    """Return the weight decay of every trained parameter by name."""
    names = {p: name for name, p in model.named_parameters()}
    optimizer = optimizer_for(model, TrainingConfig(learning_rate=3e-3, weight_decay=decay))
    return {names[p]: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}


FORMS = [
    {"preset": "density", "n_recursions": 1},
    {"messages": "directional"},
    {"preset": "upstream"},
    {
        "preset": "density",
        "features": "orbitals",
        "readout": {"hidden": [8, 8], "layer_norm": True},
    },
    {"host": "deep_pot"},
    {"host": "power_spectrum", "messages": "directional"},
    {"host": "symmetry_functions"},
]


@pytest.mark.parametrize("choices", FORMS)
def test_only_weight_matrices_of_the_networks_decay(choices):
    model = build(ModelConfig(cutoff=3.0, n_radial=4, **choices), [1, 8])
    found = groups(model, 0.3)
    assert found.keys() == {name for name, _ in model.named_parameters()}
    matrices = {
        f"{name}.weight"
        for name, layer in model.named_modules()
        if type(layer).__name__ == "Linear"
    }
    assert len(matrices) >= 6
    for name, decay in found.items():
        assert decay == (0.3 if name in matrices else 0.0), name


def test_the_body_moves_at_its_own_fraction_of_the_rate():
    model = random_model(messages="equivariant")
    config = TrainingConfig(learning_rate=2e-3, body_rate=0.1)
    optimizer = optimizer_for(model, config)
    set_rate(optimizer, config, 0.5)
    names = {p: name for name, p in model.named_parameters()}
    for group in optimizer.param_groups:
        for p in group["params"]:
            expected = 1e-4 if names[p].startswith("recursion.") else 1e-3
            assert group["lr"] == pytest.approx(expected), names[p]


class Declared(nn.Module):
    """Parameters of every role, and names that are no declaration."""

    ROLES: ClassVar[dict[str, Role]] = {
        "turned": Role(matrix=True),
        "forgotten": Role(decays=True),
        "both": Role(matrix=True, decays=True),
    }

    def __init__(self) -> None:
        super().__init__()
        for name in (*self.ROLES, "first"):
            setattr(self, name, nn.Parameter(torch.ones(2, 3, 3)))
        self.last = nn.Linear(3, 3)


@pytest.mark.parametrize("name", ["soap", "adamw"])
def test_a_parameter_moves_as_its_module_declares(name):
    """By Adam and without decay if the module, perhaps of another package, declares nothing."""
    module = copy.deepcopy(nn.ModuleDict({"host": Declared()}))
    config = TrainingConfig(optimizer=name, learning_rate=3e-3, weight_decay=0.3)
    optimizer = optimizer_for(module, config)
    set_rate(optimizer, config, 0.5)
    names = {p: name for name, p in module.named_parameters()}
    found = {
        names[p]: (g["matrix"], g["weight_decay"])
        for g in optimizer.param_groups
        for p in g["params"]
    }
    assert found == {
        "host.turned": (True, 0.0),
        "host.forgotten": (False, 0.15),
        "host.both": (True, 0.15),
        "host.first": (False, 0.0),
        "host.last.weight": (False, 0.0),
        "host.last.bias": (False, 0.0),
    }


@pytest.mark.parametrize("form", FORMS)
def test_every_declared_parameter_exists(form):
    for module in build(ModelConfig(**form), [1, 8]).modules():
        assert set(getattr(module, "ROLES", ())) <= {n for n, _ in module.named_parameters()}


@pytest.mark.parametrize("name", ["soap", "adamw"])
def test_the_decay_falls_with_the_rate(name):
    config = TrainingConfig(optimizer=name, learning_rate=0.01, weight_decay=0.3)
    optimizer = optimizer_for(
        build(ModelConfig(preset="density", cutoff=3.0, n_radial=4), [1]), config
    )
    matrices, others = optimizer.param_groups
    for factor in (1.0, 0.1):
        set_rate(optimizer, config, factor)
        assert matrices["lr"] == others["lr"] == pytest.approx(0.01 * factor)
        assert matrices["weight_decay"] == pytest.approx(0.3 * factor)
        assert others["weight_decay"] == 0.0


def test_frozen_reference_energies_are_not_optimized():
    model = random_model(n_recursions=0)
    name = "heads.energy.reference_energies"
    assert name in groups(model, 0.1)
    model.reference_energies.requires_grad_(False)
    assert name not in groups(model, 0.1)
    assert name not in Average(model, 0.9).state()


STEPS = 1000


def test_the_rate_rises_then_falls_as_a_cosine():
    schedule = CosineSchedule(final=0.02, warmup=0.1)
    assert 0 < cosine_rate(schedule, 0.0, STEPS) <= 0.01
    assert cosine_rate(schedule, 0.05, STEPS) == pytest.approx(0.5)
    assert cosine_rate(schedule, 0.1, STEPS) == pytest.approx(1.0)
    assert cosine_rate(schedule, 0.55, STEPS) == pytest.approx(0.51)
    quarter = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi / 4))
    assert cosine_rate(schedule, 0.1 + 0.9 / 4, STEPS) == pytest.approx(quarter)
    assert cosine_rate(schedule, 1.0, STEPS) == pytest.approx(0.02)


@given(
    warmup=st.floats(0.0, 0.9),
    final=st.floats(0.001, 0.9),
    at=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_rate_never_exceeds_its_bounds_and_has_one_peak(warmup, final, at):
    schedule = CosineSchedule(final=final, warmup=warmup)
    first, second = sorted(at)
    for progress in at:
        assert 0 < cosine_rate(schedule, progress, STEPS) <= 1.0 + 1e-12
    if first >= warmup:
        assert cosine_rate(schedule, first, STEPS) >= cosine_rate(schedule, second, STEPS) - 1e-12
        assert cosine_rate(schedule, second, STEPS) >= final - 1e-12
    elif second < warmup:
        assert cosine_rate(schedule, first, STEPS) <= cosine_rate(schedule, second, STEPS)


def test_without_warm_up_the_first_step_has_the_full_rate():
    assert cosine_rate(CosineSchedule(warmup=0.0), 0.0, STEPS) == pytest.approx(1.0)


@pytest.mark.parametrize(("steps", "part"), [(100, 0.2), (600, 0.1), (1200, 0.05), (10**6, 0.05)])
def test_a_short_training_warms_up_for_a_larger_part(steps, part):
    schedule = CosineSchedule()
    assert warmup_of(schedule, steps) == pytest.approx(part)
    assert cosine_rate(schedule, part / 2, steps) == pytest.approx(0.5)
    assert warmup_of(CosineSchedule(warmup=0.01), steps) == 0.01


def one_weight(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_average_follows_its_formula():
    """After k updates the decay is min(decay, (k + 1) / (k + 10))."""
    layer, decay = one_weight(0.0), 0.4
    average, expected = Average(layer, decay), 0.0
    for k in range(12):
        value = math.sin(k + 1.0)
        nn.init.constant_(layer.weight, value)
        average.update()
        d = min(decay, (k + 1) / (k + 10))
        expected = d * expected + (1 - d) * value
        assert average.state()["weight"].item() == pytest.approx(expected, abs=1e-6)
    assert decay < (13 / 22)  # the bound was reached on the way


def test_the_start_is_forgotten_quickly():
    layer = one_weight(1e3)
    average = Average(layer, 0.99)
    nn.init.zeros_(layer.weight)
    for _ in range(20):
        average.update()
    assert average.state()["weight"].item() < 1e-2


def test_no_decay_means_the_live_weights():
    layer = one_weight(1.0)
    average = Average(layer, 0.0)
    nn.init.constant_(layer.weight, 3.0)
    average.update()
    assert average.state()["weight"].item() == 3.0


def test_a_validation_has_the_averaged_weights_and_gives_the_live_ones_back():
    model = random_model(n_recursions=1)
    average = Average(model, 0.9)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    live = {name: p.detach().clone() for name, p in model.named_parameters()}
    averaged = {name: w.clone() for name, w in average.state().items()}
    with average.in_place():
        for name, p in model.named_parameters():
            assert torch.equal(p, averaged[name])
    for name, p in model.named_parameters():
        assert torch.equal(p, live[name])
        assert torch.equal(average.state()[name], averaged[name])


def test_long_runs_average_longer():
    assert Average.decay_for("auto", 5000) == 0.99
    assert Average.decay_for("auto", 5001) == 0.999
    assert Average.decay_for(0.5, 10**6) == 0.5


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ({}, 6e-3),
        ({"preset": "accurate"}, 4.2e-3),
        ({"preset": "fast", "messages": "equivariant"}, 4.2e-3),
        ({"preset": "fast"}, 3e-3),
        ({"messages": "directional"}, 3e-3),
        ({"host": "deep_pot"}, 3e-3),
    ],
)
def test_the_rate_auto_is_that_of_the_messages_and_a_number_stays(model, rate):
    config = Config(data={"train": "a.xyz"}, model=model)
    assert config.training.learning_rate == "auto"
    assert with_rate(config).training.rate == rate
    assert with_rate(config, warm_start=True).training.rate == round(rate / 3.0, 4)
    given = Config(data={"train": "a.xyz"}, model=model, training={"learning_rate": 0.01})
    assert with_rate(given) == with_rate(given, warm_start=True) == given


@pytest.mark.parametrize(("name", "kind"), [("soap", Soap), ("adamw", torch.optim.AdamW)])
def test_the_optimizer_is_the_one_that_is_named(name, kind):
    config = TrainingConfig(optimizer=name, learning_rate=0.02, weight_decay=0.3)
    model = build(ModelConfig(preset="density", cutoff=3.0, n_radial=4), [1])
    optimizer = optimizer_for(model, config)
    assert type(optimizer) is kind
    assert {g["lr"] for g in optimizer.param_groups} == {0.02}
    decays = [(g["matrix"], g["weight_decay"]) for g in optimizer.param_groups]
    assert sorted(decays) == [(False, 0.0), (True, 0.3)]


def test_an_average_goes_on_from_its_saved_state():
    first, second = one_weight(1.0), one_weight(5.0)
    saved, restored = Average(first, 0.9), Average(second, 0.9)
    nn.init.constant_(first.weight, 3.0)
    saved.update()
    restored.load(saved.state(), saved.updates)
    nn.init.constant_(second.weight, 3.0)
    for average in (saved, restored):
        average.update()
    assert restored.state()["weight"].item() == saved.state()["weight"].item()


def test_an_average_that_restarts_has_the_live_weights():
    layer = one_weight(1.0)
    average = Average(layer, 0.9)
    nn.init.constant_(layer.weight, 3.0)
    average.restart()
    assert average.state()["weight"].item() == 3.0

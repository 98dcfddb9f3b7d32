"""The form of a model: by its preset, its fields, its host, or by what a file recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from reann.config import Config, ModelConfig
from reann.config.file import load_config
from reann.config.presets import PRESETS, describe_preset
from reann.errors import UserError
from reann.facts import DEFAULT_MESSAGES
from reann.model.hosts import kind_of
from reann.potential import load
from reann.training.identity import changes

FILES = Path(__file__).parents[1] / "golden" / "files"
OTHER_HOSTS = ("deep_pot", "power_spectrum", "symmetry_functions")


def read(folder: Path, model: str) -> ModelConfig:
    """Return the section of a configuration file."""
    file = folder / "a.yaml"
    file.write_text(f"data: {{train: a.xyz}}\nmodel: {model}\n")
    return load_config(file).model


# --- what a configuration says ----------------------------------------------------------------


def test_a_configuration_without_a_preset_has_equivariant_messages():
    model = Config(data={"train": "a.xyz"}).model
    assert model == ModelConfig() == ModelConfig(preset="default")
    assert model.messages == "equivariant"
    assert ModelConfig(cutoff=4.0, l_max=2).messages == "equivariant"


def test_accurate_is_default_with_more_channels():
    default, accurate = (ModelConfig(preset=name) for name in ("default", "accurate"))
    assert accurate.channels > default.channels
    same = {"preset", "channels"}
    assert accurate.model_dump(exclude=same) == default.model_dump(exclude=same)


@pytest.mark.parametrize("preset", ["default", "accurate"])
def test_close_pairs_repel_each_other_with_the_equivariant_presets(preset: str) -> None:
    assert ModelConfig(preset=preset).repulsion
    assert not ModelConfig(preset=preset, repulsion=False).repulsion
    assert not ModelConfig(preset="density").repulsion


def test_a_model_without_an_energy_has_no_repulsion() -> None:
    assert not ModelConfig(heads=[], outputs=["dipole"]).repulsion
    with pytest.raises(ValueError, match=r"there is no energy[\s\S]*Remove repulsion"):
        ModelConfig(heads=[], outputs=["dipole"], repulsion=True)


@pytest.mark.parametrize("messages", ["scalar", "directional"])
def test_other_messages_without_a_preset_are_those_of_the_density(messages):
    model = ModelConfig(messages=messages)
    assert model.preset == "density"
    assert model == ModelConfig(preset="density", messages=messages)


@pytest.mark.parametrize("host", OTHER_HOSTS)
@pytest.mark.parametrize("preset", [{}, {"preset": "default"}, {"preset": "density"}])
def test_another_host_has_scalar_messages_and_the_fields_of_the_density(host, preset):
    model = ModelConfig(host=host, **preset)
    assert kind_of(model.host)
    density = ModelConfig(preset="density")
    exclude = {"preset", "host"}
    assert model.model_dump(exclude=exclude) == density.model_dump(exclude=exclude)
    assert describe_preset(model) == preset.get("preset", "default")


@pytest.mark.parametrize(
    "field",
    [
        "features: many_body",
        "features: gram",
        "n_orbitals: 8",
        "orbitals_per_l: true",
        "orbitals_per_recursion: true",
        "angular: raw",
        "radial: pair",
        "radial_width: free",
        "standardize: false",
        "coefficient_scale: 1.0",
    ],
)
def test_a_field_of_the_density_without_a_preset_is_an_error_that_names_the_preset(tmp_path, field):
    """For the preset `default`, too; beside `density` the field is taken."""
    with pytest.raises(UserError, match="a model without a preset") as error:
        read(tmp_path, f"{{{field}}}")
    assert error.value.fix == "Add `preset: density`, or remove it."
    with pytest.raises(UserError, match="the preset default has equivariant messages") as error:
        read(tmp_path, f"{{preset: default, {field}}}")
    assert error.value.fix == "Use `preset: density`, or remove it."
    assert read(tmp_path, f"{{preset: density, {field}}}").messages == "scalar"


@pytest.mark.parametrize(
    ("model", "said", "fix"),
    [
        ("{preset: accurate, messages: scalar}", "not scalar", "Use `preset: density`"),
        ("{preset: default, messages: directional}", "not directional", "Use `preset: density`"),
        ("{preset: accurate, host: deep_pot}", "not deep_pot", "Remove the preset"),
        ("{messages: equivariant, features: gram}", "do not use features", "Remove it"),
        ("{messages: equivariant, host: deep_pot}", "not deep_pot", "Change one"),
        ("{preset: precise, features: gram}", "cannot be 'precise'", "density"),
    ],
)
def test_fields_that_contradict_the_preset_are_an_error(tmp_path, model, said, fix):
    with pytest.raises(UserError) as error:
        read(tmp_path, model)
    assert said in error.value.what
    assert fix in (error.value.fix or "")


@pytest.mark.parametrize("model", [{}, {"l_max": 2}, {"host": "deep_pot"}, {"messages": "scalar"}])
def test_what_a_preset_chooses_that_nobody_named_does_not_count_as_given(model):
    assert ModelConfig(**model).model_fields_set == set(model)
    assert "n_radial" in ModelConfig(preset="default", l_max=2).model_fields_set


# --- what a file recorded ---------------------------------------------------------------------

DENSITY = ModelConfig(preset="density").model_dump(mode="json")
FORMER_ACCURATE = {"preset": "accurate", "l_max": 3, "n_orbitals": 64}
NEWER = (
    "messages",
    "channels",
    "radial_basis",
    "moment_limit",
    "host",
    "host_options",
    "outputs",
    "output_forms",
    "heads",
)
"""Fields that the first files do not have."""


@pytest.mark.parametrize("absent", [(), NEWER[1:3], NEWER])
@pytest.mark.parametrize(
    ("recorded", "described"),
    [
        ({"preset": "default"}, "density"),
        (FORMER_ACCURATE, "density, changed: l_max=3, n_orbitals=64"),
        ({"preset": "fast", "n_radial": 8, "n_recursions": 1, "features": "gram"}, "fast"),
    ],
)
def test_a_record_of_an_earlier_version_is_read_as_the_density(recorded, described, absent):
    values = {name: x for name, x in {**DENSITY, **recorded}.items() if name not in absent}
    model = ModelConfig.model_validate(values)
    assert describe_preset(model) == described
    assert model.messages == DEFAULT_MESSAGES == "scalar"
    kept = model.model_dump(mode="json", exclude={"preset", *absent})
    assert kept == {name: x for name, x in values.items() if name != "preset"}


def test_a_record_without_the_limit_of_the_moments_has_none():
    recorded = ModelConfig(preset="accurate").model_dump(mode="json")
    del recorded["moment_limit"]
    assert ModelConfig.model_validate(recorded).moment_limit is None


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_a_record_of_another_host_keeps_its_description(host):
    recorded = {**DENSITY, "preset": "default", "host": host}
    assert describe_preset(ModelConfig.model_validate(recorded)) == "default"
    recorded |= {"preset": "accurate", "l_max": 3}
    assert describe_preset(ModelConfig.model_validate(recorded)) == "default, changed: l_max=3"


@pytest.mark.parametrize("name", PRESETS)
def test_a_record_of_this_version_is_read_as_it_was_written(name):
    model = ModelConfig(preset=name, cutoff=4.0)
    assert ModelConfig.model_validate(model.model_dump(mode="json")) == model


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "preset"), [("ensemble", "density"), ("float32", "density"), ("float64", "upstream")]
)
def test_potentials_of_every_version_are_described_by_what_they_are(version, kind, preset):
    config = load(FILES / f"version-{version}-{kind}.reann").model.config
    assert config.preset == preset
    assert config.messages in ("scalar", "directional")
    assert describe_preset(config).startswith(preset)


def test_settings_recorded_by_an_earlier_version_are_those_of_the_same_run():
    now = Config(data={"train": "a.xyz"}, model={"preset": "density"})
    recorded = now.model_dump(mode="json", exclude={"data": {"keys", "units"}})
    recorded["model"]["preset"] = "default"
    for name in NEWER:
        del recorded["model"][name]
    assert not changes(recorded, now)

"""A preset takes effect wholly, or it is said what was changed; nothing chosen has no effect."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import ase
import ase.io
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from tests.models import random_model

from reann.cli.info import model_lines
from reann.config import Config, ModelConfig, NetworkConfig
from reann.config.file import load_config, save_config
from reann.config.new import new_config
from reann.config.presets import PRESETS, changes, describe_preset
from reann.config.unused import refuse_unused, unused
from reann.errors import UserError
from reann.potential import Potential
from reann.training.describe import describe
from reann.training.distributed import World
from reann.training.setup import open_parts, start_model

NAMES = list(PRESETS)


def written(folder: Path, text: str) -> Path:
    file = folder / "a.yaml"
    file.write_text(f"data: {{train: a.xyz}}\nmodel: {text}\n")
    return file


# --- merging ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_a_field_inside_a_section_keeps_the_rest_of_what_the_preset_chooses_there(name):
    """For every section that a preset sets, and every field of it."""
    for section, inside in PRESETS[name].items():
        if isinstance(inside, dict):
            for field in inside:
                own = {"hidden": [8], "activation": "silu", "layer_norm": False}[field]
                found = getattr(ModelConfig(preset=name, **{section: {field: own}}), section)
                assert found == NetworkConfig(**{**inside, field: own})


def test_a_section_of_python_is_merged_as_one_of_a_file():
    as_object = ModelConfig(preset="upstream", readout=NetworkConfig(hidden=[8, 8]))
    assert as_object == ModelConfig(preset="upstream", readout={"hidden": [8, 8]})
    assert as_object.readout.activation == "relu_like"


def test_an_override_of_a_field_inside_a_section_keeps_the_preset(tmp_path):
    file = written(tmp_path, "{preset: upstream}")
    readout = load_config(file, ["model.readout.hidden=[8, 8]"]).model.readout
    assert (readout.hidden, readout.activation, readout.layer_norm) == ([8, 8], "relu_like", True)


# --- a preset that is chosen later ------------------------------------------------------------


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = []
    for distance in (0.9, 1.0, 1.1):
        atoms = ase.Atoms("OH", [[0, 0, 0], [0, 0, distance]])
        atoms.calc = SinglePointCalculator(atoms, energy=-distance, forces=0 * atoms.positions)
        frames.append(atoms)
    ase.io.write(tmp_path / "a.xyz", frames)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["file", "command line"])
def test_a_preset_takes_effect_in_a_new_configuration(data, name, place):
    new_config("new.yaml", "a.xyz")
    if place == "file":
        text = Path("new.yaml").read_text()
        Path("new.yaml").write_text(re.sub("preset: default", f"preset: {name}", text))
        model = load_config("new.yaml").model
    else:
        model = load_config("new.yaml", [f"model.preset={name}"]).model
    assert model == ModelConfig(preset=name)
    assert describe_preset(model) == name


@pytest.mark.parametrize("old", NAMES)
@pytest.mark.parametrize("new", NAMES)
def test_a_preset_on_the_command_line_is_never_defeated_by_resolved_fields(tmp_path, old, new):
    """It is an error that says what to add; with that, the preset has taken effect."""
    file = tmp_path / "config.yaml"
    save_config(Config(data={"train": "a"}, model={"preset": old, "cutoff": 4.0}), file, {})
    overrides = [f"model.preset={new}"]
    if old != new:
        refusal = f"The preset {new} would not take full effect"
        with pytest.raises(UserError, match=refusal) as error:
            load_config(file, overrides)
        overrides += shlex.split(error.value.fix.partition(" add ")[2].removesuffix("."))
    model = load_config(file, overrides).model
    assert model == ModelConfig(preset=new, cutoff=4.0)


@pytest.mark.parametrize(
    ("fields", "overrides"),
    [
        ("{cutoff: 4.0, zbl: {}}", []),  # no preset is about them
        ("{l_max: 1}", []),  # neither the value of a preset nor chosen by this one
        ("{n_radial: 8}", []),  # what the preset chooses
        ("{n_radial: 12}", ["model.n_radial=5"]),  # chosen again
        ("{n_orbitals: 8}", []),  # of the density only, and so is the preset
        ("{preset: fast, n_radial: 12}", []),  # the preset of the file
    ],
)
def test_what_does_not_defeat_a_preset_stays(tmp_path, fields, overrides):
    model = load_config(written(tmp_path, fields), ["model.preset=fast", *overrides]).model
    assert (model.preset, model.features) == ("fast", "gram")


@pytest.mark.parametrize(
    ("fields", "preset"),
    [
        ("{preset: density, n_radial: 12}", "fast"),
        ("{messages: scalar, n_orbitals: 8, n_radial: 12}", "fast"),
        ("{n_orbitals: 8, n_radial: 12}", "fast"),
        ("{n_radial: 20}", "fast"),
        ("{channels: 32}", "accurate"),
        ("{preset: density, l_max: 1}", "default"),
        ("{messages: directional}", "default"),
    ],
)
def test_a_field_of_the_file_that_a_later_preset_chooses_is_an_error(tmp_path, fields, preset):
    with pytest.raises(UserError, match="would not take full effect") as error:
        load_config(written(tmp_path, fields), [f"model.preset={preset}"])
    assert f"command line: model.preset={preset}" in str(error.value)


# --- what is said -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "default"),
        ({"preset": "fast", "cutoff": 3.0}, "fast"),
        ({"preset": "fast", "n_radial": 12}, "fast, changed: n_radial=12"),
        ({"preset": "accurate", "l_max": 2}, "accurate, changed: l_max=2"),
        ({"update": {"activation": "tanh_like"}}, "default, changed: update.activation=tanh_like"),
        ({"messages": "equivariant", "channels": 4}, "default, changed: channels=4"),
        ({"messages": "scalar"}, "density"),
        ({"messages": "directional"}, "density, changed: messages=directional"),
        ({"preset": "fast", "messages": "equivariant"}, "fast, changed: messages=equivariant"),
        ({"host": "power_spectrum", "l_max": 3}, "default, changed: l_max=3"),
        (
            {"preset": "upstream", "readout": {"hidden": [8, 8]}, "standardize": True},
            "upstream, changed: standardize=true, readout.hidden=[8, 8]",
        ),
        ({"zbl": {"inner": 0.2}}, "default, changed: zbl.inner=0.2, zbl.outer=0.7"),
        ({"preset": "upstream", "host": "deep_pot"}, "upstream"),
    ],
)
def test_the_changes_of_a_preset_are_named(fields, said):
    assert describe_preset(ModelConfig(**fields)) == said


def test_all_fields_read_back_are_no_changes(tmp_path):
    for name in NAMES:
        model = ModelConfig(preset=name)
        assert not changes(ModelConfig.model_validate(model.model_dump(mode="json")))


def test_a_run_and_the_potential_say_what_was_changed(data):
    model = {"preset": "fast", "n_radial": 4, "cutoff": 3.0}
    config = Config(data={"train": str(data / "a.xyz"), "valid": {"indices": [0]}}, model=model)
    parts = open_parts(config, data, World(), print, as_split=False)
    start, _ = start_model(config, parts, None)
    said = "fast, changed: n_radial=4"
    assert f"preset    {said}" in describe(config, parts, start)
    Potential(start, {}).save(data / "a.reann")
    assert ("preset", said) in list(model_lines(data / "a.reann"))


# --- fields without effect --------------------------------------------------------------------


def in_density(fields):
    return {"preset": "default" if "host" in fields else "density"} | fields


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"features": "gram", "n_orbitals": 8}, "n_orbitals=8 with features=gram"),
        ({"l_max": 1, "n_orbitals": 8}, "n_orbitals=8 with features=many_body, l_max=1"),
        ({"orbitals_per_l": True}, "orbitals_per_l=true with features=many_body"),
        ({"orbitals_per_recursion": True}, "orbitals_per_recursion=true with features=many_body"),
        ({"messages": "directional", "n_recursions": 0}, "messages=directional with n_recursions"),
        ({"messages": "directional", "l_max": 0}, "messages=directional with l_max=0"),
        ({"host": "deep_pot", "l_max": 3}, "l_max=3 with host=deep_pot"),
        ({"host": "symmetry_functions", "l_max": 3}, "l_max=3 with host=symmetry_functions"),
        (
            {"readout": {"blocks": 0, "hidden": [8, 4]}},
            "readout.hidden=[8, 4] with readout.blocks=0",
        ),
        ({"update": {"blocks": 0, "layer_norm": True}}, "update.layer_norm=true"),
        ({"readout": {"hidden": [8], "blocks": 3}}, "readout.blocks=3 with readout.hidden=[8]"),
    ],
)
def test_a_choice_without_effect_is_an_error(fields, named):
    with pytest.raises(UserError) as error:
        refuse_unused(ModelConfig(**in_density(fields)))
    assert named in error.value.what


@pytest.mark.parametrize(
    "fields",
    [
        *({"preset": name} for name in NAMES),
        {"preset": "fast", "host": "deep_pot"},
        {"preset": "density", "n_orbitals": 64, "l_max": 3},
        {"n_recursions": 0, "update": {"hidden": [8, 8]}},
        {"readout": {"hidden": [32]}},
        {"messages": "scalar", "features": "orbitals", "orbitals_per_l": True, "n_orbitals": 3},
        {"host": "power_spectrum", "messages": "directional", "l_max": 3},
    ],
)
def test_choices_with_effect_and_those_of_a_preset_are_no_mistake(fields):
    assert not unused(ModelConfig(**fields))


def test_every_choice_that_is_said_to_have_no_effect_changes_no_number():
    """The parameters of both models are the same, and so are their shapes."""
    for fields in (
        {"features": "gram", "n_orbitals": 8},
        {"l_max": 1, "n_orbitals": 8},
        {"messages": "directional", "n_recursions": 0},
        {"host": "deep_pot", "l_max": 3},
        {"readout": {"blocks": 0, "hidden": [8, 4]}},
    ):
        (choice, *_) = unused(ModelConfig(**in_density(fields)))
        name = choice.partition("=")[0]
        without = {k: v for k, v in fields.items() if k != name}
        if name == "readout.hidden":
            without["readout"] = {"blocks": 0, "hidden": [8]}
        one, other = (random_model(**choices).state_dict() for choices in (fields, without))
        assert {k: v.shape for k, v in one.items()} == {k: v.shape for k, v in other.items()}

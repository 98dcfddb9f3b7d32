"""`reann new`: the written configuration holds what the data say, and can be read."""

import re

import ase
import ase.io
import pytest

from reann.config import Config
from reann.config.file import load_config
from reann.config.new import ACTIVE, new_config, render
from reann.errors import UserError


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Write two structures whose labels have names of their own."""
    monkeypatch.chdir(tmp_path)
    frames = []
    for distance in (0.9, 1.0):
        atoms = ase.Atoms("OH", [[0, 0, 0], [0, 0, distance]])
        atoms.info["DFT_energy"] = -10.0 - distance
        atoms.arrays["DFT_forces"] = atoms.positions * 0.1
        frames.append(atoms)
    ase.io.write(tmp_path / "train.xyz", frames)
    return tmp_path


def test_the_configuration_names_the_keys_and_elements_that_the_data_have(data):
    said = new_config("a.yaml", "train.xyz")
    assert "2 structures, 4 atoms, H 50% O 50%" in said
    assert "reann train a.yaml" in said
    config = load_config("a.yaml")
    assert config.data.train == str(data / "train.xyz")
    assert (config.data.keys.energy, config.data.keys.forces) == ("DFT_energy", "DFT_forces")
    assert "H 50% O 50%" in (data / "a.yaml").read_text()


def test_several_files_become_sources_with_keys_and_units_of_their_own(data):
    frames = ase.io.read("train.xyz", ":")
    for atoms in frames:
        atoms.info |= {"energy": atoms.info.pop("DFT_energy"), "energy_unit": "meV"}
    ase.io.write(data / "other.xyz", frames)
    said = new_config("a.yaml", ["train.xyz", "other.xyz"])
    assert "train.xyz: 2 structures" in said
    assert "other.xyz: 2 structures" in said
    config = load_config("a.yaml")
    assert config.data.train is None
    first, second = config.data.sources
    assert (first.files, second.files) == (str(data / "train.xyz"), str(data / "other.xyz"))
    assert (first.keys.energy, second.keys.energy) == ("DFT_energy", "energy")
    assert (first.units.energy, second.units.energy) == ("eV", "meV")


def test_an_existing_file_is_never_touched(data):
    (data / "a.yaml").write_text("mine")
    with pytest.raises(UserError, match="already exists"):
        new_config("a.yaml", "train.xyz")
    assert (data / "a.yaml").read_text() == "mine"


def test_nothing_is_written_when_the_data_are_absent(data):
    with pytest.raises(UserError, match=r"Did you mean 'train.xyz'"):
        new_config("a.yaml", "trian.xyz")
    assert not (data / "a.yaml").exists()


def test_a_folder_that_is_not_there_is_an_error_of_the_user(data):
    with pytest.raises(UserError, match="cannot be written"):
        new_config("nowhere/a.yaml", "train.xyz")


def test_labels_under_keys_that_are_not_recognized_are_asked_about(data):
    frames = ase.io.read("train.xyz", ":")
    for atoms in frames:
        atoms.info["my_energy"] = atoms.info.pop("DFT_energy")
    ase.io.write("other.xyz", frames)
    said = new_config("a.yaml", "other.xyz")
    assert "The energy may be under an unknown key: 'my_energy'" in said
    assert said.splitlines()[-1].startswith("First set data.keys")
    assert said.endswith("reann train a.yaml")
    assert "Train with" not in said
    text = (data / "a.yaml").read_text()
    assert "data: {keys: {energy: my_energy}}" in text
    assert "\n  #keys: {energy: my_energy}\n" in text
    assert "\n  keys:" not in text
    (data / "a.yaml").write_text(text.replace("  #keys: ", "  keys: "))
    assert load_config("a.yaml").data.keys.energy == "my_energy"


def test_each_source_has_the_suggestion_of_its_file(data):
    frames = ase.io.read("train.xyz", ":")
    for atoms in frames:
        atoms.info["my_energy"] = atoms.info.pop("DFT_energy")
    ase.io.write("other.xyz", frames)
    said = new_config("a.yaml", ["train.xyz", "other.xyz"])
    assert "First set the keys of these files in data.sources" in said
    text = (data / "a.yaml").read_text()
    assert re.search(r"other.xyz.*\n    # add after checking: keys: \{energy: my_energy\}", text)
    assert len(load_config("a.yaml").data.sources) == 2


def test_what_is_not_used_is_said_and_written_above_the_configuration(data):
    frames = ase.io.read("train.xyz", ":")
    for step, atoms in enumerate(frames):
        atoms.info |= {"step": step, "energy_sigma": 0.1, "config_forces_weight": 5.0}
    ase.io.write("other.xyz", frames)
    for text in (new_config("a.yaml", "other.xyz"), (data / "a.yaml").read_text()):
        assert "Not used: energy_sigma, step." in text
        assert "Nonzero values of 'config_forces_weight' (5) are not used" in text


def test_every_field_is_there_with_its_documentation_and_its_default(tmp_path):
    config = Config(data={"train": "a.xyz"})
    text = render(config, "a.yaml", "a.xyz: 3 structures")
    for section in Config.model_fields:
        for name, field in type(getattr(config, section)).model_fields.items():
            entry = rf"((?:^  # .*\n)+)^  #?{name}: "
            (comment,) = re.findall(entry, text, flags=re.MULTILINE)
            described = " ".join(comment.replace("  # ", "").split())
            assert described == " ".join(field.description.split())
    comments = [line for line in text.splitlines() if line.strip().startswith("# ")]
    assert max(map(len, comments)) <= 88
    (tmp_path / "a.yaml").write_text(text)
    read = load_config(tmp_path / "a.yaml", ["run.folder=null"])
    assert read == config
    (tmp_path / "a.yaml").write_text(re.sub(r"^  #(?=[a-z_]+: )", "  ", text, flags=re.MULTILINE))
    assert load_config(tmp_path / "a.yaml") == config, "uncommenting a line changes nothing"


def test_only_what_a_user_decides_is_written_out():
    text = render(Config(data={"train": "a.xyz"}), "a.yaml", "a.xyz: 3 structures")
    written = re.findall(r"^  ([a-z_]+): ", text, flags=re.MULTILINE)
    assert set(written) <= {name for names in ACTIVE.values() for name in names}


def test_keys_and_names_that_look_like_something_else_are_read_back(data):
    """Keys that YAML takes for a number or a word, and names that a shell would cut."""
    config = Config(data={"train": "Wässer 1.traj", "keys": {"energy": "1e3", "forces": "~"}})
    (data / "b.yaml").write_text(render(config, "b c.yaml", "x"))
    assert load_config("b.yaml").data.keys == config.data.keys
    assert "Wässer 1.traj" in (data / "b.yaml").read_text()
    assert "reann train 'b c.yaml'" in (data / "b.yaml").read_text()


@pytest.mark.parametrize(("file", "source"), [("a\nb.yaml", "train.xyz"), ("a.yaml", "a\x1b.xyz")])
def test_a_control_character_in_a_name_is_an_error(data, file, source):
    with pytest.raises(UserError, match="control character"):
        new_config(file, source)
    assert not (data / file).exists()

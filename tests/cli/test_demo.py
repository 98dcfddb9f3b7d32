"""`reann demo` does the whole job, with commands that anybody could type."""

import json
import shlex
from pathlib import Path

import pytest
from typer import Exit
from typer.testing import CliRunner

from reann import demo as module
from reann.cli import app
from reann.config import ModelConfig
from reann.config.file import load_config
from reann.data.files.read import iter_atoms
from reann.demo import DATA, commands, copy_data, demo, perform
from reann.errors import UserError
from reann.terminal import Terminal


def execute(words):
    return app(words, prog_name="reann", standalone_mode=False)


@pytest.fixture
def short(monkeypatch):
    """Make the demo train for two epochs and run 10 fs."""
    complete = commands

    def shortened(folder):
        steps = complete(folder)
        steps[1] += ["training.epochs=2", "model.n_radial=3", "run.threads=1"]
        steps[3][steps[3].index("--time") + 1] = "10fs"
        return steps

    monkeypatch.setattr(module, "commands", shortened)


def test_the_demo_leaves_a_potential_errors_a_trajectory_and_a_report(tmp_path, short, capsys):
    demo(tmp_path / "demo", execute)
    for name in ("run/model.reann", "run/report.html", "md.xyz"):
        assert (tmp_path / "demo" / name).stat().st_size > 0
    errors = json.loads((tmp_path / "demo" / "errors.json").read_text())
    assert errors["n_structures"] == 100
    assert 0 < errors["forces_rmse_meV_per_A"] < 1100
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("$ reann ")]
    assert [shlex.split(line)[2] for line in shown] == ["check", "train", "evaluate", "md"]


def test_the_demo_can_be_repeated_in_its_folder(tmp_path, short):
    demo(tmp_path, execute)
    first = (tmp_path / "run" / "log.csv").read_text()
    demo(tmp_path, execute)
    again = (tmp_path / "run" / "log.csv").read_text()
    assert len(first.splitlines()) == len(again.splitlines()) == 4


def test_the_demo_does_not_write_into_a_folder_of_other_things(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="a new or empty folder"):
        demo(tmp_path, execute)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", DATA)
def test_files_that_were_edited_since_an_earlier_demo_are_not_replaced(tmp_path, name):
    copy_data(tmp_path)
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(UserError, match=f"'{name}' was edited"):
        demo(tmp_path, execute)
    assert (tmp_path / name).read_bytes() == b"mine"


def test_a_file_in_place_of_the_folder_is_an_error_of_the_user(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match="a new or empty folder"):
        demo(tmp_path / "taken", execute)
    with pytest.raises(UserError, match="cannot be written"):
        copy_data(tmp_path / "taken" / "inside")


def test_a_step_that_fails_ends_the_demo(capsys):
    steps = [["info", "nowhere.reann"], ["doctor"]]
    with pytest.raises(Exit) as stop:
        perform(steps, Terminal(), execute)
    assert stop.value.exit_code == 1
    assert "$ reann doctor" not in capsys.readouterr().out


def test_the_steps_are_commands_with_known_options(tmp_path):
    for words in commands(tmp_path):
        usage = CliRunner().invoke(app, [words[0], "--help"], terminal_width=200).output
        for word in words:
            assert not word.startswith("--") or word in usage


def test_structures_to_judge_by_are_not_trained_on(tmp_path):
    copy_data(tmp_path)
    parts = [
        {atoms.positions.tobytes() for atoms, _ in iter_atoms(str(tmp_path / name))}
        for name in DATA[:2]
    ]
    assert [len(part) for part in parts] == [300, 100]
    assert not parts[0] & parts[1]


def test_the_settings_of_the_demo_are_valid_and_name_its_data(tmp_path):
    copy_data(tmp_path)
    config = load_config(tmp_path / "ethanol.yaml")
    assert Path(str(config.data.train)) == tmp_path / DATA[0]
    assert config.model == ModelConfig(cutoff=4.5)


def test_the_bundled_data_name_source_and_license_and_are_small():
    folder = Path(module.__file__).parent
    about = (folder / "README.md").read_text(encoding="utf-8")
    assert all(word in about for word in ("Source", "License", "MIT", "CC0", "Cite"))
    assert sum((folder / name).stat().st_size for name in DATA) < 200_000

"""The command line: what the verbs call, how errors look, and that help opens at once."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from typer.testing import CliRunner

import reann
from reann import cli
from reann.cli.use import femtoseconds
from reann.errors import UserError
from reann.spectra.settings import Settings
from reann.training.signals import Interrupted

HEAVY = ("torch", "ase", "numpy", "matplotlib")


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def python(code, *, cwd=None):
    source = Path(reann.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=cwd,
    )


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write the shortest configuration into the working folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "water.yaml"
    path.write_text("data: {train: water.xyz}\n")
    return path


# --- nothing heavy before it is needed --------------------------------------------------------


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words):
    code = f"""
import sys
from reann.cli import main
try:
    main({words!r})
except SystemExit as stop:
    assert stop.code == 0, stop.code
print("heavy:", [name for name in {HEAVY!r} if name in sys.modules])
"""
    result = python(code)
    assert result.stdout.splitlines()[-1] == "heavy: []", result.stdout + result.stderr


def test_importing_the_package_imports_nothing_heavy():
    result = python(f"import sys, reann; print([n for n in {HEAVY!r} if n in sys.modules])")
    assert result.stdout == "[]\n", result.stderr


@pytest.mark.parametrize("name", reann.__all__)
def test_every_public_name_is_there(name):
    assert dir(reann) == sorted(reann.__all__)
    assert name in dir(reann)
    assert getattr(reann, name) is not None


def test_the_public_names_come_from_where_they_are_declared_to_type_checkers():
    checked = Path(reann.__file__).read_text().split("if TYPE_CHECKING:")[1].split("__version__")[0]
    declared = {
        name.strip(): module
        for module, names in re.findall(r"from (\S+) import (.+)", checked)
        for name in names.split(",")
        if name.strip() != "upstream"
    }
    assert declared == reann._HOME


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = reann.lod


# --- verbs and what they call -----------------------------------------------------------------


CALLS = {
    "demo": ("demo there", "reann.demo:demo", {"folder": Path("there")}),
    "new": (
        "new a.yaml --from b.xyz",
        "reann.config.new:new_config",
        {"file": Path("a.yaml"), "from_files": ["b.xyz"]},
    ),
    "resume": (
        "resume runs/a training.epochs=9",
        "reann.training.run:resume",
        {"folder": Path("runs/a"), "overrides": ["training.epochs=9"]},
    ),
    "evaluate": (
        "evaluate m.reann a.xyz b.xyz --json e.json -o p.xyz --group kind",
        "reann.evaluation.evaluate:evaluate",
        {
            "files": ["a.xyz", "b.xyz"],
            "json_path": Path("e.json"),
            "output": Path("p.xyz"),
            "group": "kind",
            "engine": "auto",
        },
    ),
    "md": (
        "md m.reann a.xyz --temperature 300 --time 10ps --ensemble npt --seed 7 --device cpu",
        "reann.simulate.md:run_md",
        {"temperature": 300.0, "ensemble": "npt", "seed": 7, "device": "cpu"},
    ),
    "relax": (
        "relax m.reann a.xyz --fmax 0.02 --cell -o r.xyz --optimizer fire",
        "reann.simulate.relax:relax",
        {"fmax": 0.02, "cell": True, "output": Path("r.xyz"), "optimizer": "fire"}
        | {"device": "auto"},
    ),
    "spectrum": (
        "spectrum m.reann a.xyz -o s.csv --json s.json --figure s.svg --width 8 --blocks 4",
        "reann.spectra.command:spectrum",
        {
            "start": ["a.xyz"],
            "settings": Settings(width=8.0, blocks=4),
            "output": Path("s.csv"),
            "json_path": Path("s.json"),
            "figure_path": Path("s.svg"),
            "engine": "auto",
            "device": "auto",
        },
    ),
    "check": (
        "check a.xyz b.xyz --json c.json --strict",
        "reann.data.check:check_command",
        {"files": ["a.xyz", "b.xyz"], "json_path": Path("c.json"), "strict": True},
    ),
    "convert": ("convert a.pth -o b.reann", "reann.upstream:convert", {}),
    "info": ("info m.reann", "reann.cli.info:info", {}),
}


def replace(monkeypatch, place, **answer):
    """Put a double with the same signature in place of a function."""
    module, name = place.split(":")
    double = create_autospec(getattr(importlib.import_module(module), name), **answer)
    monkeypatch.setattr(f"{module}.{name}", double)
    return double


@pytest.mark.parametrize("verb", CALLS)
def test_a_verb_hands_its_options_to_one_function(monkeypatch, verb):
    words, place, expected = CALLS[verb]
    signature = inspect.signature(
        getattr(importlib.import_module(place.split(":")[0]), place.split(":")[1])
    )
    answer = {"return_value": {"check": 0, "new": "text"}[verb]} if verb in ("check", "new") else {}
    double = replace(monkeypatch, place, **answer)
    result = run(*words.split())
    assert result.exit_code == 0, result.output
    double.assert_called_once()
    given = signature.bind(*double.call_args.args, **double.call_args.kwargs).arguments
    assert {name: given[name] for name in expected} == expected


def test_train_reads_the_configuration_and_its_overrides(monkeypatch, config):
    train = replace(monkeypatch, "reann.training.run:train")
    words = ["train", config, "training.epochs=7", "--from", "m.reann", "--overwrite"]
    assert run(*words).exit_code == 0
    (settings,), options = train.call_args
    assert settings.training.epochs == 7
    assert options == {"warm_start": Path("m.reann"), "overwrite": True}


def test_the_exit_code_of_check_is_that_of_its_findings(monkeypatch):
    replace(monkeypatch, "reann.data.check:check_command", return_value=1)
    assert run("check", "a.xyz").exit_code == 1


def test_labels_are_named_as_in_a_configuration(monkeypatch, config):
    config.write_text("data: {train: a, keys: {energy: E}, units: {energy: Ha}}\n")
    check = replace(monkeypatch, "reann.data.check:check_command", return_value=0)
    assert run("check", "a.xyz", "--config", config).exit_code == 0
    assert check.call_args.kwargs["data"].units.energy == "Ha"
    evaluate = replace(monkeypatch, "reann.evaluation.evaluate:evaluate")
    assert run("evaluate", "m.reann", "a.xyz", "--config", config).exit_code == 0
    assert evaluate.call_args.kwargs["keys"].energy == "E"
    assert run("check", "a.xyz", "--config", config, "--unit", "energy=meV").exit_code == 0
    assert check.call_args.kwargs["data"].units.energy == "meV"
    assert check.call_args.kwargs["data"].keys.energy == "E"
    for unit in ("dipole=Debye", "polarizability=Bohr^3"):
        assert run("check", "a.xyz", "--unit", unit).exit_code == 0


def test_the_folder_of_a_run_stands_for_its_potential(monkeypatch, tmp_path):
    relax = replace(monkeypatch, "reann.simulate.relax:relax")
    result = run("relax", tmp_path, "a.xyz")
    assert result.exit_code == 1
    assert "no model.reann in this folder" in result.stderr
    (tmp_path / "model.reann").touch()
    result = run("relax", tmp_path, "a.xyz")
    assert relax.call_args.args[0] == tmp_path / "model.reann"
    assert "not written" in result.stdout


@pytest.mark.parametrize("converged", [True, False])
def test_the_exit_code_of_relax_tells_whether_it_ended(monkeypatch, converged):
    relax = replace(monkeypatch, "reann.simulate.relax:relax")
    relax.return_value.converged = converged
    assert run("relax", "m.reann", "a.xyz").exit_code == (0 if converged else 1)


def test_every_verb_has_a_help_with_an_example():
    commands = [c.name or c.callback.__name__ for c in cli.app.registered_commands]
    assert set(CALLS) | {"train"} <= set(commands)
    for name in commands:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert f"Example: reann {name}" in " ".join(result.output.split())


@pytest.mark.parametrize(("text", "fs"), [("10ps", 1e4), ("500fs", 500.0), ("0.1 ns", 1e5)])
def test_times_have_units(text, fs):
    assert femtoseconds(text) == pytest.approx(fs)


@pytest.mark.parametrize("text", ["10", "ps", "", "-1ps", "10 days", "nanps", "infps"])
def test_a_time_without_a_unit_is_refused(text):
    with pytest.raises(UserError, match=r"10ps, 500fs"):
        femtoseconds(text)


# --- errors -----------------------------------------------------------------------------------


def test_an_error_of_the_user_is_printed_without_a_traceback(config):
    config.write_text("data:\n  trian: a.xyz\n")
    result = python("from reann.cli import main; main(['train', 'water.yaml'])", cwd=config.parent)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "Did you mean 'train'?" in result.stderr
    assert "water.yaml, line 2" in result.stderr


def test_square_brackets_in_a_message_are_printed_as_they_are(config):
    result = run("train", config, "data.valid=[bold]x")
    assert result.exit_code == 1
    assert "[bold]" in result.stderr


@pytest.mark.parametrize(
    "words", [["--debug", "train", "no.yaml"], ["train", "no.yaml", "--debug"]]
)
def test_debug_shows_the_traceback_wherever_it_stands(words, tmp_path):
    result = python(f"from reann.cli import main; main({words!r})", cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "There is no configuration file 'no.yaml'" in result.stderr


@pytest.mark.parametrize(
    "words", [["trian"], ["train"], ["info"], ["md", "a", "b", "--time", "1ps"]]
)
def test_wrong_usage_has_exit_code_2(words):
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Interrupted])
def test_ctrl_c_has_exit_code_130_without_a_traceback(monkeypatch, config, stop):
    replace(monkeypatch, "reann.training.run:train", side_effect=stop)
    result = run("train", config)
    assert result.exit_code == 130
    assert result.stderr == "Stopped.\n"


def test_a_file_that_ase_does_not_know_is_answered_with_formats(config):
    model = Path(__file__).parents[1] / "golden" / "files" / "version-1-float32.reann"
    result = run("evaluate", model, config)
    assert result.exit_code == 1
    for word in (".xyz", ".traj", "OUTCAR"):
        assert word in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["info", "NAME"],
        ["check", "NAME"],
        ["evaluate", "NAME", "a.xyz"],
        ["relax", "NAME", "a.xyz"],
        ["train", "NAME"],
        ["train", "water.yaml", "data.train=NAME"],
        ["resume", "NAME"],
        ["new", "NAME", "--from", "a.xyz"],
        ["new", "a.yaml", "--from", "NAME"],
    ],
)
def test_a_name_that_is_too_long_is_an_error_of_the_user(config, words):
    done = run(*(word.replace("NAME", "a" * 400) for word in words))
    assert done.exit_code == 1
    assert "too long" in done.output
    assert isinstance(done.exception, SystemExit)


def test_a_negative_seed_of_the_dynamics_is_wrong_usage():
    words = ["md", "m.reann", "a.xyz", "--temperature", "300", "--time", "1ps", "--seed", "-1"]
    done = run(*words)
    assert done.exit_code == 2
    assert "--seed" in done.stderr


def test_the_module_runs_as_a_program(tmp_path):
    code = "import runpy, sys; sys.argv = ['reann', '--version'];"
    code += "runpy.run_module('reann', run_name='__main__')"
    result = python(code, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith("reann ")

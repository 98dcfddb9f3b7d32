"""Messages and help name the cause of a mistake, not its consequence."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from models import random_model
from reann.backends.choice import NATIVE
from reann.backends.protocol import Request
from reann.calibration import Calibration, Scale
from reann.cli import app
from reann.cli.info import described
from reann.config import ModelConfig
from reann.elements import check_elements
from reann.errors import UserError
from reann.evaluation.comparison import Evaluation
from reann.learning.settings import CommandConfig
from reann.model import build
from reann.potential import Potential
from reann.training.folder import refuse_another_run
from reann.training.state import FILE

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"


def output_of(*words: object) -> str:
    """Return what a command prints, in one line; it must fail."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code != 0
    return " ".join(result.output.split())


def help_of(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.exception
    return result.output


@pytest.mark.parametrize("verb", ["md", "relax", "evaluate"])
def test_exchanged_arguments_are_recognized(tmp_path: Path, verb: str) -> None:
    Potential(random_model()).save(tmp_path / "model.reann")
    more = ["--temperature", "300", "--time", "1fs"] if verb == "md" else []
    said = output_of(verb, ETHANOL, tmp_path / "model.reann", *more)
    assert "This is a file of structures, not a potential" in said
    assert "MODEL comes first" in said
    assert "ickle" not in said


def test_structures_need_no_conversion(tmp_path: Path) -> None:
    for target in ("model.reann", "data.xyz"):
        said = output_of("convert", ETHANOL, "-o", tmp_path / target)
        assert "can be used directly" in said


def test_a_time_with_a_space_is_explained() -> None:
    said = output_of("md", "m.reann", "a.xyz", "--temperature", "300", "--time", "20", "ps")
    assert "Write 20ps, without a space" in said


def test_outputs_of_scalar_models_name_the_preset_that_is_faster() -> None:
    config = ModelConfig(preset="fast", cutoff=3.0, outputs=["dipole"])
    model = build(config, [1, 8], 10.0, seed=1)
    why = NATIVE.supports(model, Request(frozenset({"dipole"})))
    assert why == (
        "it computes dipole only for models with equivariant messages, such as preset default"
    )


def test_an_unknown_element_is_named_in_the_advice() -> None:
    with pytest.raises(UserError) as error:
        check_elements([1, 6, 8], np.array([1, 7, 6]))
    assert error.value.fix == "Train a potential on structures that contain N."


@pytest.mark.parametrize(("checkpoint", "words"), [(True, "reann.resume("), (False, "")])
def test_the_advice_to_overwrite_is_also_right_in_python(
    tmp_path: Path, checkpoint: bool, words: str
) -> None:
    (tmp_path / (FILE if checkpoint else "log.csv")).touch()
    with pytest.raises(UserError) as error:
        refuse_another_run(tmp_path)
    assert "overwrite=True (`--overwrite`)" in error.value.fix
    assert words in error.value.fix


def test_a_large_fraction_is_written_without_an_exponent() -> None:
    labels: dict[str, np.ndarray] = {}
    everywhere = np.ones(4, bool)
    n_atoms, numbers = np.array([4]), np.full(4, 14)
    evaluation = Evaluation(["a"], [""], n_atoms, numbers, labels, labels, everywhere)
    assert "100 % of the atoms" in repr(evaluation)


def test_elements_without_bounds_are_explained() -> None:
    scale = Scale(factor=1.0, bounds={"68": 1.0}, coverage={"68": 70.0}, n=100)
    calibration = Calibration(
        kind="last layer", number=8, structures=20, forces={"all": scale, "H": scale}
    )
    text = described(calibration, ["H", "O"])
    assert "force on O: those of all forces; fewer than 30 such atoms" in text
    assert "force on H:" in text
    assert "force on H, " not in text


COMMANDS = [[], *([name] for name in ("check", "train", "relax", "md", "calibrate", "select"))]


@pytest.mark.parametrize("words", COMMANDS)
def test_flags_take_no_value_and_ranges_are_in_words(words: list[str]) -> None:
    text = help_of(*words)
    assert "--" in text
    assert not re.search(r"<bool>|<float|<int|<str|range>|<=x|x>=|\blist\[", text)


def test_a_range_is_part_of_the_help_and_still_checked() -> None:
    text = help_of("check")
    assert re.search(r"--cutoff +NUMBER", text)
    assert "From 0 to 100." in " ".join(re.sub("[│\n]", " ", text).split())
    said = output_of("check", ETHANOL, "--cutoff", "101")
    assert "--cutoff" in said
    assert "100" in said


def test_all_placeholders_of_a_command_are_documented() -> None:
    text = CommandConfig.model_fields["run"].description or ""
    for name in ("model", "start", "seed", "iteration", "folder"):
        assert f"{{{name}}}" in text


@pytest.mark.parametrize(
    ("verb", "name", "former"),
    [
        ("calibrate", "--validation", "--data"),
        ("select", "--training", "--data"),
        ("select", "--model", "--from"),
        ("test", "--test", "--data"),
    ],
)
def test_former_names_of_options_still_work(verb: str, name: str, former: str) -> None:
    command = typer.main.get_command(app).commands[verb]
    (option,) = [each for each in command.params if name in each.opts]
    assert option.opts == [name, former]

"""`reann info` tells what a file, a run or the computer is made of."""

import pytest
from typer.testing import CliRunner

from reann.cli import app
from reann.cli.info import info, model_lines, run_lines
from reann.config import ModelConfig
from reann.errors import UserError
from reann.model import build
from reann.potential import Ensemble, Potential

SMALL = ModelConfig(preset="density", cutoff=4.0, n_radial=3, l_max=1, n_recursions=1)


def potential(seed=1, **metadata):
    return Potential(build(SMALL, [1, 8], 10.0, seed=seed), metadata)


def text_of(lines):
    """Return the lines as one text."""
    return "\n".join(f"{name}: {value}" for name, value in lines)


def test_the_header_tells_elements_cutoff_settings_and_units(tmp_path):
    file = tmp_path / "water.reann"
    potential().save(file)
    text = text_of(model_lines(file))
    assert "elements: H, O" in text
    assert "cutoff: 4 Å" in text
    assert "1 recursion, l ≤ 1, 3 radial" in text
    assert "n_radial=3" in text
    assert "units: eV, Ang" in text


def test_errors_and_versions_are_shown_with_their_names(tmp_path):
    file = tmp_path / "water.reann"
    errors = {"valid": {"forces_rmse_meV_per_A": 51.25}}
    potential(errors=errors, provenance={"torch": "2.13.0"}, epoch=17).save(file)
    text = text_of(model_lines(file))
    assert "errors: forces 51.25 meV/Å (RMSE, validation)" in text
    assert "torch 2.13.0" in text
    assert "best epoch: 17" in text


def test_a_fit_that_cannot_tell_the_elements_apart_makes_dissociation_an_extrapolation(tmp_path):
    file = tmp_path / "water.reann"
    potential(reference_energies_source="fit", reference_energies_rank=1).save(file)
    text = text_of(model_lines(file))
    assert "source: fit" in text
    assert "determine only 1 of 2 energies" in text
    assert "energies of dissociation into atoms are an extrapolation" in text


@pytest.mark.parametrize(("source", "rank"), [("fit", 2), ("isolated", 2), ("given", 2)])
def test_known_energies_of_atoms_need_no_such_warning(tmp_path, source, rank):
    file = tmp_path / "water.reann"
    potential(reference_energies_source=source, reference_energies_rank=rank).save(file)
    assert "extrapolation" not in text_of(model_lines(file))


def test_settings_are_shown_where_they_differ_from_the_defaults(tmp_path):
    file = tmp_path / "water.reann"
    settings = {"data": {"train": "water.xyz"}, "training": {"epochs": 7, "clip": 10.0}}
    potential(settings=settings).save(file)
    text = text_of(model_lines(file))
    assert "training.epochs 7" in text
    assert "data.train water.xyz" in text
    assert "training.clip" not in text


def test_an_ensemble_says_how_many_it_is(tmp_path):
    file = tmp_path / "water.reann"
    Ensemble([potential(1), potential(2), potential(3)]).save(file)
    assert "ensemble of 3" in text_of(model_lines(file))


def test_a_run_shows_its_best_epoch_and_how_to_go_on(tmp_path):
    (tmp_path / "log.csv").write_text(
        "epoch,learning_rate,valid_energy_rmse_meV_per_atom,valid_forces_rmse_meV_per_A,"
        "valid_loss,best,seconds\n"
        "0,0.003,20.0,900.0,1.0,1.0,1.0\n1,0.003,2.5,99.5,0.2,1.0,3.0\n"
        "2,0.003,3.0,120.0,0.3,0.0,5.0\n"
    )
    (tmp_path / "last.ckpt.safetensors").touch()
    text = text_of(run_lines(tmp_path))
    assert "best: epoch 1: energy 2.50 meV/atom, forces 99.50 meV/Å" in text
    assert "2 in 5 s" in text
    assert f"reann resume {tmp_path}" in text
    assert "no potential has been saved yet" in text


@pytest.mark.parametrize("place", [".", "seed-1"])
def test_only_a_run_that_is_not_complete_can_go_on(tmp_path, place):
    (tmp_path / "config.yaml").touch()
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "last.ckpt.safetensors").touch()
    assert f"continue: reann resume {tmp_path}" in text_of(run_lines(tmp_path))
    (tmp_path / "report.html").touch()
    text = text_of(run_lines(tmp_path))
    assert "resume" not in text
    assert f"complete: report {tmp_path / 'report.html'}" in text


def test_a_run_shows_its_potential(tmp_path):
    (tmp_path / "config.yaml").touch()
    potential().save(tmp_path / "model.reann")
    assert "elements: H, O" in text_of(run_lines(tmp_path))


def test_a_folder_that_is_no_run_is_an_error_of_the_user(tmp_path):
    with pytest.raises(UserError, match="not a run"):
        info(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        info(tmp_path / "nothing.reann")


@pytest.mark.parametrize("name", [".replacing", ".replaced"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_run_that_is_set_aside_says_how_it_comes_back(tmp_path, name, begun):
    (tmp_path / name).mkdir()
    if begun:
        (tmp_path / "config.yaml").touch()
        text = text_of(run_lines(tmp_path))
    else:
        with pytest.raises(UserError) as error:
            info(tmp_path)
        text = error.value.fix
    assert f"`reann resume {tmp_path}` restores an earlier run" in text


def test_the_verb_prints_text_as_it_is_brackets_included(tmp_path):
    file = tmp_path / "[bold]water.reann"
    potential().save(file)
    result = CliRunner().invoke(app, ["info", str(file)])
    assert result.exit_code == 0
    assert "[bold]" in result.output

"""The file of a loop is checked as a whole, and what a loop keeps cannot change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import write

from loops import waters, write_loop
from reann.errors import UserError
from reann.learning.data import extend, starts, write_first
from reann.learning.explore.plan import ALL
from reann.learning.file import load_loop, refuse_changes, save_settings
from reann.learning.final import Final, is_needed
from reann.learning.folders import Iteration, read_frames, write_frames, write_json
from reann.learning.label.calculation import Method, compute
from reann.learning.loop import _begin
from reann.learning.page import PAGE, write_page
from reann.learning.settings import LoopConfig, StopConfig, femtoseconds
from reann.learning.summary import ending
from reann.learning.train import final_training


def changed(file: Path, old: str, new: str) -> Path:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("temperatures: [300, 600]", "temperatures: []", "explore.md.temperatures"),
        ("time: 100fs", "time: 100", "explore.md.time"),
        ("number: 2, random: 2", "number: true", "select.number cannot be true"),
        ("stop: {iterations: 1}", "stop: {iteration: 1}", "Did you mean 'iterations'"),
        ("by: random", "by: chance", "select.by cannot be 'chance'"),
        ("label:\n", "label:\n  files: {input: a, output: b}\n", "calculator or files"),
        ("l_max: 1", "l_max: 9", "model.l_max cannot be 9"),
        ("stop:", "final: 3\nstop:", "final cannot be 3"),
        ("stop:", "final: {epoch: 3}\nstop:", "Did you mean 'epochs'"),
        ("stop:", "final: {epochs: 0}\nstop:", "final.epochs cannot be 0"),
        ("workers: {number: 2}", "workers: {jobqueue: {name: slur}}", "workers.jobqueue.name"),
    ],
)
def test_mistakes_are_named_with_their_lines(tmp_path: Path, old, new, what) -> None:
    file = changed(write_loop(tmp_path / "loop"), old, new)
    with pytest.raises(UserError) as caught:
        load_loop(file)
    assert what in str(caught.value)
    assert "loop.yaml, line " in str(caught.value)


def test_paths_are_found_beside_the_file(tmp_path: Path) -> None:
    settings = load_loop(write_loop(tmp_path / "loop"))
    assert settings.structures == [str(tmp_path / "loop" / "water.xyz")]
    assert settings.run.folder == Path("loops/loop")
    assert femtoseconds("1.5 ps") == 1500.0


def test_a_loop_keeps_its_method_and_may_get_a_larger_budget(tmp_path: Path) -> None:
    file, recorded = write_loop(tmp_path / "loop"), tmp_path / "recorded.yaml"
    settings = load_loop(file)
    save_settings(settings, recorded)
    refuse_changes(load_loop(file), recorded)
    changed(file, "iterations: 1", "iterations: 9")
    changed(file, "temperatures: [300, 600]", "temperatures: [900]")
    refuse_changes(load_loop(file), recorded)
    changed(file, "'slow:xtb'", "emt")
    changed(file, "cutoff: 3.0", "cutoff: 4.0")
    with pytest.raises(UserError, match="Settings changed that a loop keeps: label, model"):
        refuse_changes(load_loop(file), recorded)


def test_a_loop_that_was_killed_while_it_wrote_its_settings_begins_again(tmp_path: Path) -> None:
    settings, folder = load_loop(write_loop(tmp_path / "loop")), tmp_path / "run"
    folder.mkdir()
    (folder / ".loop.yaml.4711.tmp").touch()
    _begin(folder, settings)
    assert [file.name for file in folder.iterdir()] == ["loop.yaml"]
    (folder / "loop.yaml").rename(folder / "notes.yaml")
    with pytest.raises(UserError, match="contains other files"):
        _begin(folder, settings)


@pytest.mark.parametrize("name", ["emt", "tblite"])
def test_a_calculator_that_would_compute_another_charge_is_refused(tmp_path: Path, name) -> None:
    file, frames = write_loop(tmp_path / "loop"), waters(3)
    first = Iteration(tmp_path / "iteration-000")
    frames[1].info["charge"] = 1
    write(tmp_path / "loop" / "water.xyz", frames)
    write_first(first, load_loop(file))  # a function of the user may read the charge
    settings = load_loop(changed(file, "'slow:xtb'", name))
    with pytest.raises(UserError, match=r"charge of the structure is 1 e.*add up to 0 e"):
        write_first(first, settings)
    frames[1].set_initial_charges([1.0, 0.0, 0.0])
    frames[1].info = {"total_charge": 1, "multiplicity": 2}
    write(tmp_path / "loop" / "water.xyz", frames)
    write_first(first, settings)
    second = read_frames(first.chosen)[1]
    assert second.get_initial_charges().sum() == 1.0
    assert second.info == {"charge": 1, "spin": 2}


def test_random_draws_become_validation_and_a_structure_stays_where_it_is(tmp_path: Path) -> None:
    settings = load_loop(write_loop(tmp_path / "loop"))
    first, second = (Iteration(tmp_path / f"iteration-00{i}") for i in (0, 1))
    method = Method("emt", {}, "", 60.0, 1e6)
    write_frames(first.labels, [compute(atoms, method).atoms for atoms in waters(6)])
    extend(first, None, settings)
    assert (len(read_frames(first.train)), len(read_frames(first.valid))) == (5, 1)
    more = [compute(atoms, method).atoms for atoms in waters(9)[6:]]
    more[1].info["choice"] = "random"
    write_frames(second.labels, more)
    extend(second, first, settings)
    train, valid = read_frames(second.train), read_frames(second.valid)
    assert (len(train), len(valid)) == (7, 2)
    for old, new in ((first.train, train), (first.valid, valid)):
        for atoms, kept in zip(read_frames(old), new, strict=False):
            assert (atoms.positions == kept.positions).all()
            assert np.allclose(atoms.get_forces(), kept.get_forces())
    assert (valid[-1].positions == more[1].positions).all()
    assert "choice" not in valid[-1].info


def test_explorations_start_from_initial_structures_and_completed_explorations(tmp_path) -> None:
    first, second = (Iteration(tmp_path / f"iteration-00{i}") for i in (0, 1))
    method = Method("emt", {}, "", 60.0, 1e6)
    labeled = [compute(atoms, method).atoms for atoms in waters(4)]
    write_frames(first.labels, labeled[:2])
    for atoms, name in zip(labeled[2:], ("md-300K-0", "md-600K-0"), strict=True):
        atoms.info["exploration"] = name
        ended = "a bond broke" if name == "md-600K-0" else None
        write_json(second.explored / f"{name}.json", {"ended": ended})
    write_json(second.explored / ALL, ["md-300K-0", "md-600K-0"])
    write_frames(second.labels, labeled[2:])
    found = [atoms.positions for atoms in starts([first, second])]
    assert np.array_equal(found, [atoms.positions for atoms in labeled[:3]])


def test_labels_can_be_kept(tmp_path: Path) -> None:
    file = changed(write_loop(tmp_path / "loop"), "structures: water.xyz", "structures: l.xyz")
    changed(file, "label:\n", "labeled: true\nlabel:\n")
    frames = [compute(a, Method("emt", {}, "", 60.0, 1e6)).atoms for a in waters(3)]
    write(tmp_path / "loop" / "l.xyz", frames)
    iteration = Iteration(tmp_path / "iteration-000")
    write_first(iteration, load_loop(file))
    kept = read_frames(iteration.labels)
    assert np.allclose(kept[2].get_forces(), frames[2].get_forces())
    write(tmp_path / "loop" / "l.xyz", waters(3))
    with pytest.raises(UserError, match="no energy and no forces"):
        write_first(iteration, load_loop(file))


def summaries() -> list[dict[str, Any]]:
    errors = {
        "structures": 5,
        "forces_rmse_meV_per_A": 80.0,
        "forces_mae_meV_per_A": 50.0,
        "forces_p95_meV_per_A": 180.0,
        "energy_rmse_meV_per_atom": 2.0,
        "energy_mae_meV_per_atom": 1.5,
    }
    usual = {"labels": 10, "chosen": 11, "label_seconds": 3.0, "train": 8, "valid": 2}
    usual |= {"train_seconds": 20.0, "validation": {"forces_rmse_meV_per_A": 90.0}}
    md = {"ended": "a bond broke", "time_ps": 0.2, "structures": 5, "seconds": 1.0}
    first = {"iteration": 0, "explorations": {}, "errors": {}, "failures": {}}
    second = {"iteration": 1, "explorations": {"md-600K-0": md, "md-600K-1": md | {"ended": None}}}
    second |= {"errors": {"random": errors, "selected": errors}, "failures": {"3": "<b>no</b>"}}
    return [usual | first, usual | second]


def test_a_loop_ends_when_errors_are_small_and_nothing_failed_or_the_budget_is_spent() -> None:
    first, second = summaries()
    assert ending([first], StopConfig()) is None
    assert ending([first, second], StopConfig(force_error=0.1)) is None  # a trajectory ended early
    second["explorations"]["md-600K-0"]["ended"] = None
    assert "below stop.force_error" in str(ending([first, second], StopConfig(force_error=0.1)))
    assert ending([first, second], StopConfig(force_error=0.05)) is None
    assert "1 iteration" in str(ending([first, second], StopConfig(iterations=1)))
    assert "22 labels" in str(ending([first, second], StopConfig(labels=22)))
    assert ending([first, second], StopConfig(labels=23)) is None


def test_a_final_training_is_needed_unless_the_last_one_was_the_same(tmp_path: Path) -> None:
    file = write_loop(tmp_path / "loop")
    zero, one, two = (Iteration(tmp_path / f"iteration-00{i}") for i in (0, 1, 2))
    settings = load_loop(file)
    assert is_needed(one, one, settings)
    assert is_needed(two, one, settings)  # the labels of iteration 2 were only a test
    assert not is_needed(zero, zero, settings)
    assert final_training(settings) == settings.training
    changed(file, "stop:", "start_from: nothing\nstop:")
    assert not is_needed(one, one, load_loop(file))
    assert is_needed(two, one, load_loop(file))
    changed(file, "stop:", "final: {epochs: 9, batch_size: 2}\nstop:")
    assert is_needed(one, one, load_loop(file))
    assert final_training(load_loop(file)).epochs == 9
    changed(file, "final: {epochs: 9, batch_size: 2}", "final: false")
    assert not is_needed(two, one, load_loop(file))


@pytest.mark.parametrize("error", [80.0, 120.0])
def test_the_page_compares_the_final_and_the_last_potential(tmp_path: Path, error) -> None:
    errors = summaries()[1]["errors"]["random"]
    last = tmp_path / "iteration-001" / "run" / "model.reann"
    both = {"last": errors | {"forces_rmse_meV_per_A": 100.0}}
    both["final"] = errors | {"forces_rmse_meV_per_A": error}
    final = Final(Iteration(tmp_path / "iteration-002"), last, both)
    expected = last if error > 100.0 else tmp_path / "iteration-002" / "final" / "model.reann"
    assert final.model == expected
    values = {"structures": "a.xyz", "label": {"calculator": {"name": "emt"}}}
    values["explore"] = {"displacements": {}}
    settings = LoopConfig.model_validate(values)
    write_page(tmp_path, summaries(), settings, "the budget is spent", final)
    page = (tmp_path / PAGE).read_text()
    assert 'href="iteration-001/run/report.html"' in page
    assert 'href="iteration-002/final/report.html"' in page
    shown = "last of the loop" if error > 100.0 else "trained from scratch"
    assert f"the smaller RMSE of the forces: {shown}." in page


def test_the_page_shows_errors_early_ends_and_failures(tmp_path: Path) -> None:
    values = {
        "structures": "a.xyz",
        "label": {"calculator": {"name": "tblite", "method": "GFN2-xTB"}},
        "explore": {"md": {"temperatures": [300]}},
        "stop": {"force_error": 0.1},
    }
    write_page(tmp_path, summaries(), LoopConfig.model_validate(values), None)
    page = (tmp_path / PAGE).read_text()
    assert page.count("<svg") == 3
    assert "The loop continues." in page
    assert "labels by tblite GFN2-xTB" in page
    assert "after 0.2 ps: a bond broke" in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "<script" not in page


def test_the_file_of_the_tutorial_is_complete(tmp_path: Path, monkeypatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tutorial-loop.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|yaml)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for language, text in blocks:
        if language == "python":
            exec(text, {})  # noqa: S102 - the page is our own
        else:
            Path("ethanol.yaml").write_text(text)
    settings = load_loop("ethanol.yaml")
    iteration = Iteration(tmp_path / "iteration-000")
    write_first(iteration, settings)
    assert len(read_frames(iteration.chosen)) == 20
    assert settings.run.folder == Path("loops/ethanol")

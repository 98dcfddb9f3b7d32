"""The folder of a run: nothing is lost before a new run stands, a run goes on as it was begun."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from reann import checkpoint
from reann.config.file import load_config
from reann.errors import UserError, counted
from reann.potential import Potential, load
from reann.training import aside, finish, optim
from reann.training import run as training_run
from reann.training.aside import ASIDE, MOVING, set_aside
from reann.training.folder import LOG, NAMES, run_files
from reann.training.journal import read_log
from reann.training.loop import Trainer
from reann.training.run import resume, train
from reann.training.signals import REQUESTS, Interrupted
from reann.training.state import FILE, KIND
from runs import DATA, StoppedError, assert_same_run, log_without_time, small, stop_in


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """The report has tests of its own."""
    monkeypatch.setattr(finish, "write_report", lambda *args, **kwargs: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return the folder of a finished run, which no test changes."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", lambda *args, **kwargs: None)
        train(small(folder, epochs=2))
    return folder


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """Return the folder of a copy of the finished run."""
    return copy_of(finished, tmp_path / "run")


def copy_of(folder: Path, target: Path) -> Path:
    for file in run_files(folder):
        copied = target / file.relative_to(folder)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(file.read_bytes())
    return target


def content(folder: Path) -> dict[str, bytes]:
    """Return everything in a folder but the lock."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".lock")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


# --- an earlier run ---------------------------------------------------------------------------


WRONG = {
    "host": {"host": "nonsense"},
    "tracker": {"tracker": "wandb"},
    "loss": {"loss": {"energy": 0, "forces": 0}},
    "data": {"data": Path("absent.xyz")},
    "engine": {"engine": "native", "device": "cuda"},
    "device": {"device": "abacus"},
    "split": {"valid": {"indices": [1000]}},
}


@pytest.mark.parametrize("wrong", [*WRONG, "validate", "step"])
def test_a_run_that_cannot_begin_leaves_the_earlier_one(wrong, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    before = content(run)
    if wrong in ("validate", "step"):
        monkeypatch.setattr(Trainer, wrong, _power_cut)
        expected: type[BaseException] = StoppedError
    else:
        expected = UserError
    with pytest.raises(expected):
        train(small(run, **WRONG.get(wrong, {})), overwrite=True)
    assert content(run) == before


def _power_cut(*args: Any) -> None:
    raise StoppedError


def test_a_seed_that_is_no_seed_is_an_error_of_the_configuration(tmp_path):
    (tmp_path / "c.yaml").write_text(f"data: {{train: {DATA}}}\nrun: {{seed: -1}}\n")
    with pytest.raises(UserError, match=r"run\.seed"):
        load_config(tmp_path / "c.yaml")


@pytest.mark.parametrize("wrong", ["tracker", "loss", "first epoch"])
def test_a_folder_is_free_after_a_failure_before_the_first_epoch(wrong, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "wandb", None)
        if wrong == "first epoch":
            patch.setattr(Trainer, "validate", _power_cut)
        with pytest.raises((UserError, StoppedError)):
            train(small(folder, **WRONG.get(wrong, {})))
    assert content(folder) == {}
    train(small(folder, epochs=1))


@pytest.mark.parametrize("moved", [0, 1, 2, 3, "all"])
@pytest.mark.parametrize("command", ["resume", "train"])
def test_a_run_that_was_killed_before_its_first_checkpoint_gives_the_earlier_one_back(
    moved, command, run, monkeypatch
):
    """Killed after so many files had been moved, or with the first files of the new run there."""
    before = content(run)
    rename, count = Path.rename, []

    def until_killed(self: Path, target: Path) -> Path:
        count.append(self)
        if moved != "all" and len(count) > moved:
            raise StoppedError
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", until_killed)
        if moved == "all":
            set_aside(run)
            (run / "config.yaml").write_text("# reann\nnew: true\n")
            (run / "start.reann").write_text("new")
        else:
            with pytest.raises(StoppedError):
                set_aside(run)
    assert (run / ASIDE).is_dir() == (moved == "all")
    assert (run / MOVING).is_dir() == (moved != "all")
    if command == "resume":
        resume(run)
        assert content(run).keys() == before.keys()
        assert_same_checkpoint(content(run), before)
    else:
        with pytest.raises(UserError, match="is already a run"):
            train(small(run))
        assert content(run) == before


def assert_same_checkpoint(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert one[FILE] == other[FILE]
    assert one["log.csv"] == other["log.csv"]


def test_a_return_that_is_killed_is_finished_by_the_next_command(run, monkeypatch):
    before, rename, count = content(run), Path.rename, []
    set_aside(run)
    (run / "start.reann").write_text("new")

    def until_killed(self: Path, target: Path) -> Path:
        count.append(self)
        if len(count) > 3:
            raise StoppedError
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", until_killed)
        with pytest.raises(StoppedError):
            aside.settle(run)
    assert aside.settle(run)
    assert content(run) == before


def test_the_earlier_run_is_gone_after_the_first_checkpoint(run, monkeypatch):
    stop_in(monkeypatch, epoch=2)
    with pytest.raises(StoppedError):
        train(small(run, epochs=5), overwrite=True)
    assert not aside.is_set_aside(run)
    assert load_config(run / "config.yaml").training.epochs == 5
    assert [row["epoch"] for row in log_without_time(run)] == [0, 1]


@pytest.mark.parametrize("name", ["model.reann", "log.csv", FILE, "seed-3/model.reann"])
def test_a_folder_with_a_file_of_a_run_is_occupied(name, tmp_path):
    file = tmp_path / "run" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"precious")
    with pytest.raises(UserError, match="overwrite"):
        train(small(tmp_path / "run"))
    assert file.read_bytes() == b"precious"


@pytest.mark.parametrize("name", NAMES)
def test_a_link_at_the_name_of_a_file_occupies_the_folder(name, tmp_path):
    """Also a link to nothing: a run would write through it, or fail at it later."""
    folder, target = tmp_path / "run", tmp_path / "target"
    folder.mkdir()
    (folder / name).symlink_to(target)
    with pytest.raises(UserError, match="already contains files of a run") as error:
        train(small(folder, epochs=1))
    assert name in error.value.what
    assert (folder / name).is_symlink()
    train(small(folder, epochs=1), overwrite=True)
    assert not target.exists()
    assert not (folder / name).is_symlink()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_in_the_way_of_the_hidden_folder_is_named_and_the_run_stays(kind, run):
    before = content(run)
    (run / LOG).rename(run.parent / "log.csv")
    (run / LOG).symlink_to("../log.csv")
    if kind == "file":
        (run / ASIDE).write_text("precious")
    else:
        (run / ASIDE).symlink_to("../log.csv")
    with pytest.raises(UserError, match="cannot be moved") as error:
        train(small(run, epochs=1), overwrite=True)
    assert error.value.where == str(run / ASIDE)
    assert (run / LOG).is_symlink()
    assert {name: content(run)[name] for name in before} == before


def test_other_files_in_the_folder_are_left_alone(run):
    (run / "notes.txt").write_text("mine")
    train(small(run, epochs=1), overwrite=True)
    assert (run / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("member", ["", "seed-1"])
def test_the_curves_of_an_earlier_run_go_and_come_back_with_it(member, run):
    events = run / member / "tensorboard" / "events.out.tfevents.1.host"
    events.parent.mkdir(parents=True)
    events.write_text("curves")
    before = content(run)
    set_aside(run)
    assert content(run).keys() == {f"{ASIDE}/{name}" for name in before}
    aside.settle(run)
    assert content(run) == before


def test_a_configuration_of_the_user_is_not_overwritten(tmp_path):
    own = tmp_path / "run" / "config.yaml"
    own.parent.mkdir()
    own.write_text("# my comments\ndata: {train: x.xyz}\n")
    with pytest.raises(UserError, match="not written by"):
        train(small(tmp_path / "run"), overwrite=True)
    assert own.read_text().startswith("# my comments")


def test_a_member_of_an_ensemble_is_not_the_folder_of_another_run(tmp_path, monkeypatch):
    stop_in(monkeypatch, epoch=2)
    with pytest.raises(StoppedError):
        train(small(tmp_path / "run", seeds=2))
    member = tmp_path / "run" / "seed-1"
    with pytest.raises(UserError, match="member of the ensemble"):
        train(small(member), overwrite=True)
    with pytest.raises(UserError, match=f"reann resume {tmp_path / 'run'}"):
        resume(member)


@pytest.mark.parametrize("name", ["a dot", "a link"])
def test_a_member_of_an_ensemble_is_known_by_every_name_of_its_folder(name, tmp_path, monkeypatch):
    member = tmp_path / "run" / "seed-1"
    member.mkdir(parents=True)
    for file in ("config.yaml", "split.json"):
        (member.parent / file).write_text("# reann 1")
    (member / FILE).write_text("precious")
    folder = Path()
    if name == "a dot":
        monkeypatch.chdir(member)
    else:
        folder = tmp_path / "link"
        folder.symlink_to(member)
    with pytest.raises(UserError, match="member of the ensemble"):
        train(small(folder), overwrite=True)
    with pytest.raises(UserError, match=f"reann resume {member.parent}"):
        resume(folder)
    assert (member / FILE).read_text() == "precious"


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_separate_run_in_the_folder_of_a_seed_is_not_overwritten(seeds, finished, tmp_path):
    separate = copy_of(finished, tmp_path / "runs" / "seed-1")
    before = content(separate)
    with pytest.raises(UserError, match="is not a member of an ensemble"):
        train(small(tmp_path / "runs", seeds=seeds), overwrite=True)
    assert content(separate) == before


def test_a_run_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        train(small(tmp_path / "run"), overwrite=True)
    with pytest.raises(UserError, match="no run in this folder"):
        resume(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


# --- what changed before a run goes on --------------------------------------------------------


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """Return the folder of a run that stopped at epoch 1 of 3, which no test changes."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stop_in(patch, epoch=2)
        with pytest.raises(StoppedError):
            train(small(folder, checkpoint_minutes=0))
    return folder


@pytest.fixture
def interrupted(stopped, tmp_path) -> Path:
    """Return the folder of a copy of the interrupted run."""
    return copy_of(stopped, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.units.energy=Hartree", "data.units.energy was not set, is now Hartree"),
        ("data.keys.energy=energy", "data.keys.energy was not set, is now energy"),
        ("data.valid=0.3", "data.valid was 0.2, is now 0.3"),
        ("data.missing=allow", "data.missing was error, is now allow"),
        ("model.cutoff=3.5", "model.cutoff was 3.0, is now 3.5"),
        ("model.readout.hidden=[8,8]", r"model.readout.hidden was \[6, 6\], is now \[8, 8\]"),
        ("run.seed=2", "run.seed was 1, is now 2"),
        ("training.epochs=7", "training.epochs was 3, is now 7"),
        ("training.learning_rate=0.1", "training.learning_rate was 0.003, is now 0.1"),
        ("training.precision=float64", "training.precision was mixed, is now float64"),
        ("run.seeds=2", "run.seeds"),
    ],
)
@pytest.mark.parametrize("where", ["command line", "file"])
def test_an_interrupted_run_names_the_setting_that_changed(interrupted, change, said, where):
    if where == "file":
        config = load_config(interrupted / "config.yaml", [change])
        training_run.save_config(config, interrupted / "config.yaml", {"reann": "1"})
    before = content(interrupted)
    with pytest.raises(UserError, match=said):
        resume(interrupted, [change] if where == "command line" else [])
    assert content(interrupted) == before


def test_settings_that_change_no_result_may_change(interrupted, capsys):
    resume(interrupted, ["training.max_edges=100", "run.checkpoint_minutes=3"])
    out = capsys.readouterr().out
    assert "training.max_edges was not set, is now 100: the run is not bitwise reproducible" in out
    assert load_config(interrupted / "config.yaml").training.max_edges == 100


def test_a_run_does_not_move_to_another_folder(run):
    with pytest.raises(UserError, match="folder of a run cannot be changed"):
        resume(run, ["run.folder=elsewhere"])


@pytest.mark.parametrize("part", ["train", "valid"])
def test_another_split_is_noticed(interrupted, part):
    file = interrupted / "split.json"
    split = json.loads(file.read_text())
    split["parts"][part]["indices"].pop()
    file.write_text(json.dumps(split))
    with pytest.raises(UserError, match=r"split in split\.json changed"):
        resume(interrupted)


@pytest.mark.parametrize("part", ["valid", "test"])
@pytest.mark.parametrize("how", ["command line", "file"])
def test_files_of_a_part_may_move_and_are_known_by_their_content(tmp_path, part, how):
    first, moved = tmp_path / "first.xyz", tmp_path / "moved.xyz"
    text = "".join(DATA.read_text().splitlines(keepends=True)[: 4 * 11])
    first.write_text(text)
    run = tmp_path / "run"
    train(small(run, epochs=1, **{part: str(first)}))
    first.rename(moved)
    with pytest.raises(UserError, match=r"first\.xyz"):
        resume(run)
    changes = [f"data.{part}={moved}"]
    if how == "file":
        config = load_config(run / "config.yaml", changes)
        training_run.save_config(config, run / "config.yaml", {"reann": "1"})
    resume(run, changes if how == "command line" else [])
    resume(run)  # the place is remembered
    moved.write_text(text.replace("-0.", "0.", 1))
    with pytest.raises(UserError, match=f"files of the part {part} have changed"):
        resume(run)


@pytest.mark.parametrize("change", ["data.valid=0.3", f"data.valid={DATA}", f"data.test={DATA}"])
def test_a_part_that_was_drawn_does_not_become_a_file(interrupted, change):
    with pytest.raises(UserError, match=rf"{change.partition('=')[0]} was") as info:
        resume(interrupted, [change])
    assert info.value.where == f"command line: {change}"


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_setting_of_the_command_line_is_blamed_there(interrupted, seeds):
    changes = ["run.seed=2", *([f"run.seeds={seeds}"] if seeds > 1 else [])]
    with pytest.raises(UserError) as info:
        resume(interrupted, [*changes, "run.checkpoint_minutes=3"])
    assert info.value.where == f"command line: {' '.join(changes)}"


@pytest.mark.parametrize("damage", ["empty", "truncated", "another bit", "a pickle", "text"])
def test_a_damaged_checkpoint_says_how_the_training_goes_on(interrupted, damage):
    file = interrupted / FILE
    content = file.read_bytes()
    changed = bytearray(content)
    changed[-1] ^= 1
    file.write_bytes(
        {
            "empty": b"",
            "truncated": content[:1000],
            "another bit": bytes(changed),
            "a pickle": b"PK\x03\x04" + bytes(100),
            "text": b"energies\n" * 10,
        }[damage]
    )
    with pytest.raises(UserError, match="The checkpoint of this run is damaged") as info:
        resume(interrupted)
    assert f"--from {interrupted / 'model.reann'}" in info.value.fix
    assert "convert" not in info.value.fix


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"parts": {}}', "gone"])
def test_a_damaged_split_is_an_error(interrupted, damage):
    file = interrupted / "split.json"
    file.unlink() if damage == "gone" else file.write_text(damage)
    with pytest.raises(UserError, match=r"split\.json"):
        resume(interrupted)


def test_a_damaged_line_of_the_log_is_named(interrupted):
    file = interrupted / "log.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], lines[1].replace(".", "x"), lines[2]]))
    with pytest.raises(UserError, match="line 2"):
        resume(interrupted)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_log_without_its_last_rows_changes_nothing_but_itself(
    interrupted, rows, tmp_path, capsys
):
    train(small(tmp_path / "whole"))
    file = interrupted / "log.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[: 1 + rows]))
    done = resume(interrupted)
    assert f"log.csv lacks {counted(2 - rows, 'epoch')}" in capsys.readouterr().out
    assert isinstance(done.potential, Potential)
    whole = load(tmp_path / "whole" / "model.reann")
    assert done.potential.metadata["errors"] == whole.metadata["errors"]
    (tmp_path / "whole" / "log.csv").write_bytes(file.read_bytes())
    assert_same_run(tmp_path / "whole", interrupted)


def test_a_run_of_the_format_before_goes_on_exactly(interrupted, tmp_path, monkeypatch):
    """Its weights, averages and moments have the names that they had then."""
    train(small(tmp_path / "whole"))
    before = {now: old for old, now in checkpoint.RENAMED[2].items()}

    def old_name(name: str) -> str:
        for now, old in before.items():
            name = name.replace(f".{now}", f".{old}")
        return name

    header, tensors = checkpoint.read(interrupted / FILE, KIND)
    named = {old_name(name): tensor for name, tensor in tensors.items()}
    assert {"average.reference_energies", "optimizer.exp_avg.readout.last.weight"} <= named.keys()
    del header["identity"]["settings"]["model"]["heads"]
    with monkeypatch.context() as then:
        then.setattr(checkpoint, "FORMAT_VERSION", 2)
        checkpoint.write(interrupted / FILE, KIND, header | {"format": 2}, named)
    resume(interrupted)
    assert_same_run(tmp_path / "whole", interrupted)


@pytest.mark.parametrize("unknown", [(), ("messages", "channels", "radial_basis")])
def test_a_run_from_before_equivariant_messages_goes_on_exactly(interrupted, tmp_path, unknown):
    """Its preset `default` was the density; the first versions named no messages at all."""
    train(small(tmp_path / "whole"))

    def as_before(values):
        values["model"]["preset"] = "default"
        for name in unknown:
            del values["model"][name]
        return values

    file = interrupted / "config.yaml"
    version, text = file.read_text().split("\n", 1)
    file.write_text(f"{version}\n{yaml.safe_dump(as_before(yaml.safe_load(text)))}")
    header, tensors = checkpoint.read(interrupted / FILE, KIND)
    as_before(header["identity"]["settings"])
    checkpoint.write(interrupted / FILE, KIND, header, tensors)
    done = resume(interrupted)
    assert_same_run(tmp_path / "whole", interrupted)
    assert done.potential.model.config.preset == "density"


@pytest.mark.parametrize(("messages", "rate"), [("scalar", 3e-3), ("equivariant", 6e-3)])
def test_the_rate_auto_is_recorded_as_a_number_that_resuming_keeps(
    tmp_path, monkeypatch, messages, rate
):
    fields = {"messages": messages, "epochs": 1, "engine": "torch"}
    if messages == "equivariant":
        fields["channels"] = 3
    folder = train(small(tmp_path / "run", **fields)).folder
    assert yaml.safe_load((folder / "config.yaml").read_text())["training"]["learning_rate"] == rate
    monkeypatch.setattr(optim, "RATE", 1.0)  # of a later version
    monkeypatch.setattr(optim, "EQUIVARIANT_RATE", 1.0)
    assert resume(folder).folder == folder


def test_a_run_of_the_first_format_is_refused(interrupted):
    header, tensors = checkpoint.read(interrupted / FILE, KIND)
    checkpoint.write(interrupted / FILE, KIND, header | {"format": 1}, tensors)
    with pytest.raises(UserError, match="started by an earlier version"):
        resume(interrupted)


@pytest.mark.parametrize("where", ["best", "best_loss", "rate_factor", "seconds"])
def test_a_checkpoint_that_is_not_finite_is_an_error(interrupted, where):
    header, tensors = checkpoint.read(interrupted / FILE, KIND)
    if where == "best":
        tensors["best.heads.energy.readout.last.weight"].fill_(math.nan)
    else:
        header["progress"][where] = math.nan
    checkpoint.write(interrupted / FILE, KIND, header, tensors)
    with pytest.raises(UserError, match="not finite"):
        resume(interrupted)


# --- longer -----------------------------------------------------------------------------------


def test_a_finished_run_goes_on_with_a_new_schedule(run, finished):
    done = resume(run, ["training.epochs=6"])
    rows, before = read_log(run / "log.csv"), read_log(finished / "log.csv")
    assert [row["epoch"] for row in rows] == list(range(7))
    assert rows[:3] == before[:3] or str(rows[:3]) == str(before[:3])
    rates = [row["learning_rate"] for row in rows]
    assert rates[2] == pytest.approx(3e-5)
    assert rates[3] > 2e-3
    assert rates[-1] == pytest.approx(3e-5)
    assert load_config(run / "config.yaml").training.epochs == 6
    assert isinstance(done.potential, Potential)
    assert done.potential.metadata["settings"]["training"]["epochs"] == 6
    # And that again is a finished run.
    after = content(run)
    resume(run)
    assert content(run)[FILE] == after[FILE]


def test_an_edited_configuration_does_the_same_as_the_command_line(finished, tmp_path):
    one, two = copy_of(finished, tmp_path / "one"), copy_of(finished, tmp_path / "two")
    resume(one, ["training.epochs=4"])
    file = two / "config.yaml"
    file.write_text(file.read_text().replace("epochs: 2", "epochs: 4"))
    resume(two)
    assert_same_run(one, two)


@pytest.mark.parametrize("epoch", [3, 4])
def test_a_longer_run_that_stops_is_resumed_exactly(finished, tmp_path, monkeypatch, epoch):
    whole, broken = copy_of(finished, tmp_path / "whole"), copy_of(finished, tmp_path / "broken")
    resume(whole, ["training.epochs=5", "run.checkpoint_minutes=0"])
    with monkeypatch.context() as patch:
        stop_in(patch, epoch=epoch)
        with pytest.raises(StoppedError):
            resume(broken, ["training.epochs=5", "run.checkpoint_minutes=0"])
    resume(broken)
    assert_same_run(whole, broken)


@pytest.mark.parametrize("epochs", [1, 2])
def test_fewer_epochs_than_are_done_are_an_error(run, epochs):
    change = [f"training.epochs={epochs}", "training.learning_rate=0.001"]
    with pytest.raises(UserError, match="add more epochs"):
        resume(run, change)


def test_every_member_of_an_ensemble_is_extended(tmp_path):
    folder = tmp_path / "run"
    train(small(folder, seeds=2, epochs=1))
    resume(folder, ["training.epochs=2"])
    for seed in (1, 2):
        assert [row["epoch"] for row in read_log(folder / f"seed-{seed}" / "log.csv")] == [0, 1, 2]


# --- signals ----------------------------------------------------------------------------------


def signal_in_validation(monkeypatch, *numbers: int) -> None:
    validate = Trainer.validate

    def signalled(self: Trainer):
        if self.state.progress.epoch == 0:
            for number in numbers:
                os.kill(os.getpid(), number)
        return validate(self)

    monkeypatch.setattr(Trainer, "validate", signalled)


@pytest.mark.parametrize("number", REQUESTS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_saves_and_stops_however_often_it_comes(tmp_path, monkeypatch, number, times):
    before = {n: signal.getsignal(n) for n in REQUESTS}
    with monkeypatch.context() as patch:
        signal_in_validation(patch, *[number] * times)
        with pytest.raises(Interrupted):
            train(small(tmp_path / "run"))
    assert {n: signal.getsignal(n) for n in before} == before
    progress = checkpoint.read_header(tmp_path / "run" / FILE)["progress"]
    assert (progress["epoch"], progress["step"]) == (1, 1)


def test_a_signal_that_is_ignored_stays_ignored(tmp_path, monkeypatch):
    """As under nohup."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signal_in_validation(monkeypatch, signal.SIGHUP)
        train(small(tmp_path / "run", epochs=2))
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert [row["epoch"] for row in log_without_time(tmp_path / "run")] == [0, 1, 2]


def test_a_signal_in_the_last_validation_is_not_lost(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        signal_in_validation(patch, signal.SIGTERM)
        with pytest.raises(Interrupted):
            train(small(tmp_path / "run", epochs=1, seeds=2))
    assert not (tmp_path / "run" / "seed-2").exists()


# --- the process ------------------------------------------------------------------------------


def test_torch_keeps_its_threads(tmp_path, monkeypatch):
    before = torch.get_num_threads()
    other = before + 1
    train(small(tmp_path / "run", epochs=1, threads=other))
    assert torch.get_num_threads() == before
    monkeypatch.setattr(Trainer, "validate", _power_cut)
    with pytest.raises(StoppedError):
        train(small(tmp_path / "other", threads=other))
    assert torch.get_num_threads() == before


def test_random_numbers_of_the_caller_are_left_alone(tmp_path):
    torch.manual_seed(3)
    state, numbers = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    train(small(tmp_path / "run", epochs=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002

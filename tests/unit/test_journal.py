"""Output of a run: nothing is lost, nothing is printed twice, all numbers have units."""

from __future__ import annotations

import csv
import io
import math
import os
import sys
from pathlib import Path

import pytest

from reann.errors import UserError
from reann.terminal import Terminal
from reann.training.journal import Display, Journal, read_log
from reann.training.trackers import Tracker, tracker


def row(epoch: int, **more: float) -> dict[str, float]:
    return {
        "epoch": float(epoch),
        "learning_rate": 3e-3,
        "train_energy_rmse_meV_per_atom": 1.0 / (epoch + 3) if epoch else math.nan,
        "valid_energy_rmse_meV_per_atom": 2.0 / (epoch + 3),
        "valid_forces_rmse_meV_per_A": 100.0 / (epoch + 3),
        "valid_loss": 0.1 / (epoch + 3),
        "best": 1.0,
        "seconds": 61.0 * epoch,
    } | more


def write(folder: Path, epochs: int) -> list[dict[str, float]]:
    journal = Journal(folder, writes=True)
    journal.open(-1)
    rows = [row(epoch) for epoch in range(epochs)]
    for one in rows:
        journal.add(one)
    journal.close()
    return rows


def test_every_digit_of_a_row_comes_back(tmp_path: Path) -> None:
    rows = write(tmp_path, 4)
    found = read_log(tmp_path / "log.csv")
    assert found[1:] == rows[1:]
    assert math.isnan(found[0]["train_energy_rmse_meV_per_atom"])


def test_a_new_run_does_not_go_on_with_an_old_log(tmp_path: Path) -> None:
    write(tmp_path, 5)
    write(tmp_path, 2)
    assert [r["epoch"] for r in read_log(tmp_path / "log.csv")] == [0, 1]


def test_rows_after_the_checkpoint_are_cut(tmp_path: Path) -> None:
    rows = write(tmp_path, 6)
    journal = Journal(tmp_path, writes=True)
    journal.open(3)
    assert [r["epoch"] for r in journal.rows] == [0, 1, 2, 3]
    assert [r["epoch"] for r in read_log(tmp_path / "log.csv")] == [0, 1, 2, 3]
    journal.add(row(4, valid_loss=7.0))
    journal.close()
    found = read_log(tmp_path / "log.csv")
    assert found[1:4] == rows[1:4]
    assert [r["epoch"] for r in found] == [0, 1, 2, 3, 4]
    assert found[4]["valid_loss"] == 7.0
    with (tmp_path / "log.csv").open(newline="") as file:
        assert [line[0] for line in csv.reader(file)].count("epoch") == 1


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, 3)
    path = tmp_path / "log.csv"
    content = path.read_bytes()
    whole = [r["epoch"] for r in read_log(path)]
    last_line = content[:-1].rfind(b"\n") + 1
    n_columns = content[last_line:].count(b",")
    for end in range(last_line, len(content)):
        path.write_bytes(content[:end])
        found = [r["epoch"] for r in read_log(path)]
        if content[last_line:end].count(b",") < n_columns or content[end - 1 : end] == b",":
            assert found == whole[:-1]
    # A resumed run continues it on a line of its own.
    path.write_bytes(content[: last_line + 9])
    journal = Journal(tmp_path, writes=True)
    journal.open(1)
    journal.add(row(2))
    journal.close()
    assert [r["epoch"] for r in read_log(path)] == whole


@pytest.mark.parametrize("content", ["", "epo", "epoch,learning_rate\r\n"])
def test_a_log_without_rows_is_an_empty_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "log.csv").write_text(content)
    assert read_log(tmp_path / "log.csv") == []
    assert read_log(tmp_path / "absent.csv") == []


def test_a_process_that_does_not_lead_is_silent(tmp_path: Path, capsys) -> None:
    journal = Journal(tmp_path, writes=False)
    journal.open(-1)
    journal.write("hello")
    journal.add(row(0))
    journal.close()
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_plain_lines_have_one_header_and_a_column_per_label(tmp_path: Path, capsys) -> None:
    write(tmp_path, 3)
    caption, header, *lines = capsys.readouterr().out.splitlines()
    titles = ("epoch", "lr", "train E", "valid E", "valid F", "best", "time")
    assert all(title in header for title in titles)
    assert caption == "RMSE: E meV/atom · F meV/Å"
    assert "train F" not in header
    assert "valid S" not in header
    assert [line.split()[0] for line in lines] == ["0", "1", "2"]
    assert "nan" not in "".join(lines)
    assert lines[2].split()[-1] == "02:02"
    assert all(len(line) == len(header) for line in lines)


def test_text_is_printed_as_it_is(tmp_path: Path, capsys) -> None:
    """Square brackets of a file name are no markup."""
    Journal(tmp_path, writes=True).write("data [bold]x[/bold] " + "y" * 200)
    assert capsys.readouterr().out == "data [bold]x[/bold] " + "y" * 200 + "\n"


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writes=True)
    journal.open(-1)
    (tmp_path / "log.csv").mkdir()
    with pytest.raises(UserError, match=r"log\.csv could not be written") as error:
        journal.add(row(0))
    assert "reann resume" in str(error.value)


class Listener:
    """A tracker that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, dict[str, float]]] = []
        self.closed = False

    def log(self, row, epoch: int) -> None:
        self.heard.append((epoch, dict(row)))

    def close(self) -> None:
        self.closed = True


def test_a_tracker_hears_every_new_row_once(tmp_path: Path) -> None:
    rows = write(tmp_path, 2)
    listener = Listener()
    assert isinstance(listener, Tracker)
    journal = Journal(tmp_path, writes=True, tracker=listener)
    journal.open(1)
    journal.add(row(2))
    journal.close()
    assert listener.heard == [(2, row(2))]
    assert len(rows) == 2
    assert listener.closed


def test_a_tracker_that_is_not_installed_is_named(tmp_path: Path, monkeypatch) -> None:
    assert tracker("none", tmp_path) is None
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="wandb is not installed") as error:
        tracker("wandb", tmp_path)
    assert "pip install wandb" in str(error.value)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="tensorboard is not installed"):
        tracker("tensorboard", tmp_path)


def test_tensorboard_gets_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = tracker("tensorboard", tmp_path)
    assert board is not None
    for epoch in range(3):
        board.log(row(epoch), epoch)
    board.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(row(0))
    found = [(e.step, e.value) for e in events.Scalars("valid_forces_rmse_meV_per_A")]
    assert [step for step, _ in found] == [0, 1, 2]
    assert [value for _, value in found] == pytest.approx([100 / 3, 25.0, 20.0])


def test_tensorboard_shows_no_epoch_twice_after_a_run_was_killed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for epochs in (range(4), range(2, 6)):
        board = tracker("tensorboard", tmp_path)
        assert board is not None
        for epoch in epochs:
            board.log({"valid_loss": float(epoch)}, epoch)
        board.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("valid_loss")] == list(range(6))


@pytest.mark.parametrize("gone", ["a terminal", "the reader of a pipe"])
def test_a_run_goes_on_when_its_output_is_gone(gone: str, tmp_path: Path) -> None:
    read, write = os.openpty() if gone == "a terminal" else os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as output:
        journal = Journal(tmp_path, writes=True)
        journal.console = Display(file=output, force_terminal=True)
        journal.write("data      24 structures")
        journal.open(-1)
        journal.add(row(0))
        journal.tick(1, 7, 36)
        journal.close()
    assert [r["epoch"] for r in read_log(tmp_path / "log.csv")] == [0]


def test_a_terminal_shows_rows_and_how_far_the_epoch_is(tmp_path):
    journal, screen = Journal(tmp_path, writes=True), io.StringIO()
    journal.console = Terminal(file=screen, force_terminal=True, width=120)
    journal.open(-1)
    journal.add(
        {"epoch": 0.0, "learning_rate": 1e-3, "valid_loss": 1.0, "best": 1.0, "seconds": 61}
    )
    journal.tick(1, 7, 36)
    journal.tick(1, 8, 36)
    journal.close()
    shown = screen.getvalue()
    assert "01:01" in shown
    assert "epoch 1, step 7 of 36" in shown
    # Not at every step.
    assert "step 8" not in shown

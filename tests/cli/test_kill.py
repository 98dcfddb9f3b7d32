"""A run survives being killed, again and again, bitwise."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from reann.training.state import FILE
from runs import DATA, assert_same_run, command, environment, log_without_time

REANN = [sys.executable, "-m", "reann"]
LONG = {"training.epochs": "60", "run.checkpoint_minutes": "0"}
"""A checkpoint after every step."""
PATIENCE = 120.0


def test_a_run_killed_ten_times_equals_the_uninterrupted_one(finish, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = finish(command(tmp_path, whole, LONG))
    assert done.returncode == 0, done.stderr
    pauses = np.random.default_rng(7).uniform(0.0, 0.1, 10)
    arguments = command(tmp_path, broken, LONG)
    while_writing = 0
    for kill in range(10):
        process = subprocess.Popen(
            [*REANN, *arguments],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for_a_new_checkpoint(broken, process)
        if kill % 2:
            while_writing += _kill_while_writing(broken, process)
        else:
            time.sleep(pauses[kill])
            process.kill()
        process.wait()
        assert process.returncode == -signal.SIGKILL, f"finished before kill {kill}"
        arguments = ["resume", str(broken)]
    assert while_writing == 5
    done = finish(arguments)
    assert done.returncode == 0, done.stderr
    assert not list(broken.glob(".*.tmp"))
    assert_same_run(whole, broken)


def test_ctrl_c_saves_and_says_how_to_go_on(finish, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    arguments = command(tmp_path, stopped, {"training.epochs": "60"})
    process = subprocess.Popen(
        [*REANN, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for_a_new_checkpoint(stopped, process)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert f"reann resume {stopped}" in out
    assert finish(["resume", str(stopped)]).returncode == 0
    assert finish(command(tmp_path, whole, {"training.epochs": "60"})).returncode == 0
    assert_same_run(whole, stopped)


def test_the_same_seed_gives_the_same_run_and_another_seed_does_not(finish, tmp_path: Path) -> None:
    short = {"training.epochs": "3"}
    for name, seed in (("one", "1"), ("two", "1"), ("three", "2")):
        done = finish(command(tmp_path, tmp_path / name, short | {"run.seed": seed}))
        assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path / "one", tmp_path / "two")
    assert log_without_time(tmp_path / "one") != log_without_time(tmp_path / "three")


def test_a_full_disk_leaves_the_last_checkpoint(finish, tmp_path: Path) -> None:
    """ENOSPC's twin that needs no full disk: a limit on the size of files."""
    run = tmp_path / "run"
    done = finish(command(tmp_path, run, {"training.epochs": "2"}))
    assert done.returncode == 0, done.stderr
    before = (run / FILE).read_bytes()
    limit = len(before) // 2
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
        "from pathlib import Path; import torch; from reann import checkpoint; "
        f"checkpoint.write(Path({str(run / FILE)!r}), 'training', {{}}, "
        f"{{'x': torch.zeros({limit})}})"
    )
    done = finish(["-c", script])
    assert done.returncode != 0
    assert "could not be written" in done.stderr
    assert "previous file was not changed" in done.stderr
    assert (run / FILE).read_bytes() == before
    assert not list(run.glob(".*.tmp"))


@pytest.mark.parametrize("folder", ["/dev/null/run", "/proc/run"])
def test_a_folder_that_cannot_be_written_is_named(finish, tmp_path: Path, folder: str) -> None:
    done = finish(command(tmp_path, Path(folder), {}))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert folder in done.stderr
    assert "Traceback" not in done.stderr


def test_data_that_are_gone_are_named_on_resume(finish, tmp_path: Path) -> None:
    run, data = tmp_path / "run", tmp_path / "copy.xyz"
    data.write_bytes(DATA.read_bytes())
    done = finish(command(tmp_path, run, {"training.epochs": "1", "data.train": str(data)}))
    assert done.returncode == 0, done.stderr
    before = (run / FILE).read_bytes()
    data.unlink()
    done = finish(["resume", str(run)])
    assert done.returncode == 1
    assert "copy.xyz" in done.stderr
    data.write_text(DATA.read_text().replace("-0.", "0.", 1))
    done = finish(["resume", str(run)])
    assert done.returncode == 1
    assert "changed" in done.stderr
    assert (run / FILE).read_bytes() == before


def test_two_processes_do_not_train_in_one_folder(finish, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = subprocess.Popen(
        [*REANN, *command(tmp_path, run, {"training.epochs": "2000"})],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_a_new_checkpoint(run, first)
        second = finish(["resume", str(run)])
        assert second.returncode == 1
        assert "Another process is training in this folder" in second.stderr
    finally:
        first.kill()
        first.wait()


def test_a_run_is_not_overwritten_by_accident(finish, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = command(tmp_path, run, {"training.epochs": "1"})
    assert finish(arguments).returncode == 0
    again = finish(arguments)
    assert again.returncode == 1
    assert f"reann resume {run}" in again.stderr
    assert finish([*arguments, "--overwrite"]).returncode == 0


def _stamp(run: Path) -> int:
    try:
        return (run / FILE).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _wait_for_a_new_checkpoint(run: Path, process: subprocess.Popen) -> None:
    before, start = _stamp(run), time.monotonic()
    while _stamp(run) == before:
        if process.poll() is not None:
            raise AssertionError(f"the run ended early with code {process.returncode}")
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.002)


def _kill_while_writing(run: Path, process: subprocess.Popen) -> bool:
    """Kill at the moment when the temporary file of a checkpoint is seen."""
    name = f".{FILE}.{process.pid}.tmp"
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE and process.poll() is None:
        if (run / name).exists():
            process.kill()
            process.wait()
            return True
    return False

"""Batches split in any way, over memory or over processes, give the same weights.

With AdamW: SOAP enlarges rounding where the first gradients vanish, a thousandfold in float64,
without bound in float32.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reann.training.journal import read_log
from runs import checkpoint_tensors, command, environment

EXACT = {
    "training.precision": "float64",
    "training.optimizer": "adamw",
    "training.epochs": "3",
    "training.batch_size": "5",
}
"""Ten steps or so in float64."""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return {k: v for k, v in checkpoint_tensors(run).items() if k.startswith("model.")}


def assert_close(one: Path, other: Path, tolerance: float) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=tolerance, atol=tolerance)


def assert_close_logs(one: Path, other: Path, tolerance: float) -> None:
    first, second = read_log(one / "log.csv"), read_log(other / "log.csv")
    assert len(first) == len(second)
    for row, same in zip(first, second, strict=True):
        expected = same | {"seconds": row["seconds"]}
        assert row == pytest.approx(expected, rel=tolerance, nan_ok=True)


@pytest.mark.parametrize("max_edges", ["1", "150"])
def test_splitting_a_batch_changes_nothing(finish, tmp_path: Path, max_edges: str) -> None:
    whole, split = tmp_path / "whole", tmp_path / "split"
    assert finish(command(tmp_path, whole, EXACT)).returncode == 0
    changes = EXACT | {"training.max_edges": max_edges}
    assert finish(command(tmp_path, split, changes)).returncode == 0
    assert_close(whole, split, 1e-11)


def one_and_two_processes(finish, tmp_path: Path, changes: dict[str, str]) -> tuple[Path, Path]:
    """Return the folders of two runs that differ in the number of processes."""
    one, two = tmp_path / "one", tmp_path / "two"
    done = finish(command(tmp_path, one, changes))
    assert done.returncode == 0, done.stderr
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    launch += ["-m", "reann", *command(tmp_path, two, changes)]
    done = subprocess.run(
        launch, env=environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return one, two


def test_two_processes_train_what_one_does(finish, tmp_path: Path) -> None:
    """Weights after ten steps and more, to 1e-10."""
    # An odd batch size: the shares of the processes differ.
    assert_close(*one_and_two_processes(finish, tmp_path, EXACT), 1e-10)


def test_two_processes_agree_on_what_they_add_in_mixed_precision(finish, tmp_path: Path) -> None:
    """Gradients of float64 reference energies are added beside those of float32 networks."""
    changes = EXACT | {"training.precision": "mixed", "training.epochs": "2"}
    changes |= {"data.reference_energies": "fit"}
    one, two = one_and_two_processes(finish, tmp_path, changes)
    trained = weights(two)
    assert trained["model.heads.energy.reference_energies"].dtype == torch.float64
    assert trained["model.recursion.update.weights"].dtype == torch.float32
    # Rounding of a gradient near zero may turn a step of Adam: the errors agree, not every weight.
    assert_close_logs(one, two, 1e-3)

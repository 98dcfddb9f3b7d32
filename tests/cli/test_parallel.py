"""Batches split in any way, over memory or over processes, give the same weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from runs import checkpoint_tensors, command, finish

EXACT = {"training.precision": "float64", "training.epochs": "3", "training.batch_size": "5"}
"""Ten steps or so in float64."""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return {k: v for k, v in checkpoint_tensors(run).items() if k.startswith("model.")}


def assert_close(one: Path, other: Path, tolerance: float) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("max_edges", ["1", "150"])
def test_splitting_a_batch_changes_nothing(tmp_path: Path, max_edges: str) -> None:
    whole, split = tmp_path / "whole", tmp_path / "split"
    assert finish(command(tmp_path, whole, EXACT)).returncode == 0
    changes = EXACT | {"training.max_edges": max_edges}
    assert finish(command(tmp_path, split, changes)).returncode == 0
    assert_close(whole, split, 1e-11)


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """Weights after ten steps and more, to 1e-10."""
    one, two = tmp_path / "one", tmp_path / "two"
    # An odd batch size: the shares of the processes differ.
    done = finish(command(tmp_path, one, EXACT))
    assert done.returncode == 0, done.stderr
    arguments = command(tmp_path, two, EXACT)[1:]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = finish([*launch, *arguments])
    assert done.returncode == 0, done.stderr
    assert_close(one, two, 1e-10)

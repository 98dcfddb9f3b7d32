"""JSON that is written anywhere can be read by every program."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path

import numpy as np
import pytest

import reann
from reann import strict_json
from reann.training.state import Progress

SOURCE = Path(reann.__file__).parent


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_numbers_that_are_not_finite_become_null_at_any_depth(value: float) -> None:
    text = strict_json.dumps({"a": [1.5, (value, {"b": value})]})
    assert json.loads(text) == {"a": [1.5, [None, {"b": None}]]}


def test_all_json_is_written_in_one_way() -> None:
    writers = [
        path.name
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"dump", "dumps"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "json"
    ]
    assert writers == ["strict_json.py"]


def test_the_progress_of_a_run_comes_back_from_its_header() -> None:
    header = json.loads(strict_json.dumps(vars(Progress(epoch=3))))
    assert header["best_loss"] is None
    assert Progress.read(header) == Progress(epoch=3)

"""Python and the engine have the same facts: one module, and a header that is written from it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import get_args

import pytest

from reann import facts
from reann.model.hosts.radial import CUTOFF_FUNCTIONS
from reann.model.reann import PRECISIONS

SCRIPT = Path(__file__).parents[2] / "tools" / "write_facts.py"


def test_the_header_of_the_engine_is_what_make_facts_writes():
    script = runpy.run_path(str(SCRIPT))
    assert script["HEADER"].read_text(encoding="utf-8") == script["header"](), "run `make facts`"


@pytest.mark.parametrize(
    ("choice", "table"),
    [(facts.CutoffFunction, CUTOFF_FUNCTIONS), (facts.Precision, PRECISIONS)],
)
def test_a_table_by_name_has_every_choice(choice, table):
    assert set(table) == set(get_args(choice))

"""Updated text: a single output in a notebook, the last lines of a terminal."""

import io
import sys
from types import SimpleNamespace

import pytest

from reann import live
from reann.evaluation.progress import progress_bar
from reann.simulate.table import GrowingTable
from reann.terminal import Terminal
from reann.training.journal import Journal


@pytest.fixture
def outputs(monkeypatch):
    """The outputs of a notebook: the contents of each, in order."""
    display = pytest.importorskip("IPython.display")
    shown: list[list[str]] = []

    def show(html, *, display_id):
        assert display_id is True
        contents = [html.data]
        shown.append(contents)
        return SimpleNamespace(update=lambda new: contents.append(new.data))

    monkeypatch.setattr(display, "display", show)
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()), display=display)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    return shown


def test_a_training_has_one_output_in_a_notebook(outputs, tmp_path, capsys):
    journal = Journal(tmp_path, writes=True)
    journal.epochs, journal.remaining = 3, 600.0
    journal.open(-1)
    for epoch in range(4):
        row = {"epoch": float(epoch), "learning_rate": 1e-3, "valid_loss": 1.0, "best": 1.0}
        journal.add(row | {"valid_forces_rmse_meV_per_A": 9.0 - epoch, "seconds": 5.0})
    journal.close()
    assert len(outputs) == 1
    assert len(outputs[0]) == 4
    assert "epoch 3 of 3  10 min left" in outputs[0][-1]
    assert "6.00" in outputs[0][-1]
    assert capsys.readouterr().out == ""


def test_a_table_has_one_output_in_a_notebook(outputs, capsys):
    with GrowingTable(["step\n", "energy\neV"]) as table:
        for step in range(3):
            table.add([str(step), f"{-step:.3f}"])
    assert len(outputs) == 1
    assert "-2.000" in outputs[0][-1]
    assert capsys.readouterr().out == ""
    with GrowingTable(["step\n"], quiet=True) as table:
        table.add(["1"])
    assert len(outputs) == 1


def test_a_progress_bar_has_one_output_in_a_notebook(outputs):
    with progress_bar(10, "predicting") as (bar, task):
        for _ in range(10):
            bar.advance(task)
    assert len(outputs) == 1
    assert "100%" in outputs[0][-2]
    assert not outputs[0][-1]


def test_texts_of_a_notebook_are_no_html(outputs):
    live.NotebookArea().show("<b>bold</b>")
    assert "<b>" not in outputs[0][0]


@pytest.mark.parametrize(("is_terminal", "quiet"), [(True, False), (False, False), (True, True)])
def test_elsewhere_only_a_terminal_has_an_area(is_terminal, quiet):
    console = Terminal(file=io.StringIO(), force_terminal=is_terminal, quiet=quiet)
    has_area = isinstance(live.area_of(console), live.TerminalArea)
    assert has_area == (is_terminal and not quiet)
    assert has_area or live.area_of(console) is None

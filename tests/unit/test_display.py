"""What objects show of themselves in a console and in a notebook."""

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import pytest

import reann
from models import random_model
from reann.display import Summary
from reann.errors import UserError
from reann.table import MOST_ROWS, Table

DATA = Path(__file__).parents[1] / "data" / "ethanol.xyz"
MODEL = {"preset": "fast", "cutoff": 3.0, "n_radial": 3, "l_max": 1}
MOST_LINES, MOST_CHARACTERS = 14, 2500


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> object:
    folder = tmp_path_factory.mktemp("run") / "ethanol"
    data = {"train": str(DATA), "valid": 0.3}
    training = {"epochs": 2, "batch_size": 4}
    config = reann.Config(data=data, model=MODEL, training=training, run={"folder": folder})
    return reann.train(config)


class Tags(HTMLParser):
    """The tags that are open at the end, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def shown(thing: object) -> str:
    """Return the text of an object after checks of its size and of its HTML."""
    text, html = repr(thing), thing._repr_html_()
    assert len(text.splitlines()) <= MOST_LINES
    assert max(map(len, text.splitlines())) <= 88
    assert len(html) < MOST_CHARACTERS
    tags = Tags(html)
    assert tags.open == []
    assert " ".join(text.split())[:20].split()[0] in " ".join(tags.words)
    return text


def test_a_potential_shows_elements_size_cutoff_and_labels():
    model = random_model(seed=1)
    text = shown(reann.Potential(model))
    n_parameters = sum(p.numel() for p in model.parameters())
    assert text.startswith("Potential of H, C, O\n")
    assert f"{n_parameters} parameters" in text
    assert "cutoff    3 Å" in text
    assert "energy, forces, stress" in text
    assert "errors" not in text  # it was not trained


def test_an_ensemble_shows_its_size():
    members = [reann.Potential(random_model(seed=seed)) for seed in (1, 2)]
    assert shown(reann.Ensemble(members)).startswith("Ensemble of 2 potentials of H, C, O\n")


def test_a_calculator_shows_its_potential_and_its_engine():
    text = shown(reann.Calculator(reann.Potential(random_model(seed=1)), engine="torch"))
    assert text.startswith("Calculator\n")
    assert "one potential · H, C, O" in text
    assert "3 Å, skin 0.5 Å" in text
    assert "torch on cpu" in text


def test_a_configuration_shows_data_model_and_training():
    config = reann.Config(data={"train": "far/away/water.xyz"}, training={"time": "2h"})
    text = shown(config)
    assert "water.xyz" in text
    assert "far" not in text
    assert "cutoff 5 Å" in text
    assert "2h, batch size auto" in text
    assert str(config) == text


def test_a_run_shows_its_errors_with_units(run):
    text = shown(run)
    forces = run.evaluations["valid"].summary()["forces_rmse_meV_per_A"]
    assert f"forces {forces:.2f} meV/Å (RMSE)" in text
    assert str(run.folder)[:40] in text
    assert f"{forces:.2f} meV/Å" in shown(run.potential)
    n_train = 20 - run.evaluations["valid"].n_structures
    assert f"{n_train} structures" in shown(run.potential)


def test_an_evaluation_shows_sizes_and_errors(run):
    evaluation = run.evaluations["valid"]
    text = shown(evaluation)
    n = evaluation.n_structures
    assert f"{n} with {9 * n} atoms" in text
    assert f"RMSE {evaluation.summary()['energy_rmse_meV_per_atom']:.2f} meV/atom" in text


def test_an_evaluation_has_a_table_of_its_errors(run):
    evaluation = run.evaluations["valid"]
    columns = evaluation.table().columns
    assert columns["part"][:2] == ["all", "all"]
    assert columns["label"][:2] == ["energy", "forces"]
    assert columns["RMSE"][1] == evaluation.summary()["forces_rmse_meV_per_A"]
    hydrogen = columns["part"].index("element H")
    assert columns["MAE"][hydrogen] == evaluation.by_element()["H"]["forces_mae_meV_per_A"]
    assert run.table()["RMSE"] == columns["RMSE"]


def test_figures_are_shown_and_written(run, tmp_path):
    for figure in (run.plot(), run.evaluations["valid"].plot()):
        assert figure._repr_html_().startswith('<img alt="')
        assert len(repr(figure)) < 100
        figure.save(tmp_path / "figure.svg")
        assert (tmp_path / "figure.svg").read_text() == figure.svg
        assert figure.svg.count("<path") > 10
    with pytest.raises(UserError, match=r"figures\.svg") as error:
        figure.save(tmp_path / "figures.png")
    assert "SVG" in error.value.what


def test_a_figure_without_labels_is_an_error(run):
    evaluation = dataclasses.replace(run.evaluations["valid"], reference={})
    with pytest.raises(UserError, match="nothing to draw"):
        evaluation.plot()


def test_a_long_table_is_cut_in_the_middle():
    rows = [(i, float(i)) for i in range(100)]
    table = Table(("step", "energy, eV"), rows)
    lines = repr(table).splitlines()
    assert len(lines) == MOST_ROWS + 2
    assert lines[0].split("  ")[-1] == "energy, eV"
    assert lines[-1].split() == ["99", "99"]
    assert len(table) == 100
    assert table["step"] == list(range(100))
    assert table._repr_html_().count("<tr>") == len(lines)


def test_texts_cannot_change_the_page_or_the_terminal():
    summary = Summary("<b>", [("a\x1b[31m", "<script>" + 100 * "x")])
    assert "<script>" not in summary.html()
    assert "\x1b" not in summary.text() + summary.html()
    table = Table(("<i>",), [("\x1b",), (None,), (float("nan"),)])
    assert "<i>" not in table._repr_html_()
    assert "\x1b" not in repr(table)
    assert repr(table).splitlines()[-2:] == ["–", "–"]

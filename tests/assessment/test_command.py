"""The verb `test`: a page and a JSON file, whatever the verdicts are."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from models import random_model, set_range
from reann.assessment import assess, catalogue, nve
from reann.assessment.catalogue import CHECKS
from reann.assessment.kinds import Kind
from reann.assessment.outcome import Outcome, Verdict
from reann.assessment.page import HTML, JSON
from reann.cli import app
from reann.data.neighbors import graph_from_atoms
from reann.interfaces.ase import Calculator
from reann.potential import Potential


@pytest.fixture
def files(tmp_path):
    model = random_model([1, 8])
    water = molecule("H2O")
    set_range(model, graph_from_atoms(water, model.cutoff))
    Potential(model).save(tmp_path / "small.reann")
    ase.io.write(tmp_path / "water.xyz", water)
    return tmp_path


def run(folder, *words):
    words = [str(folder / w) if "." in w and not w.startswith("-") else w for w in words]
    return CliRunner().invoke(app, ["test", *words, "-o", str(folder / "out")])


def test_a_page_and_a_file_are_written(files):
    result = run(files, "small.reann", "water.xyz", "--only", "symmetry,speed,smoothness")
    assert result.exit_code == 0, result.output
    assert "tested as a molecule" in result.output
    found = json.loads((files / "out" / JSON).read_text(encoding="utf-8"))
    assert found["kind"] == "molecule"
    assert list(found["checks"]) == ["symmetry", "smoothness", "speed"]
    for check in found["checks"].values():
        assert check["verdict"] in [v.value for v in Verdict]
        assert check["sentence"]
        assert check["criterion"]
    assert found["checks"]["symmetry"]["verdict"] == "passes"
    page = (files / "out" / HTML).read_text(encoding="utf-8")
    assert page.count('<svg class="plot"') >= 4
    assert "https://" not in page


@pytest.mark.chromium
def test_the_page_is_readable_in_any_window_and_scheme(browser, files):
    result = run(files, "small.reann", "water.xyz", "--only", "symmetry,smoothness,speed,contacts")
    assert result.exit_code == 0, result.output
    assert browser.problems((files / "out" / HTML).as_uri()) == []


def test_the_same_seed_gives_the_same_numbers(files):
    numbers = []
    for _ in range(2):
        run(files, "small.reann", "water.xyz", "--only", "smoothness,contacts")
        found = json.loads((files / "out" / JSON).read_text(encoding="utf-8"))["checks"]
        numbers.append([check["numbers"] for check in found.values()])
    assert numbers[0] == numbers[1]


def test_a_bad_verdict_is_no_error_but_a_check_that_cannot_run_is(files, monkeypatch):
    def outcome(_):
        return Outcome(Verdict.fails, "Bad.", "Be good.")

    def error(_):
        raise ValueError("no way")

    check = next(c for c in CHECKS if c.name == "symmetry")
    for function, code in ((outcome, 0), (error, 1)):
        one = check.__class__("symmetry", "Symmetry", "Why.", function)
        monkeypatch.setattr(catalogue, "CHECKS", (one,))
        monkeypatch.setattr(assess, "CHECKS", (one,))
        result = run(files, "small.reann", "water.xyz")
        assert result.exit_code == code, result.output
    found = json.loads((files / "out" / JSON).read_text(encoding="utf-8"))
    assert found["checks"]["symmetry"]["reason"] == "ValueError: no way"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["water.xyz", "--only", "symetry"], "Did you mean 'symmetry'?"),
        (["water.xyz", "--only", "phonons"], "it is for a crystal"),
        (["water.xyz", "--only", "errors"], "--test"),
        (["water.xyz", "--only", ","], "No check is named"),
        ([], "Add a structure"),
    ],
)
def test_wrong_usage_is_explained(files, words, says):
    result = run(files, "small.reann", *words)
    assert result.exit_code == 1
    assert says in " ".join(result.output.split())


def test_a_structure_can_be_declared_to_be_something_else(files):
    atoms = bulk("O", "fcc", a=4.0, cubic=True)
    ase.io.write(files / "solid.xyz", atoms)
    result = run(files, "small.reann", "solid.xyz", "--only", "symmetry", "--as", "liquid")
    assert result.exit_code == 0
    assert "tested as a liquid" in result.output


def test_every_kind_has_checks_and_every_check_a_kind():
    for kind in Kind:
        assert sum(kind in check.kinds for check in CHECKS) >= 9
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.kinds for check in CHECKS)


def test_errors_against_labels(files):
    calculator = Calculator(files / "small.reann")
    frames = []
    rng = np.random.default_rng(0)
    for _ in range(8):
        atoms = molecule("H2O")
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
        calculator.calculate(atoms)
        results = {name: calculator.results[name] for name in ("energy", "forces")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    ase.io.write(files / "data.xyz", frames, format="extxyz")
    result = run(files, "small.reann", "water.xyz", "--only", "errors", "--data", "data.xyz")
    assert result.exit_code == 0, result.output
    found = json.loads((files / "out" / JSON).read_text(encoding="utf-8"))["checks"]["errors"]
    assert found["verdict"] == "passes"
    assert found["numbers"]["forces_relative_percent"] < 0.1


def test_a_time_limit_ends_dynamics_and_is_said(files, monkeypatch):
    monkeypatch.setattr(nve, "WARM_UP", 10.0)
    monkeypatch.setattr(nve, "SHORT", 20.0)
    monkeypatch.setattr("reann.assessment.case.Case.is_late", lambda self: self.late())
    calls = iter(range(10**6))
    monkeypatch.setattr(
        "reann.assessment.case.Case.late", lambda self: next(calls) > 30, raising=False
    )
    run(files, "small.reann", "water.xyz", "--only", "nve", "--time", "1ps", "--temperature", "1")
    found = json.loads((files / "out" / JSON).read_text(encoding="utf-8"))["checks"]["nve"]
    assert "stopped by the time limit" in found["sentence"] or found["verdict"] == "fails"

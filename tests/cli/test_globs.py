"""A glob of files of structures does the same in every verb, wherever it is started."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import ase.io
import pytest
import torch
from typer.testing import CliRunner

from reann.cli import app
from runs import DATA, SMALL

SETTINGS = [f"{name}={value}" for name, value in SMALL.items() if not name.startswith("data.")]


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Work in a folder with structures in four files."""
    structures = ase.io.read(DATA, ":8")
    for i, name in enumerate(["part1.xyz", "part2.xyz", "run[1].xyz", "sub/deep/x.xyz"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        ase.io.write(tmp_path / name, structures[2 * i : 2 * i + 2], format="extxyz")
    shutil.copy(tmp_path / "part1.xyz", tmp_path / "run1.xyz")
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def test_a_glob_trains_resumes_from_elsewhere_and_evaluates(folder, monkeypatch):
    run("new", "new.yaml", "--from", "part*.xyz")
    words = ["new.yaml", *SETTINGS, "data.valid=[sub/**/*.xyz, 'run[1].xyz']"]
    assert "split     train 4 · valid 4" in run("train", *words, "training.epochs=1")
    split = json.loads((folder / "runs/new/split.json").read_text())["parts"]
    names = [Path(file["name"]).name for file in split["valid"]["files"]]
    assert names == ["x.xyz", "run[1].xyz"]
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert "complete" in run("resume", str(folder / "runs/new"))
    monkeypatch.chdir(folder)
    run("evaluate", "runs/new/model.reann", "part*.xyz", "run[1].xyz", "--json", "errors.json")
    assert json.loads(Path("errors.json").read_text())["n_structures"] == 6


def test_check_reads_the_other_files_of_a_glob_where_one_is_broken(folder):
    Path("part1.xyz").write_text("garbage\n")
    result = CliRunner().invoke(app, ["check", "part*.xyz", "**/x.xyz", "--json", "found.json"])
    assert result.exit_code == 1
    found = json.loads(Path("found.json").read_text())
    assert [file["name"] for file in found["files"]] == ["part2.xyz", "sub/deep/x.xyz"]
    assert "unreadable" in [finding["name"] for finding in found["findings"]]

"""A full disk ends a verb with one message, and nothing half written is left."""

from __future__ import annotations

import errno
from pathlib import Path

import ase.build
import ase.io
import pytest
from typer.testing import CliRunner

from disks import largest_file
from models import random_model
from reann.cli import app
from reann.potential import Potential


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Potential(random_model([1, 8])).save(tmp_path / "a.reann")
    every = [ase.build.molecule("H2O", vacuum=1.2, pbc=True).repeat(3) for _ in range(8)]
    for seed, atoms in enumerate(every):
        atoms.rattle(0.05, seed=seed)
    ase.io.write(tmp_path / "start.xyz", every)
    return tmp_path


MD = ["--temperature", "300", "--time", "10fs", "--interval", "1"]
VERBS = {
    "evaluate -o": (["evaluate", "a.reann", "start.xyz", "-o", "out.xyz"], 40_000),
    "evaluate -o gz": (["evaluate", "a.reann", "start.xyz", "-o", "out.xyz.gz"], 5_000),
    "evaluate --json": (["evaluate", "a.reann", "start.xyz", "--json", "out.json"], 50),
    "check --json": (["check", "start.xyz", "--json", "out.json"], 500),
    "md -o xyz": (["md", "a.reann", "start.xyz", *MD, "-o", "out.xyz"], 40_000),
    "md -o traj": (["md", "a.reann", "start.xyz", *MD, "-o", "out.traj"], 40_000),
    "relax -o": (["relax", "a.reann", "start.xyz", "--fmax", "1e-6", "-o", "out.xyz"], 40_000),
    "export": (["export", "a.reann", "start.xyz", "--to", "i-pi", "-o", "out"], 5_000),
}


def test_without_a_folder_for_temporary_files_the_message_names_tmpdir(place, monkeypatch):
    """As where TMPDIR, /tmp and the working folder are full: importing torch needs one."""

    def fail(*arguments, **settings):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("reann.simulate.relax.relax", fail)
    result = CliRunner().invoke(app, ["relax", "a.reann", "start.xyz"])
    assert result.exit_code == 1
    assert "Temporary files cannot be written" in result.stderr
    assert "TMPDIR" in result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk_leaves_no_half_file(place, verb):
    before = {path.name for path in place.iterdir()}
    words, limit = VERBS[verb]
    with largest_file(limit):
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 1, result.output
    assert "written" in result.stderr
    assert "File too large" in result.stderr
    assert "Traceback" not in result.stderr
    written = {path.name for path in place.iterdir()} - before
    if words[0] in ("md", "relax"):
        (name,) = written
        frames = ase.io.read(place / name, ":")
        assert len(frames) >= 2
        assert f"{len(frames)} structures were written" in result.stderr
        assert all(len(atoms) == 81 for atoms in frames)
    else:
        half = [p for name in written for p in (place / name).rglob(".*")]
        assert not half
        assert written <= {"out"}  # a folder, with what fits

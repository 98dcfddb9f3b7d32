"""Disks and folders: full, shared with others, with links that lead elsewhere."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import ase
import ase.io
import numpy as np
import pytest
import torch
import typer
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from disks import largest_file
from reann import atomic_file, checkpoint, cli
from reann.cli.group import FULL
from reann.config import Config, DataConfig
from reann.config.file import save_config
from reann.config.new import new_config
from reann.data.cache.storage import Arrays, CacheWriter, open_cache
from reann.data.check import Survey
from reann.data.check.report import write_json
from reann.data.dataset import Subset, open_dataset
from reann.data.split import save_split
from reann.demo import copy_data
from reann.errors import UserError
from reann.evaluation import predictions
from reann.evaluation.comparison import Evaluation
from reann.report import write_report
from reann.training.distributed import World
from reann.training.folder import locked
from reann.training.journal import Journal, read_log


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> SimpleNamespace:
    """A file of structures, its data set, and an evaluation of it."""
    folder = tmp_path_factory.mktemp("data")
    structures = []
    for i in range(3):
        atoms = ase.Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2 + 0.1 * i]])
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0 * i, forces=np.zeros((2, 3)))
        structures.append(atoms)
    file = folder / "a.xyz"
    ase.io.write(file, structures, format="extxyz")
    config = DataConfig(train=str(file))
    evaluation = Evaluation(
        origins=["a"] * 3,
        groups=[""] * 3,
        n_atoms=np.full(3, 2),
        numbers=np.full(6, 29),
        reference={},
        predicted={"energy": np.zeros(3), "forces": np.zeros((6, 3))},
        extrapolating=None,
        std={},
    )
    dataset = open_dataset(str(file), config, 3.0, folder / "cache")
    return SimpleNamespace(
        file=file, structures=structures, config=config, evaluation=evaluation, dataset=dataset
    )


def row(epoch: int) -> dict[str, float]:
    return {"epoch": float(epoch), "learning_rate": 1e-3, "best": 0.0, "seconds": 1.0}


def fill_cache(folder: Path, values: list[np.ndarray]) -> None:
    with CacheWriter(folder / "key", {"a": ((), ("u1", "<u2", "<u4"))}) as writer:
        for part in values:
            writer.append(a=part)
        writer.finish({})


def journal(folder: Path) -> None:
    writer = Journal(folder, writes=True)
    writer.add(row(0))


Writer = Callable[[Path, SimpleNamespace], object]
WRITERS: dict[str, Writer] = {
    "cache-append": lambda f, d: fill_cache(f, [np.full(100_000, 7)]),
    "cache-close": lambda f, d: fill_cache(f, [np.full(17, 7)]),
    "cache-widen": lambda f, d: fill_cache(f, [np.full(9, 7), np.full(9, 700)]),
    "cache-index": lambda f, d: fill_cache(f, [np.full(2, 7)]),
    "cache-of-data": lambda f, d: open_dataset(str(d.file), d.config, 3.0, f),
    "predictions": lambda f, d: predictions.write(f / "p.xyz", d.evaluation, d.structures),
    "predictions-gz": lambda f, d: predictions.write(f / "p.xyz.gz", d.evaluation, d.structures),
    "report": lambda f, d: write_report(
        f / "r.html",
        config=Config(data=d.config),
        history=[],
        evaluations={},
        baseline={},
        provenance={},
        atoms_of=lambda part, i: d.structures[i],
    ),
    "config": lambda f, d: save_config(Config(data=d.config), f / "config.yaml", {}),
    "split": lambda f, d: save_split(f / "s.json", {"train": Subset(d.dataset, np.arange(3))}, 1),
    "check-json": lambda f, d: write_json(Survey([], []), f / "c.json"),
    "new": lambda f, d: new_config(f / "new.yaml", str(d.file)),
    "checkpoint": lambda f, d: checkpoint.write(f / "c", "training", {}, {"x": torch.zeros(9)}),
    "log": lambda f, d: journal(f),
    "demo": lambda f, d: copy_data(f),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_message_and_leaves_nothing_half_written(kind, tmp_path, data):
    with largest_file(16), pytest.raises(UserError, match="File too large"):
        WRITERS[kind](tmp_path, data)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 0]
    assert left == []
    assert not list(tmp_path.glob("unfinished-*"))
    WRITERS[kind](tmp_path, data)  # and with some space everything is written


def test_a_row_of_the_log_that_does_not_fit_leaves_the_earlier_ones(tmp_path):
    log = Journal(tmp_path, writes=True)
    for epoch in range(3):
        log.add(row(epoch))
    before = (tmp_path / "log.csv").read_bytes()
    with largest_file(len(before) + 5), pytest.raises(UserError, match="reann resume"):
        log.add(row(3))
    assert (tmp_path / "log.csv").read_bytes() == before
    log.add(row(4))
    assert [r["epoch"] for r in read_log(tmp_path / "log.csv")] == [0, 1, 2, 4]


@pytest.mark.parametrize("code", FULL)
def test_a_full_disk_ends_any_verb_with_one_message(code, monkeypatch, tmp_path):
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("reann.config.new.new_config", fail)
    words = ["new", str(tmp_path / "a.yaml"), "--from", "a.xyz"]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Writing failed: {os.strerror(code)}.")
    assert isinstance(CliRunner().invoke(cli.app, ["--debug", *words]).exception, OSError)


def test_other_errors_of_the_system_are_not_taken_for_a_full_disk(monkeypatch, tmp_path):
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("reann.config.new.new_config", fail)
    result = CliRunner().invoke(cli.app, ["new", str(tmp_path / "a.yaml"), "--from", "a.xyz"])
    assert isinstance(result.exception, OSError)
    assert not isinstance(result.exception, typer.Exit)


# --- a cache that others change ---------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10])
def test_a_cache_that_is_truncated_while_it_is_in_use_is_an_error_not_a_bus_error(
    size, data, tmp_path
):
    dataset = open_dataset(str(data.file), data.config, 3.0, tmp_path)
    (folder,) = tmp_path.iterdir()
    for path in folder.glob("*.raw"):
        os.truncate(path, size)
    with pytest.raises(UserError, match="was truncated while it was in use") as error:
        dataset.graph([0, 1, 2])
    assert "reann resume" in error.value.fix


@pytest.mark.parametrize("harm", ["remove", "replace"])
def test_a_cache_that_is_removed_or_replaced_stays_for_who_has_it_open(harm, data, tmp_path):
    dataset = open_dataset(str(data.file), data.config, 3.0, tmp_path)
    before = dataset.graph([0, 1, 2]).positions
    (folder,) = tmp_path.iterdir()
    for path in folder.glob("*.raw"):
        path.unlink()
        if harm == "replace":
            path.write_bytes(b"")
    assert torch.equal(dataset.graph([0, 1, 2]).positions, before)


def test_arrays_of_a_cache_are_a_mapping_that_nobody_can_write_to(tmp_path):
    fill_cache(tmp_path, [np.arange(3)])
    arrays, _ = open_cache(tmp_path / "key")
    assert isinstance(arrays, Arrays)
    assert (list(arrays), len(arrays), "a" in arrays, "b" in arrays) == (["a"], 1, True, False)
    with pytest.raises(ValueError, match="read-only"):
        arrays["a"][0] = 1


# --- folders of several users -----------------------------------------------------------------


@pytest.fixture
def shared_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_others_can_read_a_shared_cache(tmp_path, data, shared_umask):
    open_dataset(str(data.file), data.config, 3.0, tmp_path / "cache")
    for path in [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o644), path


@pytest.mark.parametrize("name", ["file", "lock", "log"])
def test_no_link_is_followed_when_a_file_is_made(name, tmp_path):
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    folder.mkdir()
    victim.write_text("precious")
    if name == "file":
        (folder / f".a.{os.getpid()}.tmp").symlink_to(victim)
        atomic_file.write_text(folder / "a", "new")
        assert (folder / "a").read_text() == "new"
        assert not (folder / "a").is_symlink()
    elif name == "lock":
        (folder / ".lock").symlink_to(victim)
        with (
            pytest.raises(UserError, match="cannot be written"),
            locked(folder, World()),
        ):
            pass
    else:
        (folder / "log.csv").symlink_to(victim)
        with pytest.raises(UserError, match=r"log\.csv could not be written"):
            Journal(folder, writes=True).add(row(0))
    assert victim.read_text() == "precious"


def test_names_that_are_no_text_can_be_written_and_read_back(tmp_path):
    name = os.fsdecode(b"d\xff.xyz")
    atomic_file.write_text(tmp_path / "a", f'"{name}"')
    assert (tmp_path / "a").read_text("utf-8") == '"d\\udcff.xyz"'


def test_logs_and_locks_have_the_permissions_of_other_files(tmp_path, shared_umask):
    with locked(tmp_path, World()):
        Journal(tmp_path, writes=True).add(row(0))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert modes == {".lock": 0o644, "log.csv": 0o644}

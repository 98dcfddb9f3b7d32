"""No output replaces an input, and what cannot be written is said before any work."""

from __future__ import annotations

import json
from pathlib import Path

import ase
import ase.io
import pytest
from typer.testing import CliRunner

from disks import largest_file
from models import random_model
from reann.cli import app
from reann.errors import UserError
from reann.output_files import check_folder, check_outputs, input_files, write_folder
from reann.potential import Potential


def itself(path: Path) -> Path:
    return path


def symbolic_link(path: Path) -> Path:
    link = path.with_name(f"link-{path.name}")
    link.symlink_to(path)
    return link


def hard_link(path: Path) -> Path:
    link = path.with_name(f"hard-{path.name}")
    link.hardlink_to(path)
    return link


def through_a_parent(path: Path) -> Path:
    return path.parent / "folder" / ".." / path.name


WAYS = [itself, symbolic_link, hard_link, through_a_parent]
MODEL, DATA, SETTINGS = "run/model.reann", "data.xyz", "settings.yaml"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Write a run folder, data, a configuration and files of an original model."""
    monkeypatch.chdir(tmp_path)
    for folder in ("run/folder", "folder", "original"):
        (tmp_path / folder).mkdir(parents=True)
    Potential(random_model([1, 8])).save(tmp_path / MODEL)
    water = ase.Atoms("OH2", [[0.0, 0.0, 0.0], [0.96, 0.05, 0.0], [-0.24, 0.93, 0.1]])
    ase.io.write(tmp_path / DATA, water)
    (tmp_path / SETTINGS).write_text("data: {train: data.xyz}\n")
    return tmp_path


MD = ["--temperature", "300", "--time", "1fs"]
VERBS = {
    "evaluate --json": (["evaluate", "run", "*.xyz", "--json"], [MODEL, DATA]),
    "evaluate --config": (
        ["evaluate", "run", DATA, "--config", SETTINGS, "--json"],
        [SETTINGS],
    ),
    "evaluate -o": (["evaluate", "run", "d*.xyz", "-o"], [DATA]),
    "check --json": (["check", "*.xyz", "--json"], [DATA]),
    "check --config": (["check", DATA, "--config", SETTINGS, "--json"], [SETTINGS]),
    "md -o": (["md", "run", DATA, *MD, "-o"], [DATA]),
    "relax -o": (["relax", "run", DATA, "-o"], [DATA]),
    "spectrum -o": (["spectrum", "run", DATA, "-o"], [MODEL, DATA]),
    "spectrum --json": (["spectrum", "run", DATA, "--json"], [DATA]),
    "spectrum --figure": (["spectrum", "run", DATA, "--figure"], [DATA]),
    "convert -o": (["convert", DATA, "-o"], [DATA]),
}
CASES = [(verb, name) for verb, (_, inputs) in VERBS.items() for name in inputs]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("verb", "name"), CASES)
def test_no_verb_writes_over_its_input(place, verb, name, way):
    before = (place / name).read_bytes()
    result = CliRunner().invoke(app, [*VERBS[verb][0], str(way(place / name))])
    assert result.exit_code == 1, result.output
    assert "would overwrite" in result.stderr
    assert (place / name).read_bytes() == before


AS_GIVEN = {
    "a file": {"train": DATA},
    "a list": {"train": ["other.xyz", DATA]},
    "a glob": {"train": "d*.xyz"},
    "validation set": {"train": "other.xyz", "valid": DATA},
    "test set": {"train": "other.xyz", "valid": 0.1, "test": [DATA]},
    "indices": {"train": "other.xyz", "valid": {"indices": DATA}},
}


@pytest.mark.parametrize("given", AS_GIVEN)
@pytest.mark.parametrize("recorded", ["in the potential", "in config.yaml"])
@pytest.mark.parametrize("way", WAYS)
def test_no_output_replaces_the_data_of_a_training(place, recorded, given, way):
    if recorded == "in the potential":
        metadata = {"settings": {"data": AS_GIVEN[given]}}
        Potential(random_model([1, 8]), metadata).save(place / MODEL)
    else:
        text = f"# reann 0.1.0\ndata: {json.dumps(AS_GIVEN[given])}\n"
        (place / "run/config.yaml").write_text(text)
    with pytest.raises(UserError, match="overwrite data that the potential was trained with"):
        check_outputs({"--output": way(place / DATA)}, ["run", "start.xyz"])
    check_outputs({"--output": place / "new.xyz"}, ["run", "start.xyz"])


@pytest.mark.parametrize("verb", ["evaluate -o", "md -o", "md --continue -o", "relax -o"])
def test_no_verb_writes_over_the_data_of_a_training(place, verb):
    metadata = {"settings": {"data": {"train": DATA}}}
    Potential(random_model([1, 8]), metadata).save(place / MODEL)
    before = (place / DATA).read_bytes()
    (place / "water.xyz").write_bytes(before)
    *words, output = VERBS[verb.replace(" --continue", "")][0]
    words = [word if "xyz" not in word else "water.xyz" for word in words]
    more = ["--continue"] if "--continue" in verb else []
    result = CliRunner().invoke(app, [*words, *more, output, DATA])
    assert result.exit_code == 1, result.output
    said = " ".join(result.stderr.split())
    assert "would overwrite data that the potential was trained with" in said
    assert (place / DATA).read_bytes() == before


@pytest.mark.parametrize("metadata", [{}, {"settings": []}, {"settings": {"data": 1}}])
def test_potentials_that_record_no_data_are_no_obstacle(place, metadata):
    Potential(random_model([1, 8]), metadata).save(place / MODEL)
    check_outputs({"--output": place / DATA}, ["run"])


WITH_OUTPUT = ["evaluate --json", "check --json"]
RUN_FILES = ["config.yaml", "last.ckpt.safetensors", "split.json", "log.csv", "report.html"]


@pytest.mark.parametrize("way", [itself, symbolic_link, through_a_parent])
@pytest.mark.parametrize("name", RUN_FILES)
@pytest.mark.parametrize("verb", WITH_OUTPUT)
def test_no_verb_writes_over_a_file_of_a_run(place, verb, name, way):
    (place / "run/config.yaml").write_text("# reann 0.1.0\n")
    path = place / "run" / name
    path.touch()
    before = path.read_bytes()
    result = CliRunner().invoke(app, [*VERBS[verb][0], str(way(path))])
    assert result.exit_code == 1, result.output
    assert "would overwrite a file of the run" in result.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("verb", WITH_OUTPUT)
def test_json_replaces_json_alone(place, verb):
    other = place / "train.extxyz"
    other.write_text("1\n\nH 0 0 0\n")
    result = CliRunner().invoke(app, [*VERBS[verb][0], str(other)])
    assert result.exit_code == 1
    assert "a file that is not JSON" in result.stderr
    assert other.read_text() == "1\n\nH 0 0 0\n"
    (place / "run/errors.json").write_text("{}")
    check_outputs({"--json": place / "run/errors.json"}, ["run"])


UNWRITABLE = {
    "a folder": ("folder", "it is a folder"),
    "no folder": ("absent/out.xyz", "there is no folder 'absent'"),
    "a file as folder": (f"{DATA}/out.xyz", "is not a folder"),
    "no regular file": ("/dev/null", "not a regular file"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
@pytest.mark.parametrize("verb", ["evaluate --json", "check --json"])
def test_what_cannot_be_written_is_said_before_any_work(place, verb, case):
    (place / "run" / "model.reann").write_text("never read")
    path, reason = UNWRITABLE[case]
    result = CliRunner().invoke(app, [*VERBS[verb][0], path])
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert reason in result.stderr


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/new.json", "/dev/fd/1", "/proc/self/fd/1"])
def test_names_of_devices_are_not_replaced_wherever_they_lead(path):
    """Redirected into a file, `/dev/stdout` leads to a regular file."""
    with pytest.raises(UserError, match="not a regular file"):
        check_outputs({"--json": path}, [])


@pytest.mark.parametrize("verb", ["evaluate -o", "md -o", "relax -o", "convert -o"])
def test_a_folder_that_is_not_there_is_said_before_any_work(place, verb):
    (place / "run" / "model.reann").write_text("never read")
    result = CliRunner().invoke(app, [*VERBS[verb][0], "absent/out.xyz"])
    assert result.exit_code == 1
    assert "there is no folder 'absent'" in result.stderr


def test_read_only_files_and_folders_are_named(tmp_path, monkeypatch):
    (tmp_path / "old.json").touch()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path / "old.json")
    with pytest.raises(UserError, match="it is read-only"):
        check_outputs({"--json": tmp_path / "old.json"}, [])
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"folder '.*' is read-only"):
        check_outputs({"--json": tmp_path / "new.json"}, [])
    with pytest.raises(UserError, match=r"folder '.*' is read-only"):
        check_folder(tmp_path / "new" / "folder")


@pytest.mark.parametrize(
    ("way", "exists"), [*((way, True) for way in WAYS), (itself, False), (through_a_parent, False)]
)
def test_two_outputs_are_two_files(tmp_path, way, exists):
    (tmp_path / "folder").mkdir()
    path = tmp_path / "out.xyz"
    if exists:
        path.touch()
    with pytest.raises(UserError, match="are the same file"):
        check_outputs({"--json": path, "--output": way(path)}, [])
    check_outputs({"--json": path, "--output": tmp_path / "other.xyz"}, [])


def test_an_export_replaces_no_edited_file(tmp_path):
    folder, files = tmp_path / "out", {"in.txt": b"new", "b.txt": b"b"}
    write_folder(folder, files)
    (folder / "in.txt").write_bytes(b"edited")
    (folder / "b.txt").unlink()
    with pytest.raises(UserError, match=r"other content: in\.txt"):
        write_folder(folder, files)
    assert (folder / "in.txt").read_bytes() == b"edited"
    assert not (folder / "b.txt").exists(), "half of an export was written"
    write_folder(folder, files, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    write_folder(folder, files)


def test_an_export_is_written_as_a_whole_or_not_at_all(tmp_path):
    with largest_file(1000), pytest.raises(UserError, match=r"b\.txt could not be written"):
        write_folder(tmp_path, {"a.txt": b"new", "b.txt": bytes(2000)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", WAYS)
def test_an_export_never_replaces_an_input(tmp_path, way):
    (tmp_path / "folder").mkdir()
    start = tmp_path / "start.xyz"
    start.write_bytes(b"mine")
    name = way(start).relative_to(tmp_path)
    with pytest.raises(UserError, match="would overwrite an input"):
        write_folder(tmp_path, {str(name): b"new"}, [start], overwrite=True)
    assert start.read_bytes() == b"mine"
    write_folder(tmp_path, {str(name): b"mine"}, [start])


def test_the_home_of_an_unknown_user_is_no_input_and_no_traceback(tmp_path):
    assert input_files(["~nobody-of-this-name/a.xyz"]) == []
    check_outputs({"--json": tmp_path / "a.json"}, ["~nobody-of-this-name/a.xyz"])

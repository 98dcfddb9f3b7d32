"""Which files a name or a glob stands for, and what is said where there is none."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from reann.config import Config
from reann.config.file import anchored
from reann.errors import UserError
from reann.input_files import display_name, file_hash, find_files, located, path_text

NOT_UTF8 = os.fsdecode(b"caf\xe9.xyz")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Work in a folder with files of many names; its own name looks like a glob."""
    folder = tmp_path / "a[b]"
    for name in ("part1.xyz", "part2.xyz", "run1.xyz", "run[1].xyz", "deep/er/x.xyz", NOT_UTF8):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1\n\nH 0 0 0\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    return folder


NAMES = {
    "part*.xyz": ["part1.xyz", "part2.xyz"],
    "part[12].xyz": ["part1.xyz", "part2.xyz"],
    "run[1].xyz": ["run[1].xyz"],
    "**/x.xyz": ["deep/er/x.xyz"],
    "deep/*/*.xyz": ["deep/er/x.xyz"],
    "~/part1.xyz": ["part1.xyz"],
    "~/part*.xyz": ["part1.xyz", "part2.xyz"],
    "caf*.xyz": [NOT_UTF8],
    "caf\\xe9.xyz": [NOT_UTF8],
    NOT_UTF8: [NOT_UTF8],
}


@pytest.mark.parametrize("pattern", NAMES)
@pytest.mark.parametrize("absolute", [False, True])
def test_names_and_globs_stand_for_the_same_files_everywhere(folder, pattern, absolute):
    given = pattern
    if absolute and not pattern.startswith("~"):
        literal = pattern in NAMES[pattern] or pattern.startswith("caf\\")
        given = str((folder if literal else Path(glob.escape(str(folder)))) / pattern)
    expected = [folder / name for name in NAMES[pattern]]
    assert [path.absolute() for path in find_files(given)] == expected
    other = next(n for n in ("part1.xyz", "deep/er/x.xyz") if n not in NAMES[pattern])
    assert find_files([given, other])[:-1] == find_files(given)


@pytest.mark.parametrize("pattern", NAMES)
def test_an_anchored_name_stands_for_the_same_files_from_another_folder(
    folder, pattern, monkeypatch
):
    config = anchored(Config.model_validate({"data": {"train": pattern, "valid": [pattern]}}))
    monkeypatch.chdir("/")
    expected = [folder / name for name in NAMES[pattern]]
    assert isinstance(config.data.train, str)
    assert config.data.train.encode("utf-8")
    assert find_files(config.data.train) == expected
    assert find_files(config.data.valid) == expected  # type: ignore[arg-type]
    again = anchored(config)
    assert again.data.train == config.data.train


def test_a_glob_beside_the_configuration_is_anchored_there(folder, monkeypatch):
    monkeypatch.chdir("/")
    config = anchored(Config.model_validate({"data": {"train": "part*.xyz"}}), folder)
    assert find_files(config.data.train) == [folder / "part1.xyz", folder / "part2.xyz"]


@pytest.mark.parametrize("name", ["nothing*.xyz", "x" * 300, "a\0b", "nowhere/a.xyz"])
def test_what_does_not_exist_is_left_as_it_is_and_is_an_error_when_it_is_read(folder, name):
    assert located(name, folder) is None
    with pytest.raises(UserError):
        find_files(name)


def test_names_that_are_not_utf8_are_shown_and_hashed(folder):
    (path,) = find_files("caf*")
    assert display_name(path) == "caf\\xe9.xyz"
    assert path_text(path).encode() == b"caf\\xe9.xyz"
    assert len(file_hash(path)) == 64


def _special(folder: Path, kind: str) -> str:
    if kind == "pipe":
        os.mkfifo(folder / "a.xyz")
    elif kind == "broken link":
        (folder / "a.xyz").symlink_to("gone.xyz")
    elif kind == "link to itself":
        (folder / "a.xyz").symlink_to("a.xyz")
    elif kind == "folder":
        (folder / "a.xyz").mkdir()
        (folder / "a.xyz" / "OUTCAR").touch()
    elif kind == "device":
        return "/dev/zero"
    elif kind == "long name":
        return "x" * 300 + ".xyz"
    return "a.xyz"


@pytest.mark.parametrize(
    ("kind", "what", "fix"),
    [
        ("pipe", "is a pipe or a device", "to a file first"),
        ("device", "is a pipe or a device", "to a file first"),
        ("broken link", "is a link to 'gone.xyz', which does not exist", "repair the link"),
        ("link to itself", "is a link to 'a.xyz', which does not exist", "repair the link"),
        ("folder", "is a folder, not a file", "for example 'a.xyz/OUTCAR'"),
        ("long name", "is too long", "Use a file"),
        ("absent", "'a.xyz' does not exist", ""),
    ],
)
def test_what_is_no_file_is_an_error_with_its_reason(tmp_path, kind, what, fix):
    name = _special(tmp_path, kind)
    with pytest.raises(UserError) as info:
        find_files(name, tmp_path)
    assert what in info.value.what
    assert fix in info.value.fix


def test_a_path_that_must_not_be_read_is_an_error(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        find_files("a.xyz", tmp_path)

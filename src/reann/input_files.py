"""Which files a name or a glob stands for: paths alone, no content."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from reann.errors import UserError, did_you_mean, listed, shortened

_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


def find_files(patterns: str | list[str], base: Path = Path()) -> list[Path]:
    """Return the files that names and globs stand for, those of a glob sorted by name.

    A file whose name is the pattern wins over the pattern: `run[1].xyz`, where there is one.

    Raises
    ------
    UserError
        For a name without a file, a glob without a match, a folder, a pipe, a broken link, a path
        that the system refuses, and a file that is given twice: its structures would count twice.
    """
    names = [patterns] if isinstance(patterns, str) else patterns
    paths = [path for name in names for path in _files(path_text(name), base)]
    if not paths:
        raise UserError("No file of structures was given.", fix="Name one, as train.xyz.")
    known: dict[Path, Path] = {}
    for path in paths:
        first = known.setdefault(path.resolve(), path)
        if first is not path:
            raise UserError(
                f"A file is given twice: {path_text(first)} and {path_text(path)}.",
                fix="Name it once; a glob may include it already.",
            )
    return paths


def located(pattern: str, base: Path) -> str | None:
    """Return the absolute name of a file or a glob below a folder, None where nothing matches."""
    path = base / expanded(pattern)
    try:
        if path.exists():
            return path_text(path)
    except OSError:
        return None
    if next(_matches(pattern, base), None) is None:
        return None
    given = _glob(pattern)
    return path_text(given if given.is_absolute() else Path(glob.escape(str(base))) / given)


def expanded(pattern: str) -> Path:
    """Return the path of a name as `path_text` gives it, with the home folder for `~`."""
    return Path(os.path.expanduser(_with_bytes(pattern)))  # noqa: PTH111, ~x may be no user


def path_text(path: str | Path) -> str:
    r"""Return a path as text that can be printed and saved; a byte not UTF-8 is as `\xe9`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def display_name(path: Path, base: Path = Path()) -> str:
    """Return the path relative to the base folder where it lies inside, as `path_text`."""
    return path_text(path.relative_to(base) if path.is_relative_to(base) else path)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _files(pattern: str, base: Path) -> list[Path]:
    path = base / expanded(pattern)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if not glob.has_magic(pattern):
            raise _no_file(pattern, path, error) from error
        matches = [match for match in _matches(pattern, base) if match.is_file()]
        if not matches:
            folder = f"folder {_nearest_folder(path)}"
            raise UserError(f"No file matches '{pattern}'.", folder) from error
        return sorted(matches)
    if stat.S_ISREG(mode):
        return [path]
    if stat.S_ISDIR(mode):
        from reann.data.file_types import deepmd_error

        raise deepmd_error(path, pattern) or _folder_error(path, pattern)
    raise UserError(
        f"'{pattern}' is a pipe or a device, not a file.",
        fix="Structures are read several times: write them into a file first.",
    )


def _folder_error(folder: Path, pattern: str) -> UserError:
    entries = sorted(folder.iterdir()) if os.access(folder, os.R_OK | os.X_OK) else []
    files = [path_text(entry.name) for entry in entries if entry.is_file()]
    likely = [name for name in ("vasprun.xml", "OUTCAR") if name in files] or ["*.xyz"]
    return UserError(
        f"'{pattern}' is a folder, not a file.",
        f"files there: {listed(files)}" if files else "",
        f"Name the files in it, as '{Path(pattern) / likely[0]}'.",
    )


def _matches(pattern: str, base: Path) -> Iterator[Path]:
    """Yield what a glob matches; brackets in the name of the base folder are no pattern."""
    if glob.has_magic(pattern):
        found = glob.iglob(str(_glob(pattern)), root_dir=base, recursive=True)  # noqa: PTH207
        yield from (base / match for match in found)


def _glob(pattern: str) -> Path:
    """Return a glob with the home folder for `~`, whose brackets are no pattern either."""
    home, slash, rest = _with_bytes(pattern).partition("/")
    if home.startswith("~"):
        home = glob.escape(os.path.expanduser(home))  # noqa: PTH111, ~x may be no user
    return Path(home + slash + rest)


def _with_bytes(name: str) -> str:
    raw = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), os.fsencode(name))
    return os.fsdecode(raw)


def _no_file(pattern: str, path: Path, error: OSError | ValueError) -> UserError:
    reason = error.errno if isinstance(error, OSError) else None
    if reason == errno.ENAMETOOLONG:
        return UserError(
            f"The name '{shortened(pattern)}' is too long.", fix="Name a file, or a glob."
        )
    if reason in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
        target = path.readlink()
        return UserError(
            f"'{pattern}' is a link to '{target}', which does not exist.",
            fix="Name the file itself, or repair the link.",
        )
    if reason in (errno.ENOENT, errno.ENOTDIR):
        return _absent(pattern, path)
    what = f"'{pattern}' cannot be read: {getattr(error, 'strerror', None) or error}."
    return UserError(what, fix="Correct the name, or allow yourself to read the file.")


def _nearest_folder(path: Path) -> Path:
    folders = [parent for parent in path.parents if not glob.has_magic(str(parent))]
    return folders[0].resolve()


def _absent(pattern: str, path: Path) -> UserError:
    folder = path.parent
    if not folder.is_dir():
        return UserError(f"'{pattern}' does not exist: there is no folder {folder.resolve()}.")
    names = sorted(path_text(entry.name) for entry in folder.iterdir() if entry.is_file())
    hint = did_you_mean(path.name, names)
    there = f"files there: {listed(names)}" if names else "the folder is empty"
    return UserError(f"'{pattern}' does not exist.{hint}", f"folder {folder.resolve()}; {there}")

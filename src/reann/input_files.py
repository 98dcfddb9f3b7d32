"""Resolution of names and globs to files."""

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
    """Return the files for names and globs; those of a glob are sorted by name.

    A file with the name of the pattern takes precedence, for example `run[1].xyz`.

    Raises
    ------
    UserError
        If there is no such file, a glob matches nothing, a path is a folder, a pipe, a broken link
        or invalid, or a file is given twice.
    """
    names = [patterns] if isinstance(patterns, str) else patterns
    paths = [path for name in names for path in _files(path_text(name), base)]
    if not paths:
        raise UserError("No file of structures was given.", fix="Add a file, such as train.xyz.")
    known: dict[Path, Path] = {}
    for path in paths:
        first = known.setdefault(path.resolve(), path)
        if first is not path:
            raise UserError(
                f"A file is given twice: {path_text(first)} and {path_text(path)}.",
                fix="List it once; a glob may already include it.",
            )
    return paths


def located(pattern: str, base: Path) -> str | None:
    """Return the absolute name of a file or a glob in a folder; None if nothing matches."""
    path = base / expanded(pattern)
    try:
        if path.exists():
            return path_text(path)
    except OSError:
        return None
    if next(_matches(pattern, base), None) is None:
        return None
    relative = _glob(pattern)
    return path_text(
        relative if relative.is_absolute() else Path(glob.escape(str(base))) / relative
    )


def expanded(pattern: str) -> Path:
    """Return the path of a name from `path_text`, with `~` expanded."""
    return Path(os.path.expanduser(_with_bytes(pattern)))  # noqa: PTH111, ~x may be no user


def path_text(path: str | Path) -> str:
    r"""Return a path as printable text; a byte that is not UTF-8 becomes `\xe9`, for example."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def display_name(path: Path, base: Path = Path()) -> str:
    """Return the path, if possible relative to the base folder, as in `path_text`."""
    return path_text(path.relative_to(base) if path.is_relative_to(base) else path)


def file_hash(path: Path) -> str:
    """Return the SHA-256 hash of a file."""
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
        from reann.data.files.file_types import deepmd_error

        raise deepmd_error(path, pattern) or _folder_error(path, pattern)
    raise UserError(
        f"'{pattern}' is a pipe or a device, not a file.",
        fix="Structures are read several times: write them to a file first.",
    )


def _folder_error(folder: Path, pattern: str) -> UserError:
    entries = sorted(folder.iterdir()) if os.access(folder, os.R_OK | os.X_OK) else []
    files = [path_text(entry.name) for entry in entries if entry.is_file()]
    likely = [name for name in ("vasprun.xml", "OUTCAR") if name in files] or ["*.xyz"]
    return UserError(
        f"'{pattern}' is a folder, not a file.",
        f"files in it: {listed(files)}" if files else "",
        f"List the files in it, for example '{Path(pattern) / likely[0]}'.",
    )


def _matches(pattern: str, base: Path) -> Iterator[Path]:
    """Yield the matches of a glob; brackets in the name of the base folder are not special."""
    if glob.has_magic(pattern):
        matches = glob.iglob(str(_glob(pattern)), root_dir=base, recursive=True)  # noqa: PTH207
        yield from (base / match for match in matches)


def _glob(pattern: str) -> Path:
    """Return a glob with `~` expanded; brackets in the home folder are not special."""
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
            f"The name '{shortened(pattern)}' is too long.", fix="Use a file or a glob."
        )
    if reason in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
        target = path.readlink()
        return UserError(
            f"'{pattern}' is a link to '{target}', which does not exist.",
            fix="Use the file itself, or repair the link.",
        )
    if reason in (errno.ENOENT, errno.ENOTDIR):
        return _absent(pattern, path)
    what = f"'{pattern}' cannot be read: {getattr(error, 'strerror', None) or error}."
    return UserError(what, fix="Correct the name, or change the permissions of the file.")


def _nearest_folder(path: Path) -> Path:
    folders = [parent for parent in path.parents if not glob.has_magic(str(parent))]
    return folders[0].resolve()


def _absent(pattern: str, path: Path) -> UserError:
    folder = path.parent
    if not folder.is_dir():
        return UserError(f"'{pattern}' does not exist: there is no folder {folder.resolve()}.")
    names = sorted(path_text(entry.name) for entry in folder.iterdir() if entry.is_file())
    hint = did_you_mean(path.name, names)
    content = f"files in it: {listed(names)}" if names else "the folder is empty"
    return UserError(f"'{pattern}' does not exist.{hint}", f"folder {folder.resolve()}; {content}")

"""Atomic writing of files, which never follows symbolic links."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from reann.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, completely or not at all; for errors see `replacing`.

    Bytes of file names that are not UTF-8 become escape sequences, which JSON and YAML can read.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def open_no_link(path: Path, flags: int) -> int:
    """Open a file, created if missing, and return its descriptor; `OSError` for a symbolic link.

    In a folder where others may write, a link could lead to any file of this user.
    """
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty temporary file that replaces `path`, flushed to disk, at the end.

    Symbolic links are not followed.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # left by an earlier process with the same id
        temporary.touch(exist_ok=False)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise UserError(
            f"{path.name} could not be written: {error.strerror or error}.",
            str(path.parent),
            "Free some disk space or choose another folder; the previous file was not changed.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

"""Checks of output files before any work, so that neither inputs nor computing time are lost.

All commands call `check_outputs` first. An export writes several files into a folder at once with
`write_folder`, which does not overwrite files that were edited.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import combinations
from pathlib import Path
from typing import Any

from reann.errors import UserError, listed
from reann.input_files import expanded

Same = Callable[[bytes, bytes], bool]
"""Returns whether an existing file and the new one have the same content."""


def check_outputs(outputs: Mapping[str, str | Path | None], inputs: Iterable[object]) -> None:
    """Raise `UserError` if an output is an input or another output, or cannot be written.

    Links and `..` in paths are resolved. Outputs must not overwrite files of a run, or training
    data of a potential among the inputs; ``--json`` overwrites only JSON files.

    Parameters
    ----------
    outputs
        File of each option, such as ``{"--json": path}``; None if the option is not set.
    inputs
        Files, globs, and run folders, which stand for their potentials. Other values, such as
        structures in memory, are ignored.
    """
    paths = {option: Path(path) for option, path in outputs.items() if path is not None}
    sources = input_files(inputs) if paths else []
    of_training = training_files(sources) if any(path.exists() for path in paths.values()) else []
    for option, path in paths.items():
        _check_writable(path, option)
        _check_no_input(path, option, sources, "an input of this command")
        _check_no_input(path, option, of_training, "data that the potential was trained with")
        _check_no_run(path, option)
        if option == "--json":
            _check_replaces_json(path)
    for (first_option, first), (second_option, second) in combinations(paths.items(), 2):
        if _same_file(first, second):
            raise UserError(
                f"{first_option} and {second_option} are the same file.",
                str(first),
                "Use different files.",
            )


def check_folder(folder: Path) -> None:
    """Raise `UserError` if files cannot be written into a folder, which need not exist yet."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not existing.is_dir():
        reason = f"'{existing}' is not a folder"
    elif not _may_write_into(existing):
        reason = f"the folder '{existing}' is read-only"
    else:
        return
    fix = "Choose another folder with -o."
    raise UserError(f"Nothing can be written into '{folder}': {reason}.", "--output", fix)


def write_folder(
    folder: Path,
    files: Mapping[str, bytes],
    inputs: Iterable[object] = (),
    *,
    overwrite: bool = False,
    same: Same = bytes.__eq__,
) -> None:
    """Write files into a folder, which is created if needed.

    Either all files are written or none. Files that already have the new content are not changed.

    Raises
    ------
    UserError
        If a file with other content exists (unless `overwrite`) or is an input, or a file cannot be
        written.
    """
    from reann.atomic_file import replacing

    check_folder(folder)
    new = [name for name, text in files.items() if not _has(folder / name, text, same)]
    check_outputs({name: folder / name for name in new if (folder / name).exists()}, inputs)
    changed = [name for name in new if (folder / name).exists()]
    if changed and not overwrite:
        what = "A file exists" if len(changed) == 1 else "Files exist"
        raise UserError(
            f"{what} with other content: {listed(changed)}.",
            str(folder),
            "Choose another folder with -o, or overwrite them with --overwrite.",
        )
    with ExitStack() as stack:  # the files get their names when all are written
        for name in new:
            stack.enter_context(replacing(folder / name)).write_bytes(files[name])


def input_files(inputs: Iterable[object]) -> list[Path]:
    """Return the existing files for paths, globs and run folders."""
    files: list[Path] = []
    for entry in inputs:
        if not isinstance(entry, str | Path):
            continue
        path = expanded(str(entry))
        if path.is_dir():
            path = path / "model.reann"
        matches = [path] if path.exists() else map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207
        files += [match for match in matches if match.is_file()]
    return files


def training_files(potentials: Iterable[Path]) -> list[Path]:
    """Return the existing training, validation and test files of potentials.

    Files that are not potentials, and potentials without recorded data, are ignored.
    """
    names: list[object] = []
    for settings in (recorded for file in potentials for recorded in _settings_of(file)):
        data = settings.get("data")
        data = data if isinstance(data, dict) else {}
        sources = data.get("sources")
        parts = [data.get(part) for part in ("train", "valid", "test")]
        for value in [*parts, *(sources if isinstance(sources, list) else [])]:
            if isinstance(value, dict):
                value = value.get("indices", value.get("files"))  # noqa: PLW2901
            names += value if isinstance(value, list) else [value]
    return input_files(names)


def _settings_of(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the training settings of each member, and those of the run in the same folder."""
    from reann.checkpoint import read_header
    from reann.config.file import load_config, values_of
    from reann.training.folder import CONFIG, is_of_run

    with suppress(UserError):
        recorded = read_header(file).get("members")
        members = recorded if isinstance(recorded, list) else []
        settings = (member.get("settings") for member in members if isinstance(member, dict))
        yield from (member for member in settings if isinstance(member, dict))
        if is_of_run(file):
            yield values_of(load_config(file.with_name(CONFIG)))


def _check_writable(path: Path, option: str) -> None:
    folder = path.parent
    if path.is_dir():
        reason, fix = "it is a folder", "Choose a file in it."
    elif (path.exists() and not path.is_file()) or _is_of_system(folder):
        reason, fix = "it is not a regular file", "Choose a regular file."
    elif not folder.exists():
        reason, fix = f"there is no folder '{folder}'", "Create the folder, or check the path."
    elif not folder.is_dir():
        reason, fix = f"'{folder}' is not a folder", "Choose another folder."
    elif not _may_write_into(folder):
        reason, fix = f"the folder '{folder}' is read-only", "Choose another folder."
    elif path.exists() and not os.access(path, os.W_OK):
        reason, fix = "it is read-only", "Choose another file."
    else:
        return
    raise UserError(f"'{path}' cannot be written: {reason}.", option, fix)


def _is_of_system(folder: Path) -> bool:
    """Return whether a folder contains devices or processes, such as `/dev/stdout`.

    If the output is redirected, such a link points to a regular file.
    """
    real = folder.resolve()
    return real == Path("/dev") or Path("/proc") in (real, *real.parents)


def _may_write_into(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _check_no_input(path: Path, option: str, sources: Iterable[Path], kind: str) -> None:
    for source in sources:
        if path.exists() and path.samefile(source):
            linked = "" if path == source else f", which is the same file as {source}"
            raise UserError(
                f"{option} would overwrite {kind}: '{path}'{linked}.",
                fix="Choose another file to write.",
            )


def _check_no_run(path: Path, option: str) -> None:
    real = path.resolve()
    if not (real.exists() and (real.parent / "config.yaml").is_file()):
        return
    from reann.training.folder import is_of_run

    if is_of_run(real):
        raise UserError(
            f"{option} would overwrite a file of the run in '{path.parent}': '{path.name}'.",
            fix="Choose another file to write.",
        )


def _check_replaces_json(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            first = file.read(1)
        if first not in (b"", b"{"):
            raise UserError(
                f"--json would overwrite a file that is not JSON: '{path}'.",
                fix="Choose another file to write.",
            )


def _same_file(first: Path, second: Path) -> bool:
    if first.exists() and second.exists():
        return first.samefile(second)
    return first.resolve() == second.resolve()


def _has(path: Path, content: bytes, same: Same) -> bool:
    return path.is_file() and same(path.read_bytes(), content)

"""Files that a verb writes: checked before any work, so that no input is lost and no time.

Every verb calls `check_outputs` first. An export writes several files into a folder at once with
`write_folder`, which replaces no file that somebody has edited.
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
"""Whether an existing file and the new one have the same content."""


def check_outputs(outputs: Mapping[str, str | Path | None], inputs: Iterable[object]) -> None:
    """Raise `UserError` if an output is an input or another output, or cannot be written.

    Links of all kinds and `..` in paths make no difference. No output replaces a file of a run, or
    data that a potential among the inputs was trained with; ``--json`` replaces JSON alone.

    Parameters
    ----------
    outputs
        File of each option, such as ``{"--json": path}``; None where the option is not given.
    inputs
        Files, globs, and folders of runs, which stand for their potential. Anything else, such as
        a structure in memory, is ignored.
    """
    given = {option: Path(path) for option, path in outputs.items() if path is not None}
    sources = input_files(inputs) if given else []
    of_training = training_files(sources) if any(path.exists() for path in given.values()) else []
    for option, path in given.items():
        _check_writable(path, option)
        _check_no_input(path, option, sources, "an input of this command")
        _check_no_input(path, option, of_training, "data that the potential was trained with")
        _check_no_run(path, option)
        if option == "--json":
            _check_replaces_json(path)
    for (one, first), (two, second) in combinations(given.items(), 2):
        if _same_file(first, second):
            raise UserError(
                f"{one} and {two} name the same file.", str(first), "Give each its own file."
            )


def check_folder(folder: Path) -> None:
    """Raise `UserError` if files cannot be written into a folder, which need not exist yet."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
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
    """Write files into a folder, which is made if needed.

    Nothing is written unless all files may be.
    A file that has the new content already is left alone.

    Raises
    ------
    UserError
        If a file with another content exists, unless `overwrite`; if such a file is an input; if
        a file cannot be written.
    """
    from reann.atomic_file import replacing

    check_folder(folder)
    new = [name for name, text in files.items() if not _has(folder / name, text, same)]
    check_outputs({name: folder / name for name in new if (folder / name).exists()}, inputs)
    changed = [name for name in new if (folder / name).exists()]
    if changed and not overwrite:
        what = "A file exists" if len(changed) == 1 else "Files exist"
        raise UserError(
            f"{what} with another content: {listed(changed)}.",
            str(folder),
            "Choose another folder with -o, or replace them with --overwrite.",
        )
    with ExitStack() as stack:  # each takes its name when all are written
        for name in new:
            stack.enter_context(replacing(folder / name)).write_bytes(files[name])


def input_files(inputs: Iterable[object]) -> list[Path]:
    """Return the existing files that paths, globs and folders of runs stand for."""
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
    """Return the existing files that potentials were trained, validated and tested with.

    Files that are no potentials, and potentials that record no data, add nothing.
    """
    names: list[object] = []
    for settings in (each for file in potentials for each in _settings_of(file)):
        data = settings.get("data")
        data = data if isinstance(data, dict) else {}
        sources = data.get("sources")
        every = [data.get(part) for part in ("train", "valid", "test")]
        for value in [*every, *(sources if isinstance(sources, list) else [])]:
            if isinstance(value, dict):
                value = value.get("indices", value.get("files"))  # noqa: PLW2901
            names += value if isinstance(value, list) else [value]
    return input_files(names)


def _settings_of(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of the training of each member, and those of the run in the folder."""
    from reann.checkpoint import read_header
    from reann.config.file import load_config, values_of
    from reann.training.folder import CONFIG, is_of_run

    with suppress(UserError):
        members = read_header(file).get("members")
        every = members if isinstance(members, list) else []
        settings = (one.get("settings") for one in every if isinstance(one, dict))
        yield from (one for one in settings if isinstance(one, dict))
        if is_of_run(file):
            yield values_of(load_config(file.with_name(CONFIG)))


def _check_writable(path: Path, option: str) -> None:
    folder = path.parent
    if path.is_dir():
        reason, fix = "it is a folder", "Name a file in it."
    elif (path.exists() and not path.is_file()) or _is_of_system(folder):
        reason, fix = "it is not a regular file", "Name a regular file."
    elif not folder.exists():
        reason, fix = f"there is no folder '{folder}'", "Make the folder, or check the path."
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
    """Return whether names in a folder are devices and processes, such as `/dev/stdout`.

    A link such as that one leads to a regular file where the output of a program is redirected.
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


def _same_file(one: Path, two: Path) -> bool:
    if one.exists() and two.exists():
        return one.samefile(two)
    return one.resolve() == two.resolve()


def _has(path: Path, content: bytes, same: Same) -> bool:
    return path.is_file() and same(path.read_bytes(), content)

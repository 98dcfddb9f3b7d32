"""The head of a model that the labels of each structure belong to, by file or source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.data.cache.sources import SourceFiles, source_numbers
from reann.errors import UserError, did_you_mean


def head_indices(
    heads: Sequence[str],
    sources: Sequence[SourceFiles],
    files: NDArray[Any],
    named: tuple[NDArray[Any], Sequence[str]] | None,
    origin: Callable[[int], str],
) -> NDArray[np.int64] | None:
    """Return the index of the head of each structure; None if all belong to the first head.

    Parameters
    ----------
    heads
        Names of the heads of the model.
    sources
        Sources of the data set.
    files
        (structures,) index of the file of each structure.
    named
        Code of the head of each structure (structures,), and the names of the codes; an empty name
        stands for the first head. None if no file names heads.
    origin
        Returns the origin of a structure, for messages.

    Raises
    ------
    UserError
        If a structure or a source names an unknown head, or if there are several heads and a
        source has neither a head nor a key for it.
    """
    for source in sources:
        _check_source(source, heads)
    codes, names = (np.zeros(len(files), dtype=np.int64), [""]) if named is None else named
    for code, name in enumerate(names):
        if name and name not in heads:
            raise UserError(
                f"The structure states the head '{name}'; the model has {', '.join(heads)}."
                f"{did_you_mean(name, heads)}",
                origin(int(np.flatnonzero(codes == code)[0])),
                "Correct it, or list all heads in model.heads."
                if len(heads) > 1
                else "List all heads in model.heads, or ignore the names of the heads with"
                " `data: {keys: {head: null}}`.",
            )
    if len(heads) <= 1:
        return None
    index = np.array([heads.index(name) if name else 0 for name in names])[codes]
    numbers = source_numbers(sources, files)
    for number, source in enumerate(sources):
        if source.source.head is not None:
            index[numbers == number] = heads.index(source.source.head)
    return index


def _check_source(source: SourceFiles, heads: Sequence[str]) -> None:
    name = source.source.head
    if name is not None and name not in heads:
        raise UserError(
            f"The source states the head '{name}'; the model has {', '.join(heads)}."
            f"{did_you_mean(name, heads)}",
            f"{source.place or 'data.sources.0'}.head ({source.where})",
            "Correct it, or list all heads in model.heads.",
        )
    if name is None and source.data.keys.head is None and len(heads) > 1:
        data = f"the data of {source.where}" if source.place else "the data"
        raise UserError(
            f"The model has the heads {', '.join(heads)}, but {data} do not state the head of the"
            " structures.",
            f"{source.place}.head" if source.place else "data.keys.head",
            "Set the key of the head of each structure with data.keys.head, or set the head of"
            " each source in data.sources.",
        )

"""Settings for reading each checked file: those of its source in the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from reann.config import DataConfig
from reann.data.labels.extract import Extractor
from reann.data.labels.keys import KeyCensus
from reann.errors import UserError
from reann.input_files import find_files


class Reading:
    """Settings for reading the labels of some files, and counts of their keys."""

    def __init__(self, data: DataConfig | None, head: str = "", where: str = "") -> None:
        self.data = data or DataConfig(train=[])
        self.extract = Extractor(data)
        self.census = KeyCensus()
        self.head = head
        """Head that the labels belong to; empty for the first head."""
        self.where = where or "all files"


class Readings:
    """Settings for each file: of its source in the configuration, else of `data`.

    Parameters
    ----------
    data
        None: keys are detected, units are eV and Å.
    """

    def __init__(self, data: DataConfig | None) -> None:
        self._other = Reading(data and data.of(data.source_of([])))
        self._by_file: dict[Path, Reading] = {}
        for source in data.all_sources() if data and data.sources else []:
            where = source.files if isinstance(source.files, str) else ", ".join(source.files)
            reading = Reading(data and data.of(source), source.head or "", where)
            with suppress(UserError):  # the checked files need not include those of the sources
                for path in find_files(source.files):
                    self._by_file.setdefault(path.resolve(), reading)

    def of(self, path: Path) -> Reading:
        """Return the settings for reading a file."""
        return self._by_file.get(path.resolve(), self._other)

    def used(self) -> Iterator[Reading]:
        """Yield the readings of which at least one structure was counted."""
        for reading in dict.fromkeys([*self._by_file.values(), self._other]):
            if reading.census.n_structures:
                yield reading

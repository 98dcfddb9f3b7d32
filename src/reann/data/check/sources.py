"""How the files of each source of a configuration are read when they are checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from reann.config import DataConfig
from reann.data.keys import KeyCensus
from reann.data.labels import Extractor
from reann.errors import UserError
from reann.input_files import find_files


class Reading:
    """What is known about the labels of some files, and counts of their keys."""

    def __init__(self, data: DataConfig | None, head: str = "", where: str = "") -> None:
        self.data = data or DataConfig(train=[])
        self.extract = Extractor(data)
        self.census = KeyCensus()
        self.head = head
        """Name of the head that the labels belong to; empty for the first one."""
        self.where = where or "the files together"


class Readings:
    """Finds how a file is read: as a source of the configuration, else with the fields of `data`.

    Parameters
    ----------
    data
        None: keys are found, units are eV and Å.
    """

    def __init__(self, data: DataConfig | None) -> None:
        self._other = Reading(data and data.of(data.source_of([])))
        self._by_file: dict[Path, Reading] = {}
        for source in data.every_source() if data and data.sources else []:
            where = source.files if isinstance(source.files, str) else ", ".join(source.files)
            reading = Reading(data and data.of(source), source.head or "", where)
            with suppress(UserError):  # the files that are checked need not be those of the sources
                for path in find_files(source.files):
                    self._by_file.setdefault(path.resolve(), reading)

    def of(self, path: Path) -> Reading:
        """Return how a file is read."""
        return self._by_file.get(path.resolve(), self._other)

    def used(self) -> Iterator[Reading]:
        """Yield the readings of files in which structures have been counted."""
        for reading in dict.fromkeys([*self._by_file.values(), self._other]):
            if reading.census.n_structures:
                yield reading

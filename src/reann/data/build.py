"""From files to a cache: one pass that reads, labels and finds neighbors.

What another cache knows of a file is copied from there, see `reann.data.pieces`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from reann.data.cache import CacheWriter
from reann.data.counts import FileCounts
from reann.data.keys import KeyCensus
from reann.data.labels import extract
from reann.data.pieces import KnownPieces, Piece, held
from reann.data.read import read_file
from reann.data.remarks import Remark, ignore, summarized
from reann.data.resolved import ResolvedKeys
from reann.data.rows import RowBuilder
from reann.data.sources import SourceFiles, joined
from reann.data.stated import to_angstrom
from reann.errors import UserError, counted, listed

Progress = Callable[[int, str], None]

N_FIRST = 20
"""Structures from which the keys are guessed before all have been seen."""


def build_cache(
    folder: Path,
    sources: Sequence[SourceFiles],
    cutoff: float,
    progress: Progress | None = None,
) -> list[str]:
    """Write the arrays of all structures; return notes about other caches that are damaged.

    The keys are guessed from the first structures. Should the rest of the files show that the
    guess was wrong, everything is read once more.
    """
    settings = {s.settings_of(digest, cutoff) for s in sources for _, _, digest in s.files}
    known = KnownPieces(folder.parent, settings)
    keys = []
    for source in sources:
        with source.named():
            keys.append(_guess(source, cutoff, known))
    while True:
        build = _Build(RowBuilder(keys, cutoff), known, progress)
        with CacheWriter(folder, build.rows.arrays) as writer:
            found = []
            for source, guess in zip(sources, keys, strict=True):
                with source.named():
                    found.append(build.read(writer, source, guess))
            if all(_same(one, other) for one, other in zip(found, keys, strict=True)):
                build.finish(writer, joined(found, sources))
                return known.notes
        keys = found


def _guess(source: SourceFiles, cutoff: float, known: KnownPieces) -> ResolvedKeys:
    census, unknown = KeyCensus(), []
    for path, name, digest in source.files:
        counts = known.counts(source.settings_of(digest, cutoff))
        if counts is None:
            unknown.append((path, name))
        else:
            census.merge(counts["census"], name)
    frames = (frame for path, name in unknown for frame in read_file(path, name, ignore))
    for atoms, origin in islice(frames, N_FIRST):
        census.add(atoms, origin)
    try:
        return census.resolve(source.data.model_copy(update={"missing": "allow"}))
    except UserError:
        # Perhaps only the later structures have what was asked for: count them all first.
        for atoms, origin in frames:
            census.add(atoms, origin)
        return census.resolve(source.data, source.where)


def _check_converged(remarks: list[Remark], source: SourceFiles) -> None:
    origins = [remark.origin for remark in remarks if remark.kind == "not-converged"]
    if origins and source.data.missing == "error":
        raise UserError(
            f"The electronic steps of {counted(len(origins), 'structure')} did not"
            " converge, so energies and forces are not what the method gives.",
            listed(origins),
            "Converge them, or remove the structures. With data.missing: allow the training goes on"
            " without their labels.",
        )


def _same(one: ResolvedKeys, other: ResolvedKeys) -> bool:
    blank = {"counts": {}, "n_structures": 0, "notes": (), "units": {}}
    return replace(one, **blank) == replace(other, **blank)


class _Build:
    """One pass over all files."""

    def __init__(self, rows: RowBuilder, known: KnownPieces, progress: Progress | None) -> None:
        self.rows, self.known, self.progress = rows, known, progress
        self._total = FileCounts()
        self._pieces: list[Piece] = []

    def read(self, writer: CacheWriter, source: SourceFiles, keys: ResolvedKeys) -> ResolvedKeys:
        """Write the structures of a source; return the keys that follow from all of them."""
        counts = FileCounts()
        for path, name, digest in source.files:
            settings, first = source.settings_of(digest, self.rows.cutoff), self.rows.n
            content = self.known.content(settings, keys.chosen)
            if content is None:
                state = self._read_file(writer, path, name, source, keys)
            else:
                self.rows.copy(writer, content, len(self._pieces))
                state = content.piece.counts
            chosen = held(keys.chosen, state["census"]["counts"])
            self._pieces.append(Piece(settings, chosen, first, self.rows.n - first, state))
            counts.merge(state, name)
            self._total.merge(state, name)
        _check_converged(counts.remarks, source)
        return counts.census.resolve(source.data, source.where)

    def _read_file(
        self, writer: CacheWriter, path: Path, name: str, source: SourceFiles, keys: ResolvedKeys
    ) -> dict[str, Any]:
        counts, file = FileCounts(), len(self._pieces)
        for frame, (atoms, origin) in enumerate(read_file(path, name, counts.remarks.append)):
            counts.add(atoms, origin)
            given = extract(atoms, keys, source.data, origin)
            to_angstrom(atoms, source.data.units, origin)
            counts.add_labels(atoms, given)
            self.rows.add(writer, atoms, given, origin, (file, frame))
            if self.progress is not None:
                self.progress(self.rows.n, name)
        return counts.state(name)

    def finish(self, writer: CacheWriter, keys: ResolvedKeys) -> None:
        """Write what is known of all structures."""
        total, notes = self._total, []
        if total.with_zero_forces > 0.5 * self.rows.n:
            notes.append(
                f"In {total.with_zero_forces} of {self.rows.n} structures the forces on some atoms"
                " are exactly zero: fixed atoms? data.ignore_forces_of leaves them out"
                f" ({'constrained' if total.constrained else 'name a mask'})."
            )
        about = {
            "keys": asdict(keys),
            **self.rows.finish(writer),
            "varying": total.conditions.names(),
            "notes": notes,
            "remarks": summarized(total.remarks),
        }
        writer.finish(about, [piece.as_json() for piece in self._pieces])

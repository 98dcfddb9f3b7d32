"""Build a cache from files: one pass that reads structures, labels and neighbor lists.

Rows of files that another cache already has are copied from it, see `reann.data.cache.pieces`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from reann.data.cache.file_counts import FileCounts
from reann.data.cache.pieces import KnownPieces, Piece, present_keys
from reann.data.cache.rows import RowBuilder
from reann.data.cache.sources import SourceFiles, joined
from reann.data.cache.storage import CacheWriter
from reann.data.files.read import read_file
from reann.data.files.skipped import SkippedData, ignore, summarized
from reann.data.labels.extract import extract
from reann.data.labels.file_units import to_angstrom
from reann.data.labels.keys import KeyCensus
from reann.data.labels.resolved import ResolvedKeys
from reann.errors import UserError, counted, listed

Progress = Callable[[int, str], None]

N_FIRST = 20
"""Number of structures from which the keys are guessed before all are read."""


def build_cache(
    folder: Path,
    sources: Sequence[SourceFiles],
    cutoff: float,
    progress: Progress | None = None,
) -> list[str]:
    """Write the arrays of all structures; return notes about damaged caches.

    The keys are guessed from the first structures. If the rest of the files show that the guess
    was wrong, all files are read again.
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
            resolved = []
            for source, guess in zip(sources, keys, strict=True):
                with source.named():
                    resolved.append(build.read(writer, source, guess))
            if all(_same(a, b) for a, b in zip(resolved, keys, strict=True)):
                build.finish(writer, joined(resolved, sources))
                return known.notes
        keys = resolved


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
        # Only later structures may have the requested keys: count all structures first.
        for atoms, origin in frames:
            census.add(atoms, origin)
        return census.resolve(source.data, source.where)


def _check_converged(skipped: list[SkippedData], source: SourceFiles) -> None:
    origins = [item.origin for item in skipped if item.kind == "not-converged"]
    if origins and source.data.missing == "error":
        raise UserError(
            f"The electronic steps of {counted(len(origins), 'structure')} did not"
            " converge, so energies and forces are wrong.",
            listed(origins),
            "Converge the calculations or remove the structures. With data.missing: allow, these"
            " structures are read without labels.",
        )


def _same(a: ResolvedKeys, b: ResolvedKeys) -> bool:
    blank = {"counts": {}, "n_structures": 0, "notes": (), "units": {}}
    return replace(a, **blank) == replace(b, **blank)


class _Build:
    """One pass over all files."""

    def __init__(self, rows: RowBuilder, known: KnownPieces, progress: Progress | None) -> None:
        self.rows, self.known, self.progress = rows, known, progress
        self._total = FileCounts()
        self._pieces: list[Piece] = []

    def read(self, writer: CacheWriter, source: SourceFiles, keys: ResolvedKeys) -> ResolvedKeys:
        """Write the structures of a source; return the keys resolved from all of them."""
        counts = FileCounts()
        for path, name, digest in source.files:
            settings, first = source.settings_of(digest, self.rows.cutoff), self.rows.n
            content = self.known.content(settings, keys.chosen)
            if content is None:
                state = self._read_file(writer, path, name, source, keys)
            else:
                self.rows.copy(writer, content, len(self._pieces))
                state = content.piece.counts
            chosen = present_keys(keys.chosen, state["census"]["counts"])
            self._pieces.append(Piece(settings, chosen, first, self.rows.n - first, state))
            counts.merge(state, name)
            self._total.merge(state, name)
        _check_converged(counts.skipped, source)
        return counts.census.resolve(source.data, source.where)

    def _read_file(
        self, writer: CacheWriter, path: Path, name: str, source: SourceFiles, keys: ResolvedKeys
    ) -> dict[str, Any]:
        counts, file = FileCounts(), len(self._pieces)
        for frame, (atoms, origin) in enumerate(read_file(path, name, counts.skipped.append)):
            counts.add(atoms, origin)
            labels = extract(atoms, keys, source.data, origin)
            to_angstrom(atoms, source.data.units, origin)
            counts.add_labels(atoms, labels)
            self.rows.add(writer, atoms, labels, origin, (file, frame))
            if self.progress is not None:
                self.progress(self.rows.n, name)
        return counts.state(name)

    def finish(self, writer: CacheWriter, keys: ResolvedKeys) -> None:
        """Write the index with the metadata of all structures."""
        total, notes = self._total, []
        if total.with_zero_forces > 0.5 * self.rows.n:
            notes.append(
                f"In {total.with_zero_forces} of {self.rows.n} structures the forces on some atoms"
                " are exactly zero. If these atoms were fixed, exclude them with"
                f" data.ignore_forces_of ({'constrained' if total.constrained else 'a mask'})."
            )
        about = {
            "keys": asdict(keys),
            **self.rows.finish(writer),
            "varying": total.conditions.names(),
            "notes": notes,
            "remarks": summarized(total.skipped),
        }
        writer.finish(about, [piece.as_json() for piece in self._pieces])

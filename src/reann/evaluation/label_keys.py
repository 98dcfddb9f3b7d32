"""Keys and units of files to evaluate: those of the training, where the files look like its files.

A wrong guess compares other things, so it is made from keys that were named in the training: every
label of the files must be under the key that it had there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from reann.config import DataConfig, Keys, Source, Units
from reann.data.file_units import factors, stated_units
from reann.data.keys import KeyCensus
from reann.data.names import names_of
from reann.data.read import iter_atoms
from reann.data.resolved import ResolvedKeys
from reann.data.skipped import ignore
from reann.data.values import values_of
from reann.quantities import inputs, label_names, named, readable


@dataclass(frozen=True)
class Conventions:
    """What is known about the labels of files."""

    keys: Keys
    units: Units
    labeled: bool
    """Whether any structure has a label."""
    as_trained: bool = False
    """Whether keys and units are those of the training, none of them given."""


def conventions(
    files: list[str],
    metadata: Mapping[str, Any],
    keys: Keys,
    units: Units,
    outputs: Iterable[str] = (),
) -> Conventions:
    """Return keys and units of the labels of files.

    Parameters
    ----------
    metadata
        Of the potential; empty for conventions that are not those of its training.
    keys, units
        What is known about the files; its fields that are set replace those of the training.
    outputs
        Quantities besides the energy that the potential gives: without a training that is known,
        labels that are not sought in files are read under their own names.

    Raises
    ------
    UserError
        For files that cannot be read, and for numbers that look like labels under keys that are
        not recognized.
    """
    given = keys.model_fields_set & set(readable())
    is_named = any(keys.of(label) for label in given)
    trained = _trained(metadata)
    if trained is None:
        own = {n: n for n in outputs if not named(n).is_sought and n not in given}
        keys = keys.model_copy(update=_found(files, own))
        return Conventions(keys, units, is_named or _labeled(files, keys))
    known = trained[0].model_dump(exclude_none=True, exclude=keys.model_fields_set)
    labels = {label: known.pop(label) for label in readable() if label in known}
    chosen = _found(files, labels) if labels else {}
    if not chosen:
        labeled = is_named or _labeled(files, keys)
        # Keys that were found by their names were so in the training; one that was given was not.
        if labels or given or not labeled:
            own = {q.name: known[q.name] for q in inputs() if q.name in known}
            return Conventions(keys.model_copy(update=_found(files, own)), units, labeled)
    # Units of the training do not count as set: what the files state goes before them.
    same = Units.model_construct(
        units.model_fields_set,
        **trained[1].model_dump() | units.model_dump(include=units.model_fields_set),
    )
    return Conventions(
        keys.model_copy(update=chosen | _found(files, known)),
        same,
        labeled=True,
        as_trained=not (given or units.model_fields_set),
    )


def position_unit(files: list[str], units: Units) -> str:
    """Return the unit of the positions of the first structure."""
    atoms, origin = next(iter_atoms(files))
    return factors(stated_units(atoms.info), {}, units, origin).names["length"]


def described(keys: ResolvedKeys, units: Units) -> str:
    """Return such as ``energy 'E' in kcal/mol · forces 'F' in kcal/mol/Ang``."""
    unit = {**factors({}, keys.chosen, units, "").names, **keys.units}
    chosen = ((label, keys.of(label)) for label in readable())
    return " · ".join(
        f"{label} '{key}' in {unit.get(label, named(label).unit)}" for label, key in chosen if key
    )


def _labeled(files: list[str], keys: Keys) -> bool:
    """Whether any structure has a label; the first one usually answers that.

    `UserError` where none has, but some have what looks like one.
    """
    census = KeyCensus()
    for atoms, origin in iter_atoms(files, report_skipped=ignore):
        values = values_of(atoms)
        if "free_energy" in values or any(names_of(label, values) for label in readable()):
            return True
        census.add(atoms, origin)
    data = DataConfig(train=files, keys=keys)
    census.check_unassigned(data, ", ".join(files), {}, label_names())
    return False


def _trained(metadata: Mapping[str, Any]) -> tuple[Keys, Units] | None:
    """Return keys and units of the training, None if they are not known."""
    try:
        data = metadata["settings"]["data"]
        sources = [Source.model_validate(source) for source in data.get("sources") or []]
        if any(_has_own_labels(source) for source in sources):
            return None  # each source has its own
        return Keys.model_validate(data["keys"]), Units.model_validate(data["units"])
    except (KeyError, TypeError, ValidationError):  # not trained here, or by another version
        return None


def _has_own_labels(source: Source) -> bool:
    """Whether a source, as a potential records it, has keys or units of its own."""
    return source.units != Units() or bool(source.keys.model_dump(exclude_none=True))


def _found(files: list[str], keys: Mapping[str, str]) -> dict[str, str]:
    """Return which labels the files have under these keys; none if a label has only another key."""
    missing, rivals = dict(keys), set()
    if not keys:
        return {}
    for atoms, _ in iter_atoms(files, report_skipped=ignore):
        values, full = values_of(atoms), bool(atoms.pbc.all())
        for label, key in list(missing.items()):
            of = readable().get(label)  # none of weight and group
            if of and named(of).needs_volume and not full:
                continue
            if key in values:
                del missing[label]
            elif of and names_of(label, values):
                rivals.add(label)
        if not missing:
            break
    if rivals & missing.keys():
        return {}
    return {label: key for label, key in keys.items() if label not in missing}

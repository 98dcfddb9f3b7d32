"""Keys and units of files to evaluate: those of the training if the files have the same keys.

To avoid comparing the wrong values, the keys of the training are used only if all labels of the
files are under the same keys as there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reann.config import DataConfig, Keys, Units
from reann.data.files.read import iter_atoms
from reann.data.files.skipped import ignore
from reann.data.labels.file_units import factors, stated_units
from reann.data.labels.keys import KeyCensus
from reann.data.labels.names import names_of
from reann.data.labels.recorded import recorded_conventions
from reann.data.labels.resolved import ResolvedKeys
from reann.data.labels.values import values_of
from reann.quantities import inputs, label_names, named, readable


@dataclass(frozen=True)
class Conventions:
    """Keys and units of the labels of files."""

    keys: Keys
    units: Units
    labeled: bool
    """Whether any structure has a label."""
    as_trained: bool = False
    """Whether all keys and units are those of the training."""


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
        Metadata of the potential; empty to ignore its training.
    keys, units
        Keys and units set by the user; they override those of the training.
    outputs
        Further outputs of the potential. If its training is unknown, labels whose keys are not
        detected are read under the names of the outputs.

    Raises
    ------
    UserError
        If files cannot be read, or values under unknown keys look like labels.
    """
    set_by_user = keys.model_fields_set & set(readable())
    is_named = any(keys.of(label) for label in set_by_user)
    trained = recorded_conventions(metadata)
    if trained is None:
        default_keys = {n: n for n in outputs if not named(n).is_sought and n not in set_by_user}
        keys = keys.model_copy(update=_keys_in_files(files, default_keys))
        return Conventions(keys, units, is_named or _labeled(files, keys))
    of_training = trained[0].model_dump(exclude_none=True, exclude=keys.model_fields_set)
    labels = {label: of_training.pop(label) for label in readable() if label in of_training}
    chosen = _keys_in_files(files, labels) if labels else {}
    if not chosen:
        labeled = is_named or _labeled(files, keys)
        # Without recorded keys, the training also used detected keys.
        if labels or set_by_user or not labeled:
            default_keys = {q.name: of_training[q.name] for q in inputs() if q.name in of_training}
            return Conventions(
                keys.model_copy(update=_keys_in_files(files, default_keys)), units, labeled
            )
    # Units of the training do not count as set, so that units in the files take precedence.
    merged_units = Units.model_construct(
        units.model_fields_set,
        **trained[1].model_dump() | units.model_dump(include=units.model_fields_set),
    )
    return Conventions(
        keys.model_copy(update=chosen | _keys_in_files(files, of_training)),
        merged_units,
        labeled=True,
        as_trained=not (set_by_user or units.model_fields_set),
    )


def position_unit(files: list[str], units: Units) -> str:
    """Return the unit of the positions of the first structure."""
    atoms, origin = next(iter_atoms(files))
    return factors(stated_units(atoms.info), {}, units, origin).names["length"]


def described(keys: ResolvedKeys, units: Units) -> str:
    """Describe the labels, for example ``energy 'E' in kcal/mol · forces 'F' in kcal/mol/Ang``."""
    unit = {**factors({}, keys.chosen, units, "").names, **keys.units}
    chosen = ((label, keys.of(label)) for label in readable())
    return " · ".join(
        f"{label} '{key}' in {unit.get(label, named(label).unit)}" for label, key in chosen if key
    )


def _labeled(files: list[str], keys: Keys) -> bool:
    """Return whether any structure has a label.

    Raises
    ------
    UserError
        If there are no labels, but values under unknown keys look like labels.
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


def _keys_in_files(files: list[str], keys: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that the files have under these keys; none if a label has another key."""
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

"""Detection of the key of each label: by name if unambiguous, else the user must decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from reann import quantities
from reann.config import DataConfig
from reann.data.labels.census import KeyCounts
from reann.data.labels.file_units import states_unit
from reann.data.labels.inputs import input_key
from reann.data.labels.key_sets import KeySets
from reann.data.labels.names import all_names, names_of
from reann.data.labels.resolved import ResolvedKeys
from reann.data.labels.unrecognized_labels import UnrecognizedLabel, error_of
from reann.errors import UserError, counted, did_you_mean, listed
from reann.quantities import SOUGHT, Quantity, forms_of, inputs, label_names, named, readable

FREE_ENERGY_GAP = 1e-3
"""eV/atom; above it, energy and free energy, to which the forces belong, are different."""


class KeyCensus(KeyCounts):
    """Counts the keys of structures and resolves the key of each label."""

    def resolve(self, data: DataConfig, where: str = "") -> ResolvedKeys:
        """Return the key of each label.

        Raises
        ------
        UserError
            If a key in `data.keys` does not exist, several keys could hold a label, an unknown key
            has values that look like a label, a label is missing in some structures but
            `data.missing` does not allow it, there is neither energy nor forces nor stress, or a
            unit in the files cannot be used.
        """
        chosen: dict[str, str | None] = {
            label: self._choose(label, data, where) for label in all_names()
        }
        set_by_user = data.keys.model_fields_set
        for form, label in readable().items():
            adds = chosen[label] is None or self._adds(chosen[form], label, chosen)
            if form != label and form not in set_by_user and (label in set_by_user or not adds):
                chosen[form] = None
        chosen |= {q.name: self._choose_input(q, data, where) for q in inputs()}
        notes = []
        for label in (name for name, of in readable().items() if named(of).needs_volume):
            if chosen[label] is not None and not any(full for _, full in self._kinds):
                if label in set_by_user:
                    raise UserError(
                        f"data.keys.{label} is set, but no structure is periodic in 3D.",
                        where,
                        f"Set data.keys.{label} to null.",
                    )
                notes.append(f"'{chosen[label]}' is not used: no structure is periodic in 3D.")
                chosen[label] = None
        notes += self._prefer_free_energy(chosen, data, where)
        notes += [
            f"{label.capitalize()}: read from '{chosen[label]}'."
            for label in readable()
            if chosen[label] not in (None, label, "free_energy") and label not in set_by_user
        ]
        notes += [
            f"{q.about.capitalize()}: read from '{chosen[q.name]}'."
            for q in inputs()
            if chosen[q.name] not in (None, q.name, data.keys.of(q.name))
        ]
        notes += self.check_unassigned(data, where, chosen)
        if not any(chosen[label] for label in readable()):
            raise UserError(
                "No energies, forces or stresses were found.",
                where,
                f"Set their keys with data.keys. {self._existing()}",
            )
        counts = self._check_missing(chosen, data, where)
        input_keys = {q.name: key for q in inputs() if (key := chosen[q.name]) is not None}
        counts |= {name: self._counts[key] for name, key in input_keys.items()}
        units, lines = self._units.resolve(chosen, data.units)
        used = [label for label in readable() if chosen[label] is not None]
        notes += [*lines, *self._weights.notes(used, masks=data.ignore_forces_of is None)]
        notes += self._unused_note(chosen, data)
        return ResolvedKeys(
            chosen={label: key for label, key in chosen.items() if key is not None},
            counts=counts,
            n_structures=self.n_structures,
            notes=tuple(notes),
            units=units,
        )

    def _adds(self, key: str | None, label: str, chosen: Mapping[str, str | None]) -> bool:
        """Return whether a structure without the label has another form of it under a key."""
        used = [(label, chosen[label] or "")]
        without_label = (kind.without(used, [label]) for kind in self._relevant(label))
        return any(key in keys for kind in without_label for keys, _, _ in kind)

    def check_unassigned(
        self,
        data: DataConfig,
        where: str,
        chosen: Mapping[str, str | None],
        labels: Collection[str] | None = None,
    ) -> list[str]:
        """Look for labels under other keys in structures that lack the chosen keys.

        Parameters
        ----------
        labels
            By default all labels, weight and group.

        Returns
        -------
        list
            Notes about labels whose key was set by the user.

        Raises
        ------
        UserError
            If labels whose key was not set by the user may be under other keys.
        """
        set_by_user = data.keys.model_fields_set
        unrecognized = {
            label: self._unrecognized(label, chosen)
            for label in labels or (*label_names(), "weight", "group")
        }
        undecided = {
            k: m for k, m in unrecognized.items() if m is not None and k not in set_by_user
        }
        if undecided:
            raise error_of(undecided.values(), where)
        return [m.sentence() for k, m in unrecognized.items() if m is not None and chosen.get(k)]

    def _unrecognized(
        self, label: str, chosen: Mapping[str, str | None]
    ) -> UnrecognizedLabel | None:
        candidates = self._unassigned.of(label)
        labels = forms_of(label) or (label,)  # weight and group have one form
        recognized = {key for key in self._counts if self._label_of(key) in labels}
        recognized |= {"free_energy"} if label == "energy" else set()
        used = [(name, key) for name in labels if (key := chosen.get(name)) is not None]
        counts: Counter[str] = Counter()
        n, first = 0, ""
        for kind in self._relevant(label):
            for keys, n_kind, origin in kind.without(used, labels):
                concerned = keys & (recognized | candidates.keys())
                others = [key for key in self._counts if key in concerned]  # in the order of files
                counts.update(dict.fromkeys(others, n_kind))
                n, first = (n + n_kind, first or origin) if others else (n, first)
        if not counts:
            return None
        return UnrecognizedLabel(
            label, [key for _, key in used], dict(counts.most_common()), candidates, n, first
        )

    def _relevant(self, label: str) -> list[KeySets]:
        """Return the structures that can have a label.

        Isolated atoms need no forces; only structures periodic in 3D have a stress.
        """
        quantity = quantities.table().get(label)  # None for weight and group
        by_positions = quantity is not None and quantity.derivative_by == "positions"
        needs_volume = quantity is not None and quantity.needs_volume
        return [
            kind
            for (isolated, full), kind in self._kinds.items()
            if not (by_positions and isolated) and (full or not needs_volume)
        ]

    def _choose_input(self, quantity: Quantity, data: DataConfig, where: str) -> str | None:
        """Return the key of an input of the model; None if the model does not need it."""
        name, key = quantity.name, data.keys.of(quantity.name)
        if key is None:
            return None
        if key != SOUGHT:
            return self._choose(name, data, where)
        return input_key(name, self._counts, where)

    def _choose(self, label: str, data: DataConfig, where: str) -> str | None:
        if label in data.keys.model_fields_set:
            key: str | None = data.keys.of(label)
            if key == SOUGHT:
                return label if label in self._counts else None
            if key is not None and key not in self._counts:
                raise UserError(
                    f"None of {self.n_structures} structures has the key '{key}' for the {label}."
                    f"{did_you_mean(key, self._counts)}",
                    where,
                    f"Correct data.keys.{label}. {self._existing()}",
                )
            return key
        names = names_of(label, self._counts)
        if not names:
            return None
        together = sum(k.count([(label, name) for name in names]) for k in self._kinds.values())
        alone = sum(k.count([(label, names[0])]) for k in self._kinds.values())
        if label in self._conflicts or alone < together:
            in_how_many = ((name, counted(self._counts[name], "structure")) for name in names)
            several = listed(f"'{name}' (in {structures})" for name, structures in in_how_many)
            raise UserError(
                f"Several keys could be the {label}: {several}.",
                where,
                f"Set data.keys.{label} to the correct one; if files use different keys for the"
                f" {label}, rename them to one key.",
            )
        return names[0]

    def _prefer_free_energy(
        self, chosen: dict[str, str | None], data: DataConfig, where: str
    ) -> list[str]:
        gap = self._free_energy_gap * self._units.energy(data.units)
        explicit = "energy" in data.keys.model_fields_set
        if chosen["energy"] is None and not explicit and "free_energy" in self._counts:
            chosen["energy"] = "free_energy"
            return ["Energy: read from 'free_energy', as there is no 'energy'."]
        if chosen["energy"] != "energy" or gap <= FREE_ENERGY_GAP:
            return []
        differ = f"'free_energy' and 'energy' differ by up to {1e3 * gap:.1f} meV/atom"
        if explicit:
            return [f"{differ}; 'energy' is used as set, but forces belong to 'free_energy'."]
        if self._counts["free_energy"] < self._counts["energy"]:
            raise UserError(
                f"{differ}, and only {self._counts['free_energy']} of"
                f" {self._counts['energy']} structures have 'free_energy'.",
                where,
                "Forces belong to the free energy: set data.keys.energy to the key to use.",
            )
        chosen["energy"] = "free_energy"
        return [f"{differ}: 'free_energy' is used because the forces belong to it."]

    def _check_missing(
        self, chosen: dict[str, str | None], data: DataConfig, where: str
    ) -> dict[str, int]:
        counts = {}
        for label in label_names():
            labels = forms_of(label)
            used = [(name, key) for name in labels if (key := chosen[name]) is not None]
            if not used:
                continue
            counts[label] = sum(kind.count(used) for kind in self._kinds.values())
            kinds = self._relevant(label)
            missing = [(n, first) for kind in kinds for _, n, first in kind.without(used, labels)]
            if missing and data.missing == "error":
                names = " or ".join(f"'{key}'" for _, key in used)
                raise UserError(
                    f"The {label} ({names}) {named(label).verb} missing in"
                    f" {sum(n for n, _ in missing)} of {sum(kind.n for kind in kinds)} structures;"
                    f" the first is {missing[0][1]}.",
                    where,
                    "Set data.missing to allow (missing labels are then not trained on), or"
                    f" data.keys.{label} to another key or null. {self._existing()}",
                )
        return counts

    def _unused_note(self, chosen: dict[str, str | None], data: DataConfig) -> list[str]:
        """Return notes on the keys that are not used, and on those that could be."""
        set_by_user = {x for x in data.keys.model_fields_set if data.keys.of(x) is not None}
        in_weights = self._weights.keys(masks=data.ignore_forces_of is None)
        mentioned = {*chosen.values(), "free_energy", data.ignore_forces_of, *in_weights}
        names = [
            key
            for key in self._counts
            if key not in mentioned
            and not states_unit(key)
            and (self._label_of(key) is None or self._label_of(key) in set_by_user)
        ]
        notes = [f"Not used: {listed(sorted(names))}."] if names else []
        possible = [q.name for q in quantities.labels() if not q.is_sought and q.name in names]
        ignored = {x for x in data.keys.model_fields_set if data.keys.of(x) is None}
        if trainable := [name for name in possible if name not in ignored]:
            notes.append(f"Possible values of model.outputs: {listed(trainable)}.")
        return notes

    def _existing(self) -> str:
        if not self._counts:
            return "The structures have no keys."
        keys = (f"'{key}' ({n})" for key, n in self._counts.most_common())
        return f"Existing keys (number of structures): {listed(keys, 20)}."

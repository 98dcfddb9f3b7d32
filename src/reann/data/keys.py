"""Which key of a file holds which label: found by name when unambiguous, else asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from reann import quantities
from reann.config import DataConfig
from reann.data.census import KeyCounts
from reann.data.inputs import sought_key
from reann.data.kinds import KeySets
from reann.data.missed import Missed, fix_of
from reann.data.names import every_name, names_of
from reann.data.resolved import ResolvedKeys
from reann.data.stated import states_unit
from reann.errors import UserError, counted, did_you_mean, listed
from reann.quantities import SOUGHT, Quantity, forms_of, inputs, label_names, named, readable

FREE_ENERGY_GAP = 1e-3
"""eV/atom; beyond it the free energy, which the forces belong to, is not the energy."""


class KeyCensus(KeyCounts):
    """Counts keys over structures that stream by, then decides."""

    def resolve(self, data: DataConfig, where: str = "") -> ResolvedKeys:
        """Return the key of each label.

        Raises
        ------
        UserError
            If a key that was asked for is in no structure, several keys could be meant, numbers
            that look like a label are under a key that is not recognized, a label is missing in
            some structures and the configuration does not allow it, there is neither energy nor
            forces nor stress, or a unit that the files state cannot be used.
        """
        chosen: dict[str, str | None] = {
            label: self._choose(label, data, where) for label in every_name()
        }
        asked = data.keys.model_fields_set
        for form, label in readable().items():
            adds = chosen[label] is None or self._adds(chosen[form], label, chosen)
            if form != label and form not in asked and (label in asked or not adds):
                chosen[form] = None
        chosen |= {q.name: self._choose_input(q, data, where) for q in inputs()}
        notes = []
        for label in (name for name, of in readable().items() if named(of).needs_volume):
            if chosen[label] is not None and not any(full for _, full in self._kinds):
                if label in asked:
                    raise UserError(
                        f"The {label} was asked for, but no structure is periodic in 3D.",
                        where,
                        f"Set data.keys.{label} to null.",
                    )
                notes.append(f"'{chosen[label]}' is not used: no structure is periodic in 3D.")
                chosen[label] = None
        notes += self._prefer_free_energy(chosen, data, where)
        notes += [
            f"The {label} {named(label).verb} read from '{chosen[label]}'."
            for label in readable()
            if chosen[label] not in (None, label, "free_energy") and label not in asked
        ]
        notes += [
            f"The {q.about} is read from '{chosen[q.name]}'."
            for q in inputs()
            if chosen[q.name] not in (None, q.name, data.keys.of(q.name))
        ]
        notes += self.check_unclaimed(data, where, chosen)
        if not any(chosen[label] for label in readable()):
            raise UserError(
                "No energies, forces or stresses were found.",
                where,
                f"Name their keys in data.keys. {self._existing()}",
            )
        counts = self._check_missing(chosen, data, where)
        given = {q.name: key for q in inputs() if (key := chosen[q.name]) is not None}
        counts |= {name: self._counts[key] for name, key in given.items()}
        units, lines = self._statements.resolve(chosen, data.units)
        used = [label for label in readable() if chosen[label] is not None]
        notes += [*lines, *self._weights.notes(used, masks=data.ignore_forces_of is None)]
        notes += self._not_used(chosen, data)
        return ResolvedKeys(
            chosen={label: key for label, key in chosen.items() if key is not None},
            counts=counts,
            n_structures=self.n_structures,
            notes=tuple(notes),
            units=units,
        )

    def _adds(self, key: str | None, label: str, chosen: Mapping[str, str | None]) -> bool:
        """Whether a structure without the label has another form of it under a key."""
        used = [(label, chosen[label] or "")]
        lacking = (kind.lacking(used, [label]) for kind in self._relevant(label))
        return any(key in keys for kind in lacking for keys, _, _ in kind)

    def check_unclaimed(
        self,
        data: DataConfig,
        where: str,
        chosen: Mapping[str, str | None],
        labels: Collection[str] | None = None,
    ) -> list[str]:
        """Look for labels in structures that lack them under the chosen keys.

        Parameters
        ----------
        labels
            By default all labels, weight and group.

        Returns
        -------
        list
            Notes about labels whose key was asked for.

        Raises
        ------
        UserError
            For labels that nothing was said about.
        """
        asked = data.keys.model_fields_set
        missed = {
            label: self._missed(label, chosen)
            for label in labels or (*label_names(), "weight", "group")
        }
        silent = {k: m for k, m in missed.items() if m is not None and k not in asked}
        if silent:
            what = " ".join(m.sentence() for m in silent.values())
            raise UserError(what, where, fix_of(silent.values()))
        return [m.sentence() for k, m in missed.items() if m is not None and chosen.get(k)]

    def _missed(self, label: str, chosen: Mapping[str, str | None]) -> Missed | None:
        candidates = self._unclaimed.of(label)
        labels = forms_of(label) or (label,)  # weight and group have one form
        claimed = {key for key in self._counts if self._label_of(key) in labels}
        claimed |= {"free_energy"} if label == "energy" else set()
        used = [(name, key) for name in labels if (key := chosen.get(name)) is not None]
        counts: Counter[str] = Counter()
        n, first = 0, ""
        for kind in self._relevant(label):
            for keys, n_kind, origin in kind.lacking(used, labels):
                others = keys & (claimed | candidates.keys())
                counts.update(dict.fromkeys(others, n_kind))
                n, first = (n + n_kind, first or origin) if others else (n, first)
        if not counts:
            return None
        return Missed(
            label, [key for _, key in used], dict(counts.most_common()), candidates, n, first
        )

    def _relevant(self, label: str) -> list[KeySets]:
        """Return the structures that can have a label.

        The force on an isolated atom is zero; only a full cell has a stress.
        """
        quantity = quantities.table().get(label)  # none of weight and group
        by_positions = quantity is not None and quantity.derivative_by == "positions"
        needs_volume = quantity is not None and quantity.needs_volume
        return [
            kind
            for (isolated, full), kind in self._kinds.items()
            if not (by_positions and isolated) and (full or not needs_volume)
        ]

    def _choose_input(self, quantity: Quantity, data: DataConfig, where: str) -> str | None:
        """Return the key of what a model asks of a structure; nothing is asked about others."""
        name, key = quantity.name, data.keys.of(quantity.name)
        if key is None:
            return None
        if key != SOUGHT:
            return self._choose(name, data, where)
        return sought_key(name, self._counts, where)

    def _choose(self, label: str, data: DataConfig, where: str) -> str | None:
        if label in data.keys.model_fields_set:
            key: str | None = data.keys.of(label)
            if key is not None and key not in self._counts:
                raise UserError(
                    f"There is no key '{key}' for the {label} in any of {self.n_structures}"
                    f" structures.{did_you_mean(key, self._counts)}",
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
                f"Set data.keys.{label} to the right one; where the files name the {label}"
                " differently, give it one name.",
            )
        return names[0]

    def _prefer_free_energy(
        self, chosen: dict[str, str | None], data: DataConfig, where: str
    ) -> list[str]:
        gap = self._free_energy_gap * self._statements.energy(data.units)
        explicit = "energy" in data.keys.model_fields_set
        if chosen["energy"] is None and not explicit and "free_energy" in self._counts:
            chosen["energy"] = "free_energy"
            return ["The energy is read from 'free_energy': there is no 'energy'."]
        if chosen["energy"] != "energy" or gap <= FREE_ENERGY_GAP:
            return []
        differ = f"'free_energy' and 'energy' differ by up to {1e3 * gap:.1f} meV/atom"
        if explicit:
            return [f"{differ}; 'energy' is used as asked, but forces belong to 'free_energy'."]
        if self._counts["free_energy"] < self._counts["energy"]:
            raise UserError(
                f"{differ}, and only {self._counts['free_energy']} of"
                f" {self._counts['energy']} structures have 'free_energy'.",
                where,
                "Forces belong to the free energy: set data.keys.energy to the key to use.",
            )
        chosen["energy"] = "free_energy"
        return [f"{differ}: 'free_energy' is used, because forces belong to it."]

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
            lacking = [(n, first) for kind in kinds for _, n, first in kind.lacking(used, labels)]
            if lacking and data.missing == "error":
                names = " or ".join(f"'{key}'" for _, key in used)
                raise UserError(
                    f"The {label} ({names}) {named(label).verb} missing in"
                    f" {sum(n for n, _ in lacking)} of {sum(kind.n for kind in kinds)} structures;"
                    f" the first is {lacking[0][1]}.",
                    where,
                    "Set data.missing to allow (missing labels are then left out of the loss), or"
                    f" data.keys.{label} to another key or null. {self._existing()}",
                )
        return counts

    def _not_used(self, chosen: dict[str, str | None], data: DataConfig) -> list[str]:
        """Return a line that names the keys that have no part in anything."""
        asked = {x for x in data.keys.model_fields_set if data.keys.of(x) is not None}
        spoken_of = self._weights.keys(masks=data.ignore_forces_of is None)
        quiet = {*chosen.values(), "free_energy", data.ignore_forces_of, *spoken_of}
        names = [
            key
            for key in self._counts
            if key not in quiet
            and not states_unit(key)
            and (self._label_of(key) is None or self._label_of(key) in asked)
        ]
        return [f"Not used: {listed(sorted(names))}."] if names else []

    def _existing(self) -> str:
        if not self._counts:
            return "The structures carry no key at all."
        found = (f"'{key}' ({n})" for key, n in self._counts.most_common())
        return f"Keys and numbers of structures: {listed(found, 20)}."

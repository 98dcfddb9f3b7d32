"""Check of total charge and spin that vary although they are not inputs of the model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from reann.data.check.finding import Finding
from reann.data.check.record import Record
from reann.data.labels.conditions import varying
from reann.data.labels.inputs import State
from reann.data.labels.names import names_of
from reann.quantities import named

OF_THE_ENERGY = ("charge", "spin")
"""Inputs that the energy of a model may depend on (`model.inputs`)."""


def varying_keys(records: Sequence[Record]) -> list[str]:
    """Return the keys of charge, spin and similar conditions that differ among structures."""
    first = records[0].conditions if records else ()
    others = {r.conditions for r in records} - {first}
    return sorted({name for other in others for name in varying(first, other)})


def of_the_energy(state: State) -> State:
    """Return the inputs of a state that energies may depend on."""
    return tuple((name, value) for name, value in state if name in OF_THE_ENERGY)


def unknown_inputs(keys: Iterable[str], known: Collection[str] | None) -> list[Finding]:
    """Return findings about inputs that differ among the structures but are not in the model.

    Parameters
    ----------
    keys
        Keys whose values differ among the structures.
    known
        `model.inputs`; None if no model is known, so that the finding is only a warning.
    """
    keys = list(keys)
    findings = []
    for name in OF_THE_ENERGY:
        of_input = names_of(name, keys)
        if not of_input or name in (known or ()):
            continue
        quoted = ", ".join(f"'{key}'" for key in of_input)
        message = f"the {named(name).about} ({quoted}) differs among the structures"
        if known is not None:
            message += ", but the energy of the model does not depend on it"
        fix = (
            f"Add it to the model: `model: {{inputs: [{name}]}}`, or train on one value at a time."
        )
        severity = "warning" if known is None else "error"
        findings.append(Finding(f"varying-{name}", severity, message, fix))
    return findings

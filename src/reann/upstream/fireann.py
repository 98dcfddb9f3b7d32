"""Models of FIREANN, the fork of the original with an electric field, and what their files lack.

Four versions have the same array names. The first one has a contraction for each recursion; the
others cannot be distinguished by their arrays, so the user has to state the date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reann.errors import UserError
from reann.facts import FIELD_DENSITY
from reann.upstream.arrays import Arrays

FIELD_ARRAY = "density.ef_para"
OPTION = "fireann_version"
FIRST = "2022-01"
VERSIONS: dict[str, dict[str, bool]] = {
    FIRST: {"unit": False, "passes_orbitals": False, "reversed_field": True, "contractions": True},
    "2023-09": {"unit": False, "passes_orbitals": False, "reversed_field": True},
    "2024-01": {"unit": True, "passes_orbitals": True, "reversed_field": True},
    "2024-04": {"unit": True, "passes_orbitals": True, "reversed_field": False},
}
"""Options of the host, by the month of the first commit of a version. Until April 2024 vectors go
from the neighbor to the center, which is a field of the opposite sign."""


def is_fireann(arrays: Arrays) -> bool:
    """Whether the arrays are those of a model in an electric field."""
    return FIELD_ARRAY in arrays.names


def form_of(arrays: Arrays, settings: Mapping[str, Any], n_orbitals: int) -> dict[str, Any]:
    """Return the fields of the section `model` that the version decides.

    Raises
    ------
    UserError
        If the version is not given, unknown, or contradicts the arrays.
    """
    version = settings.get(OPTION)
    is_first = arrays.get("density.hyper").dim() == 4
    if version is None and is_first:
        version = FIRST
    if version not in VERSIONS or (version == FIRST) != is_first:
        wrong = ""
        if version is not None:
            known = version in VERSIONS
            wrong = f"The arrays are not those of version {version}. " if known else ""
            wrong = wrong or f"'{version}' is not a version of FIREANN. "
        raise UserError(
            f"{wrong}Several forms of FIREANN have the same arrays.",
            OPTION,
            "Set --fireann-version, in Python `fireann_version`, by the date of the FIREANN that"
            " trained the model: 2022-01 (a contraction for each recursion), 2023-09 (until 10"
            " January 2024), 2024-01 (until 2 April 2024) or 2024-04 (since then).",
        )
    options = {"n_orbitals": n_orbitals, **VERSIONS[version]}
    return {"host": FIELD_DENSITY, "host_options": options, "field": True}

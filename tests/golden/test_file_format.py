"""Every file format that ever was is read for ever, and predicts what it predicted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest

from models import each_engine
from reann import checkpoint
from reann.potential import Ensemble, load

FILES = Path(__file__).parent / "files"
VERSIONS = range(1, checkpoint.FORMAT_VERSION + 1)
KNOWN = {path.stem: json.loads(path.read_text()) for path in sorted(FILES.glob("*.json"))}
"""By the name of a set: structures, and what each file of the set predicts for them."""
NAMES = [(known, name) for known in KNOWN for name in KNOWN[known] if name != "structures"]
each_file = pytest.mark.parametrize(("known", "name"), NAMES)
ENERGY = {"float32": 1e-6, "float64": 1e-10}
"""Relative."""
FORCES = {"float32": 1e-5, "float64": 1e-10}
"""Of the largest component; the rounding of float32 reaches 2e-6."""


@each_engine
@each_file
def test_an_old_file_predicts_what_it_always_did(engine, known, name):
    path = FILES / f"{known}-{name}.reann"
    potential = load(path)
    precision = checkpoint.read_header(path)["precision"]
    for structure, expected in zip(KNOWN[known]["structures"], KNOWN[known][name], strict=True):
        predicted = potential.predict(ase.Atoms(**structure), _asked(expected), engine)
        assert predicted.keys() == expected.keys()
        for key, value in expected.items():
            relative = (ENERGY if key.startswith("energy") else FORCES)[precision]
            # An ensemble's spread is a difference of energies as large as `energy`.
            largest = np.abs(expected[key.removesuffix("_std")]).max()
            np.testing.assert_allclose(
                predicted[key], value, rtol=0, atol=relative * largest, err_msg=key
            )


@each_file
def test_an_old_file_keeps_its_history_when_it_is_written_again(known, name, tmp_path):
    potential = load(FILES / f"{known}-{name}.reann")
    potential.save(tmp_path / "new.reann")
    again = load(tmp_path / "new.reann")
    assert isinstance(again, Ensemble) == (name == "ensemble")
    assert [m.metadata for m in again.members] == [m.metadata for m in potential.members]
    assert again.metadata["epoch"] == 12
    assert again.elements == (["H", "O"] if known.endswith("equivariant") else ["H", "C", "O"])
    header = checkpoint.read_header(tmp_path / "new.reann")
    assert header["format"] == checkpoint.FORMAT_VERSION


def test_every_file_has_its_numbers_and_every_version_its_files() -> None:
    assert sorted(f"{known}-{name}" for known, name in NAMES) == sorted(
        path.stem for path in FILES.glob("*.reann")
    )
    assert {f"version-{version}" for version in VERSIONS} <= KNOWN.keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_golden_files_are_still_those_of_their_version(version):
    """A file that somebody rewrote with today's program would prove nothing."""
    for path in FILES.glob(f"version-{version}-*.reann"):
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        text = json.loads(content[8 : 8 + size])["__metadata__"]["reann"]
        assert json.loads(text)["format"] == version


def test_every_version_has_a_step_to_the_next() -> None:
    versions = set(range(1, checkpoint.FORMAT_VERSION))
    assert checkpoint.UPGRADES.keys() == checkpoint.RENAMED.keys() == versions


def _asked(expected: dict[str, Any]) -> list[str]:
    return [name for name in ("energy", "forces", "stress") if name in expected]

"""`reann check` as a program: exit code, table and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import read, write

from reann.data.check import check_command
from reann.errors import UserError

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    atoms = read(ETHANOL, "0")
    atoms.positions[1] = atoms.positions[0]
    write(tmp_path / "broken.xyz", atoms, format="extxyz")
    return tmp_path / "broken.xyz"


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    frames: list[Atoms] = read(ETHANOL, ":")
    write(tmp_path / "doubled.xyz", [*frames, frames[0]], format="extxyz")
    return tmp_path / "doubled.xyz"


def test_clean_data_exits_with_zero_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command([str(ETHANOL)]) == 0
    assert "20 structures in 1 file: 1 note." in capsys.readouterr().out


def test_an_error_exits_with_one(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command([str(broken)]) == 1
    assert "coincident-atoms" in capsys.readouterr().out


def test_a_warning_changes_the_exit_code_only_when_strict(doubled: Path) -> None:
    assert check_command([str(doubled)]) == 0
    assert check_command([str(doubled)], strict=True) == 1


def test_json_holds_files_keys_and_findings(doubled: Path, tmp_path: Path) -> None:
    check_command([str(doubled)], json_path=tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert content["worst"] == "warning"
    assert content["n_structures"] == 21
    (summary,) = content["files"]
    forces = next(key for key in summary["keys"] if key["name"] == "forces")
    assert forces == {
        "place": "results",
        "name": "forces",
        "shape": "atoms × 3",
        "structures": 21,
    }
    finding = next(f for f in content["findings"] if f["severity"] == "warning")
    assert finding["name"] == "duplicates"
    assert finding["count"] == 1


def test_a_missing_file_is_said_without_empty_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert check_command([str(tmp_path / "absent.xyz")]) == 1
    said = capsys.readouterr().out
    assert "does not exist" in said
    assert "Keys" not in said
    assert "→" not in said  # nothing follows it


def test_labels_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    check_command([str(ETHANOL)])
    said = capsys.readouterr().out
    assert "Labels: energy (20 of 20), forces (20 of 20)\nNot used: OH_dist.\n" in said


def test_a_doubtful_key_is_answered_by_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    atoms = Atoms("H2", [[0.0, 0.0, 0.0], [0.0, 0.0, 0.8]])
    atoms.info |= {"DFT_energy": -1.0, "REF_energy": -2.0}
    write(tmp_path / "two.xyz", atoms, format="extxyz")
    check_command([str(tmp_path / "two.xyz")])
    assert "--key energy=KEY" in capsys.readouterr().out


def test_json_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        check_command([str(ETHANOL)], json_path=tmp_path / "absent" / "out.json")

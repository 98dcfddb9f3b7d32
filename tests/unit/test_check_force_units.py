"""A wrong unit of forces is reported with its cause; an impossible one stops the training."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from reann import units
from reann.config import DataConfig, Units
from reann.data.check import Finding, survey
from reann.data.check.force_units import declared_unit
from reann.data.check.quick import check_at_start, quick_findings
from reann.data.dataset import Dataset, open_dataset
from reann.errors import UserError

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"
"""20 structures from molecular dynamics; no two are close."""
TO_KCAL, TO_ATOMIC = 1 / units.force("kcal/mol/Ang"), 1 / units.force("Ha/Bohr")


def made(folder: Path, energy: float, forces: float, declared: Units) -> tuple[str, DataConfig]:
    """Write structures whose labels are scaled."""
    frames = read(ETHANOL, ":")
    for atoms in frames:
        labels = {"energy": energy * atoms.get_potential_energy()}
        labels["forces"] = forces * atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, **labels)
    path = str(folder / "made.xyz")
    write(path, frames, format="extxyz")
    return path, DataConfig(train=path, units=declared)


def findings_of(
    folder: Path, energy: float = 1.0, forces: float = 1.0, declared: Units | None = None
) -> list[dict[str, Finding]]:
    """Return the findings of `check` and those at the start of `train`, by name."""
    path, data = made(folder, energy, forces, declared or Units())
    dataset = open_dataset(path, data, 4.0, folder / "cache")
    every = survey([path], data, 4.0).findings, quick_findings([dataset], 4.0)
    return [{f.name: f for f in findings} for findings in every]


@pytest.mark.parametrize(
    ("declared", "instead", "fix"),
    [
        ({"energy": "Hartree"}, "with eV instead of the declared Hartree", "data.units.energy"),
        (
            {"energy": "eV", "forces": "Ha/Bohr"},
            "with eV/Å instead of the declared Ha/Bohr",
            "data.units.forces",
        ),
        ({"energy": "kJ/mol"}, "with eV instead of the declared kJ/mol", "data.units.energy"),
    ],
)
def test_a_wrong_declared_unit_is_named_as_the_cause(
    tmp_path: Path, declared: dict[str, str], instead: str, fix: str
) -> None:
    for found in findings_of(tmp_path, declared=Units(**declared)):
        finding = found["forces-along-bonds"]
        assert finding.severity == "error"
        assert f"{instead} it would be 34.5 eV/Å², a usual value" in finding.message
        assert finding.fix.startswith(f"Remove `{fix}`")
        assert f"{instead} they would be 2 eV/Å" in found["force-unit"].message
        assert found["force-unit"].fix.startswith(f"Remove `{fix}`")


@pytest.mark.parametrize(
    ("factor", "unit", "energy"),
    [(TO_KCAL, "kcal/mol/Ang", "kcal/mol"), (TO_ATOMIC, "Ha/Bohr", "Ha")],
)
def test_of_right_energies_the_unit_is_not_changed(
    tmp_path: Path, factor: float, unit: str, energy: str
) -> None:
    for found in findings_of(tmp_path, forces=factor):
        for name in ("forces-along-bonds", "force-unit"):
            assert f"{{forces: {unit}}}" in found[name].fix
            assert "the energies agree with eV" in found[name].fix
            assert "energy:" not in found[name].fix
    (tmp_path / "both").mkdir()
    size = 1 / units.energy(energy)
    for found in findings_of(tmp_path / "both", energy=size, forces=factor):
        for name in ("forces-along-bonds", "force-unit"):
            assert f"{{energy: {energy}, forces: {unit}}}" in found[name].fix


def test_energies_that_cannot_be_tested_are_said_to_be_so(tmp_path: Path) -> None:
    for found in findings_of(tmp_path, energy=1e4, forces=TO_KCAL):
        assert "if the energies are in kcal/mol, which cannot be tested" in found["force-unit"].fix


def test_forces_that_agree_with_energies_may_both_be_in_another_unit(tmp_path: Path) -> None:
    """Pairs of close structures show agreement, but bonds are 23 times too stiff."""
    frames = []
    for atoms in read(ETHANOL, ":"):
        energy, forces = TO_KCAL * atoms.get_potential_energy(), TO_KCAL * atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        moved = atoms.copy()
        moved.positions[0, 0] += 0.01
        labels = {"energy": energy - 0.01 * forces[0, 0], "forces": forces}
        moved.calc = SinglePointCalculator(moved, **labels)
        frames += [atoms, moved]
    write(tmp_path / "made.xyz", frames, format="extxyz")
    found = {f.name: f for f in survey([str(tmp_path / "made.xyz")], None, 4.0).findings}
    assert "forces-agree" in found
    assert found["forces-along-bonds"].severity == "error"
    assert "{energy: kcal/mol, forces: kcal/mol/Ang}" in found["forces-along-bonds"].fix


@pytest.mark.parametrize(
    ("factor", "severity"), [(0.1, "error"), (0.2, "warning"), (1.0, None), (5.0, "warning")]
)
def test_an_impossible_stiffness_is_an_error(
    tmp_path: Path, factor: float, severity: str | None
) -> None:
    """The stiffness is 34.5 eV/Å² times the factor."""
    for found in findings_of(tmp_path, forces=factor):
        finding = found.get("forces-along-bonds")
        assert (finding and finding.severity) == severity


def test_an_accepted_stiffness_does_not_stop_a_training(tmp_path: Path) -> None:
    path, data = made(tmp_path, 1.0, TO_KCAL, Units())
    dataset: Dataset = open_dataset(path, data, 4.0, tmp_path / "cache")
    lines: list[str] = []
    with pytest.raises(UserError, match=r"accept: \[forces-along-bonds\]"):
        check_at_start([dataset], 4.0, [], lines.append)
    assert check_at_start([dataset], 4.0, ["forces-along-bonds"], lines.append) == ["force-unit"]
    assert any(line.startswith("warning   force-unit") for line in lines)
    assert any(line.startswith("note      forces-along-bonds") for line in lines)


def test_the_declared_unit_must_be_the_same_everywhere() -> None:
    hartree, ev = Units(energy="Hartree"), Units()
    assert declared_unit([ev]) is None
    assert declared_unit([hartree, ev]) is None
    found = declared_unit([hartree, hartree])
    assert found is not None
    assert found.field == "energy"
    both = declared_unit([Units(energy="Hartree", length="Bohr", forces="eV/Ang")])
    assert both is not None
    assert both.instead == "Hartree/Bohr"
    assert both.factor == pytest.approx(1 / units.force("Ha/Bohr"))

"""Each check finds its fault in a small made case, and stays silent on clean data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.units import GPa, Hartree, kcal, mol

from reann.config import DataConfig, Units
from reann.data.check import Finding, Survey, survey

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"


def check(tmp_path: Path, frames: list[Atoms], name: str = "made.xyz") -> Survey:
    write(tmp_path / name, frames, format="extxyz")
    return survey([str(tmp_path / name)], None, 5.0)


def named(result: Survey, name: str) -> Finding:
    found = [f for f in result.findings if f.name == name]
    assert found, f"{name} not among {[f.name for f in result.findings]}"
    return found[0]


def names(result: Survey) -> set[str]:
    return {f.name for f in result.findings}


def relabeled(atoms: Atoms, **changes: object) -> Atoms:
    """Return a copy with the same labels but for the changes; None removes a label."""
    results = {**atoms.calc.results, **changes}
    copy = atoms.copy()
    given = {k: v for k, v in results.items() if v is not None}
    copy.calc = SinglePointCalculator(copy, **given)
    return copy


def scaled(atoms: Atoms, length: float = 1.0, energy: float = 1.0, forces: float = 1.0) -> Atoms:
    copy = atoms.copy()
    copy.positions *= length
    results = atoms.calc.results
    copy.calc = SinglePointCalculator(
        copy, energy=results["energy"] * energy, forces=results["forces"] * forces
    )
    return copy


@pytest.fixture
def ethanol() -> list[Atoms]:
    return read(ETHANOL, ":")


def trajectory(n: int = 12, step: float = 0.02) -> list[Atoms]:
    """Close structures of a periodic crystal with consistent energies, forces and stresses."""
    generator = np.random.default_rng(0)
    frames: list[Atoms] = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.positions += step * generator.normal(size=(4, 3))
        frames.append(calculated(atoms))
    return frames


def strained(n: int = 8) -> list[Atoms]:
    frames: list[Atoms] = []
    for scale in np.linspace(0.98, 1.02, n):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
        frames.append(calculated(atoms))
    return frames


def calculated(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def test_real_clean_data_has_no_finding_but_what_could_not_be_checked() -> None:
    result = survey([str(ETHANOL)], None, 5.0)
    assert names(result) == {"forces-not-checkable"}
    assert result.worst() == "note"


def test_summary_counts_structures_elements_and_keys() -> None:
    (summary,) = survey([str(ETHANOL)], None, 5.0).files
    assert (summary.structures, summary.fewest_atoms, summary.most_atoms) == (20, 9, 9)
    assert summary.elements == ["H", "C", "O"]
    assert summary.periodicity == {"F F F": 20}
    found = {(k.place, k.name): (k.shape, n) for k, n in summary.keys.items()}
    assert found["results", "forces"] == ("atoms × 3", 20)
    assert found["results", "energy"] == ("number", 20)
    assert found["info", "OH_dist"] == ("number", 20)
    assert summary.labels == {"energy": 20, "forces": 20}


def test_nan_in_a_force_is_an_error_that_names_the_structure(
    tmp_path: Path, ethanol: list[Atoms]
) -> None:
    ethanol[3].calc.results["forces"][2, 1] = np.nan
    finding = named(check(tmp_path, ethanol), "not-finite")
    assert finding.severity == "error"
    assert finding.count == 1
    assert "#3" in finding.examples[0]
    assert "forces" in finding.examples[0]


def test_coincident_atoms_are_named(tmp_path: Path, ethanol: list[Atoms]) -> None:
    ethanol[5].positions[7] = ethanol[5].positions[2] + [0, 0, 1e-4]
    finding = named(check(tmp_path, ethanol), "coincident-atoms")
    assert finding.severity == "error"
    assert "#5 (atoms 2 and 7" in finding.examples[0]


def test_atoms_on_opposite_faces_of_the_cell_coincide(tmp_path: Path) -> None:
    atoms = Atoms("CuCu", [[0, 0, 0], [4, 0, 0]], cell=[4, 4, 4], pbc=True)
    assert "coincident-atoms" in names(check(tmp_path, [atoms]))


def test_close_atoms_are_a_warning_with_the_distance(tmp_path: Path, ethanol: list[Atoms]) -> None:
    bond = ethanol[0].positions[3] - ethanol[0].positions[0]
    ethanol[0].positions[3] = ethanol[0].positions[0] + 0.5 * bond / np.linalg.norm(bond)
    finding = named(check(tmp_path, ethanol), "close-atoms")
    assert finding.severity == "warning"
    assert "0.50 Å" in finding.message


@pytest.mark.parametrize(("factor", "unit"), [(1 / 0.529177, "Bohr"), (0.1, "nm")])
def test_lengths_in_another_unit_are_recognized(
    tmp_path: Path, ethanol: list[Atoms], factor: float, unit: str
) -> None:
    finding = named(check(tmp_path, [scaled(a, length=factor) for a in ethanol]), "length-unit")
    assert unit in finding.message
    assert f"length: {unit}" in finding.fix


def test_declared_unit_of_length_silences_the_finding(tmp_path: Path, ethanol: list[Atoms]) -> None:
    frames = [scaled(a, length=1 / 0.52917721, forces=0.52917721) for a in ethanol]
    path = tmp_path / "bohr.xyz"
    write(path, frames, format="extxyz")
    data = DataConfig(train=str(path), units=Units(length="Bohr"))
    assert names(survey([str(path)], data, 5.0)) == {"forces-not-checkable"}


def test_random_positions_in_a_box_are_not_taken_for_bohr(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    frames = [Atoms("CH4", generator.uniform(-2.5, 2.5, size=(5, 3))) for _ in range(200)]
    assert "length-unit" not in names(check(tmp_path, frames))


def test_periodic_without_a_cell_is_an_error(tmp_path: Path, ethanol: list[Atoms]) -> None:
    path = tmp_path / "made.xyz"
    write(path, ethanol[:1], format="extxyz")
    path.write_text(path.read_text().replace('pbc="F F F"', 'pbc="T T T"'))
    assert named(survey([str(path)], None, 5.0), "pbc-without-cell").severity == "error"


def test_atoms_beyond_the_cutoff_of_all_others_are_noted(tmp_path: Path) -> None:
    atoms = Atoms("H3", [[0, 0, 0], [0.74, 0, 0], [9, 0, 0]])
    assert "(atom 2)" in named(check(tmp_path, [atoms]), "no-neighbors").examples[0]


def test_isolated_atoms_say_which_element_is_lacking(tmp_path: Path, ethanol: list[Atoms]) -> None:
    single = Atoms("H")
    single.calc = SinglePointCalculator(single, energy=-13.6)
    finding = named(check(tmp_path, [*ethanol, single]), "isolated-atoms")
    assert finding.count == 1
    assert "C, O" in finding.fix


def test_rounded_copies_are_duplicates_and_shifted_ones_too(
    tmp_path: Path, ethanol: list[Atoms]
) -> None:
    rounded = relabeled(ethanol[0])
    rounded.positions = np.round(rounded.positions, 5)
    shifted = relabeled(ethanol[1])
    shifted.positions += [1.0, 2.0, 3.0]
    finding = named(check(tmp_path, [*ethanol, rounded, shifted]), "duplicates")
    assert finding.count == 2
    assert [e.split("#")[-1] for e in finding.examples] == ["0", "1"]


def test_displacements_of_a_finite_difference_are_not_duplicates(
    tmp_path: Path, ethanol: list[Atoms]
) -> None:
    moved = relabeled(ethanol[0])
    moved.positions[4, 1] += 0.001
    assert "duplicates" not in names(check(tmp_path, [*ethanol, moved]))


def test_duplicates_across_files_are_told_apart(tmp_path: Path, ethanol: list[Atoms]) -> None:
    write(tmp_path / "train.xyz", ethanol, format="extxyz")
    write(tmp_path / "valid.xyz", ethanol[:4], format="extxyz")
    found = survey([str(tmp_path / "train.xyz"), str(tmp_path / "valid.xyz")], None, 5.0)
    assert named(found, "duplicates-across-files").count == 4
    assert "duplicates" not in names(found)


def test_same_geometry_with_another_energy_is_a_contradiction(
    tmp_path: Path, ethanol: list[Atoms]
) -> None:
    other = relabeled(ethanol[0], energy=ethanol[0].calc.results["energy"] + 1.0)
    found = check(tmp_path, [*ethanol, other])
    assert "differ by up to 1 eV" in named(found, "contradictions").message
    assert "duplicates" not in names(found)


def test_force_and_energy_outliers_are_named(tmp_path: Path, ethanol: list[Atoms]) -> None:
    ethanol[7].calc.results["forces"][4] = [300.0, -300.0, 0.0]
    ethanol[9].calc.results["energy"] += 20.0
    found = check(tmp_path, ethanol)
    assert "#7 (atom 4, 424 eV/Å)" in named(found, "force-outliers").examples[0]
    assert "#9 (+2.2" in named(found, "energy-outliers").examples[0]


@pytest.mark.parametrize(
    ("factor", "unit"), [(0.529177 / Hartree, "Ha/Bohr"), (mol / kcal, "kcal/mol")]
)
def test_forces_in_another_unit_are_recognized(
    tmp_path: Path, ethanol: list[Atoms], factor: float, unit: str
) -> None:
    frames = [scaled(a, energy=factor, forces=factor) for a in ethanol]
    assert unit in named(check(tmp_path, frames), "force-unit").fix


def test_net_force_is_reported(tmp_path: Path, ethanol: list[Atoms]) -> None:
    frames = [relabeled(a, forces=a.calc.results["forces"] + 0.2) for a in ethanol]
    finding = named(check(tmp_path, frames), "net-force")
    assert finding.severity == "warning"
    assert "3.1 eV/Å" in finding.message


def test_zero_forces_on_fixed_atoms_are_reported(tmp_path: Path, ethanol: list[Atoms]) -> None:
    for atoms in ethanol:
        atoms.calc.results["forces"][[1, 4]] = 0.0
    finding = named(check(tmp_path, ethanol), "zero-forces")
    assert "atoms 1, 4" in finding.message
    assert finding.count == 20


def test_mixed_labels_are_counted(tmp_path: Path, ethanol: list[Atoms]) -> None:
    frames = [relabeled(a, forces=None) if i < 6 else a for i, a in enumerate(ethanol)]
    finding = named(check(tmp_path, frames), "mixed-labels")
    assert "forces in 14 of 20" in finding.message
    assert finding.count == 6


def test_free_energy_apart_from_energy_is_noted(tmp_path: Path, ethanol: list[Atoms]) -> None:
    frames = [relabeled(a, free_energy=a.calc.results["energy"] - 0.09) for a in ethanol]
    assert "10.0 meV/atom" in named(check(tmp_path, frames), "free-energy").message


def test_equal_energies_everywhere_are_an_error(tmp_path: Path, ethanol: list[Atoms]) -> None:
    found = check(tmp_path, [relabeled(a, energy=-1.0) for a in ethanol])
    assert named(found, "constant-energy").severity == "error"


def test_structures_without_labels_are_an_error(tmp_path: Path) -> None:
    assert named(check(tmp_path, [molecule("H2O")]), "keys").severity == "error"


def test_a_label_of_a_wrong_shape_is_an_error_and_the_rest_is_checked(
    tmp_path: Path, ethanol: list[Atoms]
) -> None:
    frames = [a.copy() for a in ethanol]
    for atoms, source in zip(frames, ethanol, strict=True):
        atoms.info["REF_energy"] = source.calc.results["energy"]
    frames[2].info["REF_energy"] = np.zeros(4)
    found = check(tmp_path, frames)
    assert "#2" in named(found, "bad-label").examples[0]
    assert found.files[0].structures == 20


def test_an_absent_file_is_a_finding_and_the_others_are_checked() -> None:
    found = survey(["absent.xyz", str(ETHANOL)], None, 5.0)
    assert named(found, "unreadable").severity == "error"
    assert found.files[0].structures == 20


def test_consistent_forces_are_confirmed(tmp_path: Path) -> None:
    found = check(tmp_path, trajectory())
    assert "factor 1.0" in named(found, "forces-agree").message
    assert "forces-disagree" not in names(found)


@pytest.mark.parametrize(
    ("factor", "words"),
    [(-1.0, "gradients"), (1 / 51.4221, "Hartree/Bohr"), (1 / 0.0433641, "kcal/mol/Å")],
)
def test_forces_that_contradict_the_energies_are_recognized(
    tmp_path: Path, factor: float, words: str
) -> None:
    frames = [relabeled(a, forces=factor * a.calc.results["forces"]) for a in trajectory()]
    finding = named(check(tmp_path, frames), "forces-disagree")
    assert finding.severity == "error"
    assert words in finding.message


def change_stress(factor: float) -> Callable[[Atoms], Atoms]:
    return lambda a: relabeled(a, stress=factor * a.calc.results["stress"])


@pytest.mark.parametrize(
    ("factor", "words"),
    [(-1.0, "opposite sign"), (1 / GPa, "GPa"), (-10 / GPa, "as VASP writes it")],
)
def test_wrong_stress_is_recognized_where_volumes_vary(
    tmp_path: Path, factor: float, words: str
) -> None:
    finding = named(
        check(tmp_path, list(map(change_stress(factor), strained()))), "stresses-disagree"
    )
    assert words in finding.message


def test_right_stress_is_confirmed_where_volumes_vary(tmp_path: Path) -> None:
    assert "factor 1.0" in named(check(tmp_path, strained()), "stresses-agree").message


def test_stress_is_not_checkable_in_one_cell(tmp_path: Path) -> None:
    found = check(tmp_path, trajectory())
    assert "could not be checked" in named(found, "stresses-not-checkable").message


@pytest.mark.parametrize(
    ("offset", "severity"), [(0.5, None), (5.0, "note"), (27.0, "warning"), (4e3, "error")]
)
def test_energies_of_two_methods_lie_in_two_groups(
    tmp_path: Path, offset: float, severity: str | None
) -> None:
    frames = trajectory(30)
    energies = 0.3 * np.random.default_rng(1).normal(size=30) + offset * (np.arange(30) % 3 == 0)
    frames = [relabeled(a, energy=float(e)) for a, e in zip(frames, energies, strict=True)]
    result = check(tmp_path, frames)
    groups = [f for f in result.findings if f.name == "energy-groups"]
    assert [f.severity for f in groups] == ([severity] if severity else [])
    if groups:
        assert groups[0].count == 10
        assert {int(e.rpartition("#")[2]) % 3 for e in groups[0].examples} == {0}
    if severity == "error":
        assert DataConfig(train=[], accept=[groups[0].name])


@pytest.mark.parametrize("decimals", [0, 1, 2, 4])
def test_forces_with_few_digits_are_a_warning_with_the_error_of_rounding(
    tmp_path: Path, decimals: int, ethanol: list[Atoms]
) -> None:
    frames = [relabeled(a, forces=a.get_forces().round(decimals)) for a in ethanol]
    result = check(tmp_path, frames)
    assert ("force-digits" in names(result)) == (decimals < 2)
    if decimals == 1:
        assert "29 meV/Å" in named(result, "force-digits").message


@pytest.mark.parametrize("decimals", [0, 1])
def test_rounded_energies_are_named_however_few_values_are_left(
    tmp_path: Path, decimals: int
) -> None:
    frames = [relabeled(a, energy=round(i / 12, decimals)) for i, a in enumerate(trajectory(12))]
    assert "energy-digits" in names(check(tmp_path, frames))


@pytest.mark.parametrize(("factor", "noticed"), [(1.0, False), (1 / 0.529177, True), (2.6, False)])
def test_cells_in_bohr_beside_positions_in_angstrom_are_noticed(
    tmp_path: Path, factor: float, noticed: bool
) -> None:
    frames = strained()
    for atoms in frames:
        labels = atoms.calc
        atoms.set_cell(factor * atoms.cell.array)
        atoms.calc = labels
    assert ("cell-unit" in names(check(tmp_path, frames))) == noticed


def test_nan_under_a_key_that_is_not_read_is_a_note(tmp_path, ethanol):
    ethanol[3].info["config_cost"] = np.nan
    ethanol[5].arrays["charges"] = np.full(9, np.nan)
    result = check(tmp_path, ethanol)
    assert named(result, "not-finite-beside").severity == "note"
    assert "charges, config_cost" in named(result, "not-finite-beside").message
    assert "not-finite" not in names(result)

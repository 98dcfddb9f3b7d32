"""Labels that no program computed, or in another unit: an error of `check`, which stops `train`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.units import Bohr, GPa, Rydberg, invcm, kJ, mol

import reann.data.check
from reann.config import Config, DataConfig
from reann.config.data import Accepted
from reann.config.file import load_config
from reann.data.check import Finding, as_json, survey
from reann.data.check.quick import check_at_start, quick_findings
from reann.data.check.report import write_json
from reann.data.dataset import Dataset, open_dataset
from reann.errors import UserError
from reann.training.run import train

ETHANOL = Path(__file__).parents[1] / "data" / "ethanol.xyz"
Change = Callable[[Atoms], Atoms]


def labeled(atoms: Atoms, **labels: object) -> Atoms:
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, **labels)
    return copy


@pytest.fixture(scope="module")
def copper() -> list[Atoms]:
    """Rattled and strained cells: no two differ by a strain or by displacements alone."""
    random, frames = np.random.default_rng(0), []
    for seed in range(24):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        strain = np.eye(3) + 0.02 * random.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        frames.append(labeled(atoms, energy=energy, forces=forces, stress=atoms.get_stress()))
    return frames


@pytest.fixture
def ethanol() -> list[Atoms]:
    return read(ETHANOL, ":")


def changed(label: str, change: Callable[[Atoms, np.ndarray], object]) -> Change:
    def apply(atoms: Atoms) -> Atoms:
        results = dict(atoms.calc.results)
        return labeled(atoms, **(results | {label: change(atoms, results[label])}))

    return apply


def opened(tmp_path: Path, frames: list[Atoms], cutoff: float = 5.0) -> Dataset:
    write(tmp_path / "made.xyz", frames, format="extxyz")
    data = DataConfig(train="", missing="allow")
    return open_dataset(str(tmp_path / "made.xyz"), data, cutoff, tmp_path / "cache")


def named(findings: list[Finding], name: str) -> Finding:
    found = [f for f in findings if f.name == name]
    assert found, f"{name} not among {[f.name for f in findings]}"
    return found[0]


def both(tmp_path: Path, frames: list[Atoms], cutoff: float = 5.0) -> list[list[Finding]]:
    """Return the findings of `check` and those at the start of `train`."""
    dataset = opened(tmp_path, frames, cutoff)
    return [
        survey([str(tmp_path / "made.xyz")], None, cutoff).findings,
        quick_findings([dataset], cutoff),
    ]


WRONG = [
    (changed("stress", lambda _, x: -10 / GPa * x), "stresses-disagree", "kbar"),
    (changed("stress", lambda _, x: x / GPa), "stresses-disagree", "GPa"),
    (changed("stress", lambda _, x: x / GPa), "stress-and-volume", "bulk modulus"),
    (changed("stress", lambda _, x: 10 / GPa * x), "stress-size", "or they may be virials"),
    (changed("stress", lambda _, x: -x), "stress-and-volume", "sign is opposite"),
    (changed("stress", lambda a, x: -a.get_volume() * x), "stresses-disagree", "virial"),
    (changed("stress", lambda _, x: 0 * x), "all-stresses-zero", "placeholders"),
    (changed("forces", lambda _, x: -x), "forces-along-bonds", "opposite sign"),
    (changed("forces", lambda _, x: -x), "forces-disagree", "gradients"),
    (changed("stress", lambda _, x: 1e9 / GPa * x), "stresses-disagree", "look like Pa"),
    (changed("forces", lambda _, x: 0 * x), "all-forces-zero", "placeholders"),
    (changed("energy", lambda *_: 0.0), "constant-energy", "0 eV"),
    (changed("energy", lambda *_: -3.5), "constant-energy", "-3.5 eV"),
]


@pytest.mark.parametrize(("change", "name", "words"), WRONG)
def test_wrong_labels_are_an_error_of_check_and_of_train(
    tmp_path: Path, copper: list[Atoms], change: Change, name: str, words: str
) -> None:
    for findings in both(tmp_path, [change(a) for a in copper]):
        finding = named(findings, name)
        assert finding.severity in ("error", "warning")
        assert words in finding.message
        assert "error" in {f.severity for f in findings}


@pytest.mark.parametrize("factor", [-1.0, 1e3, 1e5])
@pytest.mark.parametrize("label", ["energy", "forces", "stress"])
def test_one_wrong_structure_is_no_error_of_all(
    tmp_path: Path, copper: list[Atoms], label: str, factor: float
) -> None:
    frames = list(copper)
    frames[5] = changed(label, lambda _, x: factor * x)(copper[5])
    for findings in both(tmp_path, frames):
        assert "error" not in {f.severity for f in findings}


def test_right_labels_of_strained_and_rattled_cells_have_no_error_and_no_warning(
    tmp_path: Path, copper: list[Atoms]
) -> None:
    for findings in both(tmp_path, copper):
        assert {f.severity for f in findings} <= {"note"}


@pytest.mark.parametrize("sizes", [(2, 3, 4, 5)])
def test_energies_per_atom_are_an_error(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    frames = []
    for seed, size in enumerate(4 * sizes):
        atoms = bulk("Cu", cubic=True) * (size, 1, 1)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        energy = atoms.get_potential_energy() - 3.5 * len(atoms)
        frames.append(labeled(atoms, energy=energy, forces=atoms.get_forces()))
    for findings in both(tmp_path, frames):
        assert "energies-per-atom" not in {f.name for f in findings}
    wrong = [changed("energy", lambda a, x: x / len(a))(a) for a in frames]
    (tmp_path / "wrong").mkdir()
    for findings in both(tmp_path / "wrong", wrong):
        assert named(findings, "energies-per-atom").severity == "error"


def test_perfect_crystals_may_have_no_forces(tmp_path: Path) -> None:
    frames = []
    for scale in np.linspace(0.97, 1.03, 6):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
        frames.append(labeled(atoms, energy=(scale - 1) ** 2, forces=np.zeros((4, 3))))
    for findings in both(tmp_path, frames):
        assert "all-forces-zero" not in {f.name for f in findings}


def test_placeholders_among_real_labels_are_a_warning(tmp_path: Path, copper: list[Atoms]) -> None:
    zero = {"energy": 0.0, "forces": np.zeros((8, 3)), "stress": np.zeros(6)}
    frames = [labeled(a, **zero) if i % 2 else a for i, a in enumerate(copper)]
    for findings in both(tmp_path, frames):
        for name in ("zero-energies", "all-forces-zero", "all-stresses-zero"):
            finding = named(findings, name)
            assert finding.severity == "warning"
            assert "12 of 24" in finding.message


def test_an_accepted_error_does_not_stop_a_training(tmp_path: Path, copper: list[Atoms]) -> None:
    change = changed("energy", lambda *_: 0.0)
    dataset = opened(tmp_path, [change(a) for a in copper])
    lines: list[str] = []
    with pytest.raises(UserError, match=r"accept: \[constant-energy.*\]") as error:
        check_at_start([dataset], 5.0, [], lines.append)
    assert "#0" in error.value.where
    assert "data.keys.energy" in error.value.fix
    errors = [f.name for f in quick_findings([dataset], 5.0) if f.severity == "error"]
    check_at_start([dataset], 5.0, errors, lines.append)
    assert any(line.startswith("note      constant-energy") for line in lines)


def test_an_error_of_the_data_leaves_an_earlier_run_as_it_is(
    tmp_path: Path, copper: list[Atoms]
) -> None:
    write(tmp_path / "a.xyz", [changed("energy", lambda *_: 0.0)(a) for a in copper])
    earlier = tmp_path / "run" / "model.reann"
    earlier.parent.mkdir()
    earlier.write_text("earlier")
    config = Config.model_validate(
        {"data": {"train": str(tmp_path / "a.xyz")}, "run": {"folder": str(earlier.parent)}}
    )
    with pytest.raises(UserError, match="constant-energy"):
        train(config, overwrite=True)
    assert earlier.read_text() == "earlier"


def test_an_unknown_name_to_accept_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("data: {train: a.xyz, accept: [constant-energi]}\n")
    with pytest.raises(UserError, match="Did you mean 'constant-energy'"):
        load_config(file)


def test_every_error_that_can_be_accepted_is_one_of_the_checks() -> None:
    checks = Path(reann.data.check.__file__).parent.glob("*.py")
    text = "".join(path.read_text("utf-8") for path in checks)
    for name in get_args(Accepted):
        kind, _, quantity = name.partition("-")
        formatted = kind == "varying" and f"{kind}-{{name}}" in text and quantity
        assert name in text or formatted or name in {"forces-disagree", "stresses-disagree"}


def test_atoms_without_neighbors_are_said_with_the_cutoff(
    tmp_path: Path, ethanol: list[Atoms]
) -> None:
    ethanol[4].positions[8] += [40.0, 0.0, 0.0]
    for findings in both(tmp_path, ethanol, cutoff=3.5):
        finding = named(findings, "no-neighbors")
        assert finding.severity == "warning"
        assert "1 of 180 atoms have no neighbor within the cutoff of 3.5 Å" in finding.message
        assert "#4 (atom 8)" in finding.examples[0]


@pytest.mark.parametrize(
    "key", ["charge", "total_charge", "spin", "multiplicity", "external_field"]
)
def test_two_energies_of_one_geometry_name_the_condition_that_varies(
    tmp_path: Path, ethanol: list[Atoms], key: str
) -> None:
    for atoms in ethanol:
        atoms.info[key] = 0
    other = changed("energy", lambda _, x: x + 1.0)(ethanol[0])
    other.info[key] = 1
    for findings in both(tmp_path, [*ethanol, other]):
        finding = named(findings, "contradictions")
        assert f"`{key}` varies, which is not an input of this model" in finding.message


def test_one_wrong_force_is_a_note_of_train_that_names_structure_and_atom(
    tmp_path: Path, ethanol: list[Atoms]
) -> None:
    ethanol[7].calc.results["forces"][4] = [1e3, 0.0, 0.0]
    lines: list[str] = []
    check_at_start([opened(tmp_path, ethanol)], 5.0, [], lines.append)
    (line,) = [line for line in lines if "force-outliers" in line]
    assert "#7 (atom 4, 1e+03 eV/Å)" in line


@pytest.mark.parametrize("formulas", [["CH4"], ["CH4", "H2O", "NH3", "C2H6", "CH3OH", "H2", "N2"]])
@pytest.mark.parametrize("spread", [0.01, 3.0])
def test_an_energy_far_off_is_found_in_small_groups_and_broad_distributions(
    tmp_path: Path, formulas: list[str], spread: float
) -> None:
    random, frames = np.random.default_rng(0), []
    element = {"H": -13.6, "C": -1030.0, "N": -1485.0, "O": -2040.0}
    for i in range(40):
        atoms = molecule(formulas[i % len(formulas)])
        atoms.rattle(0.03, seed=i)
        free = sum(element[s] for s in atoms.get_chemical_symbols())
        frames.append(labeled(atoms, energy=free + len(atoms) * spread * random.uniform(-1, 1)))
    assert not any("energy-outliers" in {f.name for f in x} for x in both(tmp_path, frames))
    frames[11].calc.results["energy"] += 28.0 * len(frames[11])
    (tmp_path / "wrong").mkdir()
    for findings in both(tmp_path / "wrong", frames):
        finding = named(findings, "energy-outliers")
        assert finding.count == 1
        assert "#11 (+2" in finding.examples[0]


@pytest.mark.parametrize(
    ("shift", "steepness", "is_wrong"), [(6.5, 1.0, True), (6.5, 10.0, False), (-6.5, 10.0, True)]
)
def test_a_high_energy_on_a_steep_slope_is_right(
    tmp_path: Path, shift: float, steepness: float, is_wrong: bool
) -> None:
    random, frames = np.random.default_rng(0), []
    for i in range(40):
        atoms = molecule("CH4")
        atoms.rattle(0.03, seed=i)
        forces = random.normal(size=(5, 3)) * (steepness if i == 11 else 1.0)
        energy = 5 * (random.uniform(-1, 1) if i != 11 else shift)
        frames.append(labeled(atoms, energy=energy - 1000.0, forces=forces))
    for findings in both(tmp_path, frames):
        assert ("energy-outliers" in {f.name for f in findings}) is is_wrong


def test_molecules_without_stress_are_no_reason_to_speak_of_mixed_labels(
    tmp_path: Path, copper: list[Atoms], ethanol: list[Atoms]
) -> None:
    for findings in both(tmp_path, [*copper, *ethanol]):
        assert "mixed-labels" not in {f.name for f in findings}
    (tmp_path / "lacking").mkdir()
    lacking = labeled(copper[0], energy=copper[0].calc.results["energy"], forces=np.ones((8, 3)))
    for findings in both(tmp_path / "lacking", [*copper[1:], lacking, *ethanol]):
        assert "stress in 23 of 24" in named(findings, "mixed-labels").message


def test_large_stresses_that_the_energies_confirm_are_right(tmp_path: Path) -> None:
    random, frames = np.random.default_rng(0), []
    for i in range(24):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=i // 8)
        strain = np.eye(3) + 0.004 * random.normal(size=(3, 3))
        atoms.set_cell(0.86 * atoms.cell.array @ strain, scale_atoms=True)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        frames.append(labeled(atoms, energy=energy, forces=forces, stress=atoms.get_stress()))
    assert max(np.abs(frame.get_stress()).max() for frame in frames) > 80 * GPa
    for findings in both(tmp_path, frames):
        assert named(findings, "stresses-agree")
        assert "stress-size" not in {f.name for f in findings}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed("forces", lambda _, x: Bohr / Rydberg * x), "Rydberg/Bohr"),
        (changed("forces", lambda _, x: x * mol / kJ), "kJ/mol/Å"),
        (changed("energy", lambda _, x: x / invcm), "cm^-1"),
        (changed("energy", lambda _, x: -x), "the energies have the opposite sign"),
        (changed("forces", lambda _, x: np.roll(x, 1, axis=1)), "be in another order"),
    ],
)
def test_the_likely_cause_of_wrong_forces_is_named(
    tmp_path: Path, copper: list[Atoms], change: Change, words: str
) -> None:
    for findings in both(tmp_path, [change(a) for a in copper]):
        finding = named(findings, "forces-disagree")
        assert finding.severity in ("error", "warning")
        assert words in finding.message


def test_forces_of_an_earlier_step_are_a_warning(tmp_path: Path, copper: list[Atoms]) -> None:
    frames = list(copper)
    for i in (4, 5, 9):
        frames[i] = changed("forces", lambda *_: copper[3].calc.results["forces"])(copper[i])
    frames.append(copper[7])  # a duplicate is none
    for findings in both(tmp_path, frames):
        finding = named(findings, "repeated-forces")
        assert (finding.severity, finding.count) == ("warning", 3)
        assert "#4 =" in finding.examples[0]
        assert "#3" in finding.examples[0]


def test_few_structures_without_any_force_are_noted(tmp_path: Path, copper: list[Atoms]) -> None:
    zero = changed("forces", lambda _, x: 0 * x)
    for findings in both(tmp_path, [zero(copper[0]), *copper[1:]]):
        finding = named(findings, "all-forces-zero")
        assert (finding.severity, finding.count) == ("note", 1)


def test_a_single_molecule_without_any_force_is_a_warning(
    tmp_path: Path, ethanol: list[Atoms]
) -> None:
    zero = changed("forces", lambda _, x: 0 * x)
    for findings in both(tmp_path, [zero(ethanol[0]), *ethanol[1:]]):
        finding = named(findings, "all-forces-zero")
        assert (finding.severity, finding.count) == ("warning", 1)


def test_duplicates_are_found_across_a_larger_structure(
    tmp_path: Path, copper: list[Atoms], ethanol: list[Atoms]
) -> None:
    larger = labeled(copper[0] * (3, 2, 1), energy=0.0, forces=np.zeros((48, 3)))
    findings = both(tmp_path, [ethanol[0], larger, ethanol[0], *ethanol[1:]])
    assert [named(f, "duplicates").count for f in findings] == [1, 1]


def test_a_structure_that_lacks_two_labels_counts_once(tmp_path: Path, copper: list[Atoms]) -> None:
    bare = [labeled(a, energy=a.calc.results["energy"]) for a in copper[:5]]
    findings, _ = both(tmp_path, [*bare, *copper[5:]])
    assert named(findings, "mixed-labels").count == 5


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_a_stress_without_a_volume_is_noted(
    tmp_path: Path, copper: list[Atoms], pbc: bool | tuple[bool, ...]
) -> None:
    frames = [labeled(a, **a.calc.results) for a in copper]
    for atoms in frames[:3]:
        atoms.pbc = pbc
    findings, _ = both(tmp_path, frames)
    assert named(findings, "stress-without-volume").count == 3


def test_the_json_of_data_that_are_not_finite_is_json(tmp_path: Path, ethanol: list[Atoms]) -> None:
    ethanol[2].calc.results["energy"] = np.nan
    ethanol[3].positions[0, 0] = np.inf
    write(tmp_path / "made.xyz", ethanol, format="extxyz")
    result = survey([str(tmp_path / "made.xyz")], None, 5.0)
    assert as_json(result)["worst"] == "error"
    write_json(result, tmp_path / "out.json")

    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads((tmp_path / "out.json").read_text("utf-8"), parse_constant=refuse)


def test_a_quick_fit_finds_single_structures_with_wrong_labels(
    tmp_path: Path, copper: list[Atoms]
) -> None:
    frames = list(copper)
    frames[5] = changed("forces", lambda _, x: -x)(copper[5])
    frames[9] = changed("forces", lambda _, x: 30 * x)(copper[9])
    frames[14] = changed("energy", lambda a, x: x + 0.6 * len(a))(copper[14])
    write(tmp_path / "made.xyz", frames, format="extxyz")
    write(tmp_path / "right.xyz", copper, format="extxyz")
    right = survey([str(tmp_path / "right.xyz")], None, 5.0, fit=True).findings
    assert {f.name for f in right if f.severity != "note"} == set()
    findings = survey([str(tmp_path / "made.xyz")], None, 5.0, fit=True).findings
    examples = " ".join(named(findings, "fit-forces").examples)
    assert "#5 (opposite sign" in examples
    assert "#9 (" in examples
    assert "#14 (+0." in named(findings, "fit-energies").examples[0]

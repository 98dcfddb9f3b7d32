"""Dipoles of periodic structures on different branches of the polarization."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from numpy.typing import NDArray

from reann.config import Config, DataConfig
from reann.data.check import survey
from reann.data.check.branches import Branches
from reann.data.check.dipole_range import DipoleRange
from reann.data.check.finding import Finding
from reann.data.check.quick import check_at_start
from reann.data.dataset import open_dataset

LENGTHS = np.array([6.0, 7.0, 8.0])
CHARGES = np.array([0.8, -0.8] * 4)
WATER = Path(__file__).parents[2] / "examples" / "notebooks" / "data" / "water.xyz.gz"

Frame = tuple[ase.Atoms, NDArray[np.float64]]


def trajectory(
    n: int = 120, step: float = 0.06, pbc: Sequence[bool] = (True, True, True), seed: int = 0
) -> list[Frame]:
    """Return a random walk of ions, wrapped into the cell, with continuous dipoles in e Å."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(size=(len(CHARGES), 3)) * LENGTHS
    frames = []
    for _ in range(n):
        positions = positions + step * rng.normal(size=positions.shape)
        atoms = ase.Atoms("NaCl" * 4, positions, cell=LENGTHS, pbc=pbc)
        atoms.wrap()
        frames.append((atoms, CHARGES @ positions))
    return frames


def folded(frames: list[Frame], quantum: float = 1.0) -> list[Frame]:
    """Return the same with the smallest dipoles, for pairs of electrons with twice the quantum."""
    lengths = [np.where(atoms.pbc, quantum * LENGTHS, np.inf) for atoms, _ in frames]
    return [
        (atoms, mu - np.nan_to_num(np.round(mu / q) * np.where(np.isfinite(q), q, 0.0)))
        for (atoms, mu), q in zip(frames, lengths, strict=True)
    ]


def finding_of(check: Branches | DipoleRange, frames: list[Frame]) -> Finding | None:
    for k, (atoms, dipole) in enumerate(frames):
        check.add(atoms, f"a.xyz#{k}", {"dipole": dipole})
    return check.finding()


@pytest.mark.parametrize("quantum", [1.0, 2.0])
def test_a_jump_along_a_trajectory_is_reported_with_both_structures(quantum):
    frames = trajectory()
    for k in (40, 41, 42):
        frames[k] = frames[k][0], frames[k][1] - quantum * np.array([0.0, LENGTHS[1], 0.0])
    finding = finding_of(Branches(), frames)
    assert finding is not None
    assert finding.count == 2
    assert finding.examples == (
        f"a.xyz#40 (-{quantum:.0f} b from a.xyz#39)",
        f"a.xyz#43 (+{quantum:.0f} b from a.xyz#42)",
    )


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, True)])
def test_continuous_dipoles_are_on_one_branch_and_folded_ones_are_not(pbc):
    frames = trajectory(pbc=pbc, step=0.2)
    assert finding_of(Branches(), frames) is None
    finding = finding_of(Branches(), folded(frames))
    assert finding is not None
    jumps = sum(
        bool(np.round((a[1] - b[1]) / LENGTHS)[list(pbc)].any())
        for a, b in zip(folded(frames)[1:], folded(frames), strict=False)
    )
    assert 0.8 * jumps <= finding.count <= jumps  # the others change too much to be clear


def test_large_continuous_changes_are_not_judged():
    frames = trajectory(step=2.0)
    changes = np.diff([mu / LENGTHS for _, mu in frames], axis=0)
    assert (np.abs(changes) > 1.0).any()
    assert finding_of(Branches(), frames) is None
    assert finding_of(Branches(), folded(frames)) is None


def test_strained_cells_are_compared_in_units_of_their_own_vectors():
    frames = trajectory()
    for k, (atoms, mu) in enumerate(frames):
        scale = 1.0 + 0.001 * k
        atoms.set_cell(scale * LENGTHS, scale_atoms=True)
        frames[k] = atoms, scale * (mu + 100.0 * LENGTHS)
    assert finding_of(Branches(), frames) is None
    frames[9] = frames[9][0], frames[9][1] + np.array([0.0, 0.0, frames[9][0].cell[2, 2]])
    assert finding_of(Branches(), frames) is not None


def test_structures_in_other_fields_are_not_compared():
    frames = trajectory()
    for k, (atoms, mu) in enumerate(frames):
        atoms.info["field"] = np.array([0.0, 0.0, 0.1 * (k % 2)])
        frames[k] = atoms, mu + (k % 2) * np.array([0.0, 0.0, LENGTHS[2]])
    assert finding_of(Branches(), frames) is None


def test_molecules_are_not_compared():
    frames = trajectory(pbc=(False, False, False))
    frames[9] = frames[9][0], frames[9][1] + LENGTHS
    assert finding_of(Branches(), frames) is None


def independent(spread: float, n: int = 200) -> list[Frame]:
    """Return structures whose dipoles are distributed normally, in units of the quantum."""
    rng = np.random.default_rng(1)
    atoms = trajectory(1)[0][0]
    return [(atoms, spread * rng.normal(size=3) * LENGTHS) for _ in range(n)]


@pytest.mark.parametrize("spread", [0.05, 0.1, 0.15, 0.2, 0.3, 0.5])
def test_a_continuous_distribution_has_no_sharp_ends(spread):
    assert finding_of(DipoleRange(), independent(spread)) is None


@pytest.mark.parametrize("quantum", [1.0, 2.0])
def test_the_smallest_dipoles_have_sharp_ends(quantum):
    finding = finding_of(DipoleRange(), folded(independent(0.4 * quantum), quantum))
    assert finding is not None
    assert f"between {-quantum / 2:g} and {quantum / 2:g} times" in finding.message


def test_positive_dipoles_have_sharp_ends():
    frames = [(atoms, mu % LENGTHS) for atoms, mu in independent(0.1)]
    finding = finding_of(DipoleRange(), frames)
    assert finding is not None
    assert "between 0 and 1 times" in finding.message


def test_a_polar_crystal_has_no_sharp_ends():
    frames = [
        (atoms, np.abs(0.01 * mu) + 0.97 * np.array([0.0, 0.0, LENGTHS[2]]))
        for atoms, mu in independent(0.3)
    ]
    assert finding_of(DipoleRange(), frames) is None


def water() -> list[Frame]:
    """Return the liquid water of the notebooks, with dipoles of molecules of point charges.

    The cell is a cube, so dipoles along other axes and of the opposite sign are possible, too.
    """
    with gzip.open(WATER, "rt") as file:
        frames = ase.io.read(file, ":", format="extxyz")
    assert isinstance(frames, list)
    labeled = []
    for atoms in frames:
        oxygen, hydrogen = atoms.positions[atoms.numbers == 8], atoms.positions[atoms.numbers == 1]
        bonds = hydrogen[:, None] - oxygen
        bonds -= np.round(bonds / atoms.cell.lengths()) * atoms.cell.lengths()
        nearest = np.linalg.norm(bonds, axis=2).argmin(axis=1)
        dipole = 0.5 * bonds[np.arange(len(hydrogen)), nearest].sum(axis=0)
        labeled += [(atoms, sign * np.roll(dipole, k)) for sign in (1, -1) for k in range(3)]
    return labeled


def test_liquid_water_has_sharp_ends_only_with_the_smallest_dipoles():
    frames = water()
    assert finding_of(DipoleRange(), frames) is None
    lengths = frames[0][0].cell.lengths()
    frames = [(atoms, mu - np.round(mu / lengths) * lengths) for atoms, mu in frames]
    assert finding_of(DipoleRange(), frames) is not None


@pytest.mark.parametrize("smallest", [False, True])
def test_the_survey_and_the_start_of_a_training_name_the_branches(tmp_path, smallest):
    frames = trajectory(step=0.2)
    file = tmp_path / "a.xyz"
    for atoms, dipole in folded(frames) if smallest else frames:
        atoms.info["dipole"] = dipole
        ase.io.write(file, atoms, format="extxyz", append=True)
    data = DataConfig(train=str(file), keys={"dipole": "dipole"}, missing="allow")
    config = Config(data=data, model={"outputs": ["dipole"], "heads": []})
    dataset = open_dataset([str(file)], config.data, 4.0, tmp_path / "cache")
    of_survey = {f.name for f in survey([str(file)], data, 4.0).findings}
    for names in (of_survey, check_at_start([dataset], 4.0, ["coincident-atoms"], print)):
        assert smallest == ("dipole-branches" in names)

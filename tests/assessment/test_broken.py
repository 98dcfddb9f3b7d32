"""Every defect fails the check that is made for it; a good potential passes all of them."""

import ase
import pytest

from reann.assessment import contacts, dimers, nve, smoothness, symmetry
from reann.assessment.outcome import Verdict


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    monkeypatch.setattr(nve, "WARM_UP", 100.0)
    monkeypatch.setattr(nve, "SHORT", 150.0)


@pytest.mark.parametrize("check", [symmetry, smoothness, nve, contacts, dimers])
def test_a_good_potential_passes(check, case_of, cluster, pairs):
    outcome = check.run(case_of(cluster, pairs))
    assert outcome.verdict is Verdict.passes, outcome.sentence
    assert outcome.figures
    assert outcome.criterion


def test_forces_that_are_no_derivative_fail(case_of, cluster, broken):
    case = case_of(cluster, broken["curl"]())
    assert smoothness.run(case).verdict is Verdict.fails
    outcome = nve.run(case)
    assert outcome.verdict is Verdict.fails
    assert abs(outcome.numbers["drift_meV_per_atom_per_ps"]) > nve.LARGE_DRIFT


def test_a_jump_at_the_cutoff_fails(case_of, cluster, broken):
    case = case_of(cluster, broken["jump"](), 4.5)
    outcome = dimers.run(case)
    assert outcome.verdict is Verdict.fails
    # 4 epsilon ((sigma / rc)^6 - (sigma / rc)^12)
    expected = 4 * 0.0104 * ((3.4 / 4.5) ** 6 - (3.4 / 4.5) ** 12)
    assert outcome.numbers["Ar-Ar"]["largest_jump_eV"] == pytest.approx(expected, rel=1e-3)


def test_a_hole_at_short_distances_fails(case_of, cluster, broken):
    cluster.numbers[:] = 55  # the hole lies within the bond length of cesium
    case = case_of(cluster, broken["hole"]())
    outcome = contacts.run(case)
    assert outcome.verdict is Verdict.fails
    assert outcome.numbers["Cs-Cs"]["attracts_below_A"] == pytest.approx(2.85, abs=0.15)
    assert dimers.run(case).verdict is Verdict.look


def test_an_external_field_breaks_the_symmetry(case_of, cluster, broken):
    outcome = symmetry.run(case_of(cluster, broken["field"]()))
    assert outcome.verdict is Verdict.fails
    errors = outcome.numbers["forces_eV_per_A"]
    assert errors["translation"] > symmetry.BROKEN
    assert errors["permutation"] < symmetry.ROUNDING


def test_dynamics_without_bounds_fails(case_of, pairs):
    pair = ase.Atoms("Ar2", [[0, 0, 0], [0, 0, 1.4]])
    outcome = nve.run(case_of(pair, pairs))
    assert outcome.verdict is Verdict.fails
    assert "exploded" in outcome.sentence

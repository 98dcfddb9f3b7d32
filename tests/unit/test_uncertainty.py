"""Draws of the last layer, conformal factors, and where both are used."""

import math

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from models import CUTOFF, each_engine, either_messages, random_atoms, random_model
from reann import properties
from reann.calibration import LEVELS, RECORD, Calibration, Scale, encoded
from reann.cli import app
from reann.cli.info import run_lines
from reann.data.neighbors import graph_from_atoms
from reann.demo import copy_data
from reann.errors import UserError
from reann.interfaces.ase import Calculator
from reann.model.last_layer import last_layer, set_last_layer
from reann.potential import Ensemble, Potential, load
from reann.simulate.md import run_md
from reann.simulate.monitor import ExplosionError
from reann.training.run import train
from reann.uncertainty.posterior import Rows, draws
from reann.uncertainty.scales import quantile, scale
from runs import small

RNG = np.random.default_rng(3)
ETHANE = Atoms("CCHH", [[0, 0, 0], [1.5, 0, 0], [-0.5, 0.9, 0.1], [2.0, -0.9, 0.2]])


def labeled(potential, n, noise=0.1):
    """Return structures with the labels of a potential and errors."""
    structures = []
    for _ in range(n):
        atoms = ETHANE.copy()
        atoms.positions += RNG.normal(0.0, 0.1, atoms.positions.shape)
        found = potential.predict(atoms)
        forces = found["forces"] + RNG.normal(0.0, noise, (4, 3))
        energy = float(found["energy"]) + RNG.normal(0.0, noise)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        structures.append(atoms)
    return structures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A potential, its data, and the calibrated potential, made by the command."""
    folder = tmp_path_factory.mktemp("calibrated")
    potential = Potential(random_model([1, 6], dtype=torch.float64))
    potential.save(folder / "model.reann")
    for name, n in (("train", 30), ("valid", 40)):
        ase.io.write(folder / f"{name}.xyz", labeled(potential, n), format="extxyz")
    words = ["calibrate", str(folder / "model.reann"), "--data", str(folder / "valid.xyz")]
    words += ["--training", str(folder / "train.xyz"), "-o", str(folder / "calibrated.reann")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "from 8 draws of the last layer" in result.output
    return folder


@either_messages
def test_energies_are_linear_in_the_last_layer(messages):
    model = random_model(messages=messages)
    graph = graph_from_atoms(random_atoms(2, 5, (True, True, True)), CUTOFF)
    rows = Rows(model)
    f = rows.features(graph)[0].detach()
    rows.add(graph, torch.Generator().manual_seed(4))
    v = torch.randn(
        graph.positions.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    before = properties.evaluate(model, graph, ["energy", "forces"])
    weights = last_layer(model)
    change = 0.3 * torch.randn(weights.shape, dtype=torch.float64)
    set_last_layer(model, weights + change)
    after = properties.evaluate(model, graph, ["energy", "forces"])
    added = (after["energy"] - before["energy"]).item()
    assert added == pytest.approx((f @ change.flatten()).item(), rel=1e-9, abs=1e-9)
    # The row of the forces: -dF/dw in the direction v, whose square is what was added.
    along = ((before["forces"] - after["forces"]) * v).sum().item()
    square = change.flatten() @ rows.sum @ change.flatten() - added**2
    assert square.item() == pytest.approx(along**2, rel=1e-4)


def test_draws_have_mean_zero_and_the_covariance_of_the_precision():
    a = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    precision = a @ a.T
    many = draws(precision, 20_000)
    assert many.mean(0).abs().max() < 1e-10
    np.testing.assert_allclose(np.cov(many.numpy().T), torch.linalg.inv(precision), atol=0.02)
    few = torch.stack([draws(precision, 3, seed) for seed in range(5000)])
    each = torch.einsum("sda,sdb->ab", few, few) / (2 * len(few))
    np.testing.assert_allclose(each, torch.linalg.inv(precision), atol=0.03)


def test_conformal_quantiles_keep_their_promise():
    assert quantile(np.arange(1.0, 20.0), "95") == 19.0
    assert quantile(np.arange(1.0, 19.0), "95") == math.inf
    below = [
        x[-1] <= quantile(x[:-1], "90") for x in np.random.default_rng(0).gamma(1, 1, (4000, 30))
    ]
    assert 0.89 < np.mean(below) < 0.93
    ratios = np.random.default_rng(1).gamma(2.0, 1.0, 5000)
    found = scale(ratios, np.arange(5000) // 10)
    assert np.mean(ratios <= found.factor) == pytest.approx(0.68, abs=0.001)
    assert list(found.bounds) == list(LEVELS)
    for level, measured in found.coverage.items():
        assert measured == pytest.approx(float(level), abs=2.5)
    assert scale(np.ones(1), np.zeros(1, int)) is None


def test_the_mean_of_the_draws_is_the_potential_and_68_percent_of_errors_are_below(folder):
    plain, potential = load(folder / "model.reann"), load(folder / "calibrated.reann")
    assert plain.calibration is None
    with pytest.raises(UserError, match="not calibrated"):
        plain.with_uncertainty()
    ensemble = potential.with_uncertainty()
    assert len(ensemble.members) == 8
    below = []
    for atoms in ase.io.iread(folder / "valid.xyz"):
        one, mean, before = (p.predict(atoms) for p in (potential, ensemble, plain))
        assert set(one) == {"energy", "forces", "energy_std", "forces_std"} == set(mean)
        np.testing.assert_array_equal(one["forces"], before["forces"])
        np.testing.assert_allclose(mean["forces"], one["forces"], atol=1e-6)
        np.testing.assert_allclose(mean["forces_std"], one["forces_std"], rtol=1e-9)
        error = np.linalg.norm(atoms.get_forces() - one["forces"], axis=1)
        below.append(error <= np.linalg.norm(one["forces_std"], axis=1))
    assert np.mean(below) == pytest.approx(0.68, abs=0.02)
    assert set(potential.predict(ETHANE, spread=False)) == {"energy", "forces"}
    assert set(ensemble.predict(ETHANE, spread=False)) == {"energy", "forces"}


def test_predictions_reuse_the_draws_until_the_weights_or_the_calibration_change(
    folder, monkeypatch
):
    made, with_uncertainty = [], Potential.with_uncertainty

    def counted(potential):
        made.append(potential)
        return with_uncertainty(potential)

    monkeypatch.setattr(Potential, "with_uncertainty", counted)
    potential = load(folder / "calibrated.reann")
    first, second = (potential.predict(ETHANE) for _ in range(2))
    assert len(made) == 1
    np.testing.assert_array_equal(second["forces_std"], first["forces_std"])
    with torch.no_grad():
        next(p for p in potential.model.parameters() if p.requires_grad).mul_(1.01)
    third = potential.predict(ETHANE)
    assert len(made) == 2
    expected = with_uncertainty(potential).predict(ETHANE)
    np.testing.assert_allclose(third["forces_std"], expected["forces_std"], rtol=1e-9)
    potential.metadata = {}
    assert "forces_std" not in potential.predict(ETHANE)


@each_engine
def test_every_way_to_compute_gives_the_same_uncertainty(folder, engine, tmp_path):
    potential = load(folder / "calibrated.reann")
    expected = potential.predict(ETHANE, engine="torch")
    atoms = ETHANE.copy()
    atoms.calc = Calculator(potential, engine=engine, uncertainty=True)
    saved = tmp_path / "draws.reann"
    potential.with_uncertainty().save(saved)
    again = load(saved)
    assert isinstance(again, Ensemble)
    for found in (
        {"forces_std": atoms.calc.get_property("forces_std", atoms)},
        again.predict(ETHANE, engine=engine),
        potential.predict([ETHANE], engine=engine)[0],
    ):
        np.testing.assert_allclose(found["forces_std"], expected["forces_std"], rtol=1e-5)
    alone = Calculator(potential, engine=engine)
    assert "forces_std" not in alone.implemented_properties


def test_dynamics_stop_at_a_large_uncertainty(folder):
    limits = {"temperature": 300.0, "time": 5.0, "quiet": True}
    with pytest.raises(ExplosionError, match="standard deviation"):
        run_md(folder / "calibrated.reann", ETHANE, max_spread=1e-6, **limits)
    with pytest.raises(UserError, match="not calibrated"):
        run_md(folder / "model.reann", ETHANE, max_spread=1.0, **limits)


def test_an_ensemble_gets_factors(tmp_path):
    members = [Potential(random_model([1, 6])) for _ in range(3)]
    for member in members[1:]:
        w = last_layer(member.model)
        set_last_layer(member.model, w + 0.01 * torch.randn(w.shape, dtype=torch.float64))
    ensemble = Ensemble(members)
    ensemble.save(tmp_path / "e.reann")
    ase.io.write(tmp_path / "valid.xyz", labeled(ensemble, 20), format="extxyz")
    words = ["calibrate", str(tmp_path / "e.reann"), "--data", str(tmp_path / "valid.xyz")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    found = load(tmp_path / "e.reann")
    assert found.calibration.kind == "ensemble"
    factor = found.predict(ETHANE)["energy_std"] / ensemble.predict(ETHANE)["energy_std"]
    assert factor == pytest.approx(found.calibration.energy.factor)
    ratio = found.predict(ETHANE)["forces_std"] / ensemble.predict(ETHANE)["forces_std"]
    assert ratio[0] == pytest.approx(found.calibration.forces["C"].factor)
    assert ratio[2] == pytest.approx(found.calibration.forces["H"].factor)
    # Factors are of these members; others have a spread of their own.
    assert Ensemble(found.members[:2]).calibration is None


def test_what_cannot_be_calibrated_is_an_error(folder, tmp_path):
    model, data = str(folder / "model.reann"), str(folder / "valid.xyz")
    result = CliRunner().invoke(app, ["calibrate", model, "--data", data])
    assert result.exit_code == 1
    assert "--training" in result.stderr
    few = tmp_path / "few.xyz"
    ase.io.write(few, ase.io.read(data, ":5"), format="extxyz")
    words = ["calibrate", model, "--data", str(few), "--training", data]
    result = CliRunner().invoke(app, words)
    assert "needs 10 structures" in result.stderr


@pytest.mark.parametrize(
    "damage",
    [
        {"number": 7},
        {"draws": "AAAA"},
        {"draws": "!"},
        {"draws": encoded(np.full((8, 32), np.nan))},
        {"energy": {"factor": -1.0, "bounds": {}, "coverage": {}, "n": 3}},
        {"kind": "guess"},
    ],
)
def test_a_damaged_record_is_an_error(folder, damage):
    potential = load(folder / "calibrated.reann")
    potential.metadata[RECORD] = potential.metadata[RECORD] | damage
    with pytest.raises(UserError, match="calibration"):
        potential.predict(ETHANE)


def test_elements_without_a_factor_have_that_of_all():
    one = Scale(factor=2.0, bounds={}, coverage={}, n=5)
    other = Scale(factor=3.0, bounds={}, coverage={}, n=5)
    found = Calibration(kind="ensemble", number=2, structures=9, forces={"all": one, "O": other})
    assert found.factors(np.array([1, 8, 6]))[:, 0].tolist() == [2.0, 3.0, 2.0]
    assert found.factor("energy") == 1.0
    assert set(found.scales()) == {"force on O"}


def test_a_training_ends_with_a_calibration_and_a_section_of_the_report(tmp_path):
    copy_data(tmp_path, ["ethanol_unseen.xyz.gz"])
    valid = str(tmp_path / "valid.xyz")
    ase.io.write(valid, ase.io.read(tmp_path / "ethanol_unseen.xyz.gz", ":12"), format="extxyz")
    run = train(small(tmp_path / "run", valid=valid))
    assert run.potential.calibration.structures == 12
    assert load(tmp_path / "run").calibration == run.potential.calibration
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<h2>Uncertainty</h2>" in page
    assert "8 draws of the last layer" in page
    assert "Coverage of the forces" in page
    lines = dict(run_lines(tmp_path / "run"))
    assert lines["uncertainty"].startswith("8 draws of the last layer, calibrated on 12 structures")
    assert RECORD not in [name for name in lines if name != "uncertainty"]
    run = train(small(tmp_path / "other", valid=valid, uncertainty=False))
    assert run.potential.calibration is None
    assert "<h2>Uncertainty</h2>" not in (tmp_path / "other" / "report.html").read_text()

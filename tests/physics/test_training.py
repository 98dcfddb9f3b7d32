"""Training: it starts from the baseline, learns what is labeled, and survives what goes wrong."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from models import random_model
from reann import checkpoint
from reann.config import Config, ModelConfig
from reann.config.file import load_config
from reann.data.neighbors import graph_from_atoms
from reann.errors import UserError
from reann.potential import Ensemble, Potential, load
from reann.training import finish, setup
from reann.training.journal import read_log
from reann.training.loop import MOST_ROLLBACKS, Trainer
from reann.training.loss import Loss
from reann.training.run import Run, resume, train
from reann.training.state import FILE, KIND, TrainingState
from runs import (
    DATA,
    StoppedError,
    assert_same_run,
    fixed_loss,
    log_without_time,
    small,
    stop_in,
)

VALID = [8, 9, 14, 19]
"""Structures of ethanol whose errors fall early."""
VALID_E, VALID_F = "valid_energy_rmse_meV_per_atom", "valid_forces_rmse_meV_per_A"
VALID_S = "valid_stress_rmse_meV_per_A3"


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """The report has tests of its own."""
    monkeypatch.setattr(finish, "write_report", lambda *args, **kwargs: None)


def unset_model(folder: Path, data: Path) -> Config:
    """Return a configuration that leaves the settings of the model to a potential."""
    return small(folder, data).model_copy(update={"model": ModelConfig()})


def log(run: Run | Path) -> list[dict[str, float]]:
    return read_log((run if isinstance(run, Path) else run.folder) / "log.csv")


def member(run: Run) -> Potential:
    assert isinstance(run.potential, Potential)
    return run.potential


def write(path: Path, structures: list[Atoms]) -> Path:
    ase.io.write(path, structures, format="extxyz")
    return path


def relabeled(path: Path, change: Callable[[int, dict[str, Any]], dict[str, Any]]) -> Path:
    """Write ethanol with other labels: `change` gets the number and labels of a structure."""
    structures = ase.io.read(DATA, ":")
    for i, atoms in enumerate(structures):
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **change(i, labels))
    return write(path, structures)


def crystals(path: Path, n: int = 24) -> Path:
    """Write rattled crystals that a random potential has labeled with energy, forces, stress."""
    potential = Potential(random_model([8], seed=3, n_recursions=0, l_max=1))
    with torch.no_grad():
        potential.model.energy_scale.fill_(4.0)
    lattice = np.array([[3.6, 0.2, 0.0], [0.0, 3.3, 0.3], [0.1, 0.0, 3.9]])
    sites = np.array([[0.0, 0, 0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]])
    rng, structures = np.random.default_rng(0), []
    for _ in range(n):
        cell = lattice @ (np.eye(3) + 0.08 * rng.normal(size=(3, 3)))
        atoms = Atoms("O4", sites @ cell + 0.12 * rng.normal(size=(4, 3)), cell=cell, pbc=True)
        labels = potential.predict(atoms, ["energy", "forces", "stress"])
        atoms.calc = SinglePointCalculator(atoms, **labels)
        structures.append(atoms)
    return write(path, structures)


# --- the start --------------------------------------------------------------------------------


def baseline_by_hand(folder: Path) -> dict[str, float]:
    """Return the errors of one energy per atom, fitted to the training part, without forces."""
    part = split_of(folder)
    structures = ase.io.read(DATA, ":")
    energies = np.array([a.get_potential_energy() for a in structures])
    # All ethanol: one composition, so the fit is the mean.
    error = (energies[part["valid"]] - energies[part["train"]].mean()) / 9
    forces = np.concatenate([structures[i].get_forces() for i in part["valid"]])
    return {VALID_E: 1e3 * np.sqrt(np.mean(error**2)), VALID_F: 1e3 * np.sqrt(np.mean(forces**2))}


def split_of(folder: Path) -> dict[str, list[int]]:
    parts = json.loads((folder / "split.json").read_text())["parts"]
    return {name: part["indices"] for name, part in parts.items()}


@pytest.mark.parametrize(
    ("choices", "tolerance"),
    [
        ({}, 1e-6),
        ({"precision": "float64"}, 1e-12),
        ({"n_recursions": 2, "l_max": 2, "zbl": None}, 1e-6),
        ({"features": "orbitals", "standardize": False, "angular": "raw"}, 1e-6),
    ],
)
def test_epoch_zero_is_the_baseline(tmp_path, choices, tolerance):
    run = train(small(tmp_path / "run", epochs=1, **choices))
    first = log(run)[0]
    assert first["epoch"] == 0
    assert math.isnan(first["train_energy_rmse_meV_per_atom"])
    by_hand = baseline_by_hand(run.folder)
    recorded = member(run).metadata["errors"]["baseline"]
    for name in (VALID_E, VALID_F):
        assert first[name] == pytest.approx(by_hand[name], rel=max(tolerance, 1e-9))
        assert first[name] == pytest.approx(recorded[name.removeprefix("valid_")], rel=tolerance)


def reference_energies(potential: Potential) -> dict[str, float]:
    values = potential.model.reference_energies.tolist()
    return dict(zip(potential.elements, values, strict=True))


def test_energies_of_the_validation_set_alone_do_not_choose_the_epoch(tmp_path):
    """Their constants cannot be learned from forces."""
    bare = relabeled(tmp_path / "bare.xyz", lambda _, labels: {"forces": labels["forces"]})
    run = train(small(tmp_path / "run", bare, valid=str(DATA), epochs=3))
    assert VALID_E not in log(run)[-1]
    assert log(run)[-1]["valid_loss"] < 10.0
    only = relabeled(tmp_path / "only.xyz", lambda _, labels: {"energy": labels["energy"]})
    with pytest.raises(UserError, match="No structure of valid has a label with a weight"):
        train(small(tmp_path / "other", bare, valid=str(only), epochs=3))


def test_fitted_reference_energies_are_trained(tmp_path):
    path = write(tmp_path / "two.xyz", [ase.io.read(DATA, i) for i in range(4)])
    run = train(small(tmp_path / "run", path, valid=0.3, epochs=2, learning_rate=1e-2))
    mean = sum(reference_energies(member(run))[s] for s in "CCOHHHHHH")
    energies = [a.get_potential_energy() for a in ase.io.read(path, ":")]
    assert all(abs(mean - e) > 1e-4 for e in energies)
    start = checkpoint.read(run.folder / FILE, KIND)[1]
    assert "average.heads.energy.reference_energies" in start


@pytest.mark.parametrize("source", ["isolated", "given"])
def test_known_reference_energies_stay_exactly(tmp_path, source):
    known = {"C": -1030.5, "H": -13.25, "O": -2043.125}
    structures = ase.io.read(DATA, ":")
    for symbol, energy in known.items():
        atom = Atoms(symbol)
        atom.calc = SinglePointCalculator(atom, energy=energy, forces=np.zeros((1, 3)))
        structures.append(atom)
    path = write(tmp_path / "data.xyz", structures)
    setting = "isolated" if source == "isolated" else known
    run = train(small(tmp_path / "run", path, reference_energies=setting, learning_rate=1e-2))
    assert reference_energies(member(run)) == known
    assert member(run).metadata["reference_energies_source"] == source
    assert log(run)[-1][VALID_E] < log(run)[0][VALID_E]
    # And so does the energy of an atom that is alone.
    for symbol, energy in known.items():
        assert member(run).predict(Atoms(symbol), ["energy"])["energy"] == energy


def test_known_reference_energies_cost_no_epochs(tmp_path):
    """The first step starts from a fit of the binding energy, which no rate has to find."""
    known = {"C": -1036.0, "H": -13.5, "O": -2043.0}
    run = train(small(tmp_path / "run", reference_energies=known, epochs=1, learning_rate=1e-6))
    first, second = log(run)
    assert first[VALID_E] > 1000
    assert second["train_energy_rmse_meV_per_atom"] < first[VALID_E] / 10
    assert second[VALID_E] < first[VALID_E] / 10


# --- learning ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Run:
    """A run that is long enough to learn something."""
    folder = tmp_path_factory.mktemp("learned")
    wide = {"hidden": [16, 16]}
    config = small(
        folder / "run",
        epochs=50,
        batch_size=2,
        learning_rate=1e-2,
        cutoff=4.0,
        n_radial=6,
        l_max=2,
        readout=wide,
        update=wide,
        valid={"indices": VALID},
        test={"indices": [3, 7]},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", lambda *args, **kwargs: None)
        return train(config)


def test_forces_are_learned(learned):
    """A third of the baseline, on structures that were not trained on."""
    rows = log(learned)
    assert min(row[VALID_F] for row in rows) < rows[0][VALID_F] / 3
    assert rows[-1]["train_forces_rmse_meV_per_A"] < rows[0][VALID_F] / 8
    assert rows[-1]["train_energy_rmse_meV_per_atom"] < rows[0][VALID_E] / 4


def test_the_best_weights_are_kept(learned):
    rows = log(learned)
    best = min(rows, key=lambda row: row["valid_loss"])
    assert [r["epoch"] for r in rows if r["best"]][-1] == best["epoch"]
    found = learned.evaluations["valid"].summary()
    header = member(learned).metadata
    assert header["epoch"] == best["epoch"]
    for name in (VALID_E, VALID_F):
        assert found[name.removeprefix("valid_")] == pytest.approx(best[name], rel=1e-4)
        assert header["errors"]["valid"][name.removeprefix("valid_")] == best[name]


def test_the_parts_that_were_not_trained_on_are_evaluated(learned):
    assert set(learned.evaluations) == {"valid", "test"}
    origins = learned.evaluations["test"].origins
    assert sorted(Path(origin).name for origin in origins) == ["ethanol.xyz#3", "ethanol.xyz#7"]


def test_every_column_of_the_log_has_a_unit(learned):
    assert set(log(learned)[0]) == {
        "epoch",
        "learning_rate",
        "train_energy_rmse_meV_per_atom",
        "train_forces_rmse_meV_per_A",
        VALID_E,
        VALID_F,
        "valid_loss",
        "best",
        "seconds",
    }


def test_the_validation_loss_has_fixed_weights(learned):
    """The emphasis on the energy is that of the end, at every epoch."""
    scale, n_atoms = 1e3 * member(learned).model.energy_scale.item(), 9
    for row in log(learned):
        energy, forces = (row[name] / scale for name in (VALID_E, VALID_F))
        expected = 20.0 * n_atoms * energy**2 + forces**2
        assert row["valid_loss"] == pytest.approx(expected, rel=1e-6)


def test_a_wrong_validation_label_among_twenty_does_not_choose_the_epoch(tmp_path):
    """The sign of an error of 50 eV changes the loss of all structures, but not that of most."""
    logs = []
    for error in (50.0, -50.0):

        def wrong(i: int, labels: dict[str, Any], error: float = error) -> dict[str, Any]:
            return labels | {"energy": labels["energy"] + (error if i == 3 else 0.0)}

        folder = tmp_path / f"{error:g}"
        folder.mkdir()
        valid = relabeled(folder / "valid.xyz", wrong)
        logs.append(log_without_time(train(small(folder / "run", valid=[str(valid)])).folder))
    one, two = logs
    assert len(ase.io.read(DATA, ":")) >= 20
    for name in ("valid_loss", "best"):
        assert [row[name] for row in one] == [row[name] for row in two]
    assert [row[VALID_E] for row in one] != [row[VALID_E] for row in two]


def test_averaged_weights_are_validated_and_kept(tmp_path, monkeypatch):
    seen, validate = [], Trainer.validate

    def compared(self: Trainer):
        average = {name: w.clone() for name, w in self.state.average.state().items()}
        live = {name: p.detach().clone() for name, p in self.state.model.named_parameters()}
        update = self.compiled.update

        def watched(model):
            seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
            update(model)

        self.compiled.update = watched
        found = validate(self)
        self.compiled.update = update
        for name, p in self.state.model.named_parameters():
            assert torch.equal(seen[-1][name], average[name])
            assert torch.equal(p, live[name])
        return found

    monkeypatch.setattr(Trainer, "validate", compared)
    run = train(small(tmp_path / "run", epochs=4, learning_rate=1e-2))
    tensors = checkpoint.read(run.folder / FILE, KIND)[1]
    best = member(run).metadata["epoch"]
    for name, p in member(run).model.named_parameters():
        assert torch.equal(p, seen[best][name])
    name = "heads.energy.readout.last.weight"
    assert not torch.equal(tensors[f"model.{name}"], tensors[f"average.{name}"])


def test_the_rate_follows_the_cosine(learned):
    rates = [row["learning_rate"] for row in log(learned)]
    assert max(rates) == pytest.approx(1e-2, rel=1e-2)
    assert rates[-1] == pytest.approx(1e-4)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_the_range_of_the_density_is_recorded(learned):
    model = member(learned).model
    assert model.density_min.isfinite().all()
    assert model.density_max.isfinite().all()
    assert (model.density_min <= model.density_max).all()
    structures = ase.io.read(DATA, ":")
    for i in split_of(learned.folder)["train"]:
        assert not model.extrapolates(graph_from_atoms(structures[i], 4.0), margin=1e-4).any()
    squeezed = structures[0].copy()
    squeezed.positions *= 0.7
    assert model.extrapolates(graph_from_atoms(squeezed, 4.0)).all()


def test_stress_is_learned(tmp_path):
    path = crystals(tmp_path / "crystals.xyz")
    run = train(small(tmp_path / "run", path, epochs=60, batch_size=2, learning_rate=1e-2))
    rows = log(run)
    assert rows[0][VALID_S] > 0
    assert min(row[VALID_S] for row in rows) < rows[0][VALID_S] / 2
    assert rows[-1]["train_stress_rmse_meV_per_A3"] < rows[0][VALID_S] / 2


def test_stress_without_a_weight_is_not_trained_on(tmp_path):
    path = crystals(tmp_path / "crystals.xyz", 6)
    run = train(small(tmp_path / "run", path, epochs=1, loss={"stress": 0}))
    assert not any("stress" in name for name in log(run)[0])


# --- missing labels ---------------------------------------------------------------------------


@pytest.mark.parametrize("kept", ["energy", "forces"])
def test_one_kind_of_label_is_enough(tmp_path, kept):
    path = relabeled(tmp_path / "some.xyz", lambda _, labels: {kept: labels[kept]})
    valid = {"indices": VALID}
    run = train(small(tmp_path / "run", path, epochs=20, learning_rate=1e-2, valid=valid))
    rows = log(run)
    (name,) = [name for name in rows[0] if name.startswith("valid_") and "rmse" in name]
    assert kept in name
    # Sixteen structures teach energies by heart: what is learned shows on them.
    assert rows[-1][name.replace("valid", "train")] < 0.9 * rows[0][name]
    summary = run.evaluations["valid"].summary()
    assert {n.split("_")[0] for n in summary if "rmse" in n} == {kept}


def test_missing_forces_must_be_allowed(tmp_path):
    def drop_half(i: int, labels: dict[str, Any]) -> dict[str, Any]:
        return labels if i % 2 else {"energy": labels["energy"]}

    path = relabeled(tmp_path / "half.xyz", drop_half)
    with pytest.raises(UserError, match="forces"):
        train(small(tmp_path / "refused", path))
    fields = {"missing": "allow", "epochs": 6, "batch_size": 2, "valid": {"indices": VALID}}
    run = train(small(tmp_path / "run", path, **fields))
    rows = log(run)
    assert all(math.isfinite(row["valid_loss"]) for row in rows)
    assert rows[-1][VALID_F] < rows[0][VALID_F]


def test_a_batch_without_any_label_is_harmless(tmp_path):
    """Structures without labels beside labeled ones change neither the run nor its end."""

    def drop_some(i: int, labels: dict[str, Any]) -> dict[str, Any]:
        return labels if i % 3 else {}

    path = relabeled(tmp_path / "some.xyz", drop_some)
    valid = {"indices": [1, 2, 4]}
    run = train(small(tmp_path / "run", path, missing="allow", valid=valid, batch_size=1))
    assert log(run)[-1][VALID_F] < log(run)[0][VALID_F]


@pytest.mark.parametrize("kept", ["energy", "forces"])
def test_isolated_atoms_train_beside_molecules(tmp_path, kept):
    """A step may consist of one atom, whose forces are zero whatever the weights are."""
    path = relabeled(tmp_path / "some.xyz", lambda _, labels: {kept: labels[kept]})
    structures = ase.io.read(path, ":6")
    for symbol in "CHO":
        atom = Atoms(symbol)
        labels = {"energy": -20.0, "forces": np.zeros((1, 3))}
        atom.calc = SinglePointCalculator(atom, **{kept: labels[kept]})
        structures.append(atom)
    write(path, structures)
    run = train(small(tmp_path / "run", path, batch_size=1, valid={"indices": [0, 1]}))
    assert math.isfinite(log(run)[-1]["valid_loss"])


def test_a_perfect_start_is_no_divergence(tmp_path):
    structures = [Atoms("H") for _ in range(8)]
    for atom in structures:
        atom.calc = SinglePointCalculator(atom, energy=-13.5, forces=np.zeros((1, 3)))
    path = write(tmp_path / "atoms.xyz", structures)
    known = {"H": -13.5}
    fields = {"reference_energies": known, "valid": {"indices": [0]}}
    config = small(tmp_path / "run", path, epochs=MOST_ROLLBACKS + 3, **fields)
    assert member(train(config)).predict(Atoms("H"))["energy"] == -13.5


def test_nothing_is_trained_on_nothing(tmp_path):
    """Labels that have no weight are said to be the reason, not the learning rate."""
    path = relabeled(tmp_path / "some.xyz", lambda _, labels: {"energy": labels["energy"]})
    with pytest.raises(UserError, match=r"label|weight"):
        train(small(tmp_path / "run", path, loss={"energy": 0}))


def test_a_valid_part_without_labels_is_refused(tmp_path):
    path = relabeled(tmp_path / "some.xyz", lambda i, labels: labels if i > 3 else {})
    config = small(tmp_path / "run", path, missing="allow", valid={"indices": [0, 1, 2]})
    with pytest.raises(UserError, match="valid"):
        train(config)


def slabs(path: Path, forces_on_fixed: float) -> Path:
    """Write ethanol whose first three atoms are fixed and have absurd forces."""
    structures = ase.io.read(DATA, ":")
    for atoms in structures:
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        labels["forces"][:3] = forces_on_fixed
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.set_constraint(FixAtoms([0, 1, 2]))
    return write(path, structures)


def test_forces_on_fixed_atoms_are_ignored_on_request(tmp_path):
    zero, absurd = slabs(tmp_path / "zero.xyz", 0.0), slabs(tmp_path / "absurd.xyz", 777.0)
    logs = []
    for name, path in (("zero", zero), ("absurd", absurd)):
        train(small(tmp_path / name, path, ignore_forces_of="constrained", epochs=2))
        logs.append(log_without_time(tmp_path / name))
    assert logs[0] == logs[1]
    minded = train(small(tmp_path / "minded", absurd, epochs=1))
    assert log(minded)[0][VALID_F] > 100 * logs[0][0][VALID_F]


def test_a_structure_of_weight_zero_teaches_nothing(tmp_path):
    """Its labels may be anything, but for the fit of energies and the scale of forces."""
    runs = []
    for name, twist in (("one", 0.0), ("two", 1.0)):
        structures = ase.io.read(DATA, ":")
        for i, atoms in enumerate(structures):
            labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
            if i == 5:
                # The same mean and scale.
                labels["forces"] = labels["forces"][::-1] if twist else labels["forces"]
            atoms.info["weight"] = float(i != 5)
            atoms.calc = SinglePointCalculator(atoms, **labels)
        path = write(tmp_path / f"{name}.xyz", structures)
        keys = {"weight": "weight"}
        runs.append(train(small(tmp_path / name, path, keys=keys, valid={"indices": [0, 1, 2]})))
    one, two = (log(run) for run in runs)
    assert [r["valid_loss"] for r in one] == pytest.approx([r["valid_loss"] for r in two])
    assert one[-1]["train_forces_rmse_meV_per_A"] != two[-1]["train_forces_rmse_meV_per_A"]


# --- rates and stops --------------------------------------------------------------------------


def test_a_plateau_halves_the_rate_and_ends_the_training(tmp_path, monkeypatch):
    fixed_loss(monkeypatch, lambda epoch: 1.0)
    schedule = {"name": "plateau", "patience": 2, "minimum": 3e-4}
    run = train(small(tmp_path / "run", epochs=50, schedule=schedule, learning_rate=1e-3))
    # Epoch 0 is an improvement; epochs 1 and 2 are not, so epoch 3 has half the rate.
    rates = [row["learning_rate"] for row in log(run)]
    assert rates == pytest.approx([1e-3] * 3 + [5e-4] * 2)


def test_no_plateau_while_the_loss_falls(tmp_path, monkeypatch):
    fixed_loss(monkeypatch, lambda epoch: 1.0 / (1 + epoch))
    run = train(small(tmp_path / "run", epochs=5, schedule={"name": "plateau", "patience": 1}))
    assert len({row["learning_rate"] for row in log(run)}) == 1


def test_training_stops_after_so_many_epochs_without_improvement(tmp_path, monkeypatch):
    fixed_loss(monkeypatch, lambda epoch: {0: 3.0, 1: 2.0, 2: 1.0}.get(epoch, 1.5))
    run = train(small(tmp_path / "run", epochs=50, patience=3))
    assert log(run)[-1]["epoch"] == 2 + 3
    assert member(run).metadata["epoch"] == 2
    # A finished run stays finished.
    before = log_without_time(run.folder)
    resume(run.folder)
    assert log_without_time(run.folder) == before


def watch_rollbacks(monkeypatch) -> list[tuple[float, bool]]:
    """Return a list of what follows: factor of the rate, and whether the weights are the best."""
    seen: list[tuple[float, bool]] = []
    roll_back = TrainingState.roll_back

    def watched(self: TrainingState) -> None:
        roll_back(self)
        back = all(
            torch.equal(p, self.best[n]) and torch.equal(self.average.state()[n], self.best[n])
            for n, p in self.model.named_parameters()
            if p.requires_grad
        )
        seen.append((self.progress.rate_factor, back and not self.optimizer.state))

    monkeypatch.setattr(TrainingState, "roll_back", watched)
    return seen


def test_a_loss_that_is_not_a_number_rolls_back_to_the_best_weights(tmp_path, monkeypatch, capsys):
    seen, calls, call = watch_rollbacks(monkeypatch), [], Loss.__call__

    def sometimes(self, predicted, graph, counts, emphasis=1.0):
        loss = call(self, predicted, graph, counts, emphasis)
        calls.append(loss.requires_grad)
        return loss * math.nan if sum(calls) == 10 and loss.requires_grad else loss

    monkeypatch.setattr(Loss, "__call__", sometimes)
    run = train(small(tmp_path / "run", epochs=8, learning_rate=1e-3))
    assert seen == [(0.5, True)]
    assert "half the learning rate: the gradient is not finite" in capsys.readouterr().out
    rows = log(run)
    assert rows[-1]["epoch"] == 8
    assert rows[-1]["train_forces_rmse_meV_per_A"] < rows[1]["train_forces_rmse_meV_per_A"]
    assert rows[-1]["learning_rate"] == pytest.approx(0.5e-5)
    assert all(p.isfinite().all() for p in member(run).model.parameters())


def test_a_validation_loss_that_explodes_rolls_back(tmp_path, monkeypatch):
    seen = watch_rollbacks(monkeypatch)
    fixed_loss(monkeypatch, lambda epoch: {3: math.nan, 5: 30.0}.get(epoch, 1.0 / (1 + epoch)))
    run = train(small(tmp_path / "run", epochs=6))
    assert seen == [(0.5, True), (0.25, True)]
    assert [row["best"] for row in log(run)] == [1, 1, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("cause", ["rate", "loss"])
def test_a_training_that_always_diverges_is_an_error(tmp_path, monkeypatch, cause):
    seen = watch_rollbacks(monkeypatch)
    rate = 1e9 if cause == "rate" else 1e-3
    if cause == "loss":
        call = Loss.__call__
        monkeypatch.setattr(Loss, "__call__", lambda *a: call(*a) * _nan_in_training(a[1]))
    with pytest.raises(UserError, match="The training diverges") as error:
        train(small(tmp_path / "run", epochs=40, learning_rate=rate, clip=None))
    assert "learning_rate" in str(error.value)
    assert len(seen) == MOST_ROLLBACKS
    assert all(back for _, back in seen)
    assert seen[-1][0] == 0.5**MOST_ROLLBACKS
    # What was best is still there.
    assert load(tmp_path / "run" / "model.reann").metadata["epoch"] >= 0


def _nan_in_training(predicted: dict[str, torch.Tensor]) -> float:
    return math.nan if any(p.requires_grad for p in predicted.values()) else 1.0


# --- going on ---------------------------------------------------------------------------------


def test_a_warm_start_goes_on_from_the_errors_of_the_file(tmp_path):
    first = train(small(tmp_path / "first", epochs=12, learning_rate=1e-2))
    old = member(first).metadata["errors"]["valid"]
    again = train(small(tmp_path / "again"), warm_start=first.folder / "model.reann")
    assert log(again)[0][VALID_E] == pytest.approx(old["energy_rmse_meV_per_atom"], rel=1e-6)
    assert log(again)[0][VALID_F] == pytest.approx(old["forces_rmse_meV_per_A"], rel=1e-6)
    assert log(again)[0][VALID_F] < 0.9 * log(first)[0][VALID_F]
    # The file that was started from is left alone.
    assert member(first).metadata == load(first.folder / "model.reann").metadata


def test_a_warm_start_refuses_what_the_file_cannot_do(tmp_path):
    start = train(small(tmp_path / "first", epochs=1)).folder / "model.reann"
    with pytest.raises(UserError, match=r"model\.cutoff 3\.0 \(not 2\.5\)"):
        train(small(tmp_path / "cutoff", cutoff=2.5), warm_start=start)
    with pytest.raises(UserError, match="no such file"):
        train(small(tmp_path / "absent"), warm_start=tmp_path / "absent.reann")
    pair = tmp_path / "pair.reann"
    Ensemble([load(start), load(start)]).save(pair)
    with pytest.raises(UserError, match="ensemble"):
        train(small(tmp_path / "ensemble"), warm_start=pair)


def test_a_warm_start_of_another_form_is_resumed_exactly(tmp_path, monkeypatch):
    """The form of the model comes from the file, and does so again when the run goes on."""
    structures = ase.io.read(DATA, ":")
    wide = train(small(tmp_path / "wide", epochs=1, n_radial=5, n_recursions=0))
    path = write(tmp_path / "more.xyz", structures[:12])
    start, runs = wide.folder / "model.reann", {n: tmp_path / n for n in ("whole", "broken")}
    train(unset_model(runs["whole"], path), warm_start=start)
    with monkeypatch.context() as patch:
        stop_in(patch, epoch=2)
        with pytest.raises(StoppedError):
            train(unset_model(runs["broken"], path), warm_start=start)
    start.unlink()
    done = resume(runs["broken"])
    assert member(done).model.config.n_radial == 5
    assert_same_run(runs["whole"], runs["broken"])


def with_silicon(path: Path) -> Path:
    """Write ethanol in which silicon takes the place of a carbon atom of some molecules."""
    structures = ase.io.read(DATA, ":")
    for atoms in structures[:9]:
        atoms.numbers[0] = 14
    return write(path, structures)


def test_new_elements_and_heads_are_trained_from_copies_and_resumed_exactly(tmp_path, monkeypatch):
    start = train(small(tmp_path / "first", epochs=1)).folder / "model.reann"
    path = with_silicon(tmp_path / "silicon.xyz")
    runs = {n: tmp_path / n for n in ("whole", "broken")}

    def config(folder: Path) -> Config:
        return small(folder, path, heads=["better"])

    whole = train(config(runs["whole"]), warm_start=start)
    assert member(whole).elements == [*load(start).elements, "Si"]
    assert list(member(whole).model.heads) == ["better"]
    assert member(whole).metadata["parents"][0]["structures"] == load(start).metadata["n_train"]
    with monkeypatch.context() as patch:
        stop_in(patch, epoch=2)
        with pytest.raises(StoppedError):
            train(config(runs["broken"]), warm_start=start)
    resume(runs["broken"])
    assert_same_run(runs["whole"], runs["broken"])


def test_a_new_element_needs_its_energy_where_energies_of_free_atoms_are_fixed(tmp_path):
    free = {"H": -13.6, "C": -1029.0, "O": -2041.0}
    first = small(tmp_path / "first", epochs=1)
    data = first.data.model_copy(update={"reference_energies": free})
    start = train(first.model_copy(update={"data": data})).folder / "model.reann"
    path = with_silicon(tmp_path / "silicon.xyz")
    with pytest.raises(UserError, match="there is none for Si"):
        train(small(tmp_path / "second", path), warm_start=start)


def test_a_warm_start_on_another_method_begins_without_its_offset(tmp_path):
    first = train(small(tmp_path / "first", epochs=12, learning_rate=1e-2))
    old = member(first).metadata["errors"]["valid"]["energy_rmse_meV_per_atom"]

    def higher(_: int, labels: dict[str, Any]) -> dict[str, Any]:
        return labels | {"energy": labels["energy"] + 1234.5}

    path = relabeled(tmp_path / "other.xyz", higher)
    again = train(small(tmp_path / "again", path), warm_start=first.folder / "model.reann")
    assert log(again)[0][VALID_E] < 1.5 * old


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_frozen_body_stays_as_it_is_and_the_heads_learn(tmp_path, engine):
    first = train(small(tmp_path / "first", epochs=2))
    config = small(tmp_path / "again", epochs=3, body_rate=0.0, learning_rate=1e-2)
    config = config.model_copy(update={"run": config.run.model_copy(update={"engine": engine})})
    again = train(config, warm_start=first.folder / "model.reann")
    old, new = (member(x).model.state_dict() for x in (first, again))
    for name, value in old.items():
        same = torch.equal(value, new[name])
        if name.startswith("recursion."):
            assert same, name
        if name.endswith("readout.first.weight"):
            assert not same
    assert log(again)[-1][VALID_F] < log(again)[0][VALID_F]


def test_a_run_may_be_overwritten_by_its_own_continuation(tmp_path):
    """`--from RUN/model.reann --overwrite` into RUN itself must not lose the start."""
    first = train(small(tmp_path / "run", epochs=3, learning_rate=1e-2))
    old = member(first).metadata["errors"]["valid"]["forces_rmse_meV_per_A"]
    config = small(tmp_path / "run", epochs=1)
    again = train(config, warm_start=first.folder / "model.reann", overwrite=True)
    assert log(again)[0][VALID_F] == pytest.approx(old, rel=1e-6)


def test_a_warm_start_may_change_the_precision(tmp_path):
    first = train(small(tmp_path / "first", epochs=2))
    config = small(tmp_path / "again", epochs=1, precision="float64")
    again = train(config, warm_start=first.folder / "model.reann")
    assert member(again).model.dtype == torch.float64
    old = member(first).metadata["errors"]["valid"]["forces_rmse_meV_per_A"]
    assert log(again)[0][VALID_F] == pytest.approx(old, rel=1e-4)


# --- ensembles --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Run:
    """An ensemble of two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", lambda *args, **kwargs: None)
        return train(small(tmp_path_factory.mktemp("pair") / "run", seeds=2, learning_rate=1e-2))


def test_an_ensemble_is_one_file_of_its_members(pair):
    found = load(pair.folder / "model.reann")
    assert isinstance(found, Ensemble)
    one, two = found.members
    assert len(found.members) == 2
    atoms = ase.io.read(DATA, 0)
    names = ["energy", "forces"]
    first, second, both = (p.predict(atoms, names) for p in (one, two, found))
    for name in names:
        stacked = np.stack([first[name], second[name]])
        assert both[name] == pytest.approx(stacked.mean(0), rel=1e-12)
        assert both[f"{name}_std"] == pytest.approx(stacked.std(0, ddof=1), rel=1e-9, abs=1e-12)
    assert np.any(both["forces_std"] > 0)
    for i, seed in enumerate((1, 2)):
        own = load(pair.folder / f"seed-{seed}" / "model.reann")
        assert own.predict(atoms, names)["energy"] == (first, second)[i]["energy"]


def test_members_share_the_split_and_differ_in_their_weights(pair):
    one, two = (log_without_time(pair.folder / f"seed-{seed}") for seed in (1, 2))
    assert one[0][VALID_F] == two[0][VALID_F]
    assert one[1][VALID_F] != two[1][VALID_F]
    assert not (pair.folder / "seed-1" / "split.json").exists()


def test_an_ensemble_is_resumed_in_its_second_member(pair, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_in(patch, epoch=2, seed=2)
        with pytest.raises(StoppedError):
            train(small(folder, seeds=2, learning_rate=1e-2))
    assert not (folder / "model.reann").exists()
    done = resume(folder)
    assert len(done.potential.members) == 2
    for seed in (1, 2):
        assert_same_run(pair.folder / f"seed-{seed}", folder / f"seed-{seed}")
    tensors = (checkpoint.read(f / "model.reann", "potential")[1] for f in (pair.folder, folder))
    one, two = tensors
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_an_ensemble_is_overwritten_with_its_members(tmp_path):
    config = small(tmp_path / "run", seeds=2, epochs=1)
    train(config)
    other = small(tmp_path / "run", seeds=2, epochs=2)
    train(other, overwrite=True)
    for seed in (1, 2):
        assert [r["epoch"] for r in log(tmp_path / "run" / f"seed-{seed}")] == [0, 1, 2]


def test_a_stopped_ensemble_says_which_folder_to_resume(tmp_path, monkeypatch, capsys):
    folder, validate = tmp_path / "run", Trainer.validate

    def asked_to_stop(self: Trainer):
        found = validate(self)
        self.stop.requested = True
        return found

    monkeypatch.setattr(Trainer, "validate", asked_to_stop)
    with pytest.raises(KeyboardInterrupt):
        train(small(folder, seeds=2))
    output = capsys.readouterr().out.replace("\n", " ")
    assert f"reann resume {folder} " in output
    monkeypatch.setattr(Trainer, "validate", validate)
    assert len(resume(folder).potential.members) == 2


# --- trackers ---------------------------------------------------------------------------------


def test_a_run_is_tracked_by_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(small(tmp_path / "run", epochs=2, tracker="tensorboard"))
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    found = [e.value for e in events.Scalars(VALID_F)]
    assert found == pytest.approx([row[VALID_F] for row in log(run)], rel=1e-6)


def test_a_tracker_that_is_missing_stops_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="wandb is not installed"):
        train(small(tmp_path / "run", tracker="wandb"))
    assert not (tmp_path / "run" / "log.csv").exists()


@pytest.mark.parametrize(("edges", "threads"), [(10_000, 1), (100, 2), (10, 4)])
def test_threads_are_as_many_as_a_step_keeps_busy_and_stay_so(
    tmp_path, monkeypatch, edges, threads
):
    monkeypatch.setattr(setup, "EDGES_PER_THREAD", edges)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    run = train(small(tmp_path / "run", epochs=1, threads=None))
    assert load_config(run.folder / "config.yaml").run.threads == threads

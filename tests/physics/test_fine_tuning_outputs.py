"""Fine-tuning reads what the model of the file needs, also if the settings do not repeat it."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from models import random_model
from reann.errors import UserError
from reann.evaluation.evaluate import evaluate
from reann.potential import load
from reann.training.run import Run, resume, train
from reann.training.warm_start import freeze_outputs

MODEL = {"channels": 4, "cutoff": 3.0, "l_max": 1, "n_recursions": 1, "inputs": ["charge"]}
DIPOLE = {"outputs": ["dipole"]}


def ions(n: int, *, dipoles: bool) -> list[ase.Atoms]:
    """Waters and their cations, whose energies are 10 eV higher."""
    rng, frames = np.random.default_rng(1), []
    for number in range(n):
        charge, moved = number % 2, rng.normal(size=(3, 3), scale=0.05)
        atoms = ase.Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
        atoms.positions += moved
        energy = 5.0 * np.square(moved).sum() + 10.0 * charge
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=-10.0 * moved)
        atoms.info["total_charge"] = charge
        if dipoles:
            atoms.info["dipole"] = np.array([-0.8, 0.4, 0.4]) @ atoms.positions
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    for name, dipoles in (("with", True), ("without", False)):
        ase.io.write(folder / f"{name}.xyz", ions(30, dipoles=dipoles), format="extxyz")
    trained(folder, "with", "first", model=MODEL | DIPOLE)
    return folder


def trained(folder: Path, data: str, run: str, start: Path | None = None, **more) -> Run:
    keys = more.pop("keys", {})
    values = {
        "data": {"train": str(folder / f"{data}.xyz"), "valid": 0.2, "keys": keys},
        "training": {"batch_size": 8, "epochs": 2},
        "run": {"folder": str(folder / run), "threads": 1, "uncertainty": False},
    }
    return train(values | more, warm_start=start)


@pytest.mark.parametrize("more", [{}, {"model": DIPOLE}, {"keys": {"dipole": None}}])
def test_a_head_without_labels_is_kept_and_not_trained(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: dict
) -> None:
    start = folder / "first" / "model.reann"
    before = load(start).model.state_dict()
    run = trained(folder, "without", str(tmp_path / "second"), start, **more)
    assert "the label 'dipole': it is not trained on" in " ".join(capsys.readouterr().out.split())
    for trained_further in (run, resume(run.folder, ["training.epochs=3"])):
        after = trained_further.potential.model.state_dict()
        assert before.keys() == after.keys()
        changed = {n for n, x in before.items() if not torch.equal(x, after[n])}
        assert not {n for n in changed if n.startswith("output_heads")}
        assert {n for n in changed if n.startswith("recursion")}
    (atoms, *_) = ions(1, dipoles=False)
    (values,) = run.potential.predict([atoms], ["dipole"])
    assert np.isfinite(values["dipole"]).all()
    if not more.get("keys"):
        evaluation = evaluate(run.potential, [str(folder / "with.xyz")], quiet=True)
        assert "dipole_rmse_me_A_per_atom" in evaluation.summary()


def test_charges_and_dipoles_are_read_without_the_settings_of_the_model(
    folder: Path, tmp_path: Path
) -> None:
    """The charges would otherwise be ignored: all structures would be trained on as neutral."""
    run = trained(folder, "with", str(tmp_path / "second"), folder / "first" / "model.reann")
    errors = run.evaluations["valid"].summary()
    assert errors["energy_rmse_meV_per_atom"] < 1e3  # 1.7 eV per atom without charges
    assert "dipole_rmse_me_A_per_atom" in errors


def test_absent_charges_are_noted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    neutral = ions(30, dipoles=False)[::2]
    for atoms in neutral:
        del atoms.info["total_charge"]
    ase.io.write(tmp_path / "neutral.xyz", neutral, format="extxyz")
    trained(tmp_path, "neutral", "second", folder / "first" / "model.reann")
    shown = " ".join(capsys.readouterr().out.split())
    assert "no structure of the training set states its charge: all have the default 0" in shown


def test_a_key_that_the_user_sets_and_no_structure_has_is_an_error(
    folder: Path, tmp_path: Path
) -> None:
    start, more = folder / "first" / "model.reann", {"model": DIPOLE, "keys": {"dipole": "mu"}}
    with pytest.raises(UserError, match="has the key 'mu' for the dipole"):
        trained(folder, "without", str(tmp_path / "second"), start, **more)


def test_a_new_model_needs_the_labels_of_its_outputs(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has the key 'dipole' for the dipole"):
        trained(folder, "without", str(tmp_path / "new"), model=MODEL | DIPOLE)


def test_heads_that_the_energy_needs_are_trained() -> None:
    form = {"messages": "equivariant", "l_max": 1, "n_recursions": 1, "outputs": ["dipole"]}
    for long_range, kept in ((None, {"charges", "dipole"}), ({}, {"dipole"})):
        model = random_model(**form, long_range=long_range)
        freeze_outputs(model, [])
        heads = model.output_heads.items()
        assert {n for n, h in heads if not any(p.requires_grad for p in h.parameters())} == kept

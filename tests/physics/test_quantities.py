"""Quantities from outside the package: one row of the table and one head each, nothing else.

Made up: `crowding`, a number per atom, and `lean`, a vector per system, both with known formulas.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reann import cli, quantities
from reann.config import Config
from reann.data.check import check_command
from reann.data.labels import names
from reann.evaluation.evaluate import evaluate as evaluate_command
from reann.interfaces.ase import Calculator
from reann.model import output_heads
from reann.model.heads import OutputHead
from reann.model.networks import Linear
from reann.potential import load
from reann.quantities import ErrorUnit, Quantity
from reann.training import journal
from reann.training.journal import read_log
from reann.training.run import train
from runs import DATA, MODEL

# The native engine does not compute what is made up, and `auto` says so.
pytestmark = pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")

CUTOFF = 3.0
CROWDING = Quantity("crowding", "e", "made up", per_atom=True, aliases="crowdings?")
LEAN = Quantity(
    "lean",
    "e*Å",
    "made up",
    shape=(3,),
    rank=1,
    parity=-1,
    extensive=True,
    errors=ErrorUnit("me*Å/atom", "me_A_per_atom", 1e3),
)
TENSORS = Quantity(
    "tensors",
    "ppm",
    "made up",
    per_atom=True,
    shape=(3, 3),
    rank=2,
    is_sought=False,
    reads_states=True,
)
"""Needs no head of its own."""


class CrowdingHead(OutputHead):
    """A number that is linear in the features."""

    def __init__(self, config, n_elements, width, generator=None):
        super().__init__(config, n_elements, width, generator)
        self.linear = Linear(n_elements, width, 1, generator=generator)

    def forward(self, features, atoms):
        x = features.standardized.split(atoms.counts)
        return torch.cat([self.linear(z, x_z) for z, x_z in enumerate(x)])[:, 0].double()


class LeanHead(OutputHead):
    """Sums of vectors to the neighbors, weighted by their elements: odd under inversion."""

    def __init__(self, config, n_elements, width, generator=None):
        super().__init__(config, n_elements, width, generator)
        self.weight = torch.nn.Parameter(torch.randn(n_elements, generator=generator))

    def forward(self, features, atoms):
        return torch.einsum(
            "ij,ijx->ix",
            self.weight[atoms.element[atoms.neighbor]] * window(atoms.vector.norm(dim=-1)),
            atoms.vector,
        )


def window(r: Any) -> Any:
    return (1.0 - r / CUTOFF).clip(min=0.0) ** 3


def labels(atoms: ase.Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Return the made-up quantities of a molecule."""
    vectors = atoms.positions[None] - atoms.positions[:, None]
    weight = np.where(np.eye(len(atoms)), 0.0, window(np.linalg.norm(vectors, axis=2)))
    return weight.sum(1), np.einsum("ij,ijx,j->x", weight, vectors, atoms.numbers / 8.0)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the rows and the heads, as entry points of a package would."""
    points = {
        quantities.GROUP: [
            EntryPoint(q, f"{__name__}:{q}", quantities.GROUP)
            for q in ("CROWDING", "LEAN", "TENSORS")
        ],
        output_heads.GROUP: [
            EntryPoint("crowding", f"{__name__}:CrowdingHead", output_heads.GROUP),
            EntryPoint("lean", f"{__name__}:LeanHead", output_heads.GROUP),
        ],
    }
    for module in (quantities, output_heads):
        monkeypatch.setattr(module, "entry_points", lambda group: points[group])
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    for module in (quantities, names, journal):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ethanol with energies, forces and the made-up labels."""
    structures = ase.io.read(DATA, ":")
    for atoms in structures:
        crowding, lean = labels(atoms)
        atoms.arrays["DFT_crowding"], atoms.info["tilt"] = crowding, lean
    path = tmp_path / "data.xyz"
    ase.io.write(path, structures, format="extxyz")
    return path


def config(folder: Path, data: Path, **changes: Any) -> Config:
    values = {
        "data": {"train": str(data), "valid": 0.2, "keys": {"lean": "tilt"}},
        "model": MODEL | {"outputs": ["crowding", "lean"]},
        "training": {"epochs": 40, "batch_size": 4, "loss": {"lean": 2.0}},
        "run": {"folder": str(folder), "threads": 1},
    }
    return Config.model_validate(values | changes)


def test_a_quantity_of_a_package_is_trained_checked_evaluated_and_reported(
    added: None, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = train(config(tmp_path / "run", data))
    first, *_, last = read_log(tmp_path / "run" / "log.csv")
    for name in ("valid_crowding_rmse_e", "valid_lean_rmse_me_A_per_atom"):
        assert last[name] < 0.75 * first[name], name
    report = (tmp_path / "run" / "report.html").read_text()
    for shown in ("Crowding, RMSE", "Lean, RMSE", "reference lean component, e*Å/atom"):
        assert shown in report

    model = tmp_path / "run" / "model.reann"
    found = evaluate_command(model, [str(data)], tmp_path / "e.json", tmp_path / "out.xyz")
    errors = json.loads((tmp_path / "e.json").read_text())
    assert errors["lean_rmse_me_A_per_atom"] == found.summary()["lean_rmse_me_A_per_atom"]
    written = ase.io.read(tmp_path / "out.xyz", 0)
    assert written.arrays["reann_crowding"].shape == (9,)
    assert written.info["reann_lean"].shape == (3,)
    np.testing.assert_allclose(written.info["lean"], labels(written)[1], atol=1e-6)

    predicted = load(model).predict(written, ["lean", "crowding", "forces"])
    np.testing.assert_allclose(predicted["lean"], written.info["reann_lean"], atol=1e-6)
    written.calc = Calculator(load(model))
    forces = written.get_forces()
    lean = written.calc.get_property("lean", written)
    np.testing.assert_allclose(lean, predicted["lean"], atol=1e-6)
    np.testing.assert_allclose(forces, predicted["forces"], atol=1e-5)
    assert run.potential is not None

    check_command([str(data)], data=config(tmp_path / "run", data).data)
    assert "DFT_crowding" in capsys.readouterr().out


def test_energies_and_forces_do_not_depend_on_other_outputs(
    added: None, data: Path, tmp_path: Path
) -> None:
    """The native engine computes them for a model that has other outputs, too."""
    train(config(tmp_path / "run", data, training={"epochs": 1, "batch_size": 4}))
    potential = load(tmp_path / "run" / "model.reann")
    atoms = ase.io.read(data, 0)
    native, torch_ = (potential.predict(atoms, ["forces"], e) for e in ("native", "torch"))
    np.testing.assert_allclose(native["forces"], torch_["forces"], atol=1e-4)
    with pytest.raises(Exception, match="computes lean only for"):
        potential.predict(atoms, ["lean"], "native")


def test_a_quantity_that_is_read_off_states_needs_no_head(added: None, tmp_path: Path) -> None:
    structures = ase.io.read(DATA, ":8")
    for i, atoms in enumerate(structures):
        shift = np.array([30.0 if z == 1 else 300.0 for z in atoms.numbers])
        atoms.arrays["tensors"] = np.einsum("i,xy->ixy", shift + 0.1 * i, np.eye(3)).reshape(-1, 9)
    ase.io.write(tmp_path / "data.xyz", structures, format="extxyz")
    model = {"channels": 3, "l_max": 2, "cutoff": 3.0, "outputs": ["tensors"]}
    values = {
        "data": {"train": str(tmp_path / "data.xyz"), "valid": 0.2},
        "model": model,
        "training": {"epochs": 1},
        "run": {"folder": str(tmp_path / "run"), "threads": 1},
    }
    run = train(Config.model_validate(values))
    assert run.evaluations["valid"].summary()["tensors_rmse_ppm"] < 1.0
    evaluate_command(
        tmp_path / "run" / "model.reann", [str(tmp_path / "data.xyz")], None, tmp_path / "out.xyz"
    )
    written = ase.io.read(tmp_path / "out.xyz", 0)
    predicted = load(tmp_path / "run" / "model.reann").predict(written, ["tensors"])["tensors"]
    assert predicted.shape == (9, 3, 3)
    np.testing.assert_allclose(
        written.arrays["reann_tensors"].reshape(-1, 3, 3), predicted, atol=1e-4
    )


def wrong_key(values: dict[str, Any]) -> None:
    values["data"]["keys"] = {"lean": "tild"}


def no_labels(values: dict[str, Any]) -> None:
    values["data"]["keys"] = {}


def unknown_output(values: dict[str, Any]) -> None:
    values["model"]["outputs"] = ["dipol"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (wrong_key, "has the key 'tild' for the lean"),
        (no_labels, "No structure of the training set has the label 'lean'"),
        (unknown_output, "the model has no output 'dipol'"),
    ],
)
def test_mistakes_with_a_quantity_of_a_package_are_named(
    added: None, data: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    values = config(tmp_path / "run", data).model_dump(mode="json", exclude_unset=True)
    change(values)
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(values))
    result = CliRunner().invoke(cli.app, ["train", str(file)])
    assert result.exit_code == 1
    assert says in " ".join(result.output.split())

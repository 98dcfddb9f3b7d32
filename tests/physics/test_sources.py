"""Files of several origins train one model, each read in its own way; one origin is as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from reann.cli.info import model_lines
from reann.config import Config, CosineSchedule
from reann.data.check.survey import survey
from reann.data.loader import Loader
from reann.errors import UserError
from reann.model.reann import with_head
from reann.output_files import training_files
from reann.training.describe import describe
from reann.training.distributed import World
from reann.training.loss import Loss, label_counts
from reann.training.run import resume, train
from reann.training.setup import Parts, open_parts, start_model
from runs import MODEL, assert_same_run, log_without_time, small

HEADS = ["pbe", "ccsd"]
ENERGIES = {
    "pbe": {"H": -13.0, "C": -1030.0, "O": -2040.0},
    "ccsd": {"H": -20.0, "C": -1037.0, "O": -2047.0},
}
SHORT_FORM = (
    [8, 10, 12, 13],
    [0.7661222234716557, 0.7392948737574632, 0.7166131623536973],
)
"""Validation structures and losses of a run with `data.train`, before there were sources."""


def write(
    path: Path, structures: list[ase.Atoms], energy: str = "energy", unit: float = 1.0
) -> str:
    """Write energies and forces under a name and in a unit of energy (eV)."""
    made = []
    for atoms in structures:
        copy = ase.Atoms(atoms.numbers, atoms.positions)
        copy.info |= {
            energy: atoms.get_potential_energy() / unit,
            "config_type": path.stem,
            "run": 1,
        }
        copy.arrays["forces"] = atoms.get_forces() / unit
        made.append(copy)
    ase.io.write(path, made, format="extxyz")
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return ethanol in two files: in eV, and in kcal/mol under another name."""
    folder = tmp_path_factory.mktemp("sources")
    every = ase.io.read(Path(__file__).parents[1] / "data" / "ethanol.xyz", ":")
    kcal = 0.0433641  # eV
    return {
        "a": write(folder / "a.xyz", every[:12]),
        "b": write(folder / "b.xyz", every[12:]),
        "b_kcal": write(folder / "kcal.xyz", every[12:], "E_kcal", kcal),
    }


def config_of(folder: Path, sources: list[dict[str, Any]], **changes: Any) -> Config:
    data = {"sources": sources, "valid": 0.2, "cache": folder.parent / "cache"}
    data |= {name: changes.pop(name) for name in ("valid", "keys") if name in changes}
    return Config(
        data=data,
        model={**MODEL, **changes},
        training={"epochs": 2, "batch_size": 4},
        run={"folder": folder, "threads": 1, "engine": "torch"},
    )


def parts_of(config: Config) -> Parts:
    folder = config.run.folder
    assert folder is not None
    return open_parts(config, folder, World(), print, as_split=False)


# --- one origin -------------------------------------------------------------------------------


def test_the_short_form_has_the_numbers_that_it_had_before_there_were_sources(tmp_path):
    schedule = CosineSchedule(warmup=0.01)
    train(small(tmp_path / "run", epochs=2, engine="torch", optimizer="adamw", schedule=schedule))
    valid, losses = SHORT_FORM
    assert (
        json.loads((tmp_path / "run/split.json").read_text())["parts"]["valid"]["indices"] == valid
    )
    found = [row["valid_loss"] for row in log_without_time(tmp_path / "run")]
    # Instruction sets round the networks, in float32, differently.
    assert found == pytest.approx(losses, rel=1e-7)


def test_sources_without_fields_of_their_own_are_the_short_form(files, tmp_path):
    names, keys = [files["a"], files["b"]], {"group": "config_type"}
    one = config_of(tmp_path / "one", [{"files": names}], keys=keys)
    values = one.model_dump(exclude_unset=True, exclude={"data": {"sources"}})
    values["data"]["train"], values["run"]["folder"] = names, tmp_path / "short"
    train(Config(**values))
    train(one)
    train(config_of(tmp_path / "several", [{"files": name} for name in names], keys=keys))
    assert_same_run(tmp_path / "short", tmp_path / "one")
    assert_same_run(tmp_path / "short", tmp_path / "several")


# --- several origins --------------------------------------------------------------------------


def test_each_source_is_read_with_its_own_keys_and_units(files, tmp_path):
    own = {"files": files["b_kcal"], "keys": {"energy": "E_kcal"}, "units": {"energy": "kcal/mol"}}
    mixed = parts_of(config_of(tmp_path / "m", [{"files": files["a"]}, own])).train.dataset
    plain = parts_of(config_of(tmp_path / "p", [{"files": [files["a"], files["b"]]}])).train.dataset
    for name in ("energy", "forces"):
        assert np.allclose(mixed.label(name), plain.label(name), rtol=1e-6)
    assert np.array_equal(mixed.fingerprints, plain.fingerprints)
    assert mixed.keys.counts == plain.keys.counts
    assert any("kcal.xyz: " in note for note in mixed.notes)


@pytest.mark.parametrize(
    "part", [0.3, {"indices": [3, 15]}, {"groups": ["b"]}, {"groups": 0.2}], ids=str
)
def test_parts_are_drawn_over_all_sources_as_over_several_files(files, tmp_path, part):
    keys = {"group": "config_type"}
    several = [{"files": files["a"]}, {"files": files["b"], "weight": 2.0}]
    some = {"valid": part, "keys": keys}
    one = parts_of(config_of(tmp_path / "o", [{"files": [files["a"], files["b"]]}], **some))
    many = parts_of(config_of(tmp_path / "m", several, **some))
    for name, expected in one.by_name().items():
        assert many.by_name()[name].indices.tolist() == expected.indices.tolist()


def test_the_weight_of_a_source_multiplies_the_loss_of_its_structures(files, tmp_path):
    sources = [{"files": files["a"]}, {"files": files["b"], "weight": 2.5}]
    config = config_of(tmp_path / "run", sources)
    parts = parts_of(config)
    assert parts.train.dataset.rows("weight", [0, 11, 12]).tolist() == [1.0, 1.0, 2.5]
    plain = parts_of(config_of(tmp_path / "plain", [{**s, "weight": 1.0} for s in sources]))
    model, _ = start_model(config, plain, None)
    losses = []
    for each in (plain, parts):
        data = each.train.dataset
        counts = {name: n[[12]].sum() for name, n in label_counts(each.train).items()}
        graph = data.graph([12])
        zero = {name: 0.0 * graph.labels[name] for name in ("energy", "forces")}
        losses.append(Loss(config.training.loss, 1.0)(zero, graph, counts).item())
    assert losses[1] == pytest.approx(2.5 * losses[0])
    assert "weight 2.5" in " ".join(describe(config, parts, model))


def test_each_source_teaches_its_head_with_its_reference_energies(files, tmp_path):
    sources = [
        {"files": files["a"], "head": "ccsd", "reference_energies": ENERGIES["ccsd"]},
        {"files": files["b"], "head": "pbe", "reference_energies": ENERGIES["pbe"]},
    ]
    config = config_of(tmp_path / "run", sources, heads=HEADS)
    parts = parts_of(config)
    loader = Loader(parts.train, 4)
    for batch, graphs in loader.graphs(loader.in_order()):
        assert [h for g in graphs for h in g.heads().tolist()] == [int(i < 12) for i in batch]
    run = train(config)
    for head in HEADS:
        own = with_head(run.potential.model, head)
        assert own.reference_energies.tolist() == list(ENERGIES[head].values())
    lines = " ".join(text for _, text in model_lines(tmp_path / "run" / "model.reann"))
    assert "head ccsd" in lines
    protected = {file.name for file in training_files([tmp_path / "run" / "model.reann"])}
    assert protected == {"a.xyz", "b.xyz"}


@pytest.mark.parametrize(
    ("own", "changes", "expected"),
    [
        (
            {"head": "ccs"},
            {"heads": HEADS},
            "source states the head 'ccs'; the model has pbe, ccsd",
        ),
        ({"head": "pbe"}, {}, "source states the head 'pbe'; the model has energy"),
        ({}, {"heads": HEADS}, r"b.xyz do not state the head.*\n.*data\.sources\.1\.head"),
        (
            {"keys": {"energy": "E"}},
            {},
            r"has the key 'E' for the energy.*\n.*b.xyz\n.*Correct data\.sources\.1\.keys\.energy",
        ),
        ({"units": {"energy": "eVV"}}, {}, "eVV"),
        (
            {"head": "pbe", "reference_energies": ENERGIES["pbe"]},
            {"heads": HEADS},
            "different reference energies",
        ),
    ],
)
def test_what_is_wrong_with_a_source_is_named(files, tmp_path, own, changes, expected):
    first = {"files": files["a"]} | ({"head": "pbe"} if "heads" in changes else {})
    if "reference_energies" in own:
        first["reference_energies"] = "fit"
    config = config_of(tmp_path / "run", [first, {"files": files["b"], **own}], **changes)
    with pytest.raises(UserError, match=expected):
        parts_of(config)


# --- a run that goes on -----------------------------------------------------------------------


@pytest.fixture
def run(files, tmp_path) -> tuple[Path, list[Path]]:
    """Return a finished run of two sources, and its files."""
    copies = [tmp_path / "a.xyz", tmp_path / "b.xyz", tmp_path / "c.xyz"]
    for copy, name in zip(copies, ("a", "b", "a"), strict=True):
        copy.write_bytes(Path(files[name]).read_bytes())
    first, *others = map(str, copies)
    sources = [{"files": first}, {"files": others, "weight": 2.0}]
    train(config_of(tmp_path / "run", sources))
    return tmp_path / "run", copies


def test_a_run_goes_on_where_the_files_of_its_sources_have_moved(run):
    folder, (first, second, third) = run
    moved = second.rename(second.with_name("moved.xyz"))
    resume(folder, [f"data.sources.1.files=[{moved}, {third}]", "training.epochs=3"])
    assert len(log_without_time(folder)) == 4
    for change, expected in (
        ("data.sources.1.weight=1", r"data\.sources\.1\.weight was 2.0, is now 1.0"),
        (f"data.sources.1.files=[{third}, {moved}]", "files of the part train have changed"),
        (f"data.train=[{first}, {moved}, {third}]", r"data\.sources\.1\.weight was 2.0"),
    ):
        with pytest.raises(UserError, match=expected):
            resume(folder, [change, "training.epochs=4"])


def test_a_file_cannot_change_to_another_source(run):
    folder, (first, second, third) = run
    divided = [f"data.sources.0.files=[{first}, {second}]", f"data.sources.1.files={third}"]
    with pytest.raises(UserError, match="division of the data files into sources changed"):
        resume(folder, [*divided, "training.epochs=3"])


# --- checks -----------------------------------------------------------------------------------


def test_the_check_reads_each_source_in_its_own_way_and_judges_each_head_alone(files, tmp_path):
    own = {"files": files["b_kcal"], "keys": {"energy": "E_kcal"}, "units": {"energy": "kcal/mol"}}
    config = config_of(tmp_path / "run", [{"files": files["a"]}, own])
    found = survey(config.data.all_files(), config.data, 3.0)
    assert not {f.name for f in found.findings} & {"force-unit", "keys", "energy-outliers"}
    assert {f.labels["energy"] for f in found.files} == {12, 8}

    shifted = [atoms.copy() for atoms in ase.io.read(files["a"], ":")]
    for atoms, before in zip(shifted, ase.io.read(files["a"], ":"), strict=True):
        energy = before.get_potential_energy() - 5.0
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=before.get_forces())
    same = write(tmp_path / "same.xyz", shifted)
    for heads, contradicting in ((["pbe", "ccsd"], False), (["pbe", "pbe"], True)):
        sources = [{"files": n, "head": h} for n, h in zip((files["a"], same), heads, strict=True)]
        config = config_of(tmp_path / "run", sources, heads=HEADS)
        names = {f.name for f in survey(config.data.all_files(), config.data, 3.0).findings}
        assert ("contradictions" in names) == contradicting

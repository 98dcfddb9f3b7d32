"""Files of the original are read, never executed, and contradictions are named."""

import os
import pickle
import zipfile
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from ase.build import molecule

import reann
from reann import UserError, checkpoint, upstream
from reann.data.neighbors import graph_from_atoms
from reann.upstream.settings import read_settings

NORBIT, NWAVE, L_MAX, WIDTH = 9, 3, 2, 4
ATOMTYPE = ["O", "H"]
INPUT_NN = """# required
  start_table = 1   # energy and forces
 # nl = [512]
  nl = [4, 4]

  oc_loop=1
  activate = 'Tanh_like'
  dropout_p=[0.1,0.1]
"""
INPUT_DENSITY = "  cutoff=4.2e0\n  nipsin=2\n  atomtype=['O', 'H']\n  nwave=3\n  norbit=9\n"
SETTINGS = {
    "cutoff": 4.2,
    "nipsin": 2,
    "atomtype": ATOMTYPE,
    "nwave": 3,
    "norbit": 9,
    "nl": [4, 4],
    "oc_loop": 1,
    "activate": "Tanh_like",
}


def state_dict(
    *, dropout: bool = False, dtype: torch.dtype = torch.float32, hyper_4d: bool = False
) -> dict[str, torch.Tensor]:
    """Random arrays under the original's names; dropout leaves gaps in the indices."""
    generator = torch.Generator().manual_seed(3)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    shape = (2, L_MAX + 1, NWAVE, NORBIT) if hyper_4d else (L_MAX + 1, NWAVE, NORBIT)
    n_elements = len(ATOMTYPE)
    weights = {
        "density.rs": random(n_elements, NWAVE).abs(),
        "density.inta": -random(n_elements, NWAVE).abs(),
        "density.params": random(n_elements, NWAVE),
        "density.hyper": random(*shape),
        "density.cutoff": torch.tensor([4.2], dtype=dtype),
        "density.index_para": torch.tensor([0] + 3 * [1] + 9 * [2]),
    }
    for prefix, n_out in (("density.ocmod.memssage_0", NWAVE), ("nnmod", 1)):
        weights[f"{prefix}.initpot"] = torch.tensor([7.0 if n_out > 1 else -5.0], dtype=dtype)
        for symbol in ATOMTYPE:
            name = f"{prefix}.elemental_nets.{symbol}"
            weights[f"{name}.0.weight"] = random(WIDTH, NORBIT)
            weights[f"{name}.0.bias"] = random(WIDTH)
            stride = 4 if dropout else 3
            for layer in range(2):
                block = f"{name}.1.resblock"
                weights[f"{block}.{stride * layer}.alpha"] = random(1, WIDTH)
                weights[f"{block}.{stride * layer}.beta"] = random(1, WIDTH)
                weights[f"{block}.{stride * layer + 1}.weight"] = random(WIDTH)
                weights[f"{block}.{stride * layer + 1}.bias"] = random(WIDTH)
                weights[f"{block}.{stride * (layer + 1) - 1}.weight"] = random(WIDTH, WIDTH)
                weights[f"{block}.{stride * (layer + 1) - 1}.bias"] = random(WIDTH)
            weights[f"{name}.2.alpha"] = random(1, WIDTH)
            weights[f"{name}.2.beta"] = random(1, WIDTH)
            weights[f"{name}.3.weight"] = random(n_out, WIDTH)
            weights[f"{name}.3.bias"] = random(n_out)
    return weights


def training(folder: Path, **change: str) -> Path:
    """A folder as the original's training leaves it; returns its checkpoint."""
    (folder / "para").mkdir(parents=True)
    texts = {"input_nn": INPUT_NN, "input_density": INPUT_DENSITY} | change
    for name, text in texts.items():
        (folder / "para" / name).write_text(text)
    weights = {f"module.{name}": array for name, array in state_dict().items()}
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))]).state_dict()
    torch.save({"reannparam": weights, "optimizer": optimizer}, folder / "REANN.pth")
    return folder / "REANN.pth"


def water() -> ase.Atoms:
    rng = np.random.default_rng(0)
    return ase.Atoms("OHHOHH", rng.uniform(0, 4, (6, 3)), cell=[6, 6, 6], pbc=True)


WITHOUT_ZERO = {n: x for n, x in state_dict(dtype=torch.float64).items() if n != "nnmod.initpot"}
DIPOLE_SETTINGS = SETTINGS | {"start_table": 2}
DEBYE = {"unit": "Debye"}


def dipole(given, atoms, weights=WITHOUT_ZERO):
    potential = upstream.potential(weights, DIPOLE_SETTINGS | given)
    return potential.predict(atoms, ["dipole"], "torch")["dipole"]


def energy(weights, settings=SETTINGS):
    return upstream.potential(weights, settings).predict(water(), ["energy"])["energy"]


# --- models -----------------------------------------------------------------------------------


def test_a_checkpoint_of_distributed_training_with_its_para_folder_becomes_a_potential(tmp_path):
    training(tmp_path / "run")
    upstream.convert(tmp_path / "run", tmp_path / "water.reann")
    potential = reann.load(tmp_path / "water.reann")
    assert sorted(potential.elements) == ["H", "O"]
    assert potential.cutoff == 4.2
    assert potential.model.dtype == torch.float32
    assert potential.predict(water(), ["energy"])["energy"] == energy(state_dict())


def test_the_order_of_the_elements_does_not_change_the_energy():
    weights = state_dict(dtype=torch.float64)
    swapped = dict(weights)
    for name in ("density.rs", "density.inta", "density.params"):
        swapped[name] = weights[name].flip(0)
    assert energy(swapped, SETTINGS | {"atomtype": ["H", "O"]}) == energy(weights)
    assert energy(swapped) != energy(weights)


def test_modules_without_arrays_such_as_dropout_change_nothing():
    assert energy(state_dict(dropout=True)) == energy(state_dict())


def test_the_energy_zero_of_an_update_is_never_added():
    weights = state_dict()
    name = "density.ocmod.memssage_0.initpot"
    without = {key: array for key, array in weights.items() if key != name}
    assert energy(weights | {name: torch.tensor([100.0])}) == energy(weights) == energy(without)


def test_the_energy_zero_of_the_readout_counts_once_per_atom():
    weights = state_dict(dtype=torch.float64)
    zero = weights["nnmod.initpot"] + 1.0
    shifted = energy(weights | {"nnmod.initpot": zero})
    assert abs(shifted - energy(weights) - len(water())) < 1e-9


def test_equal_contractions_of_older_models_are_one_shared_contraction():
    new = state_dict(dtype=torch.float64)
    old = new | {
        "density.hyper": new["density.hyper"].repeat(2, 1, 1, 1),
        "density.nipsin": torch.tensor([L_MAX + 1]),
    }
    assert energy(old) == energy(new)
    old["density.hyper"][1] *= 1.1
    assert energy(old) != energy(new)


def test_older_models_with_positive_widths_are_refused_for_their_two_meanings():
    old = state_dict(hyper_4d=True)
    old["density.inta"] = old["density.inta"].abs()
    with pytest.raises(UserError, match="two meanings"):
        upstream.potential(old, SETTINGS)


def test_a_growing_gaussian_of_a_newer_model_is_kept():
    weights = state_dict(dtype=torch.float64)
    weights["density.inta"][0, 0] = 0.01
    model = upstream.potential(weights, SETTINGS).model
    assert model.recursion.host.radial.width[1, 0] == -0.01  # oxygen comes after hydrogen


@pytest.mark.parametrize("declared", [4.2, None])
def test_a_cutoff_rounded_to_float32_is_the_decimal_number(declared):
    weights = state_dict(dtype=torch.float64)
    weights["density.cutoff"] = torch.tensor([4.2], dtype=torch.float32).to(torch.float64)
    settings = SETTINGS | {"cutoff": declared}
    assert upstream.potential(weights, settings).cutoff == 4.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoff": 4.5}, "cutoff is 4.5 in the settings, but 4.2 in the arrays"),
        ({"nl": [4]}, r"nl is \[4\] in the settings, but \[4, 4\] in the arrays"),
        ({"table_norm": False}, "table_norm"),
        ({"oc_loop": 2}, "oc_loop"),
        ({"nwave": 7}, "nwave"),
        ({"nipsin": 1}, "nipsin"),
        ({"atomtype": ["O", "C"]}, "networks of"),
        ({"atomtype": ["O"]}, "2"),
        ({"atomtype": ["O", "Hx"]}, "'Hx' in atomtype is not an element"),
        ({"atomtype": ["O", "O"]}, "different elements"),
        ({"activate": "tanh"}, "not an activation"),
        ({"start_table": 3}, "1 outputs instead of 9 and 3"),
        ({"start_table": 4}, "nnmod1"),
        ({"start_table": 5}, "start_table = 5 is not a property"),
        ({"unit": "Debye"}, "unit = 'Debye' has no meaning for a model of the energy"),
        ({"dipole_definition": "center"}, "has no meaning for a model of the energy"),
    ],
)
def test_settings_that_contradict_the_arrays_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        upstream.potential(state_dict(), SETTINGS | change)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"(?s)two definitions.*--dipole-definition"),
        ({"unit": "Debye"}, r"(?s)two definitions.*--dipole-definition"),
        ({"dipole_definition": "middle", "unit": "Debye"}, "'middle' is not a definition"),
        ({"dipole_definition": "center"}, r"(?s)do not contain the unit of the dipole.*--unit"),
        (
            {"dipole_definition": "center", "unit": "Deby"},
            "'Deby' is not a known dipole unit.*'Debye'",
        ),
        ({"dipole_definition": "center", "unit": "eV"}, "'eV' is not a known dipole unit"),
    ],
)
def test_what_no_file_says_about_dipoles_has_to_be_given(given, message):
    with pytest.raises(UserError, match=message):
        upstream.potential(state_dict(), DIPOLE_SETTINGS | given)


@pytest.mark.parametrize(
    ("unit", "size"),
    [("Debye", 0.2081943), ("e*Ang", 1.0), ("e Bohr", 0.5291772), ("au", 0.5291772)],
)
@pytest.mark.parametrize("definition", ["center", "neighbors"])
def test_a_dipole_in_the_unit_of_its_labels_becomes_one_in_e_angstrom(unit, size, definition):
    given = {"dipole_definition": definition}
    atoms = molecule("H2O")
    other, expected = (dipole(given | {"unit": u}, atoms) for u in (unit, "e*Å"))
    assert np.linalg.norm(expected) > 0.01
    np.testing.assert_allclose(other, size * expected, rtol=1e-6)


def test_the_definitions_of_the_dipole_are_those_of_the_formulas():
    """With the charges that the network gives, which both definitions share."""
    atoms = molecule("H2O")
    center, neighbors = (
        upstream.potential(WITHOUT_ZERO, DIPOLE_SETTINGS | DEBYE | {"dipole_definition": d})
        for d in ("center", "neighbors")
    )
    graph = graph_from_atoms(atoms, center.cutoff)
    q = center.model.outputs(center.model.neighborhood(graph, graph.edge_vectors()))["dipole"]
    q = q.detach().numpy()[np.argsort(np.argsort(atoms.numbers, kind="stable"))]
    r = atoms.positions - atoms.get_center_of_mass()
    found = center.predict(atoms, ["dipole"], "torch")["dipole"]
    np.testing.assert_allclose(found, 0.20819434 * (q * r).sum(0), rtol=1e-6)
    from_neighbors = (r[:, None] - r[None]).sum(1)
    found = neighbors.predict(atoms, ["dipole"], "torch")["dipole"]
    np.testing.assert_allclose(found, 0.20819434 * (q * from_neighbors).sum(0), rtol=1e-6)


def test_a_model_without_energy_says_so():
    settings = DIPOLE_SETTINGS | DEBYE | {"dipole_definition": "center"}
    potential = upstream.potential(WITHOUT_ZERO, settings)
    assert potential.labels == ["dipole"]
    for names in (["energy"], ["forces", "dipole"], ["energies"], ["stress"]):
        atoms = water() if "stress" in names else molecule("H2O")
        with pytest.raises(UserError, match="no energy"):
            potential.predict(atoms, names, "torch")
    with pytest.raises(
        UserError, match="computes dipole only for models with equivariant messages"
    ):
        potential.predict(molecule("H2O"), ["dipole"], "native")


def test_an_energy_zero_of_a_model_without_energy_is_refused():
    with pytest.raises(UserError, match="`initpot` of a model without energy is not zero"):
        dipole({"dipole_definition": "center", "unit": "Debye"}, molecule("H2O"), state_dict())


def test_settings_without_the_order_of_elements_are_refused():
    with pytest.raises(UserError, match="no `atomtype`"):
        upstream.potential(state_dict(), {})


OF_ONE_ELEMENT = sorted(name for name in state_dict() if ".H." not in name)


@pytest.mark.parametrize("name", OF_ONE_ELEMENT)
def test_every_array_is_needed_or_has_no_meaning(name):
    weights = state_dict()
    del weights[name]
    if name.endswith("initpot") or name == "density.index_para":
        upstream.potential(weights, SETTINGS)
    else:
        with pytest.raises(UserError):
            upstream.potential(weights, SETTINGS)


@pytest.mark.parametrize("name", OF_ONE_ELEMENT)
def test_an_array_of_another_shape_is_refused(name):
    weights = state_dict()
    weights[name] = torch.cat([weights[name], weights[name]])
    if name.endswith("memssage_0.initpot"):  # never read
        upstream.potential(weights, SETTINGS)
    else:
        with pytest.raises(UserError):
            upstream.potential(weights, SETTINGS)


def test_arrays_left_over_and_arrays_not_finite_are_refused():
    weights = state_dict()
    with pytest.raises(UserError, match=r"density\.other"):
        upstream.potential(weights | {"density.other": torch.ones(2)}, SETTINGS)
    with pytest.raises(UserError, match="polarizabilities"):
        upstream.potential(weights | {"nnmod1.initpot": torch.ones(1)}, SETTINGS)
    weights["density.rs"][0, 0] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        upstream.potential(weights, SETTINGS)


@pytest.mark.parametrize("folder", [True, False])
def test_a_checkpoint_of_eann_has_other_names_of_file_and_arrays(tmp_path, folder):
    path = training(tmp_path / "run")
    upstream.convert(path, tmp_path / "new.reann")
    content = torch.load(path, weights_only=True)
    torch.save({"eannparam": content["reannparam"]}, path.with_name("EANN.pth"))
    path.unlink()
    source = tmp_path / "run" if folder else path.with_name("EANN.pth")
    lines = upstream.convert(source, tmp_path / "old.reann")
    (header, tensors), (old_header, old_tensors) = (
        checkpoint.read(tmp_path / name, "potential") for name in ("new.reann", "old.reann")
    )
    assert old_header == header
    assert old_tensors.keys() == tensors.keys()
    assert all(torch.equal(old_tensors[name], x) for name, x in tensors.items())
    assert lines[0] == "Predicts energy, forces, stress of H, O; cutoff 4.2 Å."
    assert "nn.err" in lines[1]


def test_a_network_of_deuterium_is_one_of_hydrogen():
    heavy = {n.replace("nets.H", "nets.D"): x for n, x in state_dict(dtype=torch.float64).items()}
    light = state_dict(dtype=torch.float64)
    assert energy(heavy, SETTINGS | {"atomtype": ["O", "D"]}) == energy(light)
    with pytest.raises(UserError, match="isotopes of one element"):
        upstream.potential(light, SETTINGS | {"atomtype": ["H", "D"]})


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("input_density", "cutoff = 4.5", "cutoff is 4.5 in the settings"),
        ("input_density", "nwave = 7", "nwave"),
        ("input_density", "atomtype = ['O', 'Hx']", "'Hx' in atomtype"),
        ("input_nn", "nl = [4]", "nl is"),
        ("input_nn", "activate = 'relu'", "not an activation"),
        ("input_nn", "start_table = 5", "start_table = 5"),
    ],
)
def test_a_contradiction_is_named_with_its_file_and_line(tmp_path, file, line, message):
    texts = {"input_nn": INPUT_NN, "input_density": INPUT_DENSITY}
    path = training(tmp_path / "run", **{file: f"{texts[file]}{line}\n"})
    where = f"{tmp_path}/run/para/{file}, line {texts[file].count(chr(10)) + 1}"
    with pytest.raises(UserError, match=message) as caught:
        upstream.convert(path, tmp_path / "x.reann")
    assert caught.value.where == where


def test_an_array_that_is_wrong_is_named_with_its_file(tmp_path):
    path = training(tmp_path / "run")
    content = torch.load(path, weights_only=True)
    content["reannparam"]["module.density.rs"][0, 0] = torch.nan
    torch.save(content, path)
    with pytest.raises(UserError, match="not finite") as caught:
        upstream.convert(path, tmp_path / "x.reann")
    assert caught.value.where == f"{path}, density.rs"


def test_a_cutoff_that_differs_by_less_than_float32_shows_is_another_one():
    weights = state_dict(dtype=torch.float64)
    weights["density.cutoff"] = torch.tensor([4.2000000001], dtype=torch.float64)
    with pytest.raises(UserError, match=r"4\.2 in the settings, but 4\.2000000001 in the arrays"):
        upstream.potential(weights, SETTINGS)
    assert upstream.potential(weights, SETTINGS | {"cutoff": None}).cutoff == 4.2000000001


def test_atomtype_in_another_order_than_the_networks_of_a_checkpoint_is_refused(tmp_path):
    density = INPUT_DENSITY.replace("['O', 'H']", "['H', 'O']")
    path = training(tmp_path / "run", input_density=density)
    with pytest.raises(UserError, match="checkpoint has O, H"):
        upstream.convert(path, tmp_path / "x.reann")


def test_a_checkpoint_without_para_is_refused(tmp_path):
    path = training(tmp_path / "run").rename(tmp_path / "REANN.pth")
    with pytest.raises(UserError, match="para/"):
        upstream.convert(path, tmp_path / "x.reann")


# --- nothing is executed ----------------------------------------------------------------------


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_a_checkpoint_is_not_executed(tmp_path, write):
    path, trace = training(tmp_path / "run"), tmp_path / "trace"
    write({"reannparam": Malicious(trace)}, path)
    with pytest.raises(UserError, match="more than arrays") as caught:
        upstream.convert(path, tmp_path / "x.reann")
    assert "weights_only" not in str(caught.value)  # torch would say how to run it
    assert not trace.exists()
    assert not (tmp_path / "x.reann").exists()


def test_a_file_that_is_no_model_is_called_so_without_the_advice_of_torch(tmp_path):
    (tmp_path / "x.yaml").write_text("data: {train: a.xyz}\n")
    with pytest.raises(UserError, match="not a checkpoint of PyTorch") as caught:
        upstream.convert(tmp_path / "x.yaml", tmp_path / "x.reann")
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 1, 10, 500, 5000])
def test_a_truncated_checkpoint_is_refused(tmp_path, kept):
    path = training(tmp_path / "run")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match="damaged"):
        upstream.convert(path, tmp_path / "x.reann")


def packed(path: Path) -> None:
    """Compress the entries of an archive."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def extended(path: Path) -> None:
    """Append two GiB that no disk stores."""
    os.truncate(path, 2**31)


@pytest.mark.parametrize(
    ("array", "change", "message"),
    [
        (lambda: torch.ones(1).expand(10**9), None, "larger than its stored data"),
        (lambda: torch.ones(2, 1).expand(2, 10**9), None, "larger than its stored data"),
        (lambda: torch.eye(2).to_sparse(), None, "larger than its stored data"),
        (lambda: torch.zeros(10**6), packed, "unpacked archive is larger"),
        (lambda: torch.ones(4), extended, "2.0 GiB"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_arrays_larger_than_what_the_file_stores_are_refused(tmp_path, array, change, message):
    path = training(tmp_path / "run")
    torch.save({"reannparam": {"density.rs": array()}}, path)
    if change is not None:
        change(path)
    with pytest.raises(UserError, match=message):
        upstream.convert(path, tmp_path / "x.reann")
    assert not (tmp_path / "x.reann").exists()


def test_a_damaged_exported_model_is_refused_with_what_to_give_instead(tmp_path):
    training(tmp_path / "run")
    path = tmp_path / "run" / "PES.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PES/constants.pkl", "")
        archive.writestr("PES/data.pkl", "")
    with pytest.raises(UserError, match=r"REANN\.pth"):
        upstream.convert(path, tmp_path / "x.reann")


@pytest.mark.parametrize(
    "line",
    [
        "open({!r}, 'w')",
        "cutoff = open({!r}, 'w')",
        "cutoff = 5.0; open({!r}, 'w')",
        "cutoff = [open({!r}, 'w') for _ in range(1)]",
        "import os",
        "cutoff = 2 * 3.1",
        "cutoff",
        "a = b = 1",
        "cutoff = (",
    ],
)
def test_input_files_are_not_executed_and_the_line_is_named(tmp_path, line):
    trace = tmp_path / "trace"
    path = tmp_path / "input_nn"
    path.write_text(f"# comment\n\n nl = [4, 4]  # widths\n{line.format(str(trace))}\n")
    with pytest.raises(UserError, match="line 4"):
        read_settings(path)
    assert not trace.exists()


def test_literals_comments_and_blank_lines_are_read(tmp_path):
    path = tmp_path / "input_nn"
    path.write_text("\n#c\n  end_lr =1e-5   # rate\nnl=[64,64]\nnorbit = None\nre=-0.5\nnl=[32]\n")
    expected = {"end_lr": 1e-5, "nl": [32], "norbit": None, "re": -0.5}
    assert read_settings(path) == expected


def test_what_cannot_be_converted_is_said(tmp_path):
    path = training(tmp_path / "run")
    with pytest.raises(UserError, match="no suffix of a model"):
        upstream.convert(path, tmp_path / "x.pt")
    with pytest.raises(UserError, match="contains no structures"):
        upstream.convert(path, tmp_path / "x.xyz")
    with pytest.raises(UserError, match="contains no structures"):
        upstream.convert(tmp_path / "run" / "para" / "input_nn", tmp_path / "x.xyz")
    with pytest.raises(UserError, match="no file"):
        upstream.convert(tmp_path / "nowhere", tmp_path / "x.xyz")

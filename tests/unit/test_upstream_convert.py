"""Files of the original are read, never executed, and contradictions are named."""

import os
import pickle
import zipfile
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule

import reann
from reann import UserError, upstream
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
WATER = """point= 1
10.0 0.0 0.0
0.0 10.0 0.0
1.0 0.0 10.0
pbc 1 1 0
O 15.999 {o}  0.1 -0.2 0.30000000001
H 1.008 {h}  0.0 0.0 1e-3
abprop: -156.25
"""


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
    with pytest.raises(UserError, match="read off states, not dipole"):
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


# --- data -------------------------------------------------------------------------------------


def configuration(folder: Path, text: str, table_coor: int | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "configuration").write_text(text)
    if table_coor is not None:
        (folder / "para").mkdir()
        (folder / "para" / "input_nn").write_text(f"table_coor = {table_coor}\n")
    return folder / "configuration"


CARTESIAN = WATER.format(o="1.5 2.5 3.25", h="1.5 3.5 3.123456789012")
FRACTIONAL = WATER.format(o="0.15 0.25 0.3", h="0.15 0.35 0.3")


def read(path: Path, tmp_path: Path, **given: str) -> list[ase.Atoms]:
    upstream.convert(path, tmp_path / "data.xyz", **given)
    return ase.io.read(tmp_path / "data.xyz", ":")


def test_cell_mass_coordinates_forces_and_energy_are_kept_to_the_last_digit(tmp_path):
    atoms, _ = read(configuration(tmp_path / "d", CARTESIAN + CARTESIAN + "\n"), tmp_path)
    assert atoms.get_chemical_symbols() == ["O", "H"]
    assert atoms.cell.tolist() == [[10, 0, 0], [0, 10, 0], [1, 0, 10]]
    assert atoms.pbc.tolist() == [True, True, False]
    assert atoms.get_masses().tolist() == [15.999, 1.008]
    assert atoms.positions.tolist() == [[1.5, 2.5, 3.25], [1.5, 3.5, 3.123456789012]]
    assert atoms.get_potential_energy() == -156.25
    assert atoms.get_forces().tolist() == [[0.1, -0.2, 0.30000000001], [0.0, 0.0, 1e-3]]


@pytest.mark.parametrize("told", [1, None])
def test_fractional_coordinates_become_cartesian(tmp_path, told):
    (atoms,) = read(configuration(tmp_path / "d", FRACTIONAL, told), tmp_path)
    assert np.allclose(atoms.positions, [[1.8, 2.5, 3.0], [1.8, 3.5, 3.0]], rtol=0, atol=1e-15)


def test_coordinates_that_cannot_be_what_they_are_said_to_be_are_refused(tmp_path):
    with pytest.raises(UserError, match="closer than"):
        read(configuration(tmp_path / "d", FRACTIONAL, table_coor=0), tmp_path)


def test_coordinates_that_may_be_both_need_to_be_told(tmp_path):
    text = FRACTIONAL.replace("0.35", "0.95")
    with pytest.raises(UserError, match="could be Cartesian"):
        read(configuration(tmp_path / "unknown", text), tmp_path)
    (atoms,) = read(configuration(tmp_path / "told", text, table_coor=0), tmp_path)
    assert atoms.positions[1].tolist() == [0.15, 0.95, 0.3]


def test_structures_without_forces_and_tensor_labels_are_read(tmp_path):
    text = "t\n10 0 0\n0 10 0\n0 0 10\npbc 0 0 0\nO 16 5 5 5\nabprop: 0.1 0.2 0.3\n"
    path = configuration(tmp_path / "dipole", text)
    with pytest.raises(UserError, match="do not contain the unit of the dipole"):
        read(path, tmp_path)
    (atoms,) = read(path, tmp_path, unit="e*Å")
    assert atoms.get_dipole_moment().tolist() == [0.1, 0.2, 0.3]
    (atoms,) = read(path, tmp_path, unit="Debye")
    np.testing.assert_allclose(
        atoms.get_dipole_moment(), [0.02081943, 0.04163887, 0.0624583], rtol=1e-6
    )
    (path.parent / "para").mkdir()
    (path.parent / "para" / "input_nn").write_text("start_table = 3\ntable_coor = 0\n")
    (atoms,) = read(path, tmp_path, unit="e*Å")
    assert atoms.info["transition_dipole"].tolist() == [0.1, 0.2, 0.3]
    tensor = text.replace("0.1 0.2 0.3", "1 2 3 4 5 6 7 8 9")
    (atoms,) = read(configuration(tmp_path / "tensor", tensor), tmp_path, unit="Å^3")
    assert np.ravel(atoms.info["polarizability"]).tolist() == list(range(1, 10))
    with pytest.raises(UserError, match="has no meaning for data"):
        read(path, tmp_path, unit="e*Å", dipole_definition="center")
    with pytest.raises(UserError, match="has no meaning for the energy of a structure"):
        read(configuration(tmp_path / "energy", text.replace("0.2 0.3", "")), tmp_path, unit="Å^3")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("pbc 1 1 0", "1 1 0"), 5),
        (("H 1.008", "Hx 1.008"), 7),
        (("H 1.008", "H"), 7),
        (("abprop: -156.25", "abprop: -156.25 3"), 8),
        (("abprop: -156.25", "abprop: nan"), 8),
        (("0.0 10.0 0.0", "0.0 10.0"), 3),
        (("-0.2 0.30000000001", ""), 6),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, change, line):
    path = configuration(tmp_path / "d", CARTESIAN.replace(*change, 1))
    with pytest.raises(UserError, match=f"line {line}"):
        upstream.convert(path, tmp_path / "data.xyz")
    assert not (tmp_path / "data.xyz").exists()


def test_a_truncated_file_is_refused(tmp_path):
    path = configuration(tmp_path / "d", CARTESIAN.split("abprop")[0])
    with pytest.raises(UserError, match="ends within"):
        upstream.convert(path, tmp_path / "data.xyz")


def test_an_empty_file_writes_nothing(tmp_path):
    with pytest.raises(UserError, match="empty"):
        upstream.convert(configuration(tmp_path / "d", "\n"), tmp_path / "data.xyz")
    assert not (tmp_path / "data.xyz").exists()


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

"""Exported models of the original are converted without running the program in them."""

import contextlib
import json
import pickle
import warnings
import zipfile
from pathlib import Path

import ase
import numpy as np
import pytest
import torch

import reann
from reann import UserError, upstream

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "upstream"
CASES = ["eann_water_trained", "reann_co2_ni100_t1", "reann_water_t3"]
SMALL = "reann_co2_ni100_t1"


class Group(torch.nn.Module):
    """Anything that holds arrays and modules."""


class Relu_like(torch.nn.Module):  # noqa: N801, the original's name
    """As the original names its activation."""


class Tanh_like(torch.nn.Module):  # noqa: N801
    """As the original names its activation."""


class Exported(torch.nn.Module):
    """The arrays of a golden model under the original's names, with some program."""

    def __init__(
        self, weights: dict[str, np.ndarray], activations: dict[str, type], cutoff: float
    ) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.sizes = [1, 2, 3]
        self.density = Group()
        self.density.ocmod = Group()
        for name, values in weights.items():
            *path, leaf = name.split(".")
            owner: torch.nn.Module = self
            kind = activations[path[0]] if leaf in ("alpha", "beta") else Group
            for i, part in enumerate(path):
                if not hasattr(owner, part):
                    owner.add_module(part, kind() if i == len(path) - 1 else Group())
                owner = getattr(owner, part)
            array = torch.as_tensor(values).clone()
            if leaf in ("cutoff", "index_para", "initpot"):
                owner.register_buffer(leaf, array)
            else:
                owner.register_parameter(leaf, torch.nn.Parameter(array, requires_grad=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.density.rs.sum() * self.cutoff + self.sizes[0]


class Energy(Exported):
    __module__ = "pes.PES"


class Dipole(Exported):
    __module__ = "dm.PES"


class Wrapped(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self.inner(x)


def settings_of(case: str) -> dict:
    settings = json.loads((GOLDEN / f"{case}_config.json").read_text())
    return {name: value for name, value in settings.items() if name not in ("note", "initpot")}


def module(case: str, kind: type[Exported] = Energy, **change) -> Exported:
    settings = settings_of(case) | change
    kinds = {"Relu_like": Relu_like, "Tanh_like": Tanh_like}
    of_updates = kinds[settings.get("oc_activate", settings["activate"])]
    activations = {"nnmod": kinds[settings["activate"]], "density": of_updates}
    with np.load(GOLDEN / f"{case}_weights.npz") as weights:
        return kind(dict(weights), activations, settings["cutoff"]).eval()


def export(path: Path, model: torch.nn.Module, *, frozen: bool = False) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit, in favor of torch.export
        scripted = torch.jit.script(model)
        (torch.jit.freeze(scripted) if frozen else scripted).save(str(path))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """One exported model; no para/ beside it."""
    return export(tmp_path_factory.mktemp("exported") / "PES.pt", module(SMALL))


def para(folder: Path, settings: dict) -> None:
    (folder / "para").mkdir()
    lines = [f"{name} = {value!r}\n" for name, value in settings.items()]
    (folder / "para" / "input_nn").write_text("".join(lines))
    (folder / "para" / "input_density").write_text("")


def changed(source: Path, target: Path, change: dict[str, bytes | None]) -> Path:
    """Write an archive again with other entries; None leaves an entry out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].split("/")[0]
        entries = {name.split("/", 1)[1]: old.read(name) for name in old.namelist()}
        for name, content in (entries | change).items():
            if content is not None:
                new.writestr(f"{root}/{name}", content)
    return target


def entry(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{archive.namelist()[0].split('/')[0]}/{name}")


def refused(path: Path, message: str) -> None:
    target = path.parent / "x.reann"
    with pytest.raises(UserError, match=message):
        upstream.convert(path, target)
    assert not target.exists()


# --- models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_an_exported_model_gives_the_energies_and_forces_of_the_original(case, tmp_path):
    upstream.convert(export(tmp_path / "PES.pt", module(case)), tmp_path / "new.reann")
    potential = reann.load(tmp_path / "new.reann")
    assert potential.cutoff == settings_of(case)["cutoff"]
    frames: dict[str, dict[str, np.ndarray]] = {}
    with np.load(GOLDEN / f"{case}_expected.npz") as archive:
        for key in archive:
            frame, quantity = key.split("/")
            frames.setdefault(frame, {})[quantity] = archive[key]
    assert frames
    for frame in frames.values():
        atoms = ase.Atoms(**{k: frame[k] for k in ("numbers", "positions", "cell", "pbc")})
        found = potential.predict(atoms, ["energy", "forces"])
        assert abs(found["energy"] - frame["energy"]) < 1e-9 * len(atoms)
        scale = np.abs(frame["forces"]).max()
        assert np.abs(found["forces"] - frame["forces"]).max() < 1e-7 * scale


def test_an_exported_model_and_its_checkpoint_are_the_same_potential(small, tmp_path):
    with np.load(GOLDEN / f"{SMALL}_weights.npz") as weights:
        expected = upstream.potential(dict(weights), settings_of(SMALL))
    upstream.convert(small, tmp_path / "new.reann")
    found = reann.load(tmp_path / "new.reann")
    assert found.elements == expected.elements
    state = expected.model.state_dict()
    assert found.model.state_dict().keys() == state.keys()
    for name, values in found.model.state_dict().items():
        assert torch.equal(values, state[name]), name


def test_the_precision_of_the_export_is_that_of_the_potential(tmp_path):
    path = export(tmp_path / "PES.pt", module(SMALL).float())
    upstream.convert(path, tmp_path / "new.reann")
    potential = reann.load(tmp_path / "new.reann")
    assert potential.model.dtype == torch.float32


def test_settings_beside_an_exported_model_are_read(small, tmp_path):
    para(tmp_path, settings_of(SMALL))
    path = changed(small, tmp_path / "PES.pt", {})
    upstream.convert(path, tmp_path / "new.reann")
    assert reann.load(tmp_path / "new.reann").cutoff == settings_of(SMALL)["cutoff"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoff": 5.5}, "cutoff is 5.5 in the settings"),
        ({"activate": "Relu_like"}, "activate is 'Relu_like' in the settings"),
        ({"nl": [24, 12]}, "nl"),
        ({"atomtype": ["C", "O", "Ni"]}, "atomtype is C, O, Ni"),
        ({"start_table": 2}, "start_table is 2, but the exported model predicts the energy"),
    ],
)
def test_settings_that_contradict_an_exported_model_are_refused(small, tmp_path, change, message):
    para(tmp_path, settings_of(SMALL) | change)
    refused(changed(small, tmp_path / "PES.pt", {}), message)


def test_a_model_of_unknown_purpose_needs_the_settings(tmp_path):
    path = export(tmp_path / "PES.pt", module(SMALL, Exported))
    refused(path, "does not contain start_table")
    para(tmp_path, settings_of(SMALL))
    upstream.convert(path, tmp_path / "new.reann")
    assert reann.load(tmp_path / "new.reann").cutoff == settings_of(SMALL)["cutoff"]


@pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")
def test_an_exported_model_of_dipoles_needs_their_definition_and_unit(tmp_path):
    case, target = "reann_water_dm_2022_01", tmp_path / "dipole.reann"
    path = export(tmp_path / "REANN_DM_DOUBLE.pt", module(case, Dipole))
    with pytest.raises(UserError, match="two definitions"):
        upstream.convert(path, target)
    with pytest.raises(UserError, match="do not contain the unit"):
        upstream.convert(path, target, dipole_definition="center")
    assert not target.exists()
    upstream.convert(path, target, dipole_definition="center", unit="e*Å")
    with np.load(GOLDEN / f"{case}_expected.npz") as frames:
        frame = {name: frames[f"frame0/{name}"] for name in ("numbers", "positions", "dipole")}
    expected = frame.pop("dipole")
    found = reann.load(target).predict(ase.Atoms(**frame), ["dipole"])["dipole"]
    assert np.abs(found - expected).max() < 1e-13


def test_an_exported_model_of_dipoles_is_none_of_energies(tmp_path):
    path = export(tmp_path / "PES.pt", module("reann_water_dm_2022_01", Dipole))
    para(tmp_path, settings_of("reann_water_dm_2022_01") | {"start_table": 1})
    refused(path, "start_table is 1, but the exported model predicts the dipole")


def test_two_cutoffs_in_one_export_are_refused(tmp_path):
    model = module(SMALL)
    model.cutoff = 5.5
    refused(export(tmp_path / "PES.pt", model), "two cutoffs: 5.5 Å for neighbors and")


class Swish(torch.nn.Module):
    """No activation of the original."""


def test_an_activation_that_is_not_of_the_original_is_refused_whatever_the_settings_say(tmp_path):
    model = module(SMALL)
    for network in model.nnmod.elemental_nets.children():
        for name, child in list(network.named_modules()):
            if isinstance(child, Relu_like | Tanh_like):
                other = Swish()
                for leaf, array in child.named_parameters():
                    other.register_parameter(leaf, array)
                network.get_submodule(name.rpartition(".")[0]).add_module(
                    name.rpartition(".")[2], other
                )
    path = export(tmp_path / "PES.pt", model)
    refused(path, "the activation Swish; Relu_like, Tanh_like can be converted")
    para(tmp_path, settings_of(SMALL))
    refused(path, "the activation Swish")


@pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")
def test_an_exported_model_of_fireann_is_recognized_by_its_arrays(tmp_path):
    case, target = "fireann_nma_t2", tmp_path / "field.reann"
    path = export(tmp_path / "PES.pt", module(case, Exported))
    refused(path, "Several forms of FIREANN")
    upstream.convert(path, target, fireann_version="2024-04")
    with np.load(GOLDEN / f"{case}_weights.npz") as weights:
        expected = upstream.potential(
            dict(weights), settings_of(case) | {"fireann_version": "2024-04"}
        )
    atoms = ase.Atoms("CO", [[0, 0, 0], [0, 0, 1.2]], info={"field": [0.0, 0.1, 0.2]})
    found = reann.load(target).predict(atoms, ["energy"])["energy"]
    assert found == expected.predict(atoms, ["energy"])["energy"]


def test_a_frozen_model_is_refused_with_what_to_give_instead(tmp_path):
    path = export(tmp_path / "PES.pt", module(SMALL), frozen=True)
    refused(path, r"(?s)arrays have no names.*REANN\.pth")


def test_a_wrapper_that_may_change_the_energy_is_refused(tmp_path):
    refused(export(tmp_path / "PES.pt", Wrapped(module(SMALL))), "not a model of the original")


# --- nothing is executed ----------------------------------------------------------------------


def calling(function: str, argument: str, form: str) -> bytes:
    """A pickle that calls a function, written with one of the ways to name it."""
    module_name, name = function.rsplit(".", 1)
    text = argument.encode()
    argument_code = b"X" + len(text).to_bytes(4, "little") + text
    named = f"c{module_name}\n{name}\n".encode()
    if form == "GLOBAL":
        return b"\x80\x02" + named + argument_code + b"\x85R."
    if form == "INST":
        return b"(" + argument_code + f"i{module_name}\n{name}\n".encode() + b"."
    if form == "OBJ":
        return b"(" + named + argument_code + b"o."
    short = b"".join(b"\x8c" + bytes([len(s)]) + s.encode() for s in (module_name, name))
    return b"\x80\x04" + short + b"\x93" + argument_code + b"\x85R."


FORMS = ["GLOBAL", "STACK_GLOBAL", "INST", "OBJ"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("function", "argument"),
    [
        ("posix.system", "touch {trace}"),
        ("os.system", "touch {trace}"),
        ("builtins.eval", "open('{trace}', 'w')"),
        ("builtins.exec", "open('{trace}', 'w')"),
        ("torch.load", "{evil}"),
        ("torch.jit.load", "{evil}"),
        ("__torch__.os.system", "touch {trace}"),
    ],
)
def test_code_in_an_exported_model_is_not_executed(small, tmp_path, function, argument, form):
    trace, evil = tmp_path / "trace", tmp_path / "evil.pth"
    evil.write_bytes(calling("os.system", f"touch {trace}", "GLOBAL"))
    data = calling(function, argument.format(trace=trace, evil=evil), form)
    path = changed(small, tmp_path / "PES.pt", {"data.pkl": data})
    inert = "|arrays have no names" if function.startswith("__torch__") else ""
    refused(path, "import|instruction" + inert)
    assert not trace.exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_usual_reader_would_execute_the_hostile_pickles_of_these_tests(tmp_path, form):
    trace = tmp_path / "trace"
    pickle.loads(calling("os.system", f"touch {trace}", form))  # noqa: S301, its own
    assert trace.exists()


def test_code_beside_honest_arrays_is_found_before_anything_is_built(small, tmp_path):
    """The same attributes, and at their end one more whose value is a call."""
    trace = tmp_path / "trace"
    honest = entry(small, "data.pkl")
    call = calling("os.system", f"touch {trace}", "GLOBAL")[2:-1]
    path = changed(small, tmp_path / "PES.pt", {"data.pkl": honest[:-1] + call + b"."})
    refused(path, "'os.system'")
    assert not trace.exists()


def test_the_program_is_not_even_opened(small, tmp_path):
    with zipfile.ZipFile(small) as archive:
        code = [n.split("/", 1)[1] for n in archive.namelist() if "/code/" in n]
    assert code
    path = changed(small, tmp_path / "PES.pt", dict.fromkeys(code))
    upstream.convert(path, tmp_path / "new.reann")


# --- damaged files ----------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(small, tmp_path, kept):
    path = tmp_path / "PES.pt"
    whole = small.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    refused(path, "damaged")


@pytest.mark.parametrize("step", range(0, 4000, 97))
def test_a_truncated_pickle_is_refused(small, tmp_path, step):
    data = entry(small, "data.pkl")
    assert len(data) > 4000
    refused(changed(small, tmp_path / "PES.pt", {"data.pkl": data[:step]}), "damaged|no such")


def test_a_damaged_directory_of_the_archive_is_refused(small, tmp_path):
    whole = small.read_bytes()
    last = whole.rindex(b"/byteorder")
    path = tmp_path / "PES.pt"
    path.write_bytes(whole[:last] + b"\x87" + whole[last + 1 :])  # no text at all
    refused(path, "damaged")


def test_any_damaged_byte_of_the_pickle_is_refused_or_harmless(small, tmp_path):
    rng = np.random.default_rng(0)
    data = entry(small, "data.pkl")
    for _ in range(30):
        spoiled = bytearray(data)
        spoiled[rng.integers(len(data))] = rng.integers(256)
        path = changed(small, tmp_path / "PES.pt", {"data.pkl": bytes(spoiled)})
        with contextlib.suppress(UserError):  # and no other error
            upstream.convert(path, tmp_path / "new.reann")


@pytest.mark.parametrize("change", [b"", b"\x00" * 4, None])
def test_a_storage_with_fewer_bytes_than_the_pickle_says_is_refused(small, tmp_path, change):
    refused(changed(small, tmp_path / "PES.pt", {"data/0": change}), "bytes, not")


def numbers(shape: tuple[int, ...], stride: tuple[int, ...], offset: int, size: int) -> bytes:
    """The pickle of a model whose density.rs is such a tensor of storage 0."""

    def whole(n: int) -> bytes:
        data = n.to_bytes(max(1, (n.bit_length() + 8) // 8), "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data

    def text(value: str) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    def several(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(whole, values)) + b"t"

    def made(kind: str, attributes: bytes) -> bytes:
        return f"c__torch__.pes\n{kind}\n".encode() + b")\x81}(" + attributes + b"ub"

    storage = b"(" + text("storage") + b"ctorch\nDoubleStorage\n" + text("0") + text("cpu")
    storage += whole(size) + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + whole(offset) + several(shape)
    tensor += several(stride) + b"\x89ccollections\nOrderedDict\n)RtR"
    nets = text("elemental_nets") + made("Nets", text("H") + made("Net", b""))
    inside = text("density") + made("GetDensity", text("rs") + tensor)
    return b"\x80\x02" + made("PES", inside + text("nnmod") + made("NNMod", nets)) + b"."


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [
        ((4, 2), (2, 1), 0),  # one row more than there is
        ((3, 2), (2, 1), 1),  # starts too late
        ((3, 2), (3, 1), 0),  # steps too far
        ((3, 2), (-2, 1), 4),
        ((3, 2), (2, 1), -1),
        ((-3, 2), (2, 1), 0),
        ((10**12,), (0,), 0),  # one number as often as nothing can hold
        ((10**30, 0), (1, 1), 0),
        ((6,) * 9, (0,) * 9, 0),
        ((3, 2), (1,), 0),
    ],
)
def test_a_tensor_that_does_not_fit_its_storage_is_refused(small, tmp_path, shape, stride, offset):
    def written(*view) -> Path:
        change = {"data/0": np.arange(6.0).tobytes(), "data.pkl": numbers(*view, 6)}
        return changed(small, tmp_path / "PES.pt", change)

    refused(written((3, 2), (2, 1), 0), "does not contain activate")
    refused(written(shape, stride, offset), "exceeds the 6 values|damaged")


def test_a_storage_that_says_it_is_huge_is_refused_before_memory_is_taken(small, tmp_path):
    data = numbers((10**15,), (1,), 0, 10**15)
    refused(changed(small, tmp_path / "PES.pt", {"data.pkl": data}), "bytes, not 8000000000000000")


def test_an_entry_that_unpacks_to_more_than_the_file_is_refused(small, tmp_path):
    path = tmp_path / "PES.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("PES/constants.pkl", b"")
        archive.writestr("PES/data.pkl", numbers((10**6,), (1,), 0, 10**6))
        archive.writestr("PES/data/0", bytes(8 * 10**6))
    assert path.stat().st_size < 10**5
    refused(path, "larger than the file")


def test_a_pickle_that_holds_itself_is_refused(small, tmp_path):
    """A module that is its own attribute would be followed for ever."""
    itself = b"\x80\x02c__torch__.pes\nPES\n)\x81q\x00}(X\x01\x00\x00\x00ah\x00ub."
    refused(changed(small, tmp_path / "PES.pt", {"data.pkl": itself}), "occurs twice")

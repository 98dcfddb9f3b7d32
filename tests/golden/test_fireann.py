"""Models and data of FIREANN are converted exactly, with physical signs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch

import reann
from reann import upstream
from reann.data.neighbors import neighbor_list
from reann.errors import UserError
from reann.facts import LAYER_NORM_EPSILON
from reann.units import COULOMB
from reann.upstream import convert
from reann.upstream.fireann import VERSIONS

GOLDEN = Path(__file__).resolve().parent / "upstream"
CASE = "fireann_nma_t2"
NAMES = ["energy", "forces", "dipole", "polarizability"]

pytestmark = pytest.mark.filterwarnings("ignore::reann.backends.choice.ReferenceWarning")


def arrays() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{CASE}_weights.npz") as archive:
        return dict(archive)


def settings(version: str | None = "2024-04") -> dict:
    read = json.loads((GOLDEN / f"{CASE}_config.json").read_text())
    return read | ({} if version is None else {"fireann_version": version})


def frames() -> list[dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(GOLDEN / f"{CASE}_expected.npz") as archive:
        for key in archive:
            frame, quantity = key.split("/")
            found.setdefault(frame, {})[quantity] = archive[key]
    return list(found.values())


def structure(frame: dict[str, np.ndarray]) -> ase.Atoms:
    given = {name: frame[name] for name in ("numbers", "positions", "cell", "pbc")}
    return ase.Atoms(**given, info={"field": frame["field"]})


def test_energies_and_their_derivatives_are_those_of_fireann_with_physical_signs(tmp_path):
    upstream.potential(arrays(), settings()).save(tmp_path / "model.reann")
    potential = reann.load(tmp_path / "model.reann")
    for frame in frames():
        found = potential.predict(structure(frame), NAMES)
        assert abs(found["energy"] - frame["energy"]) < 1e-11 * abs(frame["energy"])
        np.testing.assert_allclose(found["forces"], frame["forces"], atol=1e-12)
        np.testing.assert_allclose(found["dipole"], -frame["dE_dfield"], atol=1e-12)
        alpha = found["polarizability"] / COULOMB
        np.testing.assert_allclose(alpha, -frame["d2E_dfield2"], atol=1e-11)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_has_the_energy_of_its_equations(version):
    weights = arrays()
    if version == "2022-01":
        scale = np.array([1.0, 0.9, 1.2])[:, None, None, None]
        weights["density.hyper"] = scale * weights["density.hyper"]
    elif not VERSIONS[version]["unit"]:
        weights["density.hyper"] *= np.array([1.0, 0.5, 0.3])[:, None, None]
    potential = upstream.potential(weights, settings(version))
    frame = frames()[0]
    found = potential.predict(structure(frame), ["energy"])["energy"]
    assert found == pytest.approx(of_equations(weights, frame, **VERSIONS[version]), rel=1e-12)


def of_equations(weights, frame, *, unit, passes_orbitals, reversed_field, contractions=False):
    """Return the energy from the equations, pair by pair, with all 3^l products."""
    order = [ase.data.atomic_numbers[s] for s in settings()["atomtype"]]
    species = [order.index(z) for z in frame["numbers"]]
    symbols = [settings()["atomtype"][s] for s in species]
    cutoff = settings()["cutoff"]
    i, j, _ = neighbor_list(frame["positions"], frame["cell"], frame["pbc"], cutoff)
    vector = frame["positions"][j] - frame["positions"][i]
    r = np.linalg.norm(vector, axis=1)
    # Versions until April 2024 have vectors from the neighbor to the center.
    u = (-vector if reversed_field else vector) / (r[:, None] if unit else 1.0)
    f_c = (0.5 * np.cos(np.pi * r / cutoff) + 0.5) ** 2
    rs, inta, c_z = (weights[f"density.{name}"] for name in ("rs", "inta", "params"))
    z_j = np.array(species)[j]
    radial = np.exp(inta[z_j] * (r[:, None] - rs[z_j]) ** 2) * f_c[:, None]
    orbital = monomials(u)[:, :, None] * radial[:, None]
    of_field = monomials(frame["field"][None])[0][:, None] * weights["density.ef_para"]
    l_of = np.repeat(range(3), 3 ** np.arange(3))
    c = c_z[species].copy()
    for t in range(settings()["oc_loop"] + 1):
        phi = np.repeat(of_field[None], len(species), axis=0)
        np.add.at(phi, i, orbital * c[j][:, None])
        hyper = weights["density.hyper"]
        hyper = (hyper[t] if contractions else hyper)[l_of]
        rho = (np.einsum("alk,lkm->alm", phi, hyper) ** 2).sum(1)
        if t == settings()["oc_loop"]:
            each = [
                network(weights, f"nnmod.elemental_nets.{s}", x)
                for s, x in zip(symbols, rho, strict=True)
            ]
            return np.sum(each) + len(species) * weights["nnmod.initpot"][0]
        update = f"density.ocmod.memssage_{t}.elemental_nets"
        kind = settings()["oc_activate"]
        c += [network(weights, f"{update}.{s}", x, kind) for s, x in zip(symbols, rho, strict=True)]
        if passes_orbitals:
            orbital = orbital + phi[j] * f_c[:, None, None]
    return None


def monomials(vectors: np.ndarray) -> np.ndarray:
    """Return all 3^l products of the components for l = 0, 1, 2."""
    columns = [np.ones(len(vectors)), *vectors.T]
    columns += [vectors[:, a] * vectors[:, b] for a, b in itertools.product(range(3), repeat=2)]
    return np.stack(columns, axis=1)


def network(weights, name: str, x: np.ndarray, kind: str = "Relu_like") -> np.ndarray:
    """Return what the network of one element makes of one density."""

    def linear(place: str, x: np.ndarray) -> np.ndarray:
        return weights[f"{name}.{place}.weight"] @ x + weights[f"{name}.{place}.bias"]

    def activation(place: str, x: np.ndarray) -> np.ndarray:
        a, b = (weights[f"{name}.{place}.{leaf}"][0] for leaf in ("alpha", "beta"))
        if kind == "Relu_like":
            return a * x * b / (1.0 + np.exp(-b * x))
        return a * x / np.sqrt(1.0 + (b * x) ** 2)

    def normalized(place: str, x: np.ndarray) -> np.ndarray:
        standard = (x - x.mean()) / np.sqrt(x.var() + LAYER_NORM_EPSILON)
        return standard * weights[f"{name}.{place}.weight"] + weights[f"{name}.{place}.bias"]

    first = linear("0", x)
    y = first
    for k in (0, 3):
        y = activation(f"1.resblock.{k}", y)
        y = linear(f"1.resblock.{k + 2}", normalized(f"1.resblock.{k + 1}", y))
    return linear("3", activation("2", first + y))


def test_the_version_is_asked_for_where_the_arrays_do_not_tell_it():
    with pytest.raises(UserError, match="Several forms") as error:
        upstream.potential(arrays(), settings(None))
    assert "--fireann-version" in str(error.value.fix)
    with pytest.raises(UserError, match="'2030' is not a version"):
        upstream.potential(arrays(), settings("2030"))
    with pytest.raises(UserError, match="not those of version 2022-01"):
        upstream.potential(arrays(), settings("2022-01"))
    weights = arrays()
    weights["density.hyper"] = np.repeat(weights["density.hyper"][None], 3, axis=0)
    form = upstream.potential(weights, settings(None)).model.config.host_options
    assert form["contractions"]


def test_averaged_weights_have_two_prefixes_and_a_count():
    averaged = {f"module.module.{name}": x for name, x in arrays().items()}
    averaged["n_averaged"] = np.array(7)
    structures = structure(frames()[0])
    plain = upstream.potential(arrays(), settings()).predict(structures, ["energy"])
    assert upstream.potential(averaged, settings()).predict(structures, ["energy"]) == plain


def test_the_native_engine_leaves_it_to_pytorch():
    potential = upstream.potential(arrays(), settings())
    with pytest.raises(UserError, match="not FieldDensity"):
        potential.predict(structure(frames()[0]), ["energy"], "native")


def test_a_checkpoint_is_converted_by_the_command(tmp_path):
    para = tmp_path / "para"
    para.mkdir()
    named = {k: v for k, v in settings(None).items() if k != "note"}
    density = ("cutoff", "nipsin", "nwave", "atomtype")
    for file, keys in (("input_density", density), ("input_nn", named.keys() - set(density))):
        lines = [f"{key} = {named[key]!r}\n" for key in sorted(keys)]
        (para / file).write_text("".join(lines))
    state = {f"module.{name}": torch.from_numpy(x) for name, x in arrays().items()}
    torch.save({"reannparam": state}, tmp_path / "REANN.pth")
    convert(tmp_path, tmp_path / "model.reann", fireann_version="2024-04")
    found = reann.load(tmp_path / "model.reann").predict(structure(frames()[1]), ["energy"])
    assert found["energy"] == pytest.approx(float(frames()[1]["energy"]), abs=1e-9)


DATA = """point = 1
40.0 0.0 0.0
0.0 40.0 0.0
0.0 0.0 40.0
pbc 0 0 0
Energy='-6763.25' Dipole='-0.5 0.25 0.125' POL='-1.0 0.0 0.0 0.0 -2.0 0.0 0.0 0.0 -4.0'
O 15.999 0.0 0.0 5.0 0.1 0.2 0.3
H 1.008 0.0 0.0 6.0 -0.1 -0.2 -0.3
External_field: 0.1 0.0 -0.05
"""


def test_data_have_physical_dipoles_and_polarizabilities(tmp_path):
    source, target = tmp_path / "configuration", tmp_path / "data.xyz"
    source.write_text(DATA * 2)
    convert(source, target)
    first, second = ase.io.read(target, ":")
    assert first == second
    assert first.get_potential_energy() == -6763.25
    np.testing.assert_array_equal(first.get_dipole_moment(), [0.5, -0.25, -0.125])
    alpha = np.reshape(first.info["polarizability"], (3, 3)) / COULOMB
    np.testing.assert_allclose(alpha, np.diag([1.0, 2.0, 4.0]), rtol=1e-15)
    np.testing.assert_array_equal(first.info["field"], [0.1, 0.0, -0.05])
    assert not first.pbc.any()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Dipole=", "Dip=", "'Dip' is not a label of FIREANN"),
        ("'-0.5 0.25 0.125'", "'-0.5 0.25'", "3 numbers were expected"),
        ("External_field: 0.1 0.0 -0.05", "abprop: 1.0", "belong together"),
        ("-0.05", "", "3 numbers were expected"),
    ],
)
def test_wrong_data_are_errors_with_their_line(tmp_path, old, new, message):
    source = tmp_path / "configuration"
    source.write_text(DATA.replace(old, new))
    with pytest.raises(UserError, match=message):
        convert(source, tmp_path / "data.xyz")
    assert not (tmp_path / "data.xyz").exists()

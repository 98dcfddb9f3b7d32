"""`reann spectrum`: which spectrum a file asks for, what is written, what is refused."""

import csv
import json
import xml.etree.ElementTree as ET

import ase.io
import numpy as np
import pytest
from ase import units
from typer.testing import CliRunner

from models import random_model
from oscillators import oscillators
from reann.cli import app
from reann.errors import UserError
from reann.potential import Potential, load
from reann.spectra.of_trajectory import spectrum_of_trajectory
from reann.spectra.recorded import Recorded
from reann.spectra.settings import Settings
from reann.terminal import Terminal

OUTPUTS = ["dipole", "polarizability"]
CHOICES = {"messages": "equivariant", "n_recursions": 1, "repulsion": True}


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a model of dipoles and polarizabilities, one of energies alone, and a structure."""
    folder = tmp_path_factory.mktemp("spectrum")
    Potential(random_model(outputs=OUTPUTS, **CHOICES)).save(folder / "model.reann")
    Potential(random_model(**CHOICES)).save(folder / "energies.reann")
    ase.io.write(folder / "water.xyz", water())
    return folder


def water():
    return ase.Atoms("OH2", [[0.0, 0, 0], [0.9, 0.35, 0.1], [-0.5, 0.8, -0.1]])


def trajectory(n_frames=60, *, times=True, velocities=True, timestep=2.0):
    rng = np.random.default_rng(0)
    frames = []
    for i in range(n_frames):
        atoms = water()
        atoms.rattle(0.02, seed=i)
        if velocities:
            atoms.set_momenta(rng.normal(0, 0.2, (3, 3)))
        if times:
            atoms.info["time_fs"] = timestep * i
        frames.append(atoms)
    return frames


def test_one_structure_gives_modes_in_80_columns_and_all_files(folder, tmp_path):
    csv_file, json_file, svg = (tmp_path / f"s.{end}" for end in ("csv", "json", "svg"))
    result = run(
        "spectrum", folder / "model.reann", folder / "water.xyz", "--fmax", 0.02,
        "--engine", "torch", "-o", csv_file, "--json", json_file, "--figure", svg,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 80
    for words in ("cm^-1", "km/mol", "Å^4/u", "depolarization", "Sum of the Born charges"):
        assert words in result.output
    content = json.loads(json_file.read_text(encoding="utf-8"))
    assert content["kind"] == "harmonic"
    assert len(content["modes"]) == 3
    mode = content["modes"][-1]
    assert set(mode) == {
        "wavenumber_per_cm",
        "is_imaginary",
        "infrared_km_per_mol",
        "raman_activity_A4_per_u",
        "depolarization_ratio",
        "displacements_per_sqrt_u",
    }
    assert f"{mode['wavenumber_per_cm']:.1f}" in result.output
    rows = list(csv.reader(csv_file.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == [
        "wavenumber (cm^-1)",
        "infrared absorption (km/mol per cm^-1)",
        "Raman activity (Å^4/u per cm^-1)",
    ]
    x, infrared = np.array([row[:2] for row in rows[1:]], float).T
    area = infrared.sum() * (x[1] - x[0])
    real = [m for m in content["modes"] if m["wavenumber_per_cm"] > 30]
    assert area == pytest.approx(sum(m["infrared_km_per_mol"] for m in real), rel=0.02)
    texts = ET.parse(svg).getroot().itertext()  # noqa: S314 - our own file
    assert "infrared absorption, km/mol per cm⁻¹" in set(texts)


def test_several_structures_with_times_give_the_spectrum_of_a_trajectory(folder, tmp_path):
    path = tmp_path / "md.xyz"
    ase.io.write(path, trajectory())
    words = ["spectrum", folder / "model.reann", path, "--engine", "torch", "--width", "800"]
    result = run(*words, "--json", tmp_path / "s.json", "--figure", tmp_path / "s.svg")
    assert result.exit_code == 0, result.output
    assert "60 structures, 2 fs apart" in result.output
    assert "from the velocities" in result.output
    assert max(map(len, result.output.splitlines())) <= 80
    content = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert content["kind"] == "dynamics"
    assert content["quantum_correction"] == "harmonic"
    assert content["curves"]["infrared absorption"]["errors"]
    last = run(*words[:3], "--engine", "torch", "--harmonic", "--no-relax")
    assert last.exit_code == 0, last.output
    assert "Vibrations: 3" in last.output
    assert "largest force" in last.output  # a warning: the structure is no minimum


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ({"times": False}, [], "do not record their times"),
        ({"times": False, "velocities": False}, ["--timestep", 2], "has no velocities"),
        ({}, ["--timestep", 1], "the structures are 2 fs apart"),
        ({}, ["--fmax", 0.1], "has no option --fmax"),
        ({}, [], "does not resolve lines of 20 cm"),
    ],
)
def test_what_a_trajectory_does_not_say_is_asked_for(folder, tmp_path, frames, options, message):
    path = tmp_path / "md.xyz"
    ase.io.write(path, trajectory(**frames))
    result = run("spectrum", folder / "model.reann", path, "--engine", "torch", *options)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())


def test_a_periodic_model_of_charges_absorbs_by_their_current(tmp_path):
    model, path = tmp_path / "model.reann", tmp_path / "md.xyz"
    Potential(random_model(outputs=["charges"], **CHOICES)).save(model)
    frames = trajectory()
    for atoms in frames:
        atoms.set_cell([6.0] * 3)
        atoms.pbc = True
    ase.io.write(path, frames)
    result = run("spectrum", model, path, "--engine", "torch", "--width", 800)
    assert result.exit_code == 0, result.output
    assert "from the current of the atomic charges" in result.output


def test_options_of_trajectories_are_refused_for_one_structure(folder):
    words = ["spectrum", folder / "model.reann", folder / "water.xyz", "--temperature", 300]
    result = run(*words)
    assert result.exit_code == 1
    assert "has no option --temperature" in result.output


def test_a_model_of_energies_has_wavenumbers_but_no_spectrum_of_a_trajectory(folder, tmp_path):
    alone = run("spectrum", folder / "energies.reann", folder / "water.xyz", "--fmax", 0.02)
    assert alone.exit_code == 0, alone.output
    assert "no infrared intensities" in alone.output
    path = tmp_path / "md.xyz"
    ase.io.write(path, trajectory())
    result = run("spectrum", folder / "energies.reann", path)
    assert result.exit_code == 1
    assert "no dipoles, charges or polarizabilities" in result.output


def test_times_that_are_not_equally_far_apart_are_an_error():
    frames = trajectory(5)
    frames[3].info["time_fs"] += 1.0
    recorded = Recorded()
    assert len(list(recorded.of((atoms, "") for atoms in frames))) == 5
    with pytest.raises(UserError, match="not equally far apart") as error:
        recorded.timestep(None)
    assert "from structure 2 to 3" in error.value.where


def test_structures_of_different_molecules_are_no_trajectory():
    frames = [*trajectory(2), ase.Atoms("CO", [[0, 0, 0], [0, 0, 1.1]])]
    with pytest.raises(UserError, match="not a trajectory"):
        list(Recorded().of((atoms, "") for atoms in frames))


def test_structures_too_far_apart_in_time_are_warned_of(folder, tmp_path, capsys):
    frames = ((atoms, "") for atoms in trajectory(200, timestep=10.0))
    settings = Settings(width=100.0)
    model = folder / "model.reann"
    spectrum_of_trajectory(model, frames, settings, Terminal(width=80), engine="torch")
    assert "vibrations above 1668 cm^-1" in " ".join(capsys.readouterr().out.split())


def test_several_trajectories_give_their_mean_and_the_error_of_it(folder, tmp_path):
    files = [tmp_path / f"md{i}.xyz" for i in range(3)]
    for i, file in enumerate(files):
        frames = trajectory(60)
        for atoms in frames:
            atoms.rattle(0.01, seed=100 * i + 1)
        ase.io.write(file, frames)
    options = ["--width", 800, "--temperature", 300, "--engine", "torch", "--json"]
    each = []
    for i, words in enumerate([file] for file in files):
        result = run("spectrum", folder / "model.reann", *words, *options, tmp_path / f"{i}.json")
        assert result.exit_code == 0, result.output
        each.append(json.loads((tmp_path / f"{i}.json").read_text(encoding="utf-8")))
    result = run("spectrum", folder / "model.reann", *files, *options, tmp_path / "all.json")
    assert result.exit_code == 0, result.output
    assert "180 structures in 3 trajectories" in result.output
    assert "standard errors from 3 trajectories" in result.output
    mean = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert (mean["n_trajectories"], mean["n_structures"], mean["n_blocks"]) == (3, 180, None)
    for name, curve in mean["curves"].items():
        values = np.array([one["curves"][name]["values"] for one in each])
        np.testing.assert_allclose(curve["values"], values.mean(0), rtol=1e-12, atol=1e-300)
        error = values.std(0, ddof=1) / np.sqrt(3)
        np.testing.assert_allclose(curve["errors"], error, rtol=1e-12, atol=1e-300)


def test_what_is_no_set_of_trajectories_is_refused(folder, tmp_path):
    fast, slow = tmp_path / "fast.xyz", tmp_path / "slow.xyz"
    ase.io.write(fast, trajectory(60))
    ase.io.write(slow, trajectory(60, timestep=4.0))
    cell = [atoms.copy() for atoms in trajectory(60)]
    for atoms in cell:
        atoms.cell, atoms.pbc = [9.0] * 3, True
    ase.io.write(tmp_path / "cell.xyz", cell)
    words = ["spectrum", folder / "model.reann", fast]
    for other, options, message in (
        (slow, [], "Structures of trajectory 1 are 2 fs apart"),
        (tmp_path / "cell.xyz", [], "Only one of the trajectories 1 and 2 is periodic"),
        (folder / "water.xyz", [], "is no trajectory"),
        (fast, ["--harmonic"], "no option --harmonic"),
        (fast, ["--blocks", 3], "no option --blocks"),
    ):
        result = run(*words, other, "--width", 800, "--engine", "torch", *options)
        assert result.exit_code != 0
        assert message in " ".join(result.output.split())


def test_the_temperature_is_that_of_the_momenta():
    frames = trajectory(4000)
    recorded = Recorded()
    list(recorded.of((atoms, "") for atoms in frames))
    kinetic = np.mean([atoms.get_kinetic_energy() for atoms in frames])
    assert recorded.temperature(None) == pytest.approx(2 * kinetic / (9 * units.kB))
    assert recorded.temperature(123.0) == 123.0


def test_dynamics_writes_the_outputs_that_are_asked_for(folder, tmp_path):
    path = tmp_path / "md.xyz"
    words = ["md", folder / "model.reann", folder / "water.xyz", "--temperature", 10, "-o", path]
    words += ["--time", "3fs", "--interval", 2, "--timestep", 0.5]
    result = run(*words, "--write", "dipole", "--write", "polarizability")
    assert result.exit_code == 0, result.output
    frames = ase.io.read(path, ":")
    assert len(frames) == 4
    predicted = load(folder / "model.reann").predict(frames, OUTPUTS, engine="torch")
    for frame, values in zip(frames, predicted, strict=True):
        np.testing.assert_allclose(frame.get_dipole_moment(), values["dipole"], atol=1e-6)
        stored = np.reshape(frame.info["polarizability"], (3, 3))
        np.testing.assert_allclose(stored, values["polarizability"], atol=1e-6)
    wrong = run(*words, "--write", "dipol")
    assert wrong.exit_code == 1
    assert "has no output 'dipol'. Did you mean 'dipole'?" in wrong.output
    nowhere = run(*words[:5], "--time", "3fs", "--write", "dipole")
    assert nowhere.exit_code == 1
    assert "There is no trajectory to write dipole to" in nowhere.output


def test_outputs_of_atoms_are_columns_of_the_trajectory(tmp_path):
    model, path = tmp_path / "model.reann", tmp_path / "md.xyz"
    outputs = ["charges", "shieldings"]
    Potential(random_model(outputs=outputs, **CHOICES)).save(model)
    ase.io.write(tmp_path / "water.xyz", water())
    words = ["md", model, tmp_path / "water.xyz", "--temperature", 10, "--time", "1fs", "-o", path]
    result = run(*words, "--write", "charges", "--write", "shieldings")
    assert result.exit_code == 0, result.output
    last = ase.io.read(path, -1)
    predicted = load(model).predict(last, outputs, engine="torch")
    np.testing.assert_allclose(last.get_charges(), predicted["charges"], atol=1e-6)
    np.testing.assert_allclose(last.arrays["shieldings"], predicted["shieldings"], atol=1e-6)


def test_oscillators_keep_their_energy():
    q = oscillators([1000.0], 5000, 0.5, 300.0, np.random.default_rng(0))[:, 0]
    rate = np.gradient(q, 0.5 * units.fs)
    assert np.mean(rate**2) == pytest.approx(units.kB * 300.0, rel=0.02)

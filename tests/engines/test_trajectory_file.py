"""Trajectories: every digit, no half structures, and an old one lives until the new run does."""

from __future__ import annotations

import contextlib
import resource

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian

from reann.errors import UserError
from reann.simulate.trajectory_file import TrajectoryWriter, last_structure, xyz_frame

KINDS = ["md.xyz", "md.extxyz", "md.traj"]


def structure(seed: int = 0, n_atoms: int = 6) -> ase.Atoms:
    rng = np.random.default_rng(seed)
    cell = 5.0 * np.eye(3) + rng.normal(size=(3, 3))
    positions = rng.normal(size=(n_atoms, 3))
    atoms = ase.Atoms(["O", "H"] * (n_atoms // 2), positions, cell=cell, pbc=True)
    atoms.set_momenta(1e-3 * rng.normal(size=(n_atoms, 3)))
    masses = atoms.get_masses()
    masses[1] = 2.0141017778
    atoms.set_masses(masses)
    labels = {
        "energy": rng.normal(),
        "forces": rng.normal(size=(n_atoms, 3)),
        "stress": np.arange(6.0),
    }
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "constraint",
    [FixAtoms([0, 2]), FixCartesian(1, mask=[True, False, True]), None],
    ids=["atoms", "directions", "none"],
)
def test_a_structure_is_read_as_it_was_written(tmp_path, name, constraint):
    atoms = structure()
    atoms.set_constraint(constraint)
    with TrajectoryWriter(tmp_path / name) as trail:
        trail.write(atoms, {"step": 7, "time_fs": 3.5})
    for found in (ase.io.read(tmp_path / name), last_structure(tmp_path / name)):
        for array in ("numbers", "positions", "momenta", "masses"):
            assert np.array_equal(found.arrays[array], atoms.arrays[array]), array
        assert np.array_equal(found.cell.array, atoms.cell.array)
        assert (found.info["step"], found.info["time_fs"]) == (7, 3.5)
        assert found.get_potential_energy() == atoms.get_potential_energy()
        forces = found.get_forces(apply_constraint=False)
        assert np.allclose(forces, atoms.get_forces(apply_constraint=False), atol=1e-8)
        assert np.allclose(found.get_stress(), np.arange(6.0))
        moved = found.copy()
        moved.set_positions(moved.positions + 1.0)
        expected = atoms.copy()
        expected.set_positions(expected.positions + 1.0)
        assert np.allclose(moved.positions, expected.positions)


@pytest.mark.parametrize("name", KINDS)
def test_an_old_trajectory_lives_until_the_first_step(tmp_path, name):
    ase.io.write(tmp_path / name, [structure(1), structure(2)])
    before = (tmp_path / name).read_bytes()
    with contextlib.suppress(ZeroDivisionError), TrajectoryWriter(tmp_path / name) as trail:
        trail.write(structure(3))
        raise ZeroDivisionError
    assert (tmp_path / name).read_bytes() == before
    with TrajectoryWriter(tmp_path / name) as trail:
        trail.write(structure(3))
        trail.confirm()
        trail.write(structure(4))
    assert len(ase.io.read(tmp_path / name, ":")) == trail.n_written == 2


def fill(trail: TrajectoryWriter, frame: ase.Atoms) -> None:
    with trail:
        for _ in range(20):
            trail.write(frame)


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_leaves_whole_structures(tmp_path, name):
    """A limit on the size of files does what a full disk does."""
    frame = structure(n_atoms=2000)
    trail = TrajectoryWriter(tmp_path / name)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, usual[1]))
    try:
        with pytest.raises(UserError, match="cannot be written") as caught:
            fill(trail, frame)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    found = ase.io.read(tmp_path / name, ":")
    assert len(found) == trail.n_written > 1
    assert f"{trail.n_written} structures were written" in caught.value.fix
    assert np.array_equal(found[-1].positions, frame.positions)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("cut", [1, 30, 150])
def test_a_trajectory_continues_after_its_last_whole_structure(tmp_path, name, cut):
    with TrajectoryWriter(tmp_path / name) as trail:
        for seed in range(3):
            trail.write(structure(seed))
    content = (tmp_path / name).read_bytes()
    if name.endswith(".traj"):  # counts a structure at its end, so that a kill leaves the rest
        (tmp_path / name).write_bytes(content + b"\1" * cut)
        whole = 3
    else:
        (tmp_path / name).write_bytes(content[:-cut])
        whole = 2
    assert np.array_equal(last_structure(tmp_path / name).positions, structure(whole - 1).positions)
    with TrajectoryWriter(tmp_path / name, append=True) as trail:
        trail.write(structure(7))
    found = ase.io.read(tmp_path / name, ":")
    seeds = [*range(whole), 7]
    assert len(found) == len(seeds)
    for atoms, seed in zip(found, seeds, strict=True):
        assert np.array_equal(atoms.positions, structure(seed).positions)


@pytest.mark.parametrize(
    "content", ["", "3\n", "garbage\n", "2\nProperties=species:S:1:pos:R:3\nH 0 0"]
)
def test_a_file_without_a_whole_structure_is_no_trajectory(tmp_path, content):
    (tmp_path / "md.xyz").write_text(content)
    with pytest.raises(UserError, match="no complete structure"):
        last_structure(tmp_path / "md.xyz")
    (tmp_path / "md.traj").write_text(content)
    with pytest.raises(UserError, match="cannot be read"):
        last_structure(tmp_path / "md.traj")


def test_a_frame_says_what_ase_says():
    """The same columns and values as in a file that ASE writes."""
    atoms = structure()
    lines = xyz_frame(atoms).splitlines()
    assert int(lines[0]) == len(atoms) == len(lines) - 2
    assert "Properties=species:S:1:pos:R:3:momenta:R:3:masses:R:1:forces:R:3" in lines[1]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", ["symbolic", "hard", "dangling"])
def test_a_link_at_the_path_is_replaced_and_its_target_kept(tmp_path, name, kind):
    target, link = tmp_path / "precious", tmp_path / name
    if kind != "dangling":
        target.write_text("precious")
    link.hardlink_to(target) if kind == "hard" else link.symlink_to(target)
    with TrajectoryWriter(link) as trail:
        trail.write(structure())
        trail.confirm()
    assert not link.is_symlink()
    assert len(ase.io.read(link, ":")) == 1
    assert target.exists() == (kind != "dangling")
    assert kind == "dangling" or target.read_text() == "precious"


@pytest.mark.parametrize("name", KINDS)
def test_a_link_is_not_continued(tmp_path, name):
    target, link = tmp_path / f"far-{name}", tmp_path / name
    with TrajectoryWriter(target) as trail:
        trail.write(structure())
    before = target.read_bytes()
    link.symlink_to(target)
    with pytest.raises(UserError, match="is a link") as error:
        TrajectoryWriter(link, append=True)
    assert str(target) in error.value.fix
    assert target.read_bytes() == before

"""Choice of structures: what is rejected, and what is preferred."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from models import random_model
from reann.cli import app
from reann.errors import UserError
from reann.potential import Potential
from reann.selection import greedy, select

RNG = np.random.default_rng(5)
MOLECULE = Atoms(
    "OCH3H",
    [[0, 0, 0], [1.4, 0, 0], [1.8, 1, 0], [1.8, -0.5, 0.9], [1.8, -0.5, -0.9], [-0.9, 0.3, 0]],
)


def displaced(size):
    """Return the molecule with every atom displaced."""
    atoms = MOLECULE.copy()
    atoms.positions += RNG.normal(0.0, size, atoms.positions.shape)
    return atoms


@pytest.fixture(scope="module")
def training():
    return [displaced(0.03) for _ in range(12)]


@pytest.fixture(scope="module")
def single():
    return Potential(random_model())


def test_known_and_broken_structures_are_never_chosen(training, single):
    overlapping, apart, twice = displaced(0.03), displaced(0.03), displaced(0.03)
    overlapping.positions[2] = overlapping.positions[3] + [0.0, 0.0, 0.2]
    apart.positions[5] += 2.0
    nowhere = displaced(0.03)
    nowhere.positions[1, 1] = np.nan
    together = displaced(0.03)
    together.positions[2] = together.positions[1]
    other = Atoms("NO", [[0, 0, 0], [1.2, 0, 0]])
    good = [displaced(0.1) for _ in range(3)]
    pool = [
        overlapping,
        apart,
        twice,
        twice.copy(),
        training[5][[0, 1, 4, 3, 2, 5]],
        nowhere,
        together,
        other,
        *good,
    ]
    found = select(pool, single, training, 10)
    assert sorted(found.indices) == [2, 8, 9, 10]
    assert [found.rejected[i].partition(":")[0] for i in (0, 1, 3, 4, 5, 6, 7)] == [
        "atoms overlap",
        "isolated atoms",
        "is a duplicate in the pool",
        "is in the training data",
        "impossible geometry",
        "impossible geometry",
        "elements that the potential does not know",
    ]
    assert found.rejections()["impossible geometry"] == 2
    assert np.isnan(found.spread[[0, 1, 3, 4, 5, 6, 7]]).all()


def test_reasons_are_those_of_the_structure(training, single):
    pool = [displaced(0.02), displaced(0.3), displaced(0.02)]
    found = select(pool, single, training, 2)
    assert found.indices[0] == 1
    first = found.reasons[0]
    assert first.left == pytest.approx(1.0)
    assert first.spread == pytest.approx(found.spread[1])
    assert first.element == MOLECULE.symbols[first.atom]
    assert first.distance > found.reasons[1].distance
    chosen = found.atoms[0]
    assert chosen.info["select_order"] == 0
    assert chosen.info["select_index"] == 1
    assert "select_order" not in pool[1].info
    np.testing.assert_array_equal(chosen.positions, pool[1].positions)
    assert first.unit == "medians"  # of a potential that is not calibrated
    assert "medians at" in str(first)


@pytest.mark.parametrize("by", ["both", "uncertainty", "diversity", "random"])
def test_the_same_seed_chooses_the_same(training, single, by):
    pool = [displaced(0.1) for _ in range(8)]
    one, other = (select(pool, single, training, 4, by=by, seed=3).indices for _ in "12")
    assert one == other
    assert len(set(one)) == 4


def test_nothing_to_choose_from_is_an_error(training, single):
    with pytest.raises(UserError, match="Structure 0: is in the training data"):
        select([training[0].copy()], single, training, 1)
    with pytest.raises(UserError, match="cannot be chosen"):
        select([displaced(0.1)], single, training, 0)
    with pytest.raises(UserError, match="without its training data"):
        select([displaced(0.1)], single, [], 1)


def test_the_determinant_prefers_different_structures_of_large_spread():
    x = np.array([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [-1.0, 0.005]])
    spread = np.array([1.0, 0.99, 0.5, 0.98])
    rows, left = greedy.by_determinant(x, spread, 4)
    assert rows[:2] == [0, 2]
    assert left[:2] == pytest.approx([1.0, 1.0], abs=1e-3)
    assert max(left[2:]) < 0.05
    assert sorted(rows) == [0, 1, 2, 3]
    assert greedy.by_spread(spread, 3).rows == [0, 1, 3]


def test_the_determinant_is_the_largest_of_every_extension():
    x, spread = RNG.normal(size=(9, 5)), RNG.uniform(0.5, 1.5, 9)
    unit = spread[:, None] * x / np.linalg.norm(x, axis=1, keepdims=True)
    kernel = unit @ unit.T + greedy.UNEXPLAINED * np.diag(spread**2)
    rows = greedy.by_determinant(x, spread, 4).rows
    for k in range(4):
        dets = {
            i: np.linalg.det(kernel[np.ix_([*rows[:k], i], [*rows[:k], i])])
            for i in range(9)
            if i not in rows[:k]
        }
        assert max(dets, key=dets.__getitem__) == rows[k]


def test_the_farthest_points_are_the_farthest():
    x, known = RNG.normal(size=(20, 3)), RNG.normal(size=(300, 3))
    rows = greedy.by_distance(x, known, 5).rows
    every = known.copy()
    for row in rows:
        apart = np.linalg.norm(x[:, None] - every[None], axis=2).min(1)
        assert apart[row] == pytest.approx(apart.max())
        every = np.vstack([every, x[row]])


@pytest.fixture
def command(training, single, tmp_path):
    """Return the words of a command that selects from seven structures."""
    single.save(tmp_path / "model.reann")
    pool = [displaced(0.1) for _ in range(6)] + [training[0]]
    for name, structures in (("pool", pool), ("train", training)):
        ase.io.write(tmp_path / f"{name}.xyz", structures, format="extxyz")
    words = ["select", str(tmp_path / "pool.xyz"), "--from", str(tmp_path / "model.reann")]
    return [*words, "--data", str(tmp_path / "train.xyz"), "-n", "9"]


def test_the_command_writes_structures_reasons_and_a_map(command, tmp_path):
    output, page = tmp_path / "chosen.xyz", tmp_path / "map.html"
    result = CliRunner().invoke(app, [*command, "-o", str(output), "--show", str(page)])
    assert result.exit_code == 0, result.output
    assert "6 structures chosen from 7" in result.output
    assert "is in the training data: 1 structure" in result.output
    assert "Fewer than 9" in result.output
    chosen = ase.io.read(output, ":")
    assert [atoms.info["select_order"] for atoms in chosen] == list(range(6))
    assert "pool.xyz#" in chosen[0].info["select_origin"]
    text = page.read_text()
    assert text.count("<canvas") == text.count('class="chosen"') == 6
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    result = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "train.xyz")])
    assert result.exit_code == 1


@pytest.mark.chromium
def test_the_map_is_readable_in_any_window_and_scheme(browser, command, tmp_path):
    page = tmp_path / "map.html"
    words = [*command, "-o", str(tmp_path / "chosen.xyz"), "--show", str(page)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert browser.problems(page.as_uri()) == []


def test_another_charge_of_a_geometry_is_another_structure():
    inputs = {"messages": "equivariant", "l_max": 2, "n_recursions": 1, "inputs": ["charge"]}
    potential = Potential(random_model(**inputs))
    training, new = [displaced(0.03) for _ in range(4)], displaced(0.03)
    pool = [training[0].copy(), training[0].copy(), new, new.copy(), new.copy()]
    for atoms, charge in zip(pool, (0, 1, 0, 1, 1), strict=True):
        atoms.info["charge"] = charge
    found = select(pool, potential, training, 5)
    assert sorted(found.indices) == [1, 2, 3]
    assert found.rejected == {0: "is in the training data", 4: "is a duplicate in the pool"}

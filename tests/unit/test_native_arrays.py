"""The extension reads and writes the caller's arrays, and refuses those that it cannot."""

import threading

import numpy as np
import pytest
import torch

from models import random_model
from reann import native
from reann.backends.native.weights import new_model

# Under CI tests/engines/test_native.py fails without it.
pytestmark = pytest.mark.skipif(not native.available(), reason="no native engine")

ELEMENT = np.array([1, 0, 0], np.int32)
POSITION = np.array([[0.0, 0.0, 0.0], [0.96, 0.05, 0.0], [-0.24, 0.93, 0.1]])
FIRST = np.array([0, 2, 4, 6])
NEIGHBOR = np.array([1, 2, 0, 2, 0, 1], np.int32)
SHIFT, SYSTEM = np.zeros((6, 3)), np.zeros(3, np.int32)


@pytest.fixture(scope="module")
def model():
    return new_model(random_model([1, 8]))


def arguments(model, **changed):
    """Return what `evaluate` takes, with some of it changed."""
    given = {
        "model": model,
        "member": 0,
        "workspace": native.core().Workspace(),
        "element": ELEMENT,
        "position": POSITION,
        "first": FIRST,
        "neighbor": NEIGHBOR,
        "shift": SHIFT,
        "system": SYSTEM,
        "n_systems": 1,
        "n_threads": 1,
        "energies": np.full(3, np.nan),
        "forces": np.full((3, 3), np.nan),
        "virial": np.full((1, 3, 3), np.nan),
        "virials": np.full((3, 3, 3), np.nan),
    }
    return given | changed


def test_arrays_of_torch_and_numpy_are_the_same_memory(model):
    of_numpy = arguments(model)
    of_torch = {
        name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
        for name, value in of_numpy.items()
    }
    native.core().evaluate(**of_numpy)
    native.core().evaluate(**of_torch)
    for name in ("energies", "forces", "virial", "virials"):
        assert np.isfinite(of_numpy[name]).all()
        assert (of_torch[name].numpy() == of_numpy[name]).all()


def test_what_is_none_is_not_needed(model):
    everything, little = arguments(model), arguments(model, shift=None, system=None)
    little |= {"forces": None, "virial": None, "virials": None}
    native.core().evaluate(**everything)
    native.core().evaluate(**little)
    assert little["energies"] == pytest.approx(everything["energies"], rel=1e-12)


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("element", ELEMENT.astype(np.int64), "element: expected numbers of type int32"),
        ("position", POSITION.astype(np.float32), "position: expected numbers of type float64"),
        ("position", POSITION[:2], r"position: shape \(2, 3\) does not fit"),
        ("position", POSITION[0], r"position: shape \(3\) does not fit"),
        ("position", POSITION.T.copy().T, "position: not contiguous"),
        ("position", POSITION.tolist(), "position: not an array of numpy or torch"),
        ("position", torch.zeros(3, 3, device="meta"), "position: not an array"),
        ("position", np.full((3, 3), np.nan), "atom 0"),
        ("first", FIRST[:-1], r"first: shape \(3\) does not fit"),
        ("first", np.array([0, 2, 4, 5]), "first: the last is 5 for 6 neighbors"),
        ("first", np.array([0, 4, 2, 6]), "neighbors of atom 1 has a negative length"),
        ("first", np.array([-1, 2, 4, 6]), "neighbors of atom 0 has a negative length"),
        (
            "neighbor",
            np.array([1, 2, 0, 3, 0, 1], np.int32),
            "Atom 3, in the list of neighbors of atom 1,",
        ),
        ("shift", SHIFT[:-1], r"shift: shape \(5, 3\) does not fit"),
        ("system", np.array([0, 0, 1], np.int32), "system index of atom 2 does not exist"),
        ("n_systems", 0, "n_systems: 0"),
        ("member", 1, "no member 1"),
        ("energies", np.zeros(2), r"energies: shape \(2\) does not fit"),
        ("forces", read_only(np.zeros((3, 3))), "forces: not a writable array"),
        ("virial", np.zeros((2, 3, 3)), r"virial: shape \(2, 3, 3\) does not fit"),
        ("virials", np.zeros((3, 9)), r"virials: shape \(3, 9\) does not fit"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_by_its_name(model, name, value, message):
    with pytest.raises(ValueError, match=message):
        native.core().evaluate(**arguments(model, **{name: value}))


def test_several_systems_must_be_told_apart(model):
    with pytest.raises(ValueError, match="n_systems: 2 does not agree"):
        native.core().evaluate(**arguments(model, system=None, n_systems=2))


def test_gradients_are_added_under_the_names_of_the_model(model):
    given = {k: v for k, v in arguments(model).items() if not k.startswith("virials")}
    given |= {"energies": np.ones(3), "forces": None, "virial": None}
    found = {"0.heads.energy.reference_energies": np.array([10.0, 20.0])}
    native.core().gradient(**given, gradients=found)
    assert found["0.heads.energy.reference_energies"] == pytest.approx([12.0, 21.0])  # two H, one O
    with pytest.raises(ValueError, match="gradients: names that are not those"):
        native.core().gradient(**given, gradients={"nothing": np.zeros(2)})
    with pytest.raises(ValueError, match="expected 2 numbers of type float64"):
        native.core().gradient(
            **given, gradients={"0.heads.energy.reference_energies": np.zeros(3)}
        )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3, int), "x: expected numbers of type float32 or float64"),
        (np.zeros((3, 2)).T, "x: not contiguous"),
        ([1.0], "x: not an array"),
    ],
)
def test_a_model_takes_contiguous_floats(array, message):
    with pytest.raises(ValueError, match=message):
        native.core().Model("{}", {"x": array})


def test_a_file_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        native.core().Model.open("nothing.reann")


def test_two_threads_cannot_use_one_workspace_at_once(model):
    n = 400  # a chain, long enough for the second thread to come in time
    position = np.arange(3.0 * n).reshape(n, 3)
    pairs = np.array([[j for j in range(n) if j != i] for i in range(n)], np.int32)
    given = arguments(
        model,
        element=np.zeros(n, np.int32),
        position=position,
        first=np.arange(n + 1) * (n - 1),
        neighbor=pairs.ravel(),
    )
    given |= {"shift": None, "system": None, "virial": None, "virials": None}
    given |= {"energies": np.zeros(n), "forces": np.zeros((n, 3))}
    refused = []

    def many_times():
        for _ in range(300):
            try:
                native.core().evaluate(**given)
            except ValueError as error:  # noqa: PERF203
                refused.append(str(error))

    threads = [threading.Thread(target=many_times) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refused) == {"workspace: another thread is computing with it"}

"""Calculators and potentials in threads, in other processes, and in modes of PyTorch."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from typing import Any

import ase
import numpy as np
import pytest
import torch
import torch.multiprocessing

from models import each_engine
from reann.backends import choice
from reann.data.neighbors import graph_from_atoms
from reann.flux import heat_flux
from reann.interfaces.ase import Calculator
from reann.native.system import arguments
from reann.potential import Ensemble, load
from reann.properties import PROPERTIES


def rattled(box: ase.Atoms, n: int) -> list[ase.Atoms]:
    """Return structures of different sizes and positions, without a calculator."""
    found = []
    for seed in range(n):
        atoms = box[: 3 + 3 * (seed % 3)]
        atoms.rattle(0.1, seed=seed)
        found.append(atoms)
    return found


def arrays_of(value: Any, depth: int = 6) -> Iterator[np.ndarray]:
    """Return all arrays inside of an object."""
    if isinstance(value, np.ndarray):
        yield value
    elif depth and not isinstance(value, (torch.Tensor, torch.nn.Module)):
        inside = vars(value) if hasattr(value, "__dict__") else value
        inside = inside.values() if isinstance(inside, dict) else inside
        for one in inside if isinstance(inside, (tuple, list, type({}.values()))) else ():
            yield from arrays_of(one, depth - 1)


def tensors_of(graph_or_model: Any) -> list[torch.Tensor]:
    if isinstance(graph_or_model, torch.nn.Module):
        return [*graph_or_model.parameters(), *graph_or_model.buffers()]
    return [x for x in vars(graph_or_model).values() if isinstance(x, torch.Tensor)]


def assert_no_array_is_a_view(value: Any, tensors: list[torch.Tensor]) -> None:
    arrays = list(arrays_of(value))
    assert arrays
    for tensor in tensors:
        memory = tensor.detach().numpy()
        assert not any(np.shares_memory(array, memory) for array in arrays)


@each_engine
def test_nothing_kept_is_a_view_of_memory_that_pytorch_moves(potential, box, engine):
    """PyTorch moves the memory of every tensor that is sent to another process."""
    calculator = Calculator(potential, engine)
    box.calc = calculator
    box.get_forces()
    assert_no_array_is_a_view(calculator, tensors_of(potential.model))
    graph = graph_from_atoms(box, potential.cutoff)
    system = arguments(graph, potential.model.element_index, kept=True)
    assert_no_array_is_a_view(system, [*tensors_of(graph), *tensors_of(potential.model)])
    predicted = potential.predict(box, PROPERTIES, engine)
    assert_no_array_is_a_view(predicted, [*tensors_of(potential.model)])


@each_engine
@pytest.mark.parametrize("with_atoms", [True, False])
def test_a_calculator_that_was_sent_to_a_process_computes_as_before(
    potential, box, engine, with_atoms
):
    box.calc = calculator = Calculator(potential, engine)
    before = potential.predict(box, engine=engine)["energy"]
    box.get_forces()
    # What a pool of processes does, both ends.
    received = pickle.loads(ForkingPickler.dumps(box if with_atoms else calculator))  # noqa: S301
    other = received.calc if with_atoms else received
    for atoms in (box, *rattled(box, 3)):
        expected = potential.predict(atoms, engine=engine)
        for atoms.calc in (calculator, other):
            assert atoms.get_potential_energy() == pytest.approx(float(expected["energy"]))
            np.testing.assert_allclose(atoms.get_forces(), expected["forces"], atol=1e-10)
    assert box.get_potential_energy() == pytest.approx(float(before))


@each_engine
def test_threads_share_a_calculator(potential, box, engine):
    structures = rattled(box, 40)
    expected = [potential.predict(a, ["energy", "forces", "stress"], engine) for a in structures]
    calculator = Calculator(potential, engine)

    def results(atoms: ase.Atoms) -> tuple[float, np.ndarray, float]:
        atoms.calc = calculator
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        copy.deepcopy(calculator)  # while others compute
        return energy, forces, atoms.get_potential_energy(force_consistent=True)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(results, structures))
    for (energy, forces, free), known in zip(found, expected, strict=True):
        assert energy == free == pytest.approx(float(known["energy"]), abs=1e-9)
        np.testing.assert_allclose(forces, known["forces"], atol=1e-9)


def succeeds_in_a_fork(check: Callable[[], bool]) -> bool:
    """Return whether a check is true in a forked process within 20 s."""
    process = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(not check()))
    process.start()
    process.join(20)
    process.kill()
    process.join()
    return process.exitcode == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_computes_while_a_thread_of_its_parent_holds_the_calculator(potential, box):
    box.calc = Calculator(potential)
    expected = box.get_potential_energy()
    with ThreadPoolExecutor(1) as pool:
        lock = box.calc._lock
        pool.submit(lock.acquire).result()
        assert succeeds_in_a_fork(lambda: box.get_potential_energy() == expected)
        pool.submit(lock.release).result()


@pytest.fixture
def _two_threads():
    """Start the thread pool of PyTorch."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.randn(500, 500).matmul(torch.randn(500, 500)).exp().sum()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@each_engine
def test_a_fork_computes_with_the_threads_of_its_parent_gone(potential, box, engine):
    atoms = box * (2, 2, 2)
    atoms.set_velocities(np.ones((len(atoms), 3)))
    atoms.calc = Calculator(potential, engine)

    def results() -> list[Any]:
        atoms.calc.reset()
        predicted = potential.predict(atoms, ["energy"], engine)
        atoms.calc.fraction_extrapolating()
        flux = heat_flux(potential, atoms, engine).potential
        return [atoms.get_potential_energy(), float(predicted["energy"]), *flux]

    expected = results()
    assert succeeds_in_a_fork(lambda: np.allclose(results(), expected))


@each_engine
def test_everything_is_computed_in_inference_mode(potential, box, tmp_path, engine):
    potential.save(tmp_path / "a.reann")
    box.set_velocities(np.random.default_rng(1).normal(size=(9, 3)))
    expected = potential.predict(box, PROPERTIES, engine)
    flux = heat_flux(potential, box, engine)
    with torch.inference_mode():
        loaded = load(tmp_path / "a.reann")
        copied = copy.deepcopy(potential)
        graph = graph_from_atoms(box, potential.cutoff)
        found = [loaded.evaluate(graph, PROPERTIES, engine)]
        for one in (potential, loaded, copied, Ensemble([potential, copied])):
            found.append(one.predict(box, PROPERTIES, engine))
            np.testing.assert_allclose(heat_flux(one, box, engine), flux, atol=1e-10)
            for precision in (None, "float64"):
                box.calc = Calculator(one, engine, precision=precision)
                np.testing.assert_allclose(box.get_forces(), expected["forces"], atol=1e-10)
                box.calc.fraction_extrapolating()
        # What is trained later: nothing of these tensors belongs to the mode.
        kept = choice.evaluate(loaded.model, graph, ["forces"], create_graph=True, engine=engine)
    kept["forces"].square().sum().backward()
    assert loaded.model.recursion.update.weights.grad.abs().max() > 0
    for one in found:
        for name in PROPERTIES:
            value = np.asarray(one[name]).reshape(expected[name].shape)
            np.testing.assert_allclose(value, expected[name], atol=1e-10)


@each_engine
def test_autocast_does_not_lower_the_precision(potential, box, engine):
    box.set_velocities(np.random.default_rng(1).normal(size=(9, 3)))
    single = Calculator(potential, engine, precision="float32").potential
    expected = single.predict(box, PROPERTIES, engine)
    flux = heat_flux(single, box, engine)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = single.predict(box, PROPERTIES, engine)
        np.testing.assert_array_equal(heat_flux(single, box, engine), flux)
        box.calc = Calculator(single, engine)
        np.testing.assert_allclose(box.get_forces(), expected["forces"], atol=1e-6)
    for name in PROPERTIES:
        np.testing.assert_array_equal(found[name], expected[name])


@each_engine
def test_a_calculator_keeps_the_weights_of_when_it_was_made(potential, box, engine):
    """The weights of a potential change while it is trained."""
    given = copy.deepcopy(potential)
    box.calc = calculator = Calculator(given, engine)
    expected = box.get_potential_energy()
    with torch.no_grad():
        given.model.reference_energies.add_(1.0)
    calculator.reset()
    received = pickle.loads(pickle.dumps(calculator))  # noqa: S301
    for box.calc in (calculator, received, copy.deepcopy(calculator)):
        assert box.get_potential_energy() == pytest.approx(expected)

"""The same question has the same answer, bit for bit, and every process gets one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from ase.build import bulk

from c_interface import ROOT
from models import random_model
from reann import native
from reann.data.neighbors import graph_from_atoms
from reann.model.restore import description
from reann.native.system import arguments

# Under CI tests/engines/test_native.py fails without it.
pytestmark = pytest.mark.skipif(not native.available(), reason="no native engine")

CUTOFF = 6.0
TESTS = ROOT / "tests"


@pytest.fixture(
    scope="module",
    params=[
        (torch.float32, "scalar"),
        (torch.float64, "scalar"),
        (torch.float64, "directional"),
        (torch.float32, "equivariant"),
    ],
    ids=str,
)
def question(request, tmp_path_factory) -> str:
    """A model, and 64 atoms with 10 000 neighbors: work for four threads."""
    dtype, messages = request.param
    outputs = ["dipole", "polarizability"] if messages == "equivariant" else []
    choices = {"n_recursions": 2, "cutoff": CUTOFF, "messages": messages, "outputs": outputs}
    model = random_model(dtype=dtype, **choices)
    atoms = bulk("C", cubic=True).repeat((2, 2, 2))
    atoms.numbers[::3] = 1
    atoms.rattle(0.1, seed=4)
    system = arguments(graph_from_atoms(atoms, CUTOFF), model.element_index)
    names = ("element", "position", "first", "neighbor", "shift")
    arrays = dict(zip(names, system, strict=False))
    weights = {f"0.{name}": value.numpy() for name, value in model.state_dict().items()}
    header = json.dumps(description(model) | {"members": [{}]})
    path = tmp_path_factory.mktemp("question") / "question.npz"
    np.savez(path, header=header, **weights, **arrays)
    return str(path)


def run(script: str, *arguments: str, **environment: str) -> str:
    """Run a script of the tests in an environment without settings of OpenMP but those given."""
    others = {name: v for name, v in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", TESTS / script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=others | environment,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("level", native.core().levels() if native.available() else [])
def test_bits_depend_on_the_threads_asked_for_not_on_those_there_are(question, level):
    few = ({"OMP_NUM_THREADS": "1"}, {"OMP_THREAD_LIMIT": "1"}, {"OMP_THREAD_LIMIT": "3"})
    others = ({}, {"OMP_NUM_THREADS": "2"}, {"OMP_DYNAMIC": "true"}, {"OMP_NUM_THREADS": "3"})
    said = {run("answers.py", question, REANN_ISA=level, **some) for some in (*few, *others)}
    assert len(said) == 1
    isa, *digests = json.loads(said.pop())
    assert isa == level
    # Sums over other chunks of atoms round otherwise: there are several.
    assert len(set(digests)) == len(digests)


def test_a_fork_computes_what_its_parent_does(question):
    assert run("forked.py", question) == "equal"

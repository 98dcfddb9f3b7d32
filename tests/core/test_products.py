"""The products of the engine and their adjoint, beside the table in PyTorch."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from write_products import HEADER, header

from c_interface import CORE, needs
from reann.model.products import counts, products

STRIDE = 8
SIZES = (1, 3, 5, 10)
FORMS = list(product((1, 2, 3), (False, True), (True, False)))
"""l_max, with tangents, with weighted sums: in the order of the program."""


def shapes(l_max: int, planes: int) -> list[tuple[int, ...]]:
    """What the program reads: moments, weights, adjoints of scalars, vectors and matrices."""
    scalars, vectors, matrices = counts(l_max)
    moments = [(size, planes, STRIDE) for size in SIZES[: l_max + 1]]
    weights = [(vectors, STRIDE), (matrices, STRIDE)]
    return [*moments, *weights, (planes, scalars, STRIDE), (3, planes, STRIDE), (5, planes, STRIDE)]


def reference(moments, weights, bars, tensors):
    """Scalars and sums, then the adjoints of moments and of weights."""
    inputs = [
        x.detach().requires_grad_() if not x.requires_grad else x for x in (*moments, *weights)
    ]
    ranks = products([m[None] for m in inputs[: len(moments)]])
    scalars, *ranks = (x[0] for x in ranks)
    pairs = zip(inputs[len(moments) :], ranks, strict=False) if tensors else ()
    sums = [torch.einsum("pk,pak->ak", *pair) for pair in pairs]
    total = sum((x * bar).sum() for x, bar in zip([scalars, *sums], bars, strict=False))
    adjoints = torch.autograd.grad(total, inputs, create_graph=True, materialize_grads=True)
    return scalars, *sums, *(0 * bar for bar in bars[1 + len(sums) :]), *adjoints


def expected(inputs: list[torch.Tensor], l_max: int, tangents: bool, tensors: bool) -> np.ndarray:
    """All that the program writes."""
    rows = [*inputs[: l_max + 1], inputs[-3].movedim(0, 1), *inputs[-2:]]
    weights = inputs[l_max + 1 : l_max + 3]

    def results(*rows):
        return reference(rows[: l_max + 1], weights, rows[l_max + 1 :], tensors)

    planes = [tuple(row[:, plane] for row in rows) for plane in range(1 + tangents)]
    if tangents:
        pair = torch.autograd.functional.jvp(results, planes[0], planes[1])
    else:
        pair = (results(*planes[0]),)
    scalars, *found = (torch.stack(numbers, 1) for numbers in zip(*pair, strict=True))
    # gradients of weights are tangents
    gradients = [x[:, 1] if tangents else 0 * x for x in found[-2:]]
    every = [scalars.movedim(1, 0), *found[:-2], *gradients]
    return torch.cat([x.detach().reshape(-1) for x in every]).numpy()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[tuple, tuple]:
    """Inputs and results of the program, by form."""
    needs("g++")
    program = tmp_path_factory.mktemp("products") / "products"
    source = Path(__file__).with_name("products.cpp")
    command = [shutil.which("g++") or "g++", "-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, f"-I{CORE}", source, "-o", program], check=True)
    generator = torch.Generator().manual_seed(1)
    inputs = {
        form: [
            torch.randn(shape, dtype=torch.float64, generator=generator)
            for shape in shapes(form[0], 1 + form[1])
        ]
        for form in FORMS
    }
    numbers = b"".join(x.numpy().tobytes() for each in inputs.values() for x in each)
    done = subprocess.run([program], input=numbers, check=True, stdout=subprocess.PIPE)
    output = np.frombuffer(done.stdout)
    results = {}
    for form, each in inputs.items():
        n = sum(x.numel() for x in each)  # as many numbers as inputs
        results[form], output = (each, output[:n]), output[n:]
    assert output.size == 0
    return results


@pytest.mark.parametrize(("l_max", "tangents", "tensors"), FORMS)
def test_products_and_adjoint_are_those_of_the_table(found, l_max, tangents, tensors):
    inputs, result = found[l_max, tangents, tensors]
    wanted = expected(inputs, l_max, tangents, tensors)
    np.testing.assert_allclose(result, wanted, rtol=1e-12, atol=1e-12 * abs(wanted).max())


def test_the_products_of_the_engine_are_what_make_products_writes():
    assert HEADER.read_text(encoding="utf-8") == header(), "run `make products`"

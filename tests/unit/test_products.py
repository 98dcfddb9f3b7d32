"""Products of moments: the table in PyTorch beside formulas written out, and under rotations."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement, product

import pytest
import torch

from reann.model.products import counts, products

COUNTS = {1: (5, 4, 0), 2: (10, 8, 9), 3: (13, 10, 11)}
ATOMS, CHANNELS = 2, 3
TRIPLES = list(combinations_with_replacement(range(3), 3))


def moments(l_max: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = (1, 3, 5, 10)[: l_max + 1]
    return [
        torch.randn(ATOMS, n, CHANNELS, dtype=torch.float64, generator=generator) for n in sizes
    ]


def matrix(q: torch.Tensor) -> torch.Tensor:
    """(3, 3, ...) of five components."""
    xy, xz, yz, a, b = q / math.sqrt(2)
    b = b / math.sqrt(3)
    rows = [[a - b, xy, xz], [xy, -a - b, yz], [xz, yz, 2 * b]]
    return torch.stack([torch.stack(row) for row in rows])


def components(m: torch.Tensor) -> torch.Tensor:
    """Five components of a matrix, its traceless symmetric part."""
    off_diagonal = [m[i, j] + m[j, i] for i, j in ((0, 1), (0, 2), (1, 2))]
    diagonal = [m[0, 0] - m[1, 1], (2 * m[2, 2] - m[0, 0] - m[1, 1]) / math.sqrt(3)]
    return torch.stack([*off_diagonal, *diagonal]) / math.sqrt(2)


def tensor(monomials: torch.Tensor) -> torch.Tensor:
    """(3, 3, 3) of ten components."""
    entries = [monomials[TRIPLES.index(tuple(sorted(i)))] for i in product(range(3), repeat=3)]
    return torch.stack(entries).reshape(3, 3, 3)


def written_out(s, v, A=None, Q=None):
    """Scalars, vectors and matrices at one atom and channel."""
    vv = v @ v / 3
    scalars, vectors, matrices = [s, s**2, vv], [v, s * v], []
    if A is None:
        return [*scalars, s**3 / 2, s * vv], [*vectors, s**2 * v, vv * v], matrices
    AA, Av = (A @ A).trace() / 5, A @ v
    scalars += [AA, s**3 / 2, s * vv, s * AA, v @ A @ v / 3, (A @ A @ A).trace() / 3, Av @ Av / 3]
    vectors += [Av, s**2 * v, vv * v, AA * v, s * Av, A @ A @ v]
    matrices += [A, s * A, torch.outer(v, v), A @ A, s**2 * A, s * torch.outer(v, v), s * A @ A]
    matrices += [torch.outer(v, Av), (vv + AA) * A]
    if Q is not None:
        QA, Qv = torch.einsum("abc,bc->a", Q, A), Q @ v
        scalars += [Q.square().sum() / 7, v @ QA / 3, v @ Qv @ v / 3]
        vectors += [QA, s * QA]
        matrices += [Qv, s * Qv]
    return scalars, vectors, [components(m) for m in matrices]


@pytest.mark.parametrize("l_max", COUNTS)
def test_products_are_those_of_the_formulas(l_max):
    m = moments(l_max)
    found = products(m)
    assert counts(l_max) == COUNTS[l_max]
    assert len(found) == min(l_max, 2) + 1
    for i, k in product(range(ATOMS), range(CHANNELS)):
        s, v, *rest = (x[i, :, k] for x in m)
        higher = [f(x) for f, x in zip((matrix, tensor), rest, strict=False)]
        expected = written_out(s[0], v, *higher)
        for result, by_hand in zip(found, expected, strict=False):
            torch.testing.assert_close(result[i, ..., k], torch.stack(by_hand))


@pytest.mark.parametrize("l_max", COUNTS)
def test_products_turn_with_the_moments(l_max):
    generator = torch.Generator().manual_seed(3)
    R = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator)).Q

    def turned_matrices(q, axis):
        m = torch.einsum("ax,by,xy...->ab...", R, R, matrix(q.movedim(axis, 0)))
        return components(m).movedim(0, axis)

    m = moments(l_max)
    turned = [m[0], torch.einsum("ax,nxk->nak", R, m[1])]
    if l_max > 1:
        turned.append(turned_matrices(m[2], 1))
    if l_max > 2:
        full = torch.stack([tensor(x) for x in m[3].movedim(2, 1).flatten(0, 1)])
        full = torch.einsum("ax,by,cz,nxyz->nabc", R, R, R, full)
        ten = torch.stack([full[:, a, b, c] for a, b, c in TRIPLES], 1)
        turned.append(ten.unflatten(0, (ATOMS, CHANNELS)).movedim(1, 2))
    scalars, vectors, *matrices = products(m)
    found = products(turned)
    expected = [scalars, torch.einsum("ax,npxk->npak", R, vectors)]
    expected += [turned_matrices(x, 2) for x in matrices]
    for result, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(result, wanted)


def test_no_atoms_have_no_products():
    empty = [m[:0] for m in moments(3)]
    assert [x.shape for x in products(empty)] == [(0, 13, 3), (0, 10, 3, 3), (0, 11, 5, 3)]

"""Sums over mesh points around charges: the native engine computes those of PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reann import native
from reann.electrostatics.points import IN_CACHE, NativePoints, TorchPoints, points_of

double = torch.float64
needs_native = pytest.mark.skipif(not native.available(), reason="needs the native engine")


@needs_native
@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("sizes", [[8, 8, 8], [10, 16, 12], [50, 54, 60]])
def test_native_sums_are_those_of_torch(order: int, sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(order)
    n = 40
    place = (3.0 * torch.rand(n, 3, generator=generator, dtype=double) - 1.0) * torch.tensor(sizes)
    place[:3] = torch.tensor([[0.0, 0.0, 0.0], [-1e-17, 1.0, 2.0], [8.0, 8.0, -8.0]])
    q, by_time = torch.randn(2, n, generator=generator, dtype=double)
    moved = torch.randn(n, 3, generator=generator, dtype=double)
    mesh = torch.randn(sizes, generator=generator, dtype=double)
    G = torch.rand(sizes[0], sizes[1], sizes[2] // 2 + 1, generator=generator, dtype=double)
    G = 0.5 * (G + G[-torch.arange(sizes[0])][:, -torch.arange(sizes[1])])  # as of a real kernel
    one, other = (kind(place, sizes, order) for kind in (NativePoints, TorchPoints))
    for name, arguments in {
        "filtered": (q, G),
        "spread": (q,),
        "spread_rates": (q, by_time, moved),
        "read": (mesh,),
        "read_slopes": (mesh,),
    }.items():
        ours, expected = (getattr(points, name)(*arguments) for points in (one, other))
        tolerance = 1e-12 * np.prod(sizes) if name == "filtered" else 1e-12
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=tolerance)


@needs_native
def test_both_ways_to_filter_are_tested() -> None:
    assert 16 * 10 * 12 < IN_CACHE < 50 * 54 * 60


@needs_native
def test_a_position_that_is_not_finite_is_an_error() -> None:
    place = torch.tensor([[0.0, np.nan, 0.0]], dtype=double)
    with pytest.raises(ValueError, match="not finite"):
        NativePoints(place, [8, 8, 8], 4)


@needs_native
def test_orders_without_kernels_are_computed_by_torch() -> None:
    place = torch.zeros(1, 3, dtype=double)
    assert isinstance(points_of(place, [16, 16, 16], 14), TorchPoints)
    assert isinstance(points_of(place, [16, 16, 16], 8), NativePoints)

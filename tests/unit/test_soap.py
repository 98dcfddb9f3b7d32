"""SOAP: what turning Adam's moments into the gradients' eigenbasis must and must not change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from reann.training import soap
from reann.training.soap import Soap


def soap_of(matrices: list[Tensor], lr: float) -> Soap:
    return Soap([{"params": matrices, "weight_decay": 0.0, "matrix": True}], lr, fused=True)


def fitted(x: Tensor, y: Tensor, start: Tensor, steps: int) -> Tensor:
    """Return the predictions of linear models, one per stack, after some steps."""
    weight = start.clone().requires_grad_()
    optimizer = soap_of([weight], 0.03)
    for x_now, y_now in batches(x, y, steps):
        optimizer.zero_grad()
        (x_now @ weight - y_now).square().mean().backward()
        optimizer.step()
    return (x @ weight).detach()


def batches(x: Tensor, y: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ten samples at a time."""
    for step in range(steps):
        chosen = slice(10 * (step % 4), 10 * (step % 4) + 10)
        yield x[:, chosen], y[:, chosen]


def problem(*, correlated: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs (stack, samples, in), targets, and a start.

    As many outputs as inputs: a gradient of full rank leaves no eigenvector to chance.
    """
    random = torch.Generator().manual_seed(3)
    x = torch.randn(2, 40, 4, dtype=torch.float64, generator=random)
    if correlated:
        mixing = torch.randn(2, 4, 4, dtype=torch.float64, generator=random)
        x = x @ mixing @ torch.diag(torch.logspace(0, -2, 4, dtype=torch.float64)) @ mixing.mT
    y = x @ torch.randn(2, 4, 4, dtype=torch.float64, generator=random)
    return x, y, torch.zeros(2, 4, 4, dtype=torch.float64)


def test_the_path_does_not_depend_on_the_axes_of_inputs_and_outputs():
    x, y, start = problem(correlated=False)
    turn_in, turn_out = (
        torch.linalg.qr(torch.randn(2, 4, 4, dtype=torch.float64, generator=_seeded(n))).Q
        for n in (1, 2)
    )
    straight = fitted(x, y, start, 25)
    turned = fitted(x @ turn_in, y @ turn_out, start, 25)
    assert torch.allclose(
        turned @ turn_out.mT, straight, rtol=100 * soap.TIES, atol=100 * soap.TIES
    )


def test_where_the_gradients_vanish_rounding_does_not_decide():
    """Inputs of rank two leave two of four eigenvectors open; later gradients fill them."""
    x, y, start = problem(correlated=False)
    x[:, :, 2:] = 0.0
    later = torch.randn(2, 40, 4, dtype=torch.float64, generator=_seeded(4))
    paths = []
    for noise in (0.0, 1e-15):
        weight = start.clone().requires_grad_()
        optimizer = soap_of([weight], 0.03)
        for step in range(25):
            inputs = x + noise * torch.randn(x.shape, generator=_seeded(step), dtype=x.dtype)
            weight.grad = torch.autograd.grad(
                ((inputs if step < 3 else later) @ weight - y).square().mean(), weight
            )[0]
            optimizer.step()
        paths.append(weight.detach())
    assert torch.allclose(*paths, rtol=0.0, atol=1e-7)


def test_stacked_matrices_do_not_mix():
    x, y, start = problem(correlated=False)
    both = fitted(x, y, start, 25)
    # Alone the gradient is twice as large, since the loss is a mean; Adam does not see that.
    alone = fitted(x[:1], y[:1], start[:1], 25)
    assert torch.allclose(both[:1], alone, rtol=1e-6, atol=1e-8)
    assert not torch.allclose(both[1:], alone)


def test_matrices_that_are_too_large_move_as_with_adam(monkeypatch):
    monkeypatch.setattr(soap, "LARGEST", 1)
    monkeypatch.setattr(soap, "EPS", 0.0)
    x, y, start = problem(correlated=False)
    weight = start.clone().requires_grad_()
    adam = torch.optim.AdamW([weight], lr=0.03, betas=soap.BETAS, eps=1e-12, weight_decay=0.0)
    for step, (x_now, y_now) in enumerate(batches(x, y, 26)):
        adam.zero_grad()
        (x_now @ weight - y_now).square().mean().backward()
        if step:  # the first gradient only gives the eigenbasis
            adam.step()
    assert torch.allclose(fitted(x, y, start, 26), (x @ weight).detach(), rtol=1e-9, atol=1e-12)


def test_correlated_inputs_are_learned_faster_than_with_adam(monkeypatch):
    x, y, start = problem(correlated=True)
    turned = (fitted(x, y, start, 300) - y).square().mean()
    monkeypatch.setattr(soap, "LARGEST", 1)
    straight = (fitted(x, y, start, 300) - y).square().mean()
    assert turned < 0.5 * straight


def test_other_weights_move_as_with_adamw():
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    same = bias.detach().clone().requires_grad_()
    own = Soap([{"params": [bias], "weight_decay": 0.0, "matrix": False}], 0.1, fused=True)
    adamw = torch.optim.AdamW([same], lr=0.1, weight_decay=0.0)
    for _ in range(5):
        for p, optimizer in ((bias, own), (same, adamw)):
            p.grad = (p.detach() - 1.0) * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
            optimizer.step()
    assert torch.allclose(bias, same, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_without_gradient_or_with_a_zero_one_stay(dtype):
    still, zero = (torch.ones(2, 4, 3, dtype=dtype, requires_grad=True) for _ in range(2))
    optimizer = soap_of([still, zero], 0.1)
    for _ in range(soap.REFRESH + 1):
        zero.grad = torch.zeros_like(zero)
        optimizer.step()
    assert torch.equal(still, torch.ones_like(still))
    assert torch.equal(zero, torch.ones_like(zero))


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_change_of_the_eigenbasis_moves_no_component_by_more_than_the_rate():
    """The small components of the gradients are a thousandth of the large; the axes turn once."""
    random, lr = _seeded(5), 0.01
    scales = torch.logspace(0, -3, 8, dtype=torch.float64)
    axes = [
        torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=random)).Q for _ in "12"
    ]
    weight = torch.zeros(8, 8, dtype=torch.float64, requires_grad=True)
    optimizer = soap_of([weight], lr)
    for step in range(30):
        noise = torch.randn(8, 8, dtype=torch.float64, generator=random)
        weight.grad = axes[step >= 15] @ (scales[:, None] * noise * scales)
        basis = {k: x.clone() for k, x in optimizer.state[weight].items() if k.endswith("basis")}
        before = weight.detach().clone()
        optimizer.step()
        if basis:
            moved = basis["in_basis"].mT @ (weight - before) @ basis["out_basis"]
            assert moved.abs().max() <= lr * (1.0 + 1e-9)

"""SOAP: Adam in the eigenbasis of the gradients' covariance.

Vyas et al., arXiv:2409.11321 (2024). For a weight matrix W (in, out) with gradient G, the running
means of G G^T and G^T G have the eigenvectors Q_in and Q_out; Adam's moments are those of
Q_in^T G Q_out. In this basis the components of a gradient are nearly independent, which is what
Adam's division by their magnitudes presumes. The products of the density are strongly correlated:
with rates per component alone, the directions in which they differ little are learned late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

BETAS = (0.95, 0.95)
"""Decay of the moments in the eigenbasis, as published."""
SAMPLE = 4
"""Steps between two gradients that the covariances take in: each is two products of matrices."""
COVARIANCE_DECAY = 0.95**SAMPLE
EPS = 1e-4
"""Smallest magnitude that counts, in units of the root mean square of a matrix: components below
would be rounding (in single precision 1e-6), which must not be taken for directions."""
TIES = 1e-6
"""Graded addition to the covariances, in units of their mean eigenvalue: where the gradients
vanish, it and not rounding decides on the eigenvectors, so that a training can be repeated."""
REFRESH = 10
"""Steps between two updates of the eigenbasis."""
LARGEST = 1024
"""Longest side of a matrix that is turned; beyond, the eigenbasis would cost more than it saves."""


class Soap(torch.optim.AdamW):
    """SOAP for groups of stacks of matrices, AdamW for all other groups.

    Parameters
    ----------
    groups
        Each with its `params`, `weight_decay`, decoupled, and `matrix`: whether its weights are
        (..., in, out), where the leading sides are stacks of independent matrices.
    """

    def __init__(self, groups: Iterable[Mapping[str, Any]], lr: float, *, fused: bool) -> None:
        own = ({"betas": BETAS, **group} if group["matrix"] else dict(group) for group in groups)
        super().__init__(own, lr=lr, fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the weights that have a gradient; those of the matrices are used up."""
        for group in self.param_groups:
            if group["matrix"]:
                for p in group["params"]:
                    if p.grad is not None:
                        self._step(p, p.grad, group)
                        p.grad = None  # AdamW shall not move them again
        super().step(closure)

    def _step(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            # In its own eigenbasis the first gradient is diagonal: the rest would be rounding,
            # which Adam would take for directions. So it moves nothing.
            _start(state, gradient)
            return
        state["step"] += 1
        step, (beta_1, beta_2) = int(state["step"]), group["betas"]
        if step % SAMPLE == 0:
            for side, square in _squares(gradient).items():
                if side in state:
                    state[side].lerp_(square, 1.0 - COVARIANCE_DECAY)
        turned = _turn(gradient, state)
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        mean.lerp_(turned, 1.0 - beta_1)
        square.mul_(beta_2).addcmul_(turned, turned, value=1.0 - beta_2)
        smallest = EPS * square.mean((-2, -1), keepdim=True).sqrt() + torch.finfo(p.dtype).tiny
        # With equal decays a mean never exceeds the root of the mean square, except after a change
        # of the eigenbasis, with which the squares cannot be turned.
        largest = (1.0 - beta_2**step) ** 0.5
        move = (mean / square.sqrt().add_(smallest)).clamp_(-largest, largest)
        p.mul_(1.0 - group["lr"] * group["weight_decay"])
        p.sub_(_turn_back(move, state), alpha=group["lr"] * largest / (1.0 - beta_1**step))
        if step % REFRESH == 0:
            _refresh(state)


def _start(state: dict[str, Tensor], gradient: Tensor) -> None:
    """Take the first eigenbasis from the first gradient."""
    state["step"] = torch.zeros(())
    state["exp_avg"] = torch.zeros_like(gradient)
    state["exp_avg_sq"] = torch.zeros_like(gradient)
    for side, square in _squares(gradient).items():
        if 1 < square.shape[-1] <= LARGEST:
            state[side] = square
            vectors = torch.linalg.eigh(_without_ties(square)).eigenvectors
            state[f"{side}_basis"] = vectors.flip(-1).contiguous()


def _squares(gradient: Tensor) -> dict[str, Tensor]:
    return {"in": gradient @ gradient.mT, "out": gradient.mT @ gradient}


def _without_ties(square: Tensor) -> Tensor:
    diagonal = square.diagonal(dim1=-2, dim2=-1)
    grades = torch.linspace(1.0, 2.0, square.shape[-1], dtype=square.dtype, device=square.device)
    return square + torch.diag_embed(TIES * diagonal.mean(-1, keepdim=True) * grades)


def _turn(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Return Q_in^T x Q_out."""
    x = state["in_basis"].mT @ x if "in" in state else x
    return x @ state["out_basis"] if "out" in state else x


def _turn_back(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Return Q_in x Q_out^T."""
    x = state["in_basis"] @ x if "in" in state else x
    return x @ state["out_basis"].mT if "out" in state else x


def _refresh(state: dict[str, Tensor]) -> None:
    """Follow the eigenvectors by one power iteration; the first moment is turned along."""
    mean = _turn_back(state["exp_avg"], state)
    for side in ("in", "out"):
        if side in state:
            state[f"{side}_basis"] = torch.linalg.qr(
                _without_ties(state[side]) @ state[f"{side}_basis"]
            ).Q.contiguous()
    state["exp_avg"] = _turn(mean, state)

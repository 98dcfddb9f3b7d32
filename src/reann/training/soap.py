"""SOAP: Adam in the eigenbasis of the gradients' covariance.

Vyas et al., arXiv:2409.11321 (2024). For a weight matrix W (in, out) with gradient G, the running
means of G G^T and G^T G have the eigenvectors Q_in and Q_out; Adam's moments are those of
Q_in^T G Q_out. In this basis the components of a gradient are nearly independent, as Adam assumes
when it divides them by their magnitudes. The products of the density are strongly correlated: with
learning rates per component alone, directions in which they differ little are learned late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

BETAS = (0.95, 0.95)
"""Decay of the moments in the eigenbasis, as published."""
SAMPLE = 4
"""Steps between updates of the covariances, which cost two matrix products each."""
COVARIANCE_DECAY = 0.95**SAMPLE
EPS = 1e-4
"""Smallest magnitude, relative to the root mean square of a matrix, so that rounding errors (1e-6
in single precision) are not amplified."""
TIES = 1e-6
"""Graded diagonal shift of the covariances, relative to their mean eigenvalue: it determines the
eigenvectors where the gradients vanish, so that a training is reproducible."""
REFRESH = 10
"""Steps between two updates of the eigenbasis."""
LARGEST = 1024
"""Maximum side of a matrix with an eigenbasis; for larger ones it would cost too much."""


class Soap(torch.optim.AdamW):
    """SOAP for groups of stacks of matrices, AdamW for all other groups.

    Parameters
    ----------
    groups
        Each with `params`, `weight_decay` (decoupled) and `matrix`: whether its weights have the
        shape (..., in, out), where leading dimensions are stacks of independent matrices.
    """

    def __init__(self, groups: Iterable[Mapping[str, Any]], lr: float, *, fused: bool) -> None:
        settings = (
            {"betas": BETAS, **group} if group["matrix"] else dict(group) for group in groups
        )
        super().__init__(settings, lr=lr, fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the weights that have a gradient; gradients of matrices are consumed."""
        for group in self.param_groups:
            if group["matrix"]:
                for p in group["params"]:
                    if p.grad is not None:
                        self._step(p, p.grad, group)
                        p.grad = None  # so that AdamW does not update them again
        super().step(closure)

    def _step(self, p: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            # In its own eigenbasis the first gradient is diagonal; Adam would amplify the rounding
            # errors of the other components. Therefore the first step changes nothing.
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
        # With equal decays a mean cannot exceed the root mean square, except after an update of the
        # eigenbasis, as the squares cannot be rotated.
        largest = (1.0 - beta_2**step) ** 0.5
        move = (mean / square.sqrt().add_(smallest)).clamp_(-largest, largest)
        p.mul_(1.0 - group["lr"] * group["weight_decay"])
        p.sub_(_turn_back(move, state), alpha=group["lr"] * largest / (1.0 - beta_1**step))
        if step % REFRESH == 0:
            _refresh(state)


def _start(state: dict[str, Tensor], gradient: Tensor) -> None:
    """Compute the first eigenbasis from the first gradient."""
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
    """Update the eigenvectors by one power iteration, and rotate the first moment accordingly."""
    mean = _turn_back(state["exp_avg"], state)
    for side in ("in", "out"):
        if side in state:
            state[f"{side}_basis"] = torch.linalg.qr(
                _without_ties(state[side]) @ state[f"{side}_basis"]
            ).Q.contiguous()
    state["exp_avg"] = _turn(mean, state)

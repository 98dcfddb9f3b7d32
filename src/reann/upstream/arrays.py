"""The arrays of an original model, and the layout of its networks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reann.errors import UserError, listed

WRONG_MODEL = "Use the arrays of one model (`reannparam` in REANN.pth) and its settings."

AVERAGED = "n_averaged"
"""In checkpoints of averaged weights: of how many."""

LEAF = re.compile(r"(\d+)\.(?:resblock\.(\d+)\.)?(weight|bias|alpha|beta)")
"""Outer index, index in a block, and name of an array of one element's network."""


def without_prefix(name: str) -> str:
    """Return the name of an array without the prefixes of distributed training and averages."""
    return re.sub(r"^(module\.)+", "", name)


class Arrays:
    """Arrays by name, all of which must be used.

    Attributes
    ----------
    names
        All names, without the prefix of distributed training.
    dtype
        The precision of the parameters, float32 or float64.
    """

    def __init__(self, weights: Mapping[str, Any]) -> None:
        self.tensors = {
            without_prefix(str(name)): torch.as_tensor(weights[name]).detach().cpu()
            for name in weights
            if name != AVERAGED
        }
        self.names = set(self.tensors)
        self.unused = set(self.tensors)
        self.dtype = self.get("density.rs").dtype
        if self.dtype not in (torch.float32, torch.float64):
            raise UserError(f"Arrays of type {self.dtype} are not supported.", "density.rs")

    def get(self, name: str) -> Tensor:
        """Return an array without marking it as used."""
        if name not in self.tensors:
            raise UserError(f"There is no array '{name}'.", fix=WRONG_MODEL)
        return self.tensors[name]

    def take(self, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
        """Return an array in float64 and mark it as used; check its shape."""
        array = self.get(name)
        self.unused.discard(name)
        if shape is not None and tuple(array.shape) != shape:
            raise UserError(
                f"The shape is {tuple(array.shape)}; expected {shape}.",
                name,
                WRONG_MODEL,
            )
        if not torch.isfinite(array).all():
            raise UserError("The array contains values that are not finite.", name)
        return array.to(torch.float64)

    def drop(self, name: str) -> None:
        """Ignore an array that has no meaning."""
        self.unused.discard(name)

    def check_all_used(self) -> None:
        """Raise `UserError` if arrays have not been used."""
        if self.unused:
            raise UserError(
                "Arrays that are not part of such a model: "
                f"{listed(sorted(self.unused), limit=5)}.",
                fix=WRONG_MODEL,
            )


class Layout(NamedTuple):
    """The shape of the network of an element."""

    hidden: tuple[int, ...]
    blocks: int
    norm: bool
    n_in: int
    n_out: int


def layout_of(arrays: Arrays, prefixes: Sequence[str], atomtype: Sequence[str]) -> Layout:
    """Return the layout of the networks, which must be the same for all elements and recursions."""
    layouts: dict[str, Layout] = {}
    for prefix in prefixes:
        start = f"{prefix}.elemental_nets."
        symbols = {n.removeprefix(start).split(".")[0] for n in arrays.names if n.startswith(start)}
        if symbols != set(atomtype):
            raise UserError(
                f"There are networks of {listed(sorted(symbols)) or 'nothing'}, but atomtype is "
                f"{listed(atomtype)}.",
                prefix,
                "Use the settings with which this model was trained.",
            )
        for symbol in atomtype:
            name = start + symbol
            outer, blocks = modules(arrays, name)
            first, last = (arrays.get(f"{name}.{outer[i]}.weight").shape for i in (0, -1))
            hidden = [first[0]]
            if blocks:
                linears = [i for i, kind in blocks[0] if kind == "L"]
                block = f"{name}.{outer[1]}.resblock"
                hidden += [arrays.get(f"{block}.{i}.weight").shape[0] for i in linears]
                if hidden[-1] != hidden[0]:
                    raise UserError(f"A residual block does not end at {hidden[0]}.", name)
            norm = any(kind == "N" for block in blocks for _, kind in block)
            layouts[name] = Layout(tuple(hidden), len(blocks), norm, first[1], last[0])
    name, layout = next(iter(layouts.items()))
    for other, other_layout in layouts.items():
        if other_layout != layout:
            what = f"The network is {other_layout}, but that of {name} is {layout}."
            raise UserError(what, other)
    return layout


def modules(arrays: Arrays, name: str) -> tuple[list[int], list[list[tuple[int, str]]]]:
    """Return the indices of the outer modules, and index and kind of those in each block.

    Kinds are L linear, A activation, N normalization. Indices have gaps where the original has
    modules without arrays, such as dropout.
    """
    leaves: dict[tuple[int, int], set[str]] = {}
    for full in arrays.names:
        if full.startswith(f"{name}.") and (m := LEAF.fullmatch(full.removeprefix(f"{name}."))):
            leaves.setdefault((int(m[1]), int(m[2] or -1)), set()).add(m[3])

    def kind(i: int, j: int) -> str:
        if leaves[i, j] == {"alpha", "beta"}:
            return "A"
        path = f"{name}.{i}.weight" if j < 0 else f"{name}.{i}.resblock.{j}.weight"
        if leaves[i, j] != {"weight", "bias"}:
            return "?"
        return {1: "N", 2: "L"}.get(arrays.get(path).dim(), "?")

    outer = sorted({i for i, _ in leaves})
    inner = {i: sorted(j for k, j in leaves if k == i) for i in outer}
    blocks = [[(j, kind(i, j)) for j in inner[i]] for i in outer if inner[i] != [-1]]
    chain = "".join(kind(i, -1) if inner[i] == [-1] else "B" for i in outer)
    chains = {"".join(kind for _, kind in block) for block in blocks}
    known = all(re.fullmatch("(AL)+|(ANL)+", block) for block in chains)
    if not re.fullmatch("LB*AL", chain) or len(chains) > 1 or not known:
        raise UserError(
            "The layers must be a linear layer, equal residual blocks, an activation and a linear "
            "layer.",
            name,
            WRONG_MODEL,
        )
    return outer, blocks

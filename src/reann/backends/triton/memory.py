"""Memory of an evaluation, measured before it by the same steps with tensors without content."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reann.backends.protocol import Request
from reann.errors import UserError, counted
from reann.graph import Graph, Sizes
from reann.model import Reann

ATOMS = 64
"""Number of atoms of each element in the graph that is measured; memory is proportional to it."""
LARGE = 50_000
"""Number of atoms above which the memory is checked before an evaluation."""
RESERVE = 0.9
"""Fraction of the free memory that can be used, because it is fragmented."""
GIB = 2**30


class Needs(NamedTuple):
    """Largest memory of an evaluation, including its results, in bytes."""

    per_atom: float
    per_edge: float

    def of(self, n_atoms: int, n_edges: int) -> float:
        """Return the bytes for a graph."""
        return n_atoms * self.per_atom + n_edges * self.per_edge

    def most_atoms(self, free: float, edges_per_atom: float) -> int:
        """Return the number of atoms that fit into a number of bytes."""
        return int(RESERVE * free / (self.per_atom + edges_per_atom * self.per_edge))


@dataclass
class Peak(TorchDispatchMode):
    """The largest sum of the sizes of all tensors at one moment, in bytes."""

    now: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        """Start at zero."""
        super().__init__()
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Compute, and count new tensors."""
        del types
        result = function(*args, **(kwargs or {}))
        for x in tree_leaves(result):
            if isinstance(x, Tensor):
                self._count(x)
        return result

    def _count(self, x: Tensor) -> None:
        storage = x.untyped_storage()
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


def needs(
    model: Reann, request: Request, evaluate: Callable[[Reann, Graph, Request], Any]
) -> Needs:
    """Return the memory that `evaluate` needs for a request."""
    meta_model = on_meta(model)
    peaks = []
    for n in (1, 2):
        graph = _atoms(model, n * ATOMS)
        with Peak() as peak:
            results = evaluate(meta_model, graph, request)
            if request.create_graph:
                torch.stack([x.sum() for x in results.values()]).sum().backward()
        peaks.append(peak.most)
        meta_model.zero_grad()
    n_atoms = ATOMS * len(model.elements)
    graph = _atoms(model, ATOMS)
    list_of = graph.neighbor.element_size() + 3 * graph.edge_shift.element_size()
    return Needs((peaks[1] - peaks[0]) / n_atoms, float(list_of))


def on_meta(model: Reann) -> Reann:
    """Return a copy of a model whose tensors have no content."""
    memo: dict[int, Any] = {}
    for p in model.parameters():
        memo[id(p)] = nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
    for b in model.buffers():
        memo[id(b)] = torch.empty_like(b, device="meta")
    return copy.deepcopy(model, memo)


def _atoms(model: Reann, of_each: int) -> Graph:
    """Return a graph of atoms of all elements without content, each atom with one neighbor."""
    n = of_each * len(model.elements)

    def empty(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    graph = Graph(
        positions=empty(n, 3),
        atomic_numbers=empty(n, dtype=torch.int64),
        system=empty(n, dtype=torch.int64),
        cell=empty(1, 3, 3),
        pbc=empty(1, 3, dtype=torch.bool),
        first=empty(n + 1, dtype=torch.int64),
        neighbor=empty(n, dtype=torch.int32),
        edge_shift=empty(n, 3, dtype=torch.int32),
    )
    graph.__dict__["sizes"] = Sizes(dict.fromkeys(model.elements, of_each), 1)
    return graph


def free_bytes(device: torch.device) -> float:
    """Return the free memory of a GPU, including that reserved by PyTorch, in bytes."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return float(torch.cuda.mem_get_info(device)[0] + kept)


def check(known: Needs, graph: Graph) -> None:
    """Raise `UserError` if a large graph does not fit into the memory of its GPU."""
    free = free_bytes(graph.positions.device)
    needed = known.of(graph.n_atoms, graph.n_edges)
    if needed <= RESERVE * free:
        return
    most = known.most_atoms(free, graph.n_edges / graph.n_atoms)
    raise UserError(
        f"The GPU does not have enough memory for {counted(graph.n_atoms, 'atom')}: they need"
        f" {needed / GIB:.1f} GiB.",
        f"{free / GIB:.1f} GiB free",
        f"Compute at most {most:,} atoms, or use a model with fewer channels.",
    )

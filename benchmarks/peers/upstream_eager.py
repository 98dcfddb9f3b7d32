"""The arithmetic of the original REANN package (version 2) in eager PyTorch: our yardstick.

Frozen on purpose. It does what the original does, in its order and with its tensors: 3^l outer
products per pair, orbitals stored per pair, one pass over all pairs in every iteration, one network
per element, forces from automatic differentiation. Do not optimize it: a faster yardstick lies.

Modules and parameters carry the names of the original's state dict, its spelling `memssage`
included, so that its arrays load without translation. Energies in eV, lengths in Å.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import vesin
from ase.data import atomic_numbers
from torch import Tensor, nn

BENCHMARK_SETTINGS = {
    "atomtype": ["O", "H"], "cutoff": 6.2, "nipsin": 2, "nwave": 12, "norbit": 234,
    "nblock": 1, "nl": [64, 64], "activate": "Relu_like", "table_norm": True,
    "oc_loop": 3, "oc_nblock": 1, "oc_nl": [64, 64], "oc_activate": "Relu_like",
    "oc_table_norm": True,
}  # fmt: skip


class Batch(NamedTuple):
    """S structures side by side: A atoms and P pairs in all, each pair listed from both ends."""

    positions: Tensor  # (A, 3), Å
    species: Tensor  # (A,), index into `atomtype`
    structure: Tensor  # (A,), structure of each atom
    pairs: Tensor  # (2, P), center i and neighbor j
    shifts: Tensor  # (P, 3), Å: r_ij = r_j + shift - r_i
    energies: Tensor  # (S,), eV, labels
    forces: Tensor  # (A, 3), eV/Å, labels


class ReluLike(nn.Module):
    """alpha SiLU(beta x), one learned alpha and beta per neuron."""

    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, n))
        self.beta = nn.Parameter(torch.ones(1, n) / n_in)

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha * nn.functional.silu(self.beta * x)


class TanhLike(nn.Module):
    """alpha x / sqrt(1 + (beta x)^2), one learned alpha and beta per neuron."""

    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, n) / math.sqrt(n_in))
        self.beta = nn.Parameter(torch.ones(1, n) / n_in)

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha * x / torch.sqrt(1.0 + torch.square(self.beta * x))


class ResidualBlock(nn.Module):
    """x + f(x), f = (activation, LayerNorm if asked, Linear) for each hidden layer."""

    def __init__(self, widths: Sequence[int], activation: type[nn.Module], norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, n_in, n_out in zip(widths, widths[1:], widths[2:], strict=False):
            layers += [activation(before, n_in), *([nn.LayerNorm(n_in)] if norm else [])]
            layers += [nn.Linear(n_in, n_out)]
        self.resblock = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.resblock(x) + x


class ElementNets(nn.Module):
    """(A, n_in) -> (A, n_out), one net per element: Linear, residual blocks, activation, Linear."""

    def __init__(self, settings: Mapping[str, Any], prefix: str, n_in: int, n_out: int) -> None:
        super().__init__()
        hidden = list(settings[prefix + "nl"])
        widths = [n_in, *hidden, hidden[0]]
        activation = {"Relu_like": ReluLike, "Tanh_like": TanhLike}[settings[prefix + "activate"]]
        norm, n_blocks = settings[prefix + "table_norm"], settings[prefix + "nblock"]
        self.n_out = n_out
        self.register_buffer("initpot", torch.zeros(1))  # eV per atom; read for the energy only
        self.elemental_nets = nn.ModuleDict()
        for element in settings["atomtype"]:
            self.elemental_nets[element] = nn.Sequential(
                nn.Linear(n_in, hidden[0]),
                *(ResidualBlock(widths, activation, norm) for _ in range(n_blocks)),
                activation(hidden[-1], hidden[0]),
                nn.Linear(hidden[0], n_out),
            )

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        out = features.new_zeros(len(features), self.n_out)
        for index, net in enumerate(self.elemental_nets.values()):
            atoms = torch.nonzero(species == index).view(-1)
            if len(atoms) > 0:
                out[atoms] = net(features[atoms])
        return out


class Density(nn.Module):
    """Embedded density of every atom (A, norbit), its coefficients corrected `oc_loop` times."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        n_l, n_wave = settings["nipsin"] + 1, settings["nwave"]
        n_elements, cutoff = len(settings["atomtype"]), float(settings["cutoff"])
        n_orbit = settings.get("norbit") or n_wave * (n_wave + 1) // 2 * n_l
        self.rs = nn.Parameter(cutoff * torch.rand(n_elements, n_wave))
        self.inta = nn.Parameter(-0.2 - torch.rand(n_elements, n_wave))
        self.params = nn.Parameter(torch.full((n_elements, n_wave), 1e-2))
        hyper = nn.init.xavier_uniform_(torch.empty(n_wave, n_orbit))
        self.hyper = nn.Parameter(hyper.repeat(n_l, 1, 1))
        self.register_buffer("cutoff", torch.tensor([cutoff]))
        index = torch.cat([torch.full((3**l,), l) for l in range(n_l)])
        self.register_buffer("index_para", index)  # the l of each Cartesian component
        self.ocmod = nn.ModuleDict()
        for t in range(settings["oc_loop"]):
            self.ocmod[f"memssage_{t}"] = ElementNets(settings, "oc_", n_orbit, n_wave)
        self.n_l, self.n_orbit = n_l, n_orbit

    def forward(self, positions: Tensor, shifts: Tensor, batch: Batch) -> Tensor:
        ends = positions.index_select(0, batch.pairs.view(-1)).view(2, -1, 3)
        vectors = ends[0] - ends[1] - shifts  # neighbor to center; the densities are even in r
        distances = torch.linalg.norm(vectors, dim=-1)
        neighbor = batch.species.index_select(0, batch.pairs[1])
        orbitals = torch.einsum(
            "ap,pk->pak", self.angular(vectors, distances), self.radial(distances, neighbor)
        )
        hyper = self.hyper.index_select(0, self.index_para)
        coefficients = self.params.index_select(0, batch.species)
        rho = self.contract(orbitals, coefficients, hyper, batch.pairs)
        for net in self.ocmod.values():
            coefficients = coefficients + net(rho, batch.species)
            rho = self.contract(orbitals, coefficients, hyper, batch.pairs)
        return rho

    def radial(self, distances: Tensor, neighbor: Tensor) -> Tensor:
        """exp(inta (r - rs)^2) of the neighbor's element, (P, nwave); `inta` has its own sign."""
        rs, inta = self.rs.index_select(0, neighbor), self.inta.index_select(0, neighbor)
        return torch.exp(inta * torch.square(distances[:, None] - rs))

    def angular(self, vectors: Tensor, distances: Tensor) -> Tensor:
        """Outer powers of r_ij times the cutoff function, (1 + 3 + 9 + ..., P); only for r < rc."""
        vectors = vectors.t().contiguous()
        powers = [torch.square(0.5 + 0.5 * torch.cos(distances * (math.pi / self.cutoff)))[None]]
        for _ in range(1, self.n_l):
            power = torch.einsum("ap,xp->axp", powers[-1], vectors)
            powers.append(power.reshape(-1, len(distances)))
        return torch.vstack(powers)

    def contract(self, orbitals: Tensor, c: Tensor, hyper: Tensor, pairs: Tensor) -> Tensor:
        """sum_a (sum_k d_akm sum_j c_jk phi_ijak)^2, (A, norbit)."""
        weighted = torch.einsum("pak,pk->pak", orbitals, c.index_select(0, pairs[1]))
        moments = orbitals.new_zeros(len(c), *orbitals.shape[1:])
        moments = torch.index_add(moments, 0, pairs[0], weighted)
        return torch.sum(torch.square(torch.einsum("iak,akm->iam", moments, hyper)), dim=1)


class UpstreamModel(nn.Module):
    """Energies (S,) in eV and forces (A, 3) in eV/Å of a batch; starts from random weights.

    The layers that the original starts at zero are random here too, or forces would vanish.
    """

    def __init__(self, settings: Mapping[str, Any] = BENCHMARK_SETTINGS) -> None:
        super().__init__()
        self.density = Density(settings)
        self.nnmod = ElementNets(settings, "", self.density.n_orbit, 1)

    def energies(self, positions: Tensor, shifts: Tensor, batch: Batch) -> Tensor:
        rho = self.density(positions, shifts, batch)
        atomic = self.nnmod(rho, batch.species).view(-1) + self.nnmod.initpot
        total = torch.zeros_like(batch.energies)
        return torch.index_add(total, 0, batch.structure, atomic)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        positions = batch.positions.detach().requires_grad_()
        energies = self.energies(positions, batch.shifts, batch)
        (slope,) = torch.autograd.grad(energies.sum(), positions, create_graph=self.training)
        return energies, -slope


def from_arrays(weights: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> UpstreamModel:
    """The original's model from the arrays of its state dict and its input settings; float64."""
    model = UpstreamModel(settings).double()
    arrays = {name: torch.as_tensor(array) for name, array in weights.items()}
    # The original's newer code has no `initpot`: there the last biases hold the energy zero.
    arrays = {k: v for k, v in model.state_dict().items() if k.endswith("initpot")} | arrays
    model.load_state_dict(arrays)
    return model.eval()


def make_batch(
    frames: Sequence[Mapping[str, np.ndarray]],
    settings: Mapping[str, Any] = BENCHMARK_SETTINGS,
    dtype: torch.dtype = torch.float32,
) -> Batch:
    """Frames (`positions`, `cell`, `pbc`, `numbers`, `energy`, `forces`; eV, Å) and their pairs.

    The neighbor list is ours (vesin), not the original's, and stays outside of any timing.
    """
    cutoff = float(settings["cutoff"])
    neighbors = vesin.NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    elements = [atomic_numbers[symbol] for symbol in settings["atomtype"]]
    columns, first = [], 0
    for index, frame in enumerate(frames):
        positions, cell, numbers = frame["positions"], frame["cell"], frame["numbers"]
        i, j, image = neighbors.compute(positions, cell, frame["pbc"], quantities="ijS")
        species = [elements.index(number) for number in numbers]
        pairs = np.stack([i, j]).astype(np.int64) + first
        energy = np.atleast_1d(frame["energy"])
        structure = np.full(len(numbers), index)
        columns += [(positions, species, structure, pairs, image @ cell, energy, frame["forces"])]
        first += len(numbers)
    # Only the pairs, (2, P), grow along their last axis.
    arrays = [
        np.concatenate(c, axis=1 if n == 3 else 0) for n, c in enumerate(zip(*columns, strict=True))
    ]
    tensors = [torch.from_numpy(a) for a in arrays]
    return Batch(*(t.to(dtype) if t.is_floating_point() else t for t in tensors))


def stress(model: UpstreamModel, batch: Batch, volume: float) -> Tensor:
    """Stress (3, 3) of one structure, eV/Å^3, sign of ASE (tension is positive)."""
    strain = torch.eye(3, dtype=batch.positions.dtype, requires_grad=True)
    total = model.energies(batch.positions @ strain, batch.shifts @ strain, batch).sum()
    return torch.autograd.grad(total, strain)[0] / volume


def adamw(model: UpstreamModel, lr: float = 1e-3) -> torch.optim.AdamW:
    """The optimizer of the original: AdamW without weight decay."""
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)


def train_step(
    model: UpstreamModel,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    energy_weight: float = 0.1,
    force_weight: float = 10.0,
) -> Tensor:
    """One step on w_E sum (E - E_ref)^2 + w_F sum (F - F_ref)^2; returns that loss."""
    energies, forces = model(batch)
    loss = energy_weight * torch.sum(torch.square(energies - batch.energies))
    loss = loss + force_weight * torch.sum(torch.square(forces - batch.forces))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()

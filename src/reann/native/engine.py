"""`evaluate` with the contract of `reann.properties.evaluate`, and what it cannot do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad

from reann import native
from reann.errors import UserError
from reann.graph import Graph
from reann.model import Reann
from reann.model.hosts.embedded_density import EmbeddedDensity
from reann.native.function import Differentiable, compute
from reann.native.system import System
from reann.native.weights import compiled, workspace
from reann.properties import PROPERTIES, AtomicEnergies, of_strain, wanted_of

INSTALL = (
    "Use the engine torch; or install a C++ compiler, then"
    " `pip install --force-reinstall --no-cache-dir reann`."
)


class UnsupportedError(UserError):
    """The reference has to do this."""

    def __init__(self, why: str, where: str = "engine") -> None:
        super().__init__(
            f"The native engine cannot do this: {why}.", where, "Use the engine torch or auto."
        )
        self.why = why

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str]]:
        """Cross a process boundary as what every error of a user is."""
        return UserError, (self.what, self.where, self.fix)


def unsupported(
    model: AtomicEnergies,
    graph: Graph | None = None,
    names: Iterable[str] = (),
    *,
    create_graph: bool = False,
) -> str | None:
    """Return why the reference has to do this, None if the native engine can.

    Second derivatives with respect to parameters are refused when they are asked for, by PyTorch.
    """
    if (why := native.missing()) is not None:
        return why
    if type(model) is not Reann:
        return f"it knows Reann itself, not {type(model).__name__}"
    assert isinstance(model, Reann)
    moved = graph is not None and (graph.positions.requires_grad or graph.cell.requires_grad)
    # Private, and the only way to ask.
    forward = forward_ad._current_level >= 0  # noqa: SLF001
    transformed = torch._C._are_functorch_transforms_active()  # noqa: SLF001
    host = type(model.recursion.host)
    if host is not EmbeddedDensity:
        return f"it knows the host EmbeddedDensity, not {host.__name__}"
    modules = list(_modules(model))
    obstacles = {
        "it computes no hooks and no parametrizations of modules": any(map(_is_changed, modules)),
        "it runs on CPUs only": model.reference_energies.device.type != "cpu",
        "it has no gradients of positions and cells": moved,
        "it has no gradients of buffers": create_graph
        and any(b is not None and b.requires_grad for m in modules for b in m._buffers.values()),  # noqa: SLF001
        "it has no gradients of per-atom virials": create_graph and "virials" in names,
        "it has no forward mode and no function transforms": forward or transformed,
    }
    return next((why for why, there in obstacles.items() if there), None)


def _modules(module: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and all inside; `module.modules()` takes several times as long."""
    yield module
    for inside in module._modules.values():  # noqa: SLF001
        if inside is not None:
            yield from _modules(inside)


def _is_changed(module: nn.Module) -> bool:
    """Whether what a program has added to a module takes part in what it computes."""
    added = module._forward_hooks or module._forward_pre_hooks  # noqa: SLF001
    return bool(added) or "parametrizations" in module._modules  # noqa: SLF001


def evaluate(
    model: AtomicEnergies, graph: Graph, names: Iterable[str], *, create_graph: bool = False
) -> dict[str, Tensor]:
    """Return the named properties of every system of a batch; see `reann.properties.evaluate`.

    Parameters
    ----------
    create_graph
        Keep what the gradient with respect to the parameters needs.

    Raises
    ------
    UnsupportedError
        For what is `unsupported`.
    UserError
        For coincident atoms, and positions that are no finite numbers.
    """
    wanted = wanted_of(names)
    if (why := unsupported(model, graph, wanted, create_graph=create_graph)) is not None:
        raise UnsupportedError(why)
    assert isinstance(model, Reann)
    packed, system = compiled(model), System.of(graph, model.element_index)
    forces, strain = "forces" in wanted, bool(wanted & {"stress", "virial"})
    virials = None
    try:
        if create_graph:
            parameters = dict(model.named_parameters())
            energies, force, w = Differentiable.apply(
                packed, system, (forces, strain), list(parameters), *parameters.values()
            )  # pyright: ignore[reportGeneralTypeIssues]
        else:
            energies, force, w, virials = compute(
                packed, system, forces=forces, strain=strain, virials="virials" in wanted
            )
    except (ValueError, RuntimeError) as error:
        raise refused(error) from error
    energy = energies.new_zeros(graph.n_systems).index_add(0, graph.system, energies)
    found = {"energy": energy, "energies": energies, "forces": force, "virials": virials}
    if w is not None:
        found |= of_strain(graph, w)
    return {name: found[name] for name in PROPERTIES if name in wanted}


def heat_flux(
    model: Reann, graph: Graph, velocities: Float[Tensor, "atoms 3"]
) -> tuple[Float[Tensor, " atoms"], Float[Tensor, "3"]]:
    """Return energies above free atoms of one structure, eV, and their flow, eV Å per unit of time.

    Raises
    ------
    UserError
        For coincident atoms, and positions that are no finite numbers.
    """
    packed, system = compiled(model), System.of(graph, model.element_index)
    energies, flux = velocities.new_empty(graph.n_atoms), velocities.new_empty(3)
    arrays = (velocities.contiguous().numpy(), energies.numpy(), flux.numpy())
    n_threads = torch.get_num_threads()
    try:
        native.core().heat_flux(
            packed.model, 0, workspace(), *system.arguments(), n_threads, *arrays
        )
    except (ValueError, RuntimeError) as error:
        raise refused(error) from error
    return energies, flux


def refused(error: Exception) -> UserError:
    """Return what the C++ found wrong with a structure as an error of the user."""
    return UserError(f"{error}", "native engine", "Remove or repair this structure.")

"""Under the sanitizers, the engine computes what the reference does and breaks no rule of C++.

`driver.cpp` replays cases that cover every form of the model, with the kernels of the baseline,
which every machine has; with REANN_SANITIZE (`make sanitize`) at every level of this machine.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk

from c_interface import CORE, ROOT, needs
from domains import decompose
from models import CUTOFF, random_atoms, random_model, read_off_states, set_range
from reann import native, properties
from reann.data.neighbors import graph_from_atoms
from reann.graph import Graph
from reann.model import Reann
from reann.model.reann import in_precision
from reann.model.restore import description
from reann.native.system import arguments

LEVELS = {
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "v3": ["-march=x86-64-v3"],
    "baseline": [],
}
SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fopenmp"],
    # OpenMP's own synchronization is invisible to ThreadSanitizer.
    "thread": ["-fsanitize=thread", "-DREANN_STD_THREADS"],
}
LONG = {"equivariant", "level"}
"""Straight-line code of the recursion, which takes most of the compile time."""
OF_LONG_CODE = {
    # With checks of memory alone, and not optimized, half of the time; `make sanitize` checks all.
    "address": ["-fira-region=one"]
    if os.environ.get("REANN_SANITIZE")
    else ["-O0", "-fno-sanitize=undefined"],
    "thread": ["-fira-region=one"],
}
GOLDEN = sorted((ROOT / "tests" / "golden" / "files").glob("*.reann"))
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
"""Of the largest number of an array."""


# --- cases ------------------------------------------------------------------------------------

PERIODIC = (True, True, True)


def networks(**choices) -> dict:
    return {"readout": choices, "update": choices}


MODELS = [
    {"l_max": 0, "n_recursions": 0},
    {"l_max": 1, "n_recursions": 1, **networks(hidden=[6])},
    {"l_max": 2, "n_recursions": 2, **networks(hidden=[6], blocks=0)},
    {"l_max": 3, "n_recursions": 3, "angular": "raw"},
    {"l_max": 4, "n_recursions": 1, **networks(hidden=[6, 5, 6], blocks=2)},
    {"l_max": 4, "n_recursions": 0, "features": "orbitals", "angular": "raw"},
    {"features": "orbitals", "orbitals_per_l": True, "zbl": {}},
    {"features": "orbitals", "orbitals_per_recursion": True, "n_recursions": 3},
    {"features": "orbitals", "orbitals_per_l": True, "orbitals_per_recursion": True},
    {"features": "orbitals", "n_orbitals": 3},
    {"features": "many_body", "repulsion": True},
    {"features": "many_body", "l_max": 4, "n_radial": 19, "n_recursions": 1, "angular": "raw"},
    {"messages": "directional"},
    {"messages": "directional", "l_max": 4, "n_radial": 19, "n_recursions": 3, "angular": "raw"},
    {"messages": "directional", "l_max": 0, "n_recursions": 1},
    {"radial": "pair", "cutoff_function": "polynomial", "zbl": {}, "repulsion": True},
    {"radial": "pair", "radial_width": "free", "n_radial": 9, "n_recursions": 1},
    {"standardize": False, **networks(hidden=[6, 6], activation="relu_like", layer_norm=True)},
    {**networks(hidden=[6, 5], residual=False, activation="tanh_like", layer_norm=True)},
    {**networks(hidden=[17], blocks=2, residual=False, layer_norm=True), "n_radial": 1},
    {"messages": "equivariant", "l_max": 3, "channels": 9, "n_recursions": 1, "moment_limit": 0.5},
    {"messages": "equivariant", "l_max": 1, "radial_basis": "gaussian"},
    {"messages": "equivariant", "n_recursions": 1, "outputs": ["dipole", "polarizability"]},
]
LARGE = {"l_max": 2, "n_recursions": 2, "cutoff": 6.0}
"""With so many neighbors that four threads have work."""


def graphs() -> list[Graph]:
    """A crystal, an atom alone, atoms that see no other, a slab, all of them in a batch."""

    def graph(atoms: ase.Atoms) -> Graph:
        return graph_from_atoms(atoms, CUTOFF + 0.4)

    crystal = graph(random_atoms(1, 5, PERIODIC))
    alone = graph(random_atoms(2, 1, (False,) * 3))
    far = graph(ase.Atoms("CHO", [[0, 0, 0], [9, 0, 0], [0, 9, 9]]))
    slab = graph(random_atoms(3, 6, (True, True, False)))
    return [crystal, alone, far, slab, Graph.batch([slab, far, alone, crystal])]


def large() -> Graph:
    atoms = bulk("C", cubic=True).repeat((2, 2, 2))
    atoms.numbers[::3] = 1
    atoms.numbers[1::5] = 8
    atoms.rattle(0.1, seed=4)
    return graph_from_atoms(atoms, LARGE["cutoff"])


def expected(model: Reann, graph: Graph) -> dict[str, torch.Tensor]:
    """Return what the reference says; the engine's W is the opposite of a virial."""
    names = ["energies", "forces", "virial", "virials"]
    found = properties.evaluate(model, graph, names, create_graph=True)
    found |= {"virial": -found["virial"]}
    if model.config.reads_states:
        found["outputs"] = read_off_states(model, graph, graph.edge_vectors())
    return found


def exactly(model: Reann) -> Reann:
    """Return a copy with the same weights that computes in double precision."""
    return in_precision(copy.deepcopy(model), torch.float64)


def write(path: Path, model: Reann, arrays: dict[str, np.ndarray | torch.Tensor | None]) -> None:
    """Write a case as `driver.cpp` reads it: name, type, shape, bytes of each array."""
    weights = {f"0.{name}": value.numpy() for name, value in model.state_dict().items()}
    header = json.dumps(description(model) | {"members": [{}]}).encode()
    tolerance = np.array(TOLERANCE[model.dtype])
    more = {"header": np.frombuffer(header, np.uint8), "tolerance": tolerance, **arrays}
    types = {name: {"float32": 0, "float64": 1}[str(w.dtype)] for name, w in weights.items()}
    with path.open("wb") as file:
        for name, value in (weights | more).items():
            if value is None:
                continue
            array = value.detach().numpy() if isinstance(value, torch.Tensor) else value
            head = [len(name), types.get(name, 2), array.ndim]
            file.write(np.array(head, np.int32).tobytes() + name.encode())
            file.write(np.array([*array.shape, array.nbytes], np.int64).tobytes())
            file.write(array.tobytes())


def write_system(path: Path, model: Reann, graph: Graph) -> None:
    """Write a structure or a batch, and the gradient of a loss that is linear in the results."""
    set_range(model, graph)
    generator, exact = torch.Generator().manual_seed(5), exactly(model)
    found = expected(exact, graph)
    losses = {
        name: torch.randn(found[name].shape, generator=generator, dtype=torch.float64)
        for name in ("energies", "forces", "virial", "outputs")
        if name in found
    }
    loss = torch.stack([(found[name] * bar).sum() for name, bar in losses.items()]).sum()
    parameters = dict(exact.named_parameters())
    bars = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
    names = ("element", "position", "first", "neighbor", "shift", "system")
    laid_out = arguments(graph, model.element_index)
    box = {"cell": graph.cell[0], "periodic": graph.pbc[0].int()} if graph.n_systems == 1 else {}
    write(
        path,
        model,
        dict(zip(names, laid_out, strict=False))
        | {f"loss {name}": bar for name, bar in losses.items()}
        | {f"gradient of 0.{name}": bar for name, bar in zip(parameters, bars, strict=True)}
        | found
        | box,
    )


def write_with_ghosts(path: Path, model: Reann, graph: Graph) -> None:
    """Write a crystal whose images are ghosts; the driver adds their rows to the owners'."""
    (domain,) = decompose(graph, np.zeros(graph.n_atoms, int), 1)
    numbers = graph.atomic_numbers[domain.atoms]
    system = {
        "element": model.element_index[numbers].int(),
        **{name: getattr(domain, name) for name in ("position", "first", "neighbor", "owner")},
    }
    write(path, model, system | expected(exactly(model), graph))


def write_nothing(path: Path, model: Reann) -> None:
    empty = {name: np.zeros((0, 3)) for name in ("position", "forces", "loss forces")}
    index = {name: np.zeros(0, np.int32) for name in ("element", "neighbor")}
    energies, virial = np.zeros(0), np.zeros((1, 3, 3))
    write(
        path,
        model,
        {"first": np.zeros(1, np.int64), "energies": energies, "virial": virial, **empty, **index},
    )


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("cases")
    several = graphs()
    dtypes = itertools.cycle([torch.float64, torch.float32])
    for i, (form, dtype) in enumerate(zip(MODELS, dtypes, strict=False)):
        for other, name in ((dtype, "batch"), (next(dtypes), "one")):
            model = random_model(seed=i, dtype=other, **form)
            graph = several[-1] if name == "batch" else several[i % 4]
            write_system(folder / f"{i:02}-{name}", model, graph)
    for dtype in (torch.float64, torch.float32):
        for messages in ("scalar", "directional", "equivariant"):
            model = random_model(dtype=dtype, messages=messages, **LARGE)
            if messages == "equivariant":  # many neighbors: their sums are far from one
                model.recursion.radial_scale.data.mul_(0.1)
            write_system(folder / f"large-{messages}-{dtype}", model, large())
            write_with_ghosts(folder / f"large-ghosts-{messages}-{dtype}", model, large())
        write_with_ghosts(folder / f"ghosts-{dtype}", random_model(dtype=dtype), several[0])
        write_nothing(folder / f"nothing-{dtype}", model)
    return sorted(folder.iterdir())


# --- the driver -------------------------------------------------------------------------------


def compile_driver(folder: Path, sanitizer: str, level: str) -> Path:
    """Compile driver and engine for one instruction set, two files at a time."""
    compiler = shutil.which("g++") or "g++"
    common = [compiler, "-std=c++17", "-O1", "-g1", *SANITIZERS[sanitizer], f"-I{CORE}"]
    jobs: list[tuple[Path, list[str]]] = []
    for source in sorted((CORE / "kernels").glob("*.cpp")):
        more = OF_LONG_CODE[sanitizer] if source.stem in LONG else []
        jobs.append((source, [*LEVELS[level], f"-DREANN_LEVEL={level}", *more]))
    others = [*sorted(CORE.glob("*.cpp")), ROOT / "tests" / "core" / "driver.cpp"]
    jobs += [(source, [f"-DREANN_HAS_{level.upper()}"]) for source in others]

    def compile_one(job: tuple[Path, list[str]]) -> Path:
        source, more = job
        target = folder / f"{source.stem}.o"
        subprocess.run([*common, *more, "-c", source, "-o", target], check=True)
        return target

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, jobs))
    program = folder / "driver"
    subprocess.run([*common, *objects, "-o", program, "-pthread"], check=True)
    return program


def levels() -> list[str]:
    return native.core().levels() if os.environ.get("REANN_SANITIZE") else ["baseline"]


@pytest.mark.slow
@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_the_engine_is_right_and_clean(cases, tmp_path, sanitizer, level):
    needs("g++")
    program = compile_driver(tmp_path, sanitizer, level)
    environment = {name: v for name, v in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [program, *GOLDEN, *cases], check=False, capture_output=True, text=True, env=environment
    )
    assert done.stderr == ""
    assert done.stdout == f"{level}\n"
    assert done.returncode == 0

"""Compile every kernel for GPUs that are not there: a program, for it cannot have the interpreter.

    python tests/gpu/ahead_of_time.py cuda-90,gfx942 equivariant,pair float32 every 1 2 3

compiles every kernel (or one of `each` kind) for l_max, channels and radial functions. It prints
target, form of the model, name of the kernel, shared memory in bytes, registers of a thread, and
the bytes that a thread keeps in memory instead.
"""

import itertools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

from models import random_model
from reann.backends.triton import channel_kernels, edge_kernels
from reann.backends.triton.pair_terms import pair_summand
from reann.backends.triton.recursions import EquivariantForm, form_of

TARGETS = {
    "cuda-80": GPUTarget("cuda", 80, 32),
    "cuda-90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
DOUBLE = ("positions", "cell", "pairs", "moves", "strains", "of_positions", "of_strains")
SHORT = {"float32": "fp32", "float64": "fp64"}
INTEGERS = {"first", "system", "order", "rank", "element"}


def of_edges(summand, *, trained=True):
    """Kernels over neighbors that a recursion uses, and their precision."""
    make, shape = summand.make, summand.shape
    made = [
        edge_kernels.sums(make, shape, moving=False),
        edge_kernels.flow(make, shape),
        edge_kernels.slopes(
            make, shape, of_geometry=True, of_states=bool(summand.n_moving) and trained
        ),
    ]
    if trained:
        made += [
            edge_kernels.slopes(make, shape, of_geometry=False, of_states=True),
            edge_kernels.sums(make, shape, moving=True),
            edge_kernels.slopes_of_rates(make, shape),
        ]
    if trained and summand.n_paths:
        last = summand.n_paths - 1
        made += [edge_kernels.gradient(make, shape, last, moving=x) for x in (False, True)]
    return [(kernel, shape.real, shape.warps) for kernel in made]


def of_channels(multiplied):
    """Kernels over channels, and their precision."""
    make, channels, real = multiplied.make, multiplied.channels, multiplied.real
    made = [channel_kernels.values(make, channels, real, moving=x) for x in (False, True)]
    made += [
        channel_kernels.slopes(make, channels, real, moving=x, of_weights=True)
        for x in (False, True)
    ]
    return [(kernel, real, 4) for kernel in made]


FORMS = {
    "equivariant": {"messages": "equivariant", "moment_limit": 2.0},
    "scalar": {"messages": "scalar"},
    "pair": {"messages": "scalar", "radial": "pair"},
    "directional": {"messages": "directional"},
}


def kernels(form, dtype, l_max, channels, n_radial):
    """Return the kernels of a model with everything that it can have."""
    choices = {"l_max": l_max, "n_recursions": 1, "repulsion": True, "zbl": {}} | FORMS[form]
    # The channels of a density are its radial functions.
    sizes = {"channels": channels, "n_radial": n_radial}
    choices |= sizes if form == "equivariant" else {"n_radial": channels}
    model = random_model(dtype=dtype, **choices)
    messages = choices["messages"]
    form = form_of(model)
    made = of_edges(pair_summand(model), trained=False)
    if isinstance(form, EquivariantForm):
        for layer in form.forms:
            made += [*of_edges(layer.summand), *of_channels(layer.multiplied)]
    else:
        made += of_edges(form.summands[messages == "directional", 1])
    return made


def signature(kernel, real):
    """Return the types of the arguments."""
    types = dict.fromkeys(DOUBLE, "*fp64") | dict.fromkeys(INTEGERS, "*i64")
    types |= {"neighbor": "*i32", "shift": "*i32", "n_atoms": "i32"}
    return {name: types.get(name, f"*{real}") for name in kernel.arg_names}


def one_of_each(every):
    """Return a kernel of each name and precision."""
    known = {}
    for made in every:
        known.setdefault((made[0].__name__, made[1]), made)
    return list(known.values())


def compile_all(target, form, precision, sizes, *, every):
    """Compile, and print what came out."""
    made_for = kernels(form, getattr(torch, precision), *sizes)
    for kernel, real, warps in made_for if every else one_of_each(made_for):
        source = ASTSource(fn=kernel, signature=signature(kernel, SHORT[real]))
        made = triton.compile(source, target=TARGETS[target], options={"num_warps": warps})
        shared, (registers, spilled) = made.metadata.shared, registers_of(made, TARGETS[target])
        print(target, form, kernel.__name__, shared, registers, spilled, flush=True)  # noqa: T201


def registers_of(made, target):
    """Return the registers of a thread, and the bytes that it keeps in memory instead."""
    if target.backend == "hip":
        text = made.asm["amdgcn"]
        spilled = int(re.search(r"\.vgpr_spill_count: +(\d+)", text)[1])
        return int(re.search(r"\.vgpr_count: +(\d+)", text)[1]), 4 * spilled
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(made.asm["ptx"])
        # What the text is for: sm_90a is not sm_90.
        made_for = re.search(r"\.target +(\w+)", made.asm["ptx"])[1]
        command = [
            get_ptxas(target.arch).path,
            "-v",
            f"--gpu-name={made_for}",
            source,
            "-o",
            out,
        ]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    stored = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", said)
    return int(re.search(r"Used (\d+) registers", said)[1]), int(stored[1]) + int(stored[2])


if __name__ == "__main__":
    targets, forms, precision, which, *sizes = sys.argv[1:]
    numbers = [int(x) for x in sizes]
    for target, form in itertools.product(targets.split(","), forms.split(",")):
        compile_all(target, form, precision, numbers, every=which == "every")

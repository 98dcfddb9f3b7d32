"""Kernels from text, because Triton compiles functions from their source."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

HEADER = "import triton\nimport triton.language as tl\n\nREAL = tl.constexpr(tl.{real})\n\n\n"


def launch(compiled: Any, programs: int, first: Tensor, *arguments: Any, warps: int = 4) -> None:
    """Start the programs of a kernel on the device of its first argument.

    Nothing is started without atoms, and for tensors without content. `warps` is the number of
    groups of 32 or 64 threads of a program.
    """
    if not programs or first.is_meta:
        return
    # Triton starts kernels on the current GPU, which may not be that of the tensors.
    elsewhere = first.is_cuda and first.get_device() != torch.cuda.current_device()
    with torch.cuda.device(first.device) if elsewhere else nullcontext():
        compiled[(programs,)](first, *arguments, num_warps=warps)


def kernel(name: str, arguments: Sequence[str], body: Sequence[str], real: str) -> Any:
    """Return the kernel of a name, its pointers, and the lines of its body.

    The last argument is the number of atoms, for which kernels are not specialized.
    """
    import triton

    head = f"def {name}({', '.join(arguments)}):"
    text = HEADER.format(real=real) + "\n".join([head, *(f"    {line}" for line in body)]) + "\n"
    file = f"<reann kernel {name} {hash(text):x}>"
    # The compiler gets the source from the module `inspect`, which uses this cache.
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope: dict[str, Any] = {"__name__": __name__}
    exec(compile(text, file, "exec"), scope)  # noqa: S102 - written by this package
    compile_: Any = triton.jit
    return compile_(scope[name], do_not_specialize=[arguments[-1]])

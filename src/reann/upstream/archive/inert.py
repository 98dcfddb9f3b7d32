"""A safe interpreter for pickles of TorchScript that imports and calls nothing.

A pickle is a program that may call anything. Only the instructions written by TorchScript are
followed, and they can create only numbers, text, lists, dicts and the records below. Time and
memory are proportional to the length of the pickle.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from reann.errors import UserError

STORAGES = {
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.BoolStorage": np.dtype("?"),
}

TENSOR = "torch._utils._rebuild_tensor_v2"
LISTS = {f"torch.jit._pickle.build_{kind}list" for kind in ("int", "double", "bool", "tensor")}
TAGGED, HOOKS = "torch.jit._pickle.restore_type_tag", "collections.OrderedDict"
KNOWN = {*STORAGES, *LISTS, TENSOR, TAGGED, HOOKS}
"""Names in such pickles, besides those of the classes of the program."""

MOST_DIMENSIONS = 8

CHECKPOINT_INSTEAD = "Convert the checkpoint REANN.pth of the training, with para/ next to it."
DAMAGED = "Copy or export it again, or c" + CHECKPOINT_INSTEAD[1:]


LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"}
MAKERS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}


class Name(NamedTuple):
    """A name that the pickle would import."""

    full: str


class Storage(NamedTuple):
    """The bytes of a tensor: an entry of the archive."""

    dtype: np.dtype[Any]
    key: str
    size: int


class Array(NamedTuple):
    """A tensor that has not been created; offset and stride are numbers of elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Module:
    """A module: the name of its class, and its attributes."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.attributes: dict[str, Any] = {}


def unpickle(data: bytes) -> Any:
    """Interpret a pickle written by TorchScript.

    Raises
    ------
    UserError
        If it has an instruction or a name that TorchScript does not write.
    Exception
        Any exception, for a damaged pickle.
    """
    machine = Machine()
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "STOP":
            return machine.stack.pop()
        if opcode.name in LITERALS:
            machine.stack.append(argument)
        elif opcode.name in MAKERS:
            machine.stack.append(MAKERS[opcode.name]())
        elif opcode.name in Machine.STEPS:
            Machine.STEPS[opcode.name](machine, argument)
        elif opcode.name != "PROTO":
            raise UserError(
                f"The pickle has the instruction {opcode.name}, which no exported model needs.",
                "data.pkl",
                CHECKPOINT_INSTEAD,
            )
    raise ValueError("the pickle has no end")


class Machine:
    """The stack and the memory of the interpreter, and its instructions by name."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memory: dict[int, Any] = {}

    def put(self, key: int) -> None:
        """Remember the last item."""
        self.memory[key] = self.stack[-1]

    def get(self, key: int) -> None:
        """Recall an item."""
        self.stack.append(self.memory[key])

    def mark(self, _: None) -> None:
        """Start to collect items."""
        self.marked.append(self.stack)
        self.stack = []

    def collected(self) -> list[Any]:
        """Return the items since the mark and remove both."""
        items, self.stack = self.stack, self.marked.pop()
        return items

    def join(self, _: None) -> None:
        """Join the items since the mark."""
        items = tuple(self.collected())
        self.stack.append(items)

    def last(self, n: int) -> None:
        """Join the last `n` items."""
        self.stack[-n:] = [tuple(self.stack[-n:])]

    def append(self, _: None) -> None:
        """Append the last item to the list before it."""
        item = self.stack.pop()
        self.stack[-1].append(item)

    def extend(self, _: None) -> None:
        """Append the items since the mark to the list before it."""
        items = self.collected()
        self.stack[-1].extend(items)

    def update(self, _: None) -> None:
        """Add the pairs since the mark to the dict before it."""
        items = self.collected()
        if not all(isinstance(key, str) for key in items[::2]):
            raise TypeError("a key is not text")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def name(self, argument: str) -> None:
        """Push one of the allowed names; it is never imported."""
        full = argument.replace(" ", ".")
        if full not in KNOWN and not re.fullmatch(r"__torch__\.[\w.]{1,200}", full):
            raise UserError(
                f"The file would import {full[:100]!r}, which no exported model needs; "
                "it was not executed.",
                "data.pkl",
                CHECKPOINT_INSTEAD,
            )
        self.stack.append(Name(full))

    def storage(self, _: None) -> None:
        """Push the storage identified by the last item."""
        tag, kind, key, _device, size = self.stack.pop()
        if tag != "storage" or type(size) is not int or not re.fullmatch("[0-9]{1,9}", key):
            raise TypeError("a tensor has no storage")
        self.stack.append(Storage(STORAGES[kind.full], key, size))

    def make(self, _: None) -> None:
        """Push the record that represents a call of the name with its arguments."""
        arguments, name = self.stack.pop(), self.stack.pop()
        self.stack.append(_made(name.full, arguments))

    def build(self, _: None) -> None:
        """Set the attributes of a module."""
        attributes, module = self.stack.pop(), self.stack[-1]
        if not isinstance(module, Module) or not isinstance(attributes, dict):
            raise TypeError("attributes do not belong to a module")
        module.attributes = dict(attributes)
        attributes.clear()  # so that a dict cannot be copied many times

    STEPS: ClassVar[dict[str, Callable[[Machine, Any], None]]] = {
        "BINPUT": put,
        "LONG_BINPUT": put,
        "BINGET": get,
        "LONG_BINGET": get,
        "MARK": mark,
        "TUPLE": join,
        "TUPLE1": lambda machine, _: machine.last(1),
        "TUPLE2": lambda machine, _: machine.last(2),
        "TUPLE3": lambda machine, _: machine.last(3),
        "APPEND": append,
        "APPENDS": extend,
        "SETITEMS": update,
        "GLOBAL": name,
        "BINPERSID": storage,
        "NEWOBJ": make,
        "REDUCE": make,
        "BUILD": build,
    }


def _made(kind: str, arguments: tuple[Any, ...]) -> Any:
    """Return the record that represents a call of `kind`."""
    if kind.startswith("__torch__."):
        return Module(kind)
    if kind == TENSOR:
        storage, offset, shape, stride = arguments[:4]
        if not isinstance(storage, Storage) or not len(shape) == len(stride) <= MOST_DIMENSIONS:
            raise TypeError("a tensor has no storage or no shape")
        if not all(type(n) is int for n in (offset, *shape, *stride)):
            raise TypeError("a tensor is not described by whole numbers")
        return Array(storage, offset, tuple(shape), tuple(stride))
    if kind == HOOKS:
        return {}
    if kind in LISTS or kind == TAGGED:
        return arguments[0]
    raise TypeError(f"{kind} is not a thing to call")

"""YAML 1.2: `1e-3` is a number, and `no` and `NO` are words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

MOST_REPEATED = 10_000
"""Limit on values repeated by aliases; without it, a few lines could fill the memory."""

DEEPEST = 50
"""Maximum nesting of lists and mappings."""

Lines = dict[tuple[str, ...], int]
"""The line of each field, by its path."""
Twice = tuple[str, int, int]
"""A field that appears twice, and its two lines."""

_NUMBER = re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$")
_FLOAT = re.compile(rf"(?:{_NUMBER.pattern}|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$)")


class Loader(yaml.SafeLoader):
    """YAML 1.2: no dates, no base 60, `no` is a word and `1e-3` a number."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - declared so by yaml
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node; deep nesting is refused, as it makes the scanner slow."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.YAMLError("the nesting is too deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Never write aliases: write a list that appears twice in full both times."""
        return True


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^[-+]?[0-9]+$"), None)
Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, None)
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])
Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, None)


def read_yaml(text: str) -> tuple[Any, Lines, list[Twice]]:
    """Return the values of a text, the lines of its fields, and fields that appear twice.

    Raises
    ------
    yaml.YAMLError
        If the text is not YAML, is nested too deeply, or repeats too much by aliases.
    """
    lines: Lines = {}
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None, lines, []
        _check_aliases(root)
        twice = list(_note_lines(root, (), lines, set()))
        return _unshared(loader.construct_document(root)), lines, twice
    except ValueError as error:  # a number with thousands of digits
        raise yaml.YAMLError(str(error)) from None


def _unshared(value: Any) -> Any:
    """Return a deep copy, so that values repeated by aliases can be changed independently."""
    if isinstance(value, dict):
        return {name: _unshared(item) for name, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _check_aliases(root: yaml.Node) -> None:
    """Raise `yaml.YAMLError` for an alias that contains itself or repeats too much."""
    sizes: dict[int, int | None] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            known = sizes[id(node)]
            if known is None:
                raise yaml.YAMLError("an alias contains itself")
            return known
        sizes[id(node)] = None
        inner: list[Any] = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = [x for child in inner for x in (child if isinstance(child, tuple) else (child,))]
        total = 1 + sum(size(x) for x in flat)
        sizes[id(node)] = total
        return total

    if size(root) > len(sizes) + MOST_REPEATED:
        raise yaml.YAMLError(f"aliases repeat more than {MOST_REPEATED} values")


def _note_lines(
    node: yaml.Node, path: tuple[str, ...], lines: Lines, visited: set[int]
) -> Iterator[Twice]:
    """Record the line of each field below a node; yield fields that appear twice."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in visited:
        return  # an alias is followed once
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            if isinstance(value, yaml.MappingNode):
                inner = (*path, str(number))
                lines[inner] = value.start_mark.line + 1
                yield from _note_lines(value, inner, lines, visited)
        return
    for key, value in node.value:
        inner = (*path, str(key.value))
        line = key.start_mark.line + 1
        if inner in lines:
            yield ".".join(inner), lines[inner], line
        lines[inner] = line
        yield from _note_lines(value, inner, lines, visited)

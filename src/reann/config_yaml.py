"""YAML as version 1.2 has it: `1e-3` is a number, and `no` and `NO` are words."""

from __future__ import annotations

import re
from typing import Any

import yaml

_NUMBER = re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$")
_FLOAT = re.compile(rf"(?:{_NUMBER.pattern}|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$)")


class Loader(yaml.SafeLoader):
    """YAML 1.2: no dates, no base 60, `no` is a word and `1e-3` a number."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - declared so by yaml


class Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write a list that is there twice out twice."""
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

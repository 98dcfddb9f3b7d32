"""Write `src/reann/core/facts.hpp` from `reann/facts.py` and the elements of ASE."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from ase.data import chemical_symbols, covalent_radii

from reann import facts

HEADER = Path(facts.__file__).parent / "core" / "facts.hpp"
LAYOUT = """\
// Facts that both the engine and Python need. Written by `make facts` from reann/facts.py, which
// explains them and gives their units: change them there.
#pragma once

#include <cstdint>

namespace reann {{

{constants}
// Beginnings of tensor names, which the version after this one replaces.
struct Renamed {{
    int version;
    const char *before, *now;
}};
constexpr Renamed renamed[] = {{
{renamed}
}};

// By atomic number; 0 is no element.
{symbols}
// Å, those of ASE: Cordero et al., Dalton Trans. 2832 (2008); a guess beyond curium.
{radii}
}} // namespace reann
"""


def header() -> str:
    """Return the text of the header."""
    shared = {
        name: value
        for name, value in vars(facts).items()
        if name != "RENAMED" and (name.isupper() or get_origin(value) is Literal)
    }
    renamed = [
        f'    {{{version}, "{before}", "{now}"}},'
        for version, table in facts.RENAMED.items()
        for before, now in table.items()
    ]
    return LAYOUT.format(
        constants="".join(declaration(name, value) for name, value in shared.items()),
        renamed="\n".join(renamed),
        symbols=declaration("SYMBOLS", tuple(chemical_symbols)),
        radii=declaration("COVALENT_RADII", tuple(covalent_radii.tolist())),
    )


def declaration(name: str, value: Any) -> str:
    """Return the C++ of a constant, an array or a choice."""
    if get_origin(value) is Literal:
        words = get_args(value)
        names = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name) + "_names"
        return f"enum class {name} {{ {', '.join(words)} }};\n{declaration(names, words)}"
    if not isinstance(value, tuple):
        return f"constexpr {kind(value)}{name.lower()} = {literal(value)};\n"
    start = f"constexpr {kind(value[0])}{name.lower()}[] = {{"
    values = ", ".join(map(literal, value))
    if len(start + values) < 98:
        return f"{start}{values}}};\n"
    indent = "    "
    lines = textwrap.fill(values, 98, initial_indent=indent, subsequent_indent=indent)
    return f"{start}\n{lines},\n}};\n"


def kind(value: float | str) -> str:
    """Return the type of a number or a text in C++."""
    if isinstance(value, int):
        return "int " if value.bit_length() < 32 else "int64_t "
    return "const char *" if isinstance(value, str) else "double "


def literal(value: float | str) -> str:
    """Return a number or a text as C++ writes it."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    HEADER.write_text(header(), encoding="utf-8")

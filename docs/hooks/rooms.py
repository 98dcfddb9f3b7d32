"""The diagram of the folders of the package, drawn from its imports."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "src" / "reann"
BASE = "base"
"""Room of most modules that lie beside the packages."""
OTHERS = {
    "__main__": "cli",
    "flux": "potential",
    "potential": "potential",
    "potential_file": "potential",
    "potential_summary": "potential",
    "prediction": "potential",
    "properties": "model",
    "response": "model",
}
"""Rooms of the others."""
FORMER = ("engines", "ipi")
"""Former places, which only import from elsewhere."""
WIDTH, HEIGHT, BOX, GAP = 820, 74, 118, 14


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark of the page on the architecture by diagram and table."""
    mark = "<!-- generated: rooms -->"
    return markdown.replace(mark, f"{diagram()}\n\n{table()}") if mark in markdown else markdown


def rooms() -> dict[str, list[Path]]:
    """Return the Python modules of each room."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        room = _room(path.relative_to(SOURCE).with_suffix("").parts)
        if room not in FORMER:
            found[room].append(path)
    return dict(found)


def imports() -> dict[str, set[str]]:
    """Return the rooms that each room imports when it is loaded, less those for types only."""
    found: dict[str, set[str]] = {}
    for room, paths in rooms().items():
        names = (name for path in paths for name in _imported(ast.parse(path.read_text("utf-8"))))
        used = {_room(tuple(name.split(".")[1:])) for name in names}
        found[room] = used - {room} - set(FORMER)
    return found


def layers() -> list[list[str]]:
    """Return the rooms in layers: a room imports from layers below, and from its own.

    Rooms that import each other lie in one layer.
    """
    graph = imports()
    reached = {room: _reached(room, graph) for room in graph}
    height = dict.fromkeys(graph, 0)
    for _ in graph:
        for room, used in graph.items():
            below = [height[x] + (room not in reached[x]) for x in used if x in height]
            height[room] = max([height[room], *below])
    top = max(height.values())
    return [sorted(r for r in height if height[r] == level) for level in range(top, -1, -1)]


def table() -> str:
    """Return the rooms with their sizes and what they import."""
    lines = ["| folder | modules | lines | imports |", "| --- | --- | --- | --- |"]
    graph, files = imports(), rooms()
    for layer in layers():
        for room in layer:
            size = sum(len(path.read_text("utf-8").splitlines()) for path in files[room])
            used = ", ".join(sorted(graph[room])) or "–"
            lines.append(f"| `{room}` | {len(files[room])} | {size} | {used} |")
    return "\n".join(lines)


def diagram() -> str:
    """Return the layers as SVG, a line from each room to those below that it imports.

    A line that others imply is left out.
    """
    graph, stack = imports(), layers()
    reached = {room: _reached(room, graph) for room in graph}
    place = {}
    for y, layer in enumerate(stack):
        span = len(layer) * BOX + (len(layer) - 1) * GAP
        for x, room in enumerate(layer):
            place[room] = (WIDTH - span) / 2 + x * (BOX + GAP), 10 + y * HEIGHT
    about = "Folders of the package in layers; a folder imports from layers below"
    size = f"0 0 {WIDTH} {len(stack) * HEIGHT}"
    parts = [f'<svg viewBox="{size}" role="img" class="rooms" aria-label="{about}">']
    for room, used in graph.items():
        x, y = place[room]
        for other in sorted(used):
            to_x, to_y = place[other]
            implied = any(other in reached[between] for between in used - {other})
            if to_y > y and not implied:
                a, b = x + BOX / 2, to_x + BOX / 2
                bend = (y + 34 + to_y) / 2
                parts.append(
                    f'<path d="M{a:.0f} {y + 34:.0f}C{a:.0f} {bend:.0f} {b:.0f} {bend:.0f} {b:.0f}'
                    f' {to_y:.0f}" fill="none" stroke="currentColor" opacity="0.5"/>'
                )
    for room, (x, y) in place.items():
        parts.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX}" height="34" rx="6"'
            f' style="fill:var(--md-default-bg-color)" stroke="currentColor"/>'
            f'<text x="{x + BOX / 2:.0f}" y="{y + 22:.0f}"'
            f' text-anchor="middle" fill="currentColor" font-size="15">{escape(room)}</text>'
        )
    return "".join([*parts, "</svg>"])


def _room(parts: tuple[str, ...]) -> str:
    if parts and (SOURCE / parts[0]).is_dir():
        return parts[0]
    return OTHERS.get(parts[0], BASE) if parts else BASE


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of the package that a module imports at its top level."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "reann":
            module = str(node.module)
            for alias in node.names:
                inner = SOURCE.joinpath(*module.split(".")[1:], alias.name)
                yield f"{module}.{alias.name}" if module == "reann" or inner.is_dir() else module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "reann")


def _reached(room: str, graph: dict[str, set[str]]) -> set[str]:
    found, waiting = set(), [room]
    while waiting:
        for other in graph.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found

"""Figures as a standalone SVG file with the style of the report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

FONT = 'svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }'


def plot_style() -> str:
    """Return the style sheet of figures, with colors for light mode, dark mode and print."""
    return (resources.files("reann.report") / "plots.css").read_text(encoding="utf-8")


def document(figures: Sequence[str], width: int, height: int, columns: int = 1) -> str:
    """Return an SVG file with figures in rows of `columns`.

    Parameters
    ----------
    figures
        Results of `svg.Axes.render`.
    width, height
        Size of each figure in pixels.
    """
    across, down = width * columns, height * -(-len(figures) // columns)
    size = f'width="{across}" height="{down}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {across} {down}">',
        f"<style>{plot_style()}{FONT}</style>",
        f'<rect class="card" {size}/>',
    ]
    for i, figure in enumerate(figures):
        place = f'x="{i % columns * width}" y="{i // columns * height}"'
        parts.append(f'<svg {place} width="{width}" height="{height}">{figure}</svg>')
    return "\n".join([*parts, "</svg>\n"])

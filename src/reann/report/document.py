"""Figures as a file of their own, which a browser shows as the report does."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

FONT = 'svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }'


def plot_style() -> str:
    """Return the style sheet of figures: colors for light, dark and paper."""
    return (resources.files("reann.report") / "plots.css").read_text(encoding="utf-8")


def document(figures: Sequence[str], width: int, height: int) -> str:
    """Return an SVG file with figures below each other.

    Parameters
    ----------
    figures
        As `svg.Axes.render` returns them.
    width, height
        Pixels of each of them.
    """
    whole = height * len(figures)
    size = f'width="{width}" height="{whole}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {whole}">',
        f"<style>{plot_style()}{FONT}</style>",
        f'<rect class="card" {size}/>',
    ]
    for i, figure in enumerate(figures):
        parts.append(f'<svg y="{i * height}" width="{width}" height="{height}">{figure}</svg>')
    return "\n".join([*parts, "</svg>\n"])

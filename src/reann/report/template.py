"""Templates of pages, with the macros and the style that they share."""

from __future__ import annotations

from importlib import resources
from typing import Any

import jinja2

from reann.report.document import plot_style
from reann.terminal import printable


def rendered(template: str, **values: Any) -> str:
    """Return a page; `template` is its text, which has `style` beside the values.

    Nothing is loaded from elsewhere, and the policy of the page forbids it.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    style = plot_style() + resource("style.css")
    return printable(environment.from_string(template).render(style=style, **values))


def resource(name: str) -> str:
    """Return the text of a file of this package."""
    return (resources.files("reann.report") / name).read_text(encoding="utf-8")

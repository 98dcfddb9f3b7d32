"""Commands with a plain help: flags take no value, and ranges are in words."""

from __future__ import annotations

import copy
from typing import Any

from typer.core import TyperCommand

from reann.errors import UserError

TYPES = {"float": "NUMBER", "int": "INTEGER", "str": "TEXT", "Path": "PATH", "path": "PATH"}
"""What the help calls the values of an option, by the name of their type."""
TIMES = ("fs", "ps", "ns")


class Command(TyperCommand):
    """A command whose help shows copies of its parameters, so that parsing is not affected."""

    def make_context(self, info_name: Any, args: list[str], *rest: Any, **more: Any) -> Any:
        """Read the arguments; raises `UserError` for a time and a unit with a space between."""
        for option, number, unit in zip(args, args[1:], args[2:], strict=False):
            if option == "--time" and unit in TIMES and number.replace(".", "", 1).isdigit():
                fix = f"Write {number}{unit}, without a space."
                raise UserError(f"'{number} {unit}' has a space.", "--time", fix)
        return super().make_context(info_name, args, *rest, **more)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        TyperCommand.format_help(plain(self, ctx), ctx, formatter)


def plain(command: Any, ctx: Any) -> Any:
    """Return a copy of a command or group with parameters for the help."""
    shown = copy.copy(command)
    shown.params = [_shown(each, ctx) for each in command.get_params(ctx)]
    shown.add_help_option = False  # it is one of the parameters
    return shown


def _shown(parameter: Any, ctx: Any) -> Any:
    """Return a copy of a parameter for the help."""
    shown = copy.copy(parameter)
    if parameter.param_type_name == "argument":
        shown.display_type_rich = lambda **_: ""  # the name says what it is
        return shown
    if parameter.is_flag:
        shown.metavar = ""
        return shown
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is not None or high is not None:
        shown.min = shown.max = None
        shown.help = f"{parameter.help or ''} {_in_words(low, high)}".strip()
    if parameter.metavar is None and hasattr(parameter, "bare_type"):
        descriptor = parameter.type_descriptor
        if not descriptor.is_choice:
            name = parameter.display_type(ctx).strip("<>").removesuffix(" range")
            shown.metavar = TYPES.get(name)
    return shown


def _in_words(low: Any, high: Any) -> str:
    """Return a range; empty for numbers that are only positive, which goes without saying."""
    if low is None:
        return f"At most {high:g}."
    if high is None:
        return f"At least {low:g}." if low > 1 else ""
    return f"From {low:g} to {high:g}."

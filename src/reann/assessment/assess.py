"""Runs the checks of a case one after the other, and writes the page after each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from reann.assessment import page
from reann.assessment.case import Case
from reann.assessment.catalogue import CHECKS, checks_for, reason
from reann.assessment.outcome import CannotRunError
from reann.assessment.page import About, Entry
from reann.errors import UserError
from reann.terminal import Terminal

STYLES = {"passes": "green", "look at this": "yellow", "fails": "red"}


def assess(
    case: Case,
    about: About,
    folder: Path,
    only: Sequence[str] = (),
    console: Terminal | None = None,
) -> list[Entry]:
    """Run checks, print a line for each, and write `test.html` and `test.json`.

    Both files are complete after each check, so that nothing is lost when the test is stopped.

    Parameters
    ----------
    only
        Names of checks; by default all that apply to the structure.

    Raises
    ------
    UserError
        For unknown checks, and files that cannot be written.
    """
    console = console or Terminal()
    selected = checks_for(case, only)
    entries = [Entry(check) for check in CHECKS if check in selected or not only]
    for entry in entries:
        if entry.check not in selected:
            entry.state, entry.reason = "does not apply", reason(entry.check, case)
    running = [entry for entry in entries if entry.check in selected]
    with _bars(console) as bars:
        for entry in running:
            task = bars.add_task(entry.check.name, total=1.0)
            case.begin(lambda part, task=task: bars.update(task, completed=part))
            begun = time.perf_counter()
            _run(entry, case)
            entry.seconds = time.perf_counter() - begun
            bars.remove_task(task)
            _print_result(entry, console)
            page.write(folder, about, entries)
    return entries


def _bars(console: Terminal) -> Progress:
    columns = (TextColumn("{task.description:14}"), BarColumn(bar_width=30), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _run(entry: Entry, case: Case) -> None:
    try:
        entry.outcome = entry.check.run(case)
    except CannotRunError as error:
        entry.state, entry.reason = "not run", str(error)
    except UserError as error:
        entry.state, entry.reason = "could not run", " ".join(str(error).split())
    except (ArithmeticError, ValueError, RuntimeError) as error:
        entry.state, entry.reason = "could not run", f"{type(error).__name__}: {error}"


def _print_result(entry: Entry, console: Terminal) -> None:
    if entry.outcome is None:
        console.write(f"{entry.check.name:14}{entry.state}: {entry.reason}", style="yellow")
        return
    verdict = entry.outcome.verdict.value
    console.write(f"{entry.check.name:14}{verdict:14}{entry.seconds:.0f} s", style=STYLES[verdict])
    console.print(Padding(Text(entry.outcome.sentence), (0, 0, 0, 14), expand=False))

"""Command for the installation: doctor."""

from __future__ import annotations

import typer
from rich.table import Table

from reann.terminal import Terminal


def doctor() -> None:
    """Check the installation and say how to fix problems.

    It lists versions, engines, GPU, LAMMPS and optional packages. Exit code 1: a required part is
    missing or broken.

    Example: reann doctor
    """
    from reann.doctor import Finding, examine, is_healthy

    def mark(finding: Finding) -> str:
        if finding.is_usable:
            return "ok"
        return "MISSING" if finding.is_required else "–"

    findings = examine()
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(mark(finding), finding.name, finding.value)
        if finding.fix:
            table.add_row("", "", f"→ {finding.fix}")
    terminal = Terminal(markup=False)
    terminal.print(table)
    healthy = is_healthy(findings)
    broken = ", ".join(f.name for f in findings if f.is_required and not f.is_usable)
    terminal.write("All required parts work." if healthy else f"Missing or broken: {broken}.")
    raise typer.Exit(0 if healthy else 1)

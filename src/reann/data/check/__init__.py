"""`reann check`: the doctor of data sets.

The files are streamed once; of each structure a `Record` of a few numbers is kept, and each check
is a function from all records to a `Finding` or nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from reann.config import DataConfig
from reann.data.check.finding import Finding
from reann.data.check.report import as_json, show, write_json
from reann.data.check.survey import FileSummary, Survey, survey
from reann.output_files import check_outputs
from reann.terminal import Terminal

__all__ = ["FileSummary", "Finding", "Survey", "as_json", "check_command", "survey"]


def check_command(
    files: list[str],
    json_path: Path | None = None,
    data: DataConfig | None = None,
    cutoff: float = 5.0,
    strict: bool = False,
    *,
    fit: bool = False,
    inputs: Collection[str] | None = None,
) -> int:
    """Check data files, print what was found and return an exit code for scripts.

    Parameters
    ----------
    files
        Files or globs that ASE can read.
    json_path
        Where to write everything machine-readable.
    data
        Keys and units; without it keys are found and units are eV and Å.
    cutoff
        Å; atoms without a neighbor within it are reported.
    strict
        Whether warnings count as errors.
    fit
        Whether to look for single wrong structures by a quick fit, as `survey`.
    inputs
        As for `survey`.

    Returns
    -------
    int
        0 when there is no error (warnings and notes are allowed), 1 with at least one error, or
        with `strict` at least one warning.

    Raises
    ------
    UserError
        When the JSON file cannot be written, or is one of the files to check. A file that cannot be
        read is a finding.
    """
    check_outputs({"--json": json_path}, files)
    result = survey(files, data, cutoff, fit=fit, inputs=inputs)
    show(result, Terminal())
    if json_path is not None:
        write_json(result, json_path)
    return int(result.worst() == "error" or (strict and result.worst() == "warning"))

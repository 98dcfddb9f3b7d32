"""`reann check`: checks of data sets.

The files are streamed once; a `Record` of a few numbers is kept for each structure. Each check is
a function that takes all records and returns a `Finding` or None.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from reann.config import DataConfig, DispersionConfig
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
    dispersion: DispersionConfig | None = None,
) -> int:
    """Check data files, print the findings and return an exit code.

    Parameters
    ----------
    files
        Files or globs, in any format ASE reads.
    json_path
        File to write the results to, as JSON.
    data
        Keys and units; by default, keys are detected and units are eV and Å.
    cutoff
        Radius in Å; atoms without a neighbor within it are reported.
    strict
        Whether warnings count as errors.
    fit
        Whether to detect single wrong structures by a quick fit, as in `survey`.
    inputs, dispersion
        As in `survey`.

    Returns
    -------
    int
        1 if there is an error or, with `strict`, a warning; else 0.

    Raises
    ------
    UserError
        If the JSON file cannot be written or is one of the checked files. An unreadable data file
        is a finding instead.
    """
    check_outputs({"--json": json_path}, files)
    result = survey(files, data, cutoff, fit=fit, inputs=inputs, dispersion=dispersion)
    show(result, Terminal())
    if json_path is not None:
        write_json(result, json_path)
    return int(result.worst() == "error" or (strict and result.worst() == "warning"))

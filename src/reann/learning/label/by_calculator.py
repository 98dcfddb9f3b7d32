"""Labels by an ASE calculator, computed on the workers."""

from __future__ import annotations

from pathlib import Path

from reann.config.training import seconds
from reann.errors import UserError, counted
from reann.evaluation.progress import progress_bar
from reann.learning.cluster import Task, WorkerLostError, Workers
from reann.learning.folders import Iteration, read_frames
from reann.learning.label.calculation import Method, Outcome, check_method, compute
from reann.learning.label.records import Records
from reann.learning.settings import LabelConfig


def method_of(settings: LabelConfig, folder: Path) -> Method:
    """Return the method; `folder` is added to the search path of modules."""
    calculator = settings.calculator
    assert calculator is not None
    return Method(
        calculator.name,
        calculator.arguments(),
        str(folder),
        seconds(settings.timeout),
        settings.max_force,
    )


def compute_labels(
    iteration: Iteration, settings: LabelConfig, folder: Path, workers: Workers
) -> None:
    """Run the calculations that have no record yet; each record is written when one ends.

    Raises
    ------
    UserError
        If the calculator cannot be created.
    """
    frames, records = read_frames(iteration.chosen), Records(iteration)
    method = method_of(settings, folder)
    missing = records.missing(len(frames))
    _check(method, workers if missing else None, iteration)
    tasks = [
        Task(f"label-{number:04d}", compute, (frames[number], method), settings.retries)
        for number in missing
    ]
    with progress_bar(len(tasks), "labeling") as (bar, shown):
        for index, result in workers.results(tasks):
            records.write(missing[index], _outcome(result, settings.retries))
            bar.advance(shown)
    records.finish(len(frames))


def _check(method: Method, workers: Workers | None, iteration: Iteration) -> None:
    if workers is None:
        return
    task = Task(f"check-{iteration.number}", check_method, (method,))
    for _, result in workers.results([task]):
        if isinstance(result, Exception):
            raise UserError(f"No worker could be used: {result}.", "workers") from result
        if result is not None:
            raise result


def _outcome(result: Outcome | Exception, retries: int) -> Outcome:
    if isinstance(result, Outcome):
        return result
    attempts = f" (after {counted(retries + 1, 'attempt')})"
    if isinstance(result, WorkerLostError):
        return Outcome(None, f"{result}{attempts}")
    return Outcome(None, f"{type(result).__name__}: {result}{attempts}")

"""The loop: explore, choose, label, test, extend, train; it continues from any interruption."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reann.atomic_file import replacing
from reann.config.file import read_settings
from reann.errors import UserError, counted
from reann.learning.assess import assess
from reann.learning.choose import choose
from reann.learning.cluster import Workers
from reann.learning.data import all_labeled, extend, model_of, starts, write_first
from reann.learning.explore.plan import ALL, Beginning, explorations, explore
from reann.learning.explore.uncertainty import UncertaintyLimit
from reann.learning.file import folder_of, load_loop, refuse_changes, save_settings
from reann.learning.final import Final, is_needed, trained_from_scratch
from reann.learning.folders import Iteration, iteration, read_frames, read_json, write_json
from reann.learning.label.by_calculator import compute_labels
from reann.learning.label.by_files import collect_labels
from reann.learning.page import PAGE, write_page
from reann.learning.settings import LoopConfig
from reann.learning.summary import (
    Summary,
    ending,
    is_good,
    spent,
    summary_of,
    with_training,
)
from reann.learning.train import train_on
from reann.model_file import MODEL
from reann.potential import load
from reann.selection.known import Known, known_from
from reann.terminal import print_line
from reann.training.distributed import World
from reann.training.folder import locked, remove_leftovers

SETTINGS = "loop.yaml"
SHOWN = 4
"""Most early ends and failures that are printed; the page has all."""


@dataclass(frozen=True)
class Learned:
    """Result of a loop."""

    folder: Path
    model: Path
    """The final potential."""
    reason: str
    """Why the loop ended."""
    summaries: list[Summary]
    """Summary of each iteration."""


def learn(file: str | Path) -> Learned:
    """Run or continue a loop until its errors are small enough or its budget is spent.

    Raises
    ------
    UserError
        For settings, structures and calculators that cannot be used, and workers that are lost.
    WaitingError
        If outputs of other programs are missing.
    """
    settings, home = load_loop(file), Path(file).absolute().parent
    folder = folder_of(settings)
    with locked(folder, World()):
        _begin(folder, settings)
        with Workers(settings.workers, settings.label.retries, print_line) as workers:
            loop = _Loop(folder, home, settings, workers)
            reason = loop.run()
        return loop.finish(reason)  # the workers have ended


def _begin(folder: Path, settings: LoopConfig) -> None:
    """Record the settings of a loop, or compare them with the recorded ones."""
    recorded = folder / SETTINGS
    remove_leftovers(folder)
    if recorded.exists():
        refuse_changes(settings, recorded)
    elif any(path for path in folder.iterdir() if path.name != ".lock"):
        raise UserError(
            "The folder of the loop contains other files.",
            str(folder),
            "Choose another run.folder.",
        )
    save_settings(settings, recorded)


class _Loop:
    def __init__(self, folder: Path, home: Path, settings: LoopConfig, workers: Workers) -> None:
        self.folder, self.home, self.workers = folder, home, workers
        self.settings = settings
        self.summaries: list[Summary] = []

    def run(self) -> str:
        """Run iterations until the loop ends, and return the reason."""
        number, reason = 0, None
        while reason is None:
            self.summaries.append(self._iteration(number))
            reason = ending(self.summaries, self.settings.stop)
            write_page(self.folder, self.summaries, self.settings, reason)
            number += 1
        print_line(f"\nend       {reason}")
        return reason

    def finish(self, reason: str) -> Learned:
        """Train the final potential and write the results of the loop."""
        final = self._final()
        with replacing(self.folder / MODEL) as temporary:
            shutil.copyfile(self._model() if final is None else final.model, temporary)
        if final is not None:
            write_page(self.folder, self.summaries, self.settings, reason, final)
            _print_final(final)
        print_line(f"labels    {sum(s['labels'] for s in self.summaries)}")
        print_line(f"potential {self.folder / MODEL}")
        print_line(f"report    {self.folder / PAGE}")
        return Learned(self.folder, self.folder / MODEL, reason, self.summaries)

    def _iteration(self, number: int) -> Summary:
        """Run the missing steps of an iteration, and return its summary."""
        now = iteration(self.folder, number)
        settings = self._settings_of(now)
        if now.summary.exists():
            summary = read_json(now.summary)
            if "validation" in summary or is_good(summary, self.settings.stop):
                return summary
        print_line(f"\n--- iteration {number}")
        if number == 0:
            self._step(now.chosen, lambda: write_first(now, settings))
        else:
            self._explore(now, settings)
        print_line(f"label     {counted(len(read_frames(now.chosen)), 'structure')}")
        self._step(now.labels, lambda: self._label(now, settings))
        if number:
            last = self._model()
            self._step(now.errors, lambda: assess(now, load(last), settings.run.engine))
        summary = summary_of(now)
        _print_labels(summary)
        if number and is_good(summary, self.settings.stop):
            write_json(now.summary, summary)
            return summary
        summary = self._train(now, settings, summary)
        write_json(now.summary, summary)
        return summary

    def _explore(self, now: Iteration, settings: LoopConfig) -> None:
        before = iteration(self.folder, now.number - 1)
        model = self._model()
        earlier = [iteration(self.folder, number) for number in range(now.number)]
        labeled, potential = all_labeled(before), load(model)

        @cache
        def known() -> Known:
            return known_from(labeled, potential, settings.run.seed, lambda _: None)

        def run() -> None:
            limit = UncertaintyLimit(potential, labeled, known().ensemble)
            start = Beginning(starts(earlier), model.read_bytes(), limit, self.home)
            explore(now, settings, start, self.workers)

        self._step(now.explored / ALL, run)
        _print_explorations(now)
        most = max(1, self.settings.stop.labels - spent(self.summaries))
        self._step(now.chosen, lambda: choose(now, settings, known(), potential, most))

    def _label(self, now: Iteration, settings: LoopConfig) -> None:
        # Current timeout and retries apply: the user may raise them for an unfinished iteration.
        label = settings.label.model_copy(
            update={n: getattr(self.settings.label, n) for n in ("timeout", "retries")}
        )
        if label.files is not None:
            collect_labels(now, label.model_copy(update={"files": self.settings.label.files}))
        else:
            compute_labels(now, label, self.home, self.workers)

    def _train(self, now: Iteration, settings: LoopConfig, summary: Summary) -> Summary:
        before = iteration(self.folder, now.number - 1) if now.number else None
        warm = before is not None and settings.start_from == "last"
        last = self._model() if warm else None
        if not now.run.exists():  # the data of a started training must not change
            extend(now, before, settings)
        begun = time.perf_counter()
        run = train_on(now, settings, last)
        errors = run.evaluations["valid"].summary()
        return with_training(summary, now, errors, time.perf_counter() - begun)

    def _final(self) -> Final | None:
        """Return the final potential; None if it is the last one."""
        now = iteration(self.folder, len(self.summaries) - 1)
        trained = iteration(self.folder, self._last_trained())
        if not is_needed(now, trained, self.settings):
            return None
        before = iteration(self.folder, now.number - 1) if now.number else None
        return trained_from_scratch(now, before, trained, self.settings)

    def _settings_of(self, now: Iteration) -> LoopConfig:
        """Return the settings recorded at the start of an iteration, else the current ones."""
        if now.settings.exists():
            settings = read_settings(now.settings, LoopConfig)
            return settings.model_copy(update={"run": self.settings.run})
        now.folder.mkdir(parents=True, exist_ok=True)
        save_settings(self.settings, now.settings)
        return self.settings

    def _model(self) -> Path:
        """Return the last potential."""
        return model_of(iteration(self.folder, self._last_trained()))

    def _last_trained(self) -> int:
        """Return the number of the last iteration with a training."""
        return max(s["iteration"] for s in self.summaries if "validation" in s)

    def _step(self, done: Path, act: Callable[[], None]) -> None:
        """Run a step unless the file that marks its end exists."""
        if not done.exists():
            act()


def _print_explorations(now: Iteration) -> None:
    explored = explorations(now)
    early = {name: about for name, about in explored.items() if about["ended"]}
    print_line(
        f"explore   {len(explored) - len(early)} of {len(explored)} explorations reached their end"
    )
    for name, about in list(early.items())[:SHOWN]:
        print_line(f"          {name}: {about['time_ps']:g} ps, {about['ended']}")


def _print_final(final: Final) -> None:
    for name, about in (("last", "last of the loop"), ("final", "from scratch")):
        errors = final.errors[name]
        rmse, mae = errors["forces_rmse_meV_per_A"], errors["forces_mae_meV_per_A"]
        print_line(f"valid     {about}: forces RMSE {rmse:.1f} meV/Å, MAE {mae:.1f} meV/Å")
    if not final.is_better:
        print_line("note      the last potential of the loop has the smaller error and is kept")


def _print_labels(summary: Summary) -> None:
    for number, reason in list(summary["failures"].items())[:SHOWN]:
        print_line(f"failed    calculation {number}: {reason}")
    print_line(f"labeled   {counted(summary['labels'], 'structure')} of {summary['chosen']}")
    for name, errors in summary["errors"].items():
        rmse, p95 = errors["forces_rmse_meV_per_A"], errors["forces_p95_meV_per_A"]
        print_line(
            f"test      {name}: forces RMSE {rmse:.1f} meV/Å, 95th percentile {p95:.1f} meV/Å"
        )

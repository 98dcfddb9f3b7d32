"""The training loop: steps, epochs, validation, checkpoints.

For each batch of an epoch: loss and gradient, summed over parts and processes, optimizer step,
update of the averaged weights. After each epoch: validate the averaged weights, keep the best,
write a row of the log and a checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reann.backends.protocol import Backend, Request
from reann.config import TrainingConfig
from reann.data.loader import Loader
from reann.device import memory_advice
from reann.error_measures import key
from reann.errors import UserError, counted
from reann.evaluation.metrics import Errors, residuals
from reann.graph import Graph
from reann.torch_state import differentiable
from reann.training.distributed import World
from reann.training.journal import Journal, Row
from reann.training.loss import ALL, Counts, Loss
from reann.training.optim import Average, set_rate
from reann.training.schedule import Schedule
from reann.training.signals import Interrupted, StopRequest, stop_requests
from reann.training.stability import HIGH, is_unstable
from reann.training.state import Progress, TrainingState, is_over
from reann.training.validation import (
    Validation,
    counts_as_if_all_had_each,
    misfits_of,
    of_judged_labels,
)

DIVERGED = 25.0
"""A validation loss larger than this many times the best one is a divergence."""
NEGLIGIBLE = 1e-6
"""A smaller loss consists of rounding errors and may grow by any factor."""
MOST_ROLLBACKS = 8
SHORTEST_INTERVAL = 1.0
"""Seconds between checkpoints at the ends of very short epochs."""


@dataclass
class Trainer:
    """A training: its model, data, settings and outputs."""

    config: TrainingConfig
    folder: Path
    seed: int
    checkpoint_seconds: float
    device: torch.device
    backend: Backend
    """Backend that evaluates the model."""
    world: World
    state: TrainingState
    loss: Loss
    train: Loader
    valid: Loader
    counts: dict[str, dict[str, np.ndarray]]
    """Number of finite label values per structure, in the data sets of `train` and `valid`."""
    journal: Journal
    identity: dict[str, Any]
    begin: Callable[[], None]
    """Prepares the weights after the validation of epoch 0."""
    save_best: Callable[[TrainingState], None]
    """Writes the potential with the best weights."""
    after_save: Callable[[], None]
    """Called by the leading process after each checkpoint."""
    new_schedule: bool = False
    """Whether a finished run is extended with a new schedule."""

    def __post_init__(self) -> None:
        self.stop = StopRequest()
        self.schedule = Schedule(self.config, self.state, len(self.train))
        self.compiled = self.backend.compile(self.state.model)

    def run(self) -> None:
        """Train until the last epoch, an early stop, or an interruption."""
        self.saved = time.monotonic()
        self.started = self.saved - self.state.progress.seconds
        self.saved_best = self.state.progress.best_epoch
        self.journal.epochs = self.config.epochs
        self.journal.open(self.state.progress.epoch)
        try:
            with stop_requests() as self.stop:
                if self.new_schedule:
                    self._begin_schedule()
                progress, config = self.state.progress, self.config
                self.state.average.decay = Average.decay_for(config.ema, self.schedule.steps)
                if progress.epoch < 0:
                    self._finish_epoch(Errors())
                if (progress.epoch, progress.step) == (0, 0):
                    self.begin()
                self.schedule.begin_steps()
                while not is_over(config, progress):
                    self._train_epoch()
                if self.world.any(self.stop.requested):  # while the last epoch was validated
                    raise Interrupted
        finally:
            self.journal.close()

    def _begin_schedule(self) -> None:
        """Start from the best weights; their loss is recomputed, as its terms may have changed."""
        self.state.begin_schedule()
        validation = self.validate()
        self.state.progress.best_loss = validation.loss_of_most
        self.state.progress.lowest_loss = validation.loss
        self._save(Errors())

    # --- an epoch -----------------------------------------------------------------------------

    def _train_epoch(self) -> None:
        progress, epoch = self.state.progress, self.state.progress.epoch + 1
        errors = Errors.from_table(np.array(progress.errors))
        batches = self.train.batches(self.seed, epoch)[progress.step :]
        self.state.model.train()
        for batch, graphs in self.train.graphs(batches):
            self.step(batch, graphs, errors)
            progress.step += 1
            self.schedule.steps_done += 1
            self.journal.remaining = self.schedule.remaining
            self.journal.tick(epoch, progress.step, len(self.train))
            stop = self.world.any(self.stop.requested)
            if stop or self._checkpoint_is_due(self.checkpoint_seconds):
                self._save(errors)
            if stop:
                # The launcher stops all processes as soon as one of them has ended.
                self.world.wait()
                raise Interrupted
        self._finish_epoch(errors)

    def step(self, batch: np.ndarray, graphs: list[Graph], errors: Errors) -> None:
        """Take one step of the optimizer and add the errors before it."""
        state = self.state
        position = self.schedule.position
        counts = {name: float(n[batch].sum()) for name, n in self.counts["train"].items()}
        counts[ALL] = float(len(batch))
        names = self.loss.labels_used(counts)
        if not names:  # no labels
            return
        set_rate(state.optimizer, self.config, self.schedule.factor)
        state.optimizer.zero_grad(set_to_none=True)
        request = Request.of([*names, *self.loss.beside_labels], create_graph=True)
        self.compiled.update(state.model)
        for graph in graphs:
            with self._memory_advice(graph), differentiable():
                here = graph.to(self.device)
                predicted = self.compiled.evaluate(here, request)
                loss = self.loss(predicted, here, counts, self.loss.emphasis(position))
                loss.backward()
                errors.add(residuals(predicted, here))
        self.world.add_gradients(state.average.live)
        limit = self.config.clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(state.average.live, limit)
        if not math.isfinite(norm):
            self._roll_back("the gradient is not finite")
            return
        state.optimizer.step()
        state.average.update()

    def _finish_epoch(self, errors: Errors) -> None:
        """Validate, update the best weights, write the log and save."""
        state, progress = self.state, self.state.progress
        rate = self.config.rate * self.schedule.factor
        validation = self.validate()
        valid_loss, whole_loss = validation.loss_of_most, validation.loss
        errors = Errors.from_table(self.world.add(errors.table()))
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.errors = Errors().table().tolist()
        progress.seconds = time.monotonic() - self.started
        judged = self.loss.labels_used(self._totals("valid"))
        valid_columns = _rmse("valid", validation.errors, judged)
        better = valid_loss < progress.best_loss
        if better:
            progress.best_loss, progress.best_epoch = valid_loss, progress.epoch
            progress.best_errors = {
                name.removeprefix("valid_"): error for name, error in valid_columns.items()
            }
            state.keep_best()
        progress.lowest_loss = min(progress.lowest_loss, whole_loss)
        row: Row = {"epoch": float(progress.epoch), "learning_rate": rate}
        row |= _rmse("train", errors, self.loss.labels_used(self._totals("train")))
        row |= valid_columns | {
            "valid_loss": valid_loss,
            "best": float(better),
            "seconds": progress.seconds,
        }
        self.journal.remaining = self.schedule.remaining
        self.journal.add(row)
        if not whole_loss <= DIVERGED * max(progress.lowest_loss, NEGLIGIBLE):  # nor is NaN
            self._roll_back(f"the validation loss is {whole_loss:.3g}")
        elif is_unstable(progress, whole_loss, len(self.train)):
            self._calm()
        self.schedule.follow_plateau(valid_loss)
        due = self._checkpoint_is_due(min(SHORTEST_INTERVAL, self.checkpoint_seconds))
        # Not before the first steps: a run must not overwrite another before it has trained.
        if (due and progress.epoch > 0) or progress.epoch == 1 or is_over(self.config, progress):
            self._save(Errors())

    @torch.no_grad()
    def validate(self) -> Validation:
        """Return the losses of the validation structures with the final energy weight."""
        model, counts = self.state.model, self._totals("valid")
        model.eval()
        errors, losses = Errors(), np.zeros((2, len(self.valid.subset.dataset)))
        names, chosen = self.loss.labels_used(counts), self.valid.subset.indices
        request = Request.of([*names, *self.loss.beside_labels])
        emphasis = self.loss.emphasis(1.0)
        of_structures = {name: n[chosen] for name, n in self.counts["valid"].items()}
        both = counts, counts_as_if_all_had_each(counts, of_structures)
        with self.state.average.in_place():
            self.compiled.update(model)
            for batch, graphs in self.valid.graphs(self.valid.in_order()):
                for part, graph in zip(self.valid.parts(batch), graphs, strict=True):
                    with self._memory_advice(graph), differentiable():
                        here = graph.to(self.device)
                        predicted = self.compiled.evaluate(here, request)
                        for row, each in zip(losses, both, strict=True):
                            of_part = self.loss.of_structures(predicted, here, each, emphasis)
                            row[part] = of_part.numpy(force=True)
                        errors.add(residuals(predicted, here))
        losses, sums = self.world.add(losses)[:, chosen]
        factors = {name: self.loss.factor(name, emphasis) for name in names}
        misfits = misfits_of(sums, factors, of_structures)
        return Validation(losses, misfits, Errors.from_table(self.world.add(errors.table())))

    def _roll_back(self, why: str) -> None:
        progress: Progress = self.state.progress
        if progress.best_epoch < 0 or progress.rollbacks >= MOST_ROLLBACKS:
            raise UserError(
                f"The training diverges: {why} after {counted(progress.rollbacks, 'rollback')}.",
                f"{self.folder}, epoch {progress.epoch + 1}",
                "Reduce training.learning_rate, or search for wrong labels with `reann check`.",
            )
        self.state.roll_back()
        text = f"rolled back to epoch {progress.best_epoch} with half the learning rate: {why}"
        self.journal.write(text)

    def _calm(self) -> None:
        high, best = counted(self.state.progress.high, "epoch"), self.state.progress.best_epoch
        self.state.calm()
        self.journal.write(
            f"note      the validation loss was more than {HIGH:g} times its best value for {high}:"
            f" back to the weights of epoch {best} with half the learning rate"
        )

    # --- saving -------------------------------------------------------------------------------

    def _save(self, errors: Errors) -> None:
        """Save the best model, then the checkpoint that refers to it."""
        progress = self.state.progress
        progress.errors = self.world.add(errors.table()).tolist()
        if self.world.leads:
            progress.seconds = time.monotonic() - self.started
            if self.saved_best != progress.best_epoch:
                self.save_best(self.state)
            self.state.save(self.folder, self.identity)
            self.after_save()
        self.saved_best = progress.best_epoch
        self.saved = time.monotonic()

    def _memory_advice(self, graph: Graph) -> AbstractContextManager[None]:
        max_edges = max(graph.n_edges // 4, 1000)
        advice = f"Set training.max_edges={max_edges}, which does not change the result."
        return memory_advice(graph.n_atoms, graph.n_edges, advice)

    def _checkpoint_is_due(self, interval: float) -> bool:
        """Return the decision of the leading process in all processes."""
        return self.world.any(self.world.leads and time.monotonic() - self.saved >= interval)

    def _totals(self, part: str) -> Counts:
        loader = self.train if part == "train" else self.valid
        chosen = loader.subset.indices
        counts = {name: float(n[chosen].sum()) for name, n in self.counts[part].items()}
        counts[ALL] = float(len(chosen))
        return counts if part == "train" else of_judged_labels(counts, self._totals("train"))


def _rmse(part: str, errors: Errors, names: list[str]) -> Row:
    """Return a column for each label; NaN before the first step."""
    summary = errors.summary()
    columns = [key(name, "rmse") for name in names]
    return {f"{part}_{column}": summary.get(column, math.nan) for column in columns}

"""At which steps a run writes a structure or a row."""

from __future__ import annotations

from dataclasses import dataclass

from reann.simulate.md_result import N_ROWS


@dataclass(frozen=True)
class Schedule:
    """The steps of a run.

    Attributes
    ----------
    first
        Step at which an earlier run ended, which this one continues.
    n_steps
        Steps after it.
    interval
        Steps between the structures of the trajectory.
    """

    first: int
    n_steps: int
    interval: int

    @property
    def last(self) -> int:
        """The last step."""
        return self.first + self.n_steps

    def has_frame(self, step: int) -> bool:
        """Whether the trajectory has the structure of a step."""
        # The first structure of a continued run is already in the trajectory.
        return step % self.interval == 0 and (step > self.first or self.first == 0)

    def has_row(self, step: int) -> bool:
        """Whether the table has a row of a step."""
        row_every = max(1, self.n_steps // N_ROWS)
        return (step - self.first) % row_every == 0 or step == self.last

    def has_output(self, step: int) -> bool:
        """Whether anything is written at a step."""
        return self.has_frame(step) or self.has_row(step)

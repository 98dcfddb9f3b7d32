"""Steps at which a run writes a structure or a row."""

from __future__ import annotations

from dataclasses import dataclass

from reann.simulate.md_result import N_ROWS


@dataclass(frozen=True)
class Schedule:
    """The steps of a run.

    Attributes
    ----------
    first
        Last step of an earlier run that is continued.
    n_steps
        Number of steps after it.
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
        """Return whether the table has a row for a step."""
        row_every = max(1, self.n_steps // N_ROWS)
        return (step - self.first) % row_every == 0 or step == self.last

    def has_output(self, step: int) -> bool:
        """Return whether a step has output."""
        return self.has_frame(step) or self.has_row(step)

"""`Run`: what a training leaves, with its errors and learning curves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reann.display import Displayed, Summary
from reann.error_measures import sentence
from reann.evaluation.comparison import Evaluation
from reann.potential import Ensemble, Potential
from reann.quantities import label_names
from reann.report.figure import Figure, figure_of
from reann.report.plots import learning_curve
from reann.table import Table
from reann.training.folder import LOG, MEMBER, REPORT
from reann.training.journal import Row, read_log


@dataclass(frozen=True, repr=False)
class Run(Displayed):
    """A finished run."""

    folder: Path
    potential: Potential | Ensemble
    evaluations: dict[str, Evaluation]
    """Evaluations of the validation and test sets; only in the leading process."""

    @property
    def history(self) -> list[Row]:
        """The rows of `log.csv`, one per epoch; those of the first member of an ensemble."""
        members = sorted(self.folder.glob(f"{MEMBER}*/{LOG}"))
        return read_log(members[0] if members else self.folder / LOG)

    def table(self) -> Table:
        """Return RMSE and MAE of each label in the validation and test sets."""
        tables = {name: evaluation.table() for name, evaluation in self.evaluations.items()}
        names = next((table.names for table in tables.values()), ())
        rows = [(name, *row) for name, table in tables.items() for row in table.rows]
        return Table(("set", *names), rows)

    def plot(self) -> Figure:
        """Return the errors of each label over the epochs."""
        history, errors = self.history, self.potential.metadata.get("errors", {})
        curves = [
            learning_curve(name, history, errors.get("baseline", {})) for name in label_names()
        ]
        return figure_of("Learning curves", curves)

    def _summary(self) -> Summary:
        model = self.potential._summary()  # noqa: SLF001 - of the same kind
        rows = [("potential", model.title.removeprefix("Potential of "))]
        rows += [row for row in model.rows if row[0] not in ("errors", "predicts")]
        rows += [
            (name, f"{text} (RMSE)")
            for name, evaluation in self.evaluations.items()
            if (text := sentence(evaluation.summary()))
        ]
        if (self.folder / REPORT).exists():
            rows.append(("report", str(self.folder / REPORT)))
        return Summary(f"Run {self.folder}", rows)

"""`loop.html`: report of the whole loop."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from reann.atomic_file import write_text
from reann.errors import counted
from reann.evaluation.tables import number
from reann.learning.final import Final
from reann.learning.settings import LoopConfig
from reann.learning.summary import Summary, failed_explorations
from reann.report.svg import Axes
from reann.report.template import rendered

PAGE = "loop.html"
CURVES = {
    "forces_rmse_meV_per_A": ("RMSE of the forces", "meV/Å"),
    "forces_p95_meV_per_A": ("95th percentile of force errors", "meV/Å"),
    "energy_rmse_meV_per_atom": ("RMSE of the energy", "meV/atom"),
}
POTENTIAL_COLUMNS = {
    "forces_rmse_meV_per_A": ("forces", "RMSE, meV/Å"),
    "forces_mae_meV_per_A": ("forces", "MAE, meV/Å"),
    "forces_p95_meV_per_A": ("forces", "95 %, meV/Å"),
    "energy_rmse_meV_per_atom": ("energy", "RMSE, meV/atom"),
    "energy_mae_meV_per_atom": ("energy", "MAE, meV/atom"),
}
COLUMNS = (
    ("", ""),
    ("new labels", ""),
    ("failed", ""),
    ("early ends", "explorations"),
    ("at random", "RMSE, meV/Å"),
    ("at random", "95 %, meV/Å"),
    ("selected", "RMSE, meV/Å"),
    ("train / valid", "structures"),
    ("validation", "RMSE, meV/Å"),
    ("labels / training", "s"),
)


def write_page(
    folder: Path,
    summaries: Sequence[Summary],
    settings: LoopConfig,
    reason: str | None,
    final: Final | None = None,
) -> None:
    """Write the page; `reason` is why the loop has ended, None if it continues."""
    tested = [summary for summary in summaries if summary["errors"]]
    labels = list(accumulate(summary["labels"] for summary in summaries))
    # A potential is tested in the iteration after the labels that it was trained on.
    before = {summaries[i]["iteration"]: labels[i - 1] for i in range(1, len(summaries))}
    page = rendered(
        (resources.files("reann.learning") / "page.html").read_text(encoding="utf-8"),
        name=folder.name,
        facts=_facts(settings, summaries),
        verdict=f"The loop has ended: {reason}." if reason else "The loop continues.",
        cards=_cards(summaries, tested),
        curves=[_curve(name, tested, before, settings) for name in CURVES] if tested else [],
        bound=settings.stop.force_error,
        about_errors="Errors of each potential on structures that it explored, measured before"
        " it is trained on them.",
        about_rows="Force errors on random and selected structures are those of the previous"
        " potential; validation errors are those of the potential trained in this iteration. The"
        " number of an iteration links to the report of its training.",
        potentials=_potentials(final) if final else None,
        columns=COLUMNS,
        rows=[_row(summary) for summary in summaries],
        lists={"Explorations that ended early": _early(summaries), "Failures": _failed(summaries)},
        settings=yaml.safe_dump(
            settings.model_dump(mode="json", exclude_unset=True),
            sort_keys=False,
            allow_unicode=True,
        ),
    )
    write_text(folder / PAGE, page)


def _facts(settings: LoopConfig, summaries: Sequence[Summary]) -> str:
    calculator = settings.label.calculator
    method = "labels from files"
    if calculator is not None:
        values = (str(value) for value in calculator.arguments().values())
        method = f"labels by {' '.join([calculator.name, *values])}"
    iterations = counted(summaries[-1]["iteration"], "iteration") + " after the first training"
    return f"{method} · preset {settings.model.preset} · {iterations}"


def _cards(summaries: Sequence[Summary], tested: Sequence[Summary]) -> list[dict[str, Any]]:
    labels = sum(summary["labels"] for summary in summaries)
    failed = sum(len(summary["failures"]) for summary in summaries)
    cards = []
    if tested and "random" in tested[-1]["errors"]:
        errors = tested[-1]["errors"]["random"]
        cards.append(
            {
                "name": "RMSE of forces on random structures of the last exploration",
                "value": number(errors["forces_rmse_meV_per_A"]),
                "unit": "meV/Å",
                "more": f"95th percentile {number(errors['forces_p95_meV_per_A'])}",
            }
        )
    if tested:
        explored, early = tested[-1]["explorations"], failed_explorations(tested[-1])
        times = sum(about["time_ps"] for about in explored.values())
        cards.append(
            {
                "name": "Explorations of the last iteration that were completed",
                "value": f"{len(explored) - len(early)} of {len(explored)}",
                "unit": "",
                "more": f"{times:.3g} ps together",
            }
        )
    seconds = sum(summary["label_seconds"] for summary in summaries)
    cards.append(
        {
            "name": "Labels",
            "value": labels,
            "unit": "",
            "more": f"{failed} failed · {_time(seconds)} of computing",
        }
    )
    training = sum(summary.get("train_seconds", 0.0) for summary in summaries)
    count = sum("train_seconds" in summary for summary in summaries)
    trained = {"name": "Training", "value": _time(training), "unit": ""}
    return [*cards, {**trained, "more": counted(count, "potential")}]


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _curve(
    name: str, tested: Sequence[Summary], before: dict[int, int], settings: LoopConfig
) -> str:
    title, unit = CURVES[name]
    x = np.array([before[summary["iteration"]] for summary in tested], dtype=float)
    parts = {"selected": "train", "random": "valid"}
    values = {
        part: [summary["errors"].get(part, {}).get(name, np.nan) for summary in tested]
        for part in parts
    }
    bound = settings.stop.force_error if name == "forces_rmse_meV_per_A" else None
    all_values = np.array([*values["random"], *values["selected"], 1e3 * (bound or np.nan)])
    all_values = all_values[np.isfinite(all_values) & (all_values > 0)]
    if not len(all_values):
        return ""
    shown = ", ".join(number(value) for value in values["random"])
    axes = Axes(
        x=(float(min(x)) * 0.95, float(max(x)) * 1.05),
        y=(float(all_values.min()) / 1.3, float(all_values.max()) * 1.3),
        ylog=True,
        xwhole=True,
        xlabel="labels in the training",
        ylabel=f"{title}, {unit}",
        title=title,
        description=f"{title} in {unit} over labels, on structures drawn at random: {shown}.",
    )
    if bound:
        axes.line(axes.x, [1e3 * bound, 1e3 * bound], "baseline")
    for part, style in parts.items():
        axes.line(x, values[part], style)
        for at, value in zip(x, values[part], strict=True):
            if np.isfinite(value):
                tooltip = f"{part}: {number(value)} {unit} after {counted(int(at), 'label')}"
                axes.circle(
                    float(axes.px(at)), float(axes.py(value)), 3.0, f"{style} alone", tooltip
                )
    return axes.render()


def _row(summary: Summary) -> list[str]:
    errors, explored = summary["errors"], summary["explorations"]
    drawn, selected = errors.get("random", {}), errors.get("selected", {})
    early = f"{len(failed_explorations(summary))} of {len(explored)}" if explored else ""
    sizes = f"{summary['train']} / {summary['valid']}" if "train" in summary else ""
    return [
        str(summary["iteration"]),
        str(summary["labels"]),
        str(len(summary["failures"])),
        early,
        _cell(drawn.get("forces_rmse_meV_per_A")),
        _cell(drawn.get("forces_p95_meV_per_A")),
        _cell(selected.get("forces_rmse_meV_per_A")),
        sizes,
        _cell(summary.get("validation", {}).get("forces_rmse_meV_per_A")),
        f"{summary['label_seconds']:.0f} / {summary.get('train_seconds', 0.0):.0f}",
    ]


def _cell(value: float | None) -> str:
    return "" if value is None else number(value)


def _potentials(final: Final) -> dict[str, Any]:
    """Return the table of the final and the last potential."""
    errors = final.errors
    kept = "trained from scratch" if final.is_better else "last of the loop"
    return {
        "about": f"Errors on the {errors['final']['structures']} validation structures, which also"
        f" chose the epoch of both. model.reann is the potential with the smaller RMSE of the"
        f" forces: {kept}.",
        "columns": [("", ""), *POTENTIAL_COLUMNS.values()],
        "rows": [
            (
                about,
                f"{place}/report.html",
                [number(errors[name][key]) for key in POTENTIAL_COLUMNS],
            )
            for name, about, place in (
                ("last", "last of the loop", f"{final.last.parent.parent.name}/run"),
                ("final", "trained from scratch", f"{final.iteration.folder.name}/final"),
            )
        ],
    }


def _early(summaries: Sequence[Summary]) -> list[tuple[str, str]]:
    return [
        (
            f"iteration {summary['iteration']}, {name}",
            f"after {summary['explorations'][name]['time_ps']:g} ps: {reason}",
        )
        for summary in summaries
        for name, reason in failed_explorations(summary).items()
    ]


def _failed(summaries: Sequence[Summary]) -> list[tuple[str, str]]:
    return [
        (f"iteration {summary['iteration']}, calculation {name}", reason)
        for summary in summaries
        for name, reason in summary["failures"].items()
    ]

"""`report.html`: a self-contained page per run.

Nothing is loaded from elsewhere, which the content security policy of the page enforces. The
template is `page.html`; this module computes its values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ase
import numpy as np
import yaml
from ase import units
from ase.data import chemical_symbols

from reann import atomic_file, strict_json
from reann.calibration import Calibration
from reann.config import Config
from reann.config.presets import describe_preset
from reann.error_measures import key, percentage, unit_of
from reann.errors import counted
from reann.evaluation.comparison import Evaluation, Outlier
from reann.evaluation.quality import quality_of
from reann.evaluation.tables import columns, number
from reann.quantities import label_names, named
from reann.report import plots
from reann.report.scene import scene
from reann.report.template import rendered, resource
from reann.report.uncertainty import section_of
from reann.verdicts import Verdict

PARTS = {"test": "Test", "valid": "Validation", "train": "Training"}
N_WORST = 6
GPA = 1e-3 / units.GPa
"""GPa per meV/Å³."""
AtomsOf = Callable[[str, int], ase.Atoms]
Values = dict[str, Any]
"""Values of the template by name."""


def write_report(
    path: Path,
    *,
    config: Config,
    history: Sequence[Mapping[str, Any]],
    evaluations: Mapping[str, Evaluation],
    baseline: Mapping[str, float],
    provenance: Mapping[str, str],
    atoms_of: AtomsOf,
    warnings: Sequence[str] = (),
    uncertainty: tuple[Calibration, Evaluation] | None = None,
) -> None:
    """Write the page of a run.

    Parameters
    ----------
    history
        Rows of `log.csv`: `epoch`, and errors such as `valid_forces_rmse_meV_per_A`.
    evaluations
        Evaluations of `test`, `valid` or both; the first in this order is shown in detail.
    baseline
        Validation errors without a network, with keys as in `Evaluation.summary`.
    provenance
        Information needed to reproduce the run, in the order shown.
    atoms_of
        Returns a structure of a part by its index in the evaluation.
    warnings
        Warnings shown at the top.
    uncertainty
        A calibration, and predictions of the validation set with its standard deviations.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    parts = [name for name in PARTS if name in evaluations]
    first = parts[0] if parts else None
    curves = [plots.learning_curve(name, history, baseline) for name in label_names() if history]
    page = rendered(
        resource("page.html"),
        name=config.run.folder.name if config.run.folder else "REANN run",
        facts=_facts(config, evaluations),
        warnings=warnings,
        verdict=_verdict(evaluations[first], history) if first else None,
        cards=_cards(first, evaluations[first], baseline) if first else [],
        curves=[curve for curve in curves if curve],
        parts=[_part(part, evaluations[part]) for part in parts],
        worst=_worst(first, evaluations[first], atoms_of) if first else None,
        uncertainty=uncertainty and section_of(*uncertainty),
        settings=yaml.safe_dump(
            config.model_dump(mode="json"), sort_keys=False, allow_unicode=True
        ),
        provenance=provenance,
        viewer=resource("viewer.js"),
    )
    atomic_file.write_text(Path(path), page)


def _verdict(evaluation: Evaluation, history: Sequence[Mapping[str, Any]]) -> Values | None:
    """Return whether the errors are small, in words, or nothing without labels."""
    quality = quality_of(evaluation, train_error(history))
    if not quality.sentences:
        return None
    style = {Verdict.passes: "passes", Verdict.look: "look", Verdict.fails: "fails"}
    return {
        "word": quality.verdict.value,
        "style": style[quality.verdict],
        "sentences": quality.sentences,
        "criterion": quality.criterion,
    }


def train_error(history: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the training RMSE of the forces, meV/Å, in the epoch of which the weights are kept."""
    names = ["valid_loss", f"train_{key('forces', 'rmse')}"]
    rows = np.array([[row.get(name, np.nan) for name in names] for row in history], dtype=float)
    known = rows[np.isfinite(rows).all(1)] if len(rows) else rows
    return float(known[known[:, 0].argmin(), 1]) if len(known) else None


def _facts(config: Config, evaluations: Mapping[str, Evaluation]) -> str:
    model = config.model
    numbers = [evaluation.numbers for evaluation in evaluations.values()]
    symbols = [chemical_symbols[z] for z in np.unique(np.concatenate(numbers))] if numbers else []
    facts = [
        "-".join(symbols),
        f"cutoff {model.cutoff:g} Å",
        f"l up to {model.l_max}",
        counted(model.n_recursions, "recursion"),
        f"preset {describe_preset(model)}",
    ]
    return " · ".join(fact for fact in facts if fact)


def _cards(part: str, evaluation: Evaluation, baseline: Mapping[str, float]) -> list[Values]:
    """Return cards with the errors and the size of a part of the data."""
    summary, where = evaluation.summary(), f"the {PARTS[part].lower()} set"
    cards = []
    for name in plots.labels_of(evaluation):
        more = f"MAE {number(summary[key(name, 'mae')])}"
        if key(name, "rrmse") in summary:
            more += f" · {number(summary[key(name, 'rrmse')])} % of the standard deviation"
        if name == "stress":
            more += f" · RMSE {number(summary[key(name, 'rmse')] * GPA)} GPa"
        if key(name, "rmse") in baseline:
            on = "" if part == "valid" else ", validation set:"
            more += f" · without a network{on} {number(baseline[key(name, 'rmse')])}"
        cards.append(
            {
                "name": f"{name.capitalize()}, RMSE of {where}",
                "value": number(summary[key(name, "rmse")]),
                "unit": named(name).error_unit.shown,
                "more": more,
            }
        )
    atoms = int(evaluation.n_atoms.sum())
    outside = ""
    if evaluation.extrapolating is not None and atoms:
        fraction = 100 * evaluation.extrapolating.mean()
        outside = f"{percentage(fraction)} % outside the range of the training set"
    size: Values = {
        "name": f"Structures in {where}",
        "value": evaluation.n_structures,
        "unit": f"with {counted(atoms, 'atom')}",
        "more": outside,
    }
    return [*cards, size]


def _part(part: str, evaluation: Evaluation) -> Values:
    """Return figures and errors of a part of the data."""
    names = plots.labels_of(evaluation)
    about = "" if names else "There are no reference labels."
    if "energy" in names:
        about = "Energies are shown per atom, minus least-squares atomic energies."
    return {
        "title": "Test: unseen structures" if part == "test" and names else PARTS[part],
        "about": about,
        "figures": [(plots.parity(evaluation, x), plots.histogram(evaluation, x)) for x in names],
        "table": _table(evaluation) if names else None,
    }


def _table(evaluation: Evaluation) -> Values:
    """Return one table with the total errors, per element and per group."""
    everything: dict[str, Any] = {**evaluation.summary(), "n_atoms": int(evaluation.n_atoms.sum())}
    blocks: dict[str, Mapping[str, Mapping[str, Any]]] = {"": {"all": everything}}
    # A block with a single row would repeat the first.
    blocks |= {"element": rows} if len(rows := evaluation.by_element()) > 1 else {}
    blocks |= {"group": rows} if len(rows := evaluation.by_group()) > 1 else {}
    errors = columns({"all": everything})

    def cells(row: Mapping[str, Any]) -> list[str]:
        counts = [str(int(row[n])) if n in row else "" for n in ("n_structures", "n_atoms")]
        return counts + [number(row[key(*c)]) if key(*c) in row else "" for c in errors]

    return {
        "columns": [(x, measure.upper(), unit_of(x, measure).shown) for x, measure in errors],
        "blocks": {
            kind: {label: cells(row) for label, row in rows.items()}
            for kind, rows in blocks.items()
        },
    }


def _worst(part: str, evaluation: Evaluation, atoms_of: AtomsOf) -> Values | None:
    structures = [
        _structure(evaluation, outlier, atoms_of(part, outlier.index))
        for outlier in evaluation.worst(N_WORST)
    ]
    about = (
        f"Structures of the {PARTS[part].lower()} set with the largest error of a force. Drag to "
        "rotate, double-click to reset; or use the arrow keys, + and -. Ctrl and the mouse wheel "
        "zoom in on the circled atom. Wide arrows are reference forces, narrow ones predictions."
    )
    has_reference = bool(evaluation.reference)
    values = {"about": about, "structures": structures, "has_reference": has_reference}
    return values if structures else None


def _structure(evaluation: Evaluation, outlier: Outlier, atoms: ase.Atoms) -> Values:
    facts = []
    if outlier.atom is not None:
        symbol = chemical_symbols[atoms.numbers[outlier.atom]]
        facts.append(
            f"error of the force on {symbol} {outlier.atom} (circled) "
            f"{number(outlier.atom_error)} meV/Å"
        )
        facts.append(f"RMSE of the forces {number(outlier.forces)} meV/Å")
    if np.isfinite(outlier.energy):
        size = number(abs(outlier.energy))
        facts.append(f"energy too {'high' if outlier.energy > 0 else 'low'} by {size} meV/atom")
    data = strict_json.dumps(scene(evaluation, outlier, atoms), separators=(",", ":"))
    return {
        "formula": atoms.get_chemical_formula(),
        "title": f"{outlier.origin}, {outlier.group}" if outlier.group else outlier.origin,
        "facts": "; ".join(facts),
        "scene": data.replace("<", "\\u003c"),  # `<` would end the script early
    }

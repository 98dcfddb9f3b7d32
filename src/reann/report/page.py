"""`report.html`: one self-contained page per run, to be opened anywhere and mailed.

Nothing is loaded from elsewhere, and the page's own policy forbids it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import ase
import numpy as np
import yaml
from ase.data import chemical_symbols

from reann import checkpoint, strict_json
from reann.config import Config
from reann.config.presets import describe_preset
from reann.errors import counted
from reann.evaluation import Evaluation, Outlier
from reann.report import plots
from reann.report.scene import scene
from reann.report.tables import READABLE, columns, key, number
from reann.terminal import printable

PARTS = {"test": "Test", "valid": "Validation", "train": "Training"}
N_WORST = 6
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
AtomsOf = Callable[[str, int], ase.Atoms]


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
) -> None:
    """Write the page of a run.

    Parameters
    ----------
    history
        Rows of `log.csv`: `epoch`, and such as `valid_forces_rmse_meV_per_A`.
    evaluations
        Of `test`, `valid` or both; the first of this order is shown in detail.
    baseline
        Errors of the validation set without a network, keys as in `Evaluation.summary`.
    provenance
        What a reader needs to judge and repeat the run, in the order to show.
    atoms_of
        Returns a structure of a part by its position in the evaluation.
    warnings
        What a reader must know before the numbers.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    parts = [name for name in PARTS if name in evaluations]
    name = config.run.folder.name if config.run.folder else "REANN run"
    sections = [_header(name, config, evaluations)]
    sections += [f'<p role="alert"><strong>{escape(warning)}</strong></p>' for warning in warnings]
    sections.append(_numbers(parts, evaluations, baseline))
    sections.append(_learning_curves(history, baseline))
    sections += [_part(part, evaluations[part]) for part in parts]
    if parts:
        sections.append(_worst(parts[0], evaluations[parts[0]], atoms_of))
    sections += [_settings(config), _provenance(provenance)]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)} · reann report</title>"
        f"<style>{_resource('style.css')}</style></head>"
        f"<body><main>{''.join(sections)}</main><script>{_resource('viewer.js')}</script>"
        "</body></html>\n"
    )
    checkpoint.write_text(Path(path), printable(page))


def _resource(name: str) -> str:
    return (resources.files("reann.report") / name).read_text(encoding="utf-8")


def _header(name: str, config: Config, evaluations: Mapping[str, Evaluation]) -> str:
    model = config.model
    numbers = [evaluation.numbers for evaluation in evaluations.values()]
    symbols = [chemical_symbols[z] for z in np.unique(np.concatenate(numbers))] if numbers else []
    facts = [
        "-".join(symbols),
        f"cutoff {model.cutoff:g} Å",
        f"l up to {model.l_max}",
        f"{model.n_recursions} recursion{'s' * (model.n_recursions != 1)}",
        f"preset {describe_preset(model)}",
    ]
    shown = " · ".join(fact for fact in facts if fact)
    return f"<header><h1>{escape(name)}</h1><p>REANN potential · {escape(shown)}</p></header>"


def _numbers(
    parts: Sequence[str], evaluations: Mapping[str, Evaluation], baseline: Mapping[str, float]
) -> str:
    if not parts:
        return ""
    part, evaluation = parts[0], evaluations[parts[0]]
    summary = evaluation.summary()
    cards = []
    for name in plots.labels_of(evaluation):
        rmse, mae = summary[key(name, "rmse")], summary[key(name, "mae")]
        more = f"MAE {number(mae)}"
        if key(name, "rmse") in baseline:
            on = "" if part == "valid" else ", validation set:"
            more += f" · without a network{on} {number(baseline[key(name, 'rmse')])}"
        cards.append(
            f'<div class="card"><div class="name">{name.capitalize()}, RMSE of the '
            f'{PARTS[part].lower()} set</div><div class="value">{number(rmse)} '
            f'<small>{READABLE[name]}</small></div><div class="more">{more}</div></div>'
        )
    atoms = int(evaluation.n_atoms.sum())
    outside = ""
    if evaluation.extrapolating is not None and atoms:
        outside = f"{100 * evaluation.extrapolating.mean():.2g} % outside the range of the training"
    cards.append(
        f'<div class="card"><div class="name">Structures in the {PARTS[part].lower()} set</div>'
        f'<div class="value">{evaluation.n_structures} <small>with '
        f"{counted(atoms, 'atom')}</small></div>"
        f'<div class="more">{outside}</div></div>'
    )
    return f'<div class="numbers">{"".join(cards)}</div>'


def _learning_curves(history: Sequence[Mapping[str, Any]], baseline: Mapping[str, float]) -> str:
    if not history:
        return ""
    curves = [plots.learning_curve(name, history, baseline) for name in READABLE]
    figures = "".join(f"<figure>{curve}</figure>" for curve in curves if curve)
    if not figures:
        return ""
    legend = _legend({"train": "training", "valid": "validation", "baseline": "without a network"})
    return _section("Learning curves", "", f'{legend}<div class="grid-of">{figures}</div>')


def _part(part: str, evaluation: Evaluation) -> str:
    names = plots.labels_of(evaluation)
    if not names:
        return _section(PARTS[part], "There are no reference labels.", "")
    figures = "".join(
        f'<div class="grid-of"><figure>{plots.parity(evaluation, name)}</figure>'
        f"<figure>{plots.histogram(evaluation, name)}</figure></div>"
        for name in names
    )
    about = "Energies are shown per atom and less the atomic energies that fit the reference best."
    both = f"{figures}{_table(evaluation)}"
    title = {"test": "Test: unseen structures"}.get(part, PARTS[part])
    return _section(title, about if "energy" in names else "", both)


def _table(evaluation: Evaluation) -> str:
    """Return one table: all, per element, per group."""
    everything = {**evaluation.summary(), "n_atoms": int(evaluation.n_atoms.sum())}
    blocks = {"": {"all": everything}}
    # What has one row only would repeat the first.
    blocks |= {"element": found} if len(found := evaluation.by_element()) > 1 else {}
    blocks |= {"group": found} if len(found := evaluation.by_group()) > 1 else {}
    errors = columns({"all": everything})
    head = "".join(
        f'<th scope="col">{name} {measure.upper()}<br>{READABLE[name]}</th>'
        for name, measure in errors
    )
    body = ""
    for kind, rows in blocks.items():
        body += "<tbody>"
        if kind:
            body += f'<tr class="kind"><th scope="rowgroup" colspan="{3 + len(errors)}">per {kind}'
            body += "</th></tr>"
        for label, row in rows.items():
            counts = (str(int(row[n])) if n in row else "" for n in ("n_structures", "n_atoms"))
            values = (number(row[key(*c)]) if key(*c) in row else "" for c in errors)
            cells = "".join(f"<td>{value}</td>" for value in (*counts, *values))
            body += f'<tr><th scope="row">{escape(label or "(no group)")}</th>{cells}</tr>'
        body += "</tbody>"
    return (
        '<div class="scroll"><table><thead><tr><th></th><th scope="col">structures</th>'
        f'<th scope="col">atoms</th>{head}</tr></thead>{body}</table></div>'
    )


def _worst(part: str, evaluation: Evaluation, atoms_of: AtomsOf) -> str:
    figures = [
        _structure(n, evaluation, outlier, atoms_of(part, outlier.index))
        for n, outlier in enumerate(evaluation.worst(N_WORST))
    ]
    if not figures:
        return ""
    about = (
        f"Of the {PARTS[part].lower()} set, by the largest error of a force. Drag to rotate, "
        "double click to reset; arrow keys, + and - work, too."
    )
    legend = _legend({"reference": "reference force", "predicted": "predicted force"})
    grid = f'<div class="grid-of">{"".join(figures)}</div>'
    return _section("Worst structures", about, (legend if evaluation.reference else "") + grid)


def _structure(n: int, evaluation: Evaluation, outlier: Outlier, atoms: ase.Atoms) -> str:
    facts = []
    if outlier.atom is not None:
        symbol = chemical_symbols[atoms.numbers[outlier.atom]]
        facts.append(
            f"force on {symbol} {outlier.atom} (ringed) off by {number(outlier.atom_error)} meV/Å"
        )
        facts.append(f"forces RMSE {number(outlier.forces)} meV/Å")
    if np.isfinite(outlier.energy):
        size = number(abs(outlier.energy))
        facts.append(f"energy too {'high' if outlier.energy > 0 else 'low'} by {size} meV/atom")
    title = f"{outlier.origin}, {outlier.group}" if outlier.group else outlier.origin
    formula = atoms.get_chemical_formula()
    # `<` would end the script early.
    data = strict_json.dumps(scene(evaluation, outlier, atoms), separators=(",", ":"))
    data = data.replace("<", "\\u003c")
    says = f"Rotatable picture of {formula}: {'; '.join(facts)}"
    return (
        f'<figure><canvas tabindex="0" role="img" aria-label="{escape(says)}" '
        f'data-scene="scene-{n}"></canvas>'
        f'<script type="application/json" id="scene-{n}">{data}</script>'
        f"<figcaption><strong>{escape(formula)}</strong> · {escape(title)}<br>"
        f"{escape('; '.join(facts))}</figcaption></figure>"
    )


def _legend(entries: Mapping[str, str]) -> str:
    items = "".join(f'<span><i class="i-{k}"></i>{text}</span>' for k, text in entries.items())
    return f'<div class="legend">{items}</div>'


def _settings(config: Config) -> str:
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    fold = (
        f"<details><summary>All settings as resolved</summary><pre>{escape(text)}</pre></details>"
    )
    return _section("Settings", "", fold)


def _provenance(provenance: Mapping[str, str]) -> str:
    if not provenance:
        return ""
    rows = "".join(
        f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in provenance.items()
    )
    return _section("Provenance", "", f'<div class="scroll"><dl>{rows}</dl></div>')


def _section(title: str, about: str, content: str) -> str:
    shown = f'<p class="about">{escape(about)}</p>' if about else ""
    return f"<section><h2>{escape(title)}</h2>{shown}{content}</section>"

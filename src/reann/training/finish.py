"""The end of a training: errors of the potential, advice, calibration, report.

All members of an ensemble have been trained and saved, so a report that cannot be written is only a
warning.
"""

from __future__ import annotations

from collections.abc import Sequence

from reann.config import Config
from reann.error_measures import sentence
from reann.evaluation.compare import compare
from reann.evaluation.comparison import Evaluation
from reann.model_file import MODEL
from reann.potential import Ensemble
from reann.report import write_report
from reann.training.advice import advice_of
from reann.training.describe import paragraph, provenance
from reann.training.folder import LOG, REPORT, folder_of, members_of
from reann.training.journal import Journal, Row, read_log
from reann.training.member import Common, Member
from reann.training.result import Run
from reann.training.setup import Parts
from reann.training.uncertainty import with_uncertainty
from reann.uncertainty import Calibrated


def finish(config: Config, common: Common, members: list[Member], doubts: Sequence[str]) -> Run:
    """Evaluate the potential on the validation and test sets and write the report.

    Parameters
    ----------
    members
        The trained members of the ensemble, or the only potential.
    doubts
        Names of the warnings about the data.
    """
    folder, processes, parts = folder_of(config), common.processes, common.parts
    journal = Journal(folder, writes=processes.leads)
    potentials = [member.potential for member in members]
    potential = potentials[0] if len(members) == 1 else Ensemble(potentials)
    evaluations: dict[str, Evaluation] = {}
    if processes.leads:
        if len(members) > 1:
            potential.save(folder / MODEL)
        warnings = [member.warning for member in members if member.warning is not None]
        for warning in warnings:
            journal.write(paragraph("warning", warning))
        if doubts:
            names = f"the data: {', '.join(doubts)} (see the header above and `reann check`)"
            journal.write(paragraph("warning", names))
        journal.write(f"potential {folder / MODEL}")
        held_out = {"valid": parts.valid} | ({"test": parts.test} if parts.test else {})
        potential.to(common.device)
        for name, part in held_out.items():
            evaluations[name] = compare(potential, part, engine=config.run.engine)
            errors = sentence(evaluations[name].summary())
            journal.write(f"{name:9} {errors} (RMSE of {_weights(members, bool(warnings))})")
        first = members_of(config)[0]
        history = read_log(folder_of(first) / LOG)
        advice = advice_of(
            config,
            history,
            evaluations["valid"],
            folder,
            n_train=len(parts.train),
            baseline=parts.baseline,
        )
        if advice is not None and not warnings:
            journal.write(paragraph("advice", advice))
        calibrated = with_uncertainty(config, parts, potential, journal)
        if calibrated is not None:
            potential = calibrated.potential
            potential.save(folder / MODEL)
        _report(
            config,
            parts,
            evaluations,
            journal,
            history=history,
            calibrated=calibrated,
            warnings=warnings,
        )
    processes.wait()
    return Run(folder, potential, evaluations)


def _weights(members: list[Member], has_warning: bool) -> str:
    if len(members) > 1:
        return "the ensemble"
    return f"the weights of epoch {members[0].epoch}" if has_warning else "the best weights"


def _report(
    config: Config,
    parts: Parts,
    evaluations: dict[str, Evaluation],
    journal: Journal,
    *,
    history: list[Row],
    calibrated: Calibrated | None,
    warnings: list[str],
) -> None:
    """Write the report; if this fails, the run has succeeded nevertheless."""
    folder, held_out = folder_of(config), parts.by_name()
    try:
        write_report(
            folder / REPORT,
            config=config,
            history=history,
            evaluations=evaluations,
            baseline=parts.baseline,
            provenance=provenance(config),
            atoms_of=lambda part, i: held_out[part].dataset.atoms(int(held_out[part].indices[i])),
            warnings=warnings,
            uncertainty=calibrated and (calibrated.calibration, calibrated.evaluation),
        )
    except Exception as error:  # noqa: BLE001 - the training itself has succeeded
        reason = f"The report was not written: {type(error).__name__}: {error}"
        journal.write(paragraph("warning", reason))
    else:
        journal.write(f"report    {folder / REPORT}")

"""Self-diffusion in a liquid, from mean square displacements."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reann.assessment.case import Case
from reann.assessment.check import Check
from reann.assessment.dynamics import ExplosionError
from reann.assessment.figures import curves
from reann.assessment.kinds import Kind
from reann.assessment.liquid import Sample, sampled
from reann.assessment.outcome import Outcome, Verdict, exploded
from reann.assessment.rdf import mean_and_error

SHORTEST = 2.0
"""Shortest trajectory, ps."""
LAGS = (0.4, 0.9)
"""Fractions of a block between which a line is fitted to the mean square displacement."""
STRAIGHT = (0.8, 1.2)
"""Exponent of the time; 1 for diffusion, less if atoms are caged."""
UNCERTAIN = 0.3
"""Relative standard error."""
FROZEN = 0.005
"""Å²/ps; atoms with a smaller coefficient do not diffuse."""


def run(case: Case) -> Outcome:
    """Fit the slope of the mean square displacement of each element."""
    try:
        sample = sampled(case)
    except ExplosionError as error:
        return exploded(error, f"Dynamics at {case.settings.temperature:g} K")
    if sample.time < SHORTEST:
        return Outcome(
            Verdict.look,
            f"The trajectory of {sample.time:.2g} ps is too short for diffusion.",
            f"At least {SHORTEST:g} ps are needed: allow more with --limit or --time.",
        )
    symbols = np.array(sample.like.get_chemical_symbols())
    result = {str(s): diffusion(sample, symbols == s) for s in np.unique(symbols)}
    heavy = max(result, key=lambda s: sample.like.get_masses()[symbols == s][0])
    heaviest = result[heavy]
    straight = STRAIGHT[0] <= heaviest["power"] <= STRAIGHT[1]
    precise = heaviest["error_A2_per_ps"] <= UNCERTAIN * abs(heaviest["D_A2_per_ps"])
    moves = heaviest["D_A2_per_ps"] > FROZEN
    parts = "; ".join(
        f"{s} {x['D_A2_per_ps']:.3f} ± {x['error_A2_per_ps']:.3f}" for s, x in result.items()
    )
    cut = "" if sample.complete else " (stopped by the time limit)"
    return Outcome(
        Verdict.passes if straight and precise and moves else Verdict.look,
        f"D in Å²/ps (10⁻⁴ cm²/s): {parts}, at {sample.temperature:.0f} K over {sample.time:.3g} ps"
        f"{cut}; the mean square displacement of {heavy} grows with time to the power"
        f" {heaviest['power']:.2f}.",
        f"A power between {STRAIGHT[0]:g} and {STRAIGHT[1]:g} (1 is diffusion), a standard error"
        f" below {100 * UNCERTAIN:.0f} % (else run longer: --time), and more than {FROZEN:g} Å²/ps."
        " No correction for the finite cell: add 2.837 kT/(6πηL) (Yeh and Hummer 2004) before you"
        " compare with experiment.",
        (
            curves(
                {s: (np.array(x["time_ps"]), np.array(x["msd_A2"])) for s, x in result.items()},
                xlabel="time, ps",
                ylabel="mean square displacement, Å²",
                caption="Mean square displacement; its slope is 6 D",
            ),
        ),
        result,
    )


def diffusion(sample: Sample, which: NDArray[np.bool_]) -> dict[str, Any]:
    """Return D with its error from blocks, and the mean square displacement."""
    blocks = [block[:, which] for block in sample.blocks()]
    longest = max(3, int(LAGS[1] * len(blocks[0])))
    lags = np.arange(1, longest)
    of_blocks = [mean_square(block, lags) for block in blocks]
    time = 1e-3 * sample.interval * lags
    late = time >= LAGS[0] / LAGS[1] * time[-1]
    each = [float(np.polyfit(time[late], msd[late], 1)[0] / 6.0) for msd in of_blocks]
    mean, error = mean_and_error(each)
    msd = np.mean(of_blocks, axis=0)
    power = np.polyfit(np.log(time[late]), np.log(np.maximum(msd[late], 1e-12)), 1)[0]
    return {
        "D_A2_per_ps": float(mean),
        "error_A2_per_ps": float(error),
        "power": float(power),
        "time_ps": np.round(time, 5).tolist(),
        "msd_A2": np.round(msd, 5).tolist(),
    }


def mean_square(positions: NDArray[np.float64], lags: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean square displacement after each lag, averaged over atoms and time origins."""
    return np.array([np.square(positions[lag:] - positions[:-lag]).sum(2).mean() for lag in lags])


CHECK = Check(
    "diffusion",
    "Diffusion",
    "Diffusion depends on barriers and densities that a test set hardly probes.",
    run,
    frozenset({Kind.liquid}),
)

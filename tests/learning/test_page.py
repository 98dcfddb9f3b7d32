"""The page about a loop is readable."""

import pytest

from reann.learning.final import Final
from reann.learning.folders import Iteration
from reann.learning.page import PAGE, write_page
from reann.learning.settings import LoopConfig

SETTINGS = {
    "structures": "start.xyz",
    "label": {"calculator": {"name": "emt"}},
    "explore": {"md": {"temperatures": [300, 600], "time": "1ps"}},
    "stop": {"force_error": 0.05},
}


def iteration(number):
    errors = {"forces_rmse_meV_per_A": 300.0 / number, "forces_p95_meV_per_A": 700.0 / number}
    errors |= {"forces_mae_meV_per_A": 200.0 / number, "energy_rmse_meV_per_atom": 20.0 / number}
    errors |= {"structures": 25, "energy_mae_meV_per_atom": 15.0 / number}
    return {
        "iteration": number,
        "chosen": 20,
        "labels": 19,
        "failures": {"3": "SCF not converged after 250 cycles, energy change 1e-3 Hartree"},
        "label_seconds": 1234.5,
        "explorations": {
            "md-300K-0": {"time_ps": 1.0, "ended": ""},
            "md-600K-1": {"time_ps": 0.25, "ended": "extrapolation of atom 17 is 12.5 widths"},
        },
        "errors": {"random": errors, "selected": {n: 2 * x for n, x in errors.items()}},
        "train": 20 * number,
        "valid": 5 * number,
        "validation": errors,
        "train_seconds": 250.0,
    }


@pytest.mark.chromium
@pytest.mark.parametrize("ended", [None, "the budget of 5 iterations is spent"])
def test_the_page_is_readable_in_any_window_and_scheme(browser, tmp_path, ended):
    first = iteration(1) | {"iteration": 0, "errors": {}, "explorations": {}}
    summaries = [first, *(iteration(number) for number in range(1, 6))]
    errors = {"last": iteration(1)["errors"]["random"], "final": iteration(2)["errors"]["random"]}
    last = tmp_path / "iteration-004" / "run" / "model.reann"
    final = Final(Iteration(tmp_path / "iteration-005"), last, errors) if ended else None
    write_page(tmp_path, summaries, LoopConfig(**SETTINGS), ended, final)
    assert browser.problems((tmp_path / PAGE).as_uri()) == []

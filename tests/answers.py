"""Print a digest of all that the native engine computes, for 1, 2 and 4 threads asked for.

Run by a test in processes of their own, because OpenMP and the choice of the instruction set read
their environment once: `answers.py FILE`, an .npz with the header of a model, its weights ("0.",
as in a file) and a system.
"""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np

from reann.native import _core

SYSTEM = ("element", "position", "first", "neighbor", "shift")


class Question:
    """A model and a system."""

    def __init__(self, file: str) -> None:
        stored = dict(np.load(file))
        self.weights = {name: value for name, value in stored.items() if name.startswith("0.")}
        self.model = _core.Model(stored["header"].item(), self.weights)
        self.system = [stored[name] for name in SYSTEM]

    def digest(self, n_threads: int) -> str:
        """Return one name for all bits of results and gradients, computed in fresh memory."""
        n, workspace = len(self.system[0]), _core.Workspace()
        arguments = (self.model, 0, workspace, *self.system, None, 1, n_threads)
        results = [np.empty(shape) for shape in ((n,), (n, 3), (1, 3, 3), (n, 3, 3))]
        outputs = np.empty((n, self.model.n_outputs))
        _core.evaluate(*arguments, *results, None, outputs)
        losses = [np.sin(np.arange(x.size)).reshape(x.shape) for x in (*results[:3], outputs)]
        gradients = {name: np.zeros(value.shape) for name, value in self.weights.items()}
        _core.gradient(*arguments, *losses[:3], gradients, losses[3])
        everything = [*results, outputs, *gradients.values()]
        return hashlib.sha256(b"".join(x.tobytes() for x in everything)).hexdigest()


if __name__ == "__main__":
    question = Question(sys.argv[1])
    found, again = ([question.digest(n) for n in (1, 2, 4)] for _ in range(2))
    assert found == again
    sys.stdout.write(json.dumps([_core.isa(), *found]))

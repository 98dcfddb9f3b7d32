"""Open every file of a folder through the C interface, and evaluate what opens.

Run by a test in a process of its own, which a crash would end: one line of JSON per file, with the
message of the refusal or with the largest component of the forces.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from c_interface import WATER, Library, RefusalError, all_pairs


def answer(library: Library, path: Path) -> dict[str, str | float]:
    """Return what the library says about one file."""
    try:
        model = library.open(path)
        element = model.elements(np.array([8, 1, 1]))
        _, forces = model.evaluate(element, WATER, *all_pairs(3))
    except RefusalError as error:
        return {"refused": str(error)}
    return {"forces": float(np.abs(forces).max())}


if __name__ == "__main__":
    used = Library(Path(sys.argv[1]))
    for file in sorted(Path(sys.argv[2]).iterdir()):
        sys.stdout.write(json.dumps({"file": file.name, **answer(used, file)}) + "\n")
        sys.stdout.flush()

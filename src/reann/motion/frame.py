"""A structure as extended XYZ, in full precision where a continued run needs it."""

from __future__ import annotations

import ase
import numpy as np
from ase.io.extxyz import output_column_format, save_calc_results
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from reann.motion.constraints import fixed_directions

EXACT = ("positions", "momenta", "masses")
"""Columns that are written in full precision, so that a run continues exactly."""
NUMBER_FORMATS = {"f": "%16.8f", "i": "%8d", "b": " %.1s"}


def xyz_frame(atoms: ase.Atoms) -> str:
    """Return a structure as extended XYZ; positions, momenta and masses in full precision."""
    frame = atoms.copy()
    save_calc_results(frame, atoms.calc, calc_prefix="", force=True)
    if "stress" in frame.info:
        frame.info["stress"] = voigt_6_to_full_3x3_stress(frame.info["stress"])
    rest = [name for name in frame.arrays if name not in ("numbers", "positions")]
    columns = {"symbols": np.array(frame.get_chemical_symbols()), "positions": frame.positions}
    columns |= {name: frame.arrays[name] for name in rest}
    if not (mask := _free_directions(frame)).all():
        columns["move_mask"] = mask
    comment = output_column_format(frame, list(columns), columns)[0]
    formats, cells = [], []
    for name, values in columns.items():
        table = values.reshape(len(frame), -1)
        number_format = "%.17g" if name in EXACT else NUMBER_FORMATS.get(values.dtype.kind, "%-2s")
        formats += [number_format] * table.shape[1]
        cells += table.T.tolist()
    line = " ".join(formats) + "\n"
    rows = "".join(line % row for row in zip(*cells, strict=True))
    return f"{len(frame)}\n{comment}\n{rows}"


def _free_directions(atoms: ase.Atoms) -> NDArray[np.bool_]:
    """Return the column `move_mask` of extended XYZ, with one value per atom if that suffices."""
    free = ~fixed_directions(atoms)[0]
    return free[:, 0] if (free == free[:, :1]).all() else free

"""`reann export --to i-pi`: a folder with the input of i-PI, by default for path integrals."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import ase
import numpy as np

from reann.model_file import model_file
from reann.motion.constraints import fixed_directions
from reann.motion.dynamics import has_velocities
from reann.motion.frame import xyz_frame
from reann.motion.start import at_start, plain_name, read_start, time_step, title_of
from reann.output_files import check_folder, write_folder
from reann.potential import load

BEADS, STEPS = 8, 2000
FREE = 100.0
"""Edge of the cell for structures without a cell, Å."""
DRIVER = """from reann.interfaces.ipi.driver import Driver

__DRIVER_NAME__, __DRIVER_CLASS__ = "reann", Driver.__name__
"""

INPUT = """<!-- {title}
     i-pi input.xml
     Path integrals at constant volume. With nbeads='1', <batch_size> 1 and <thermostat mode='svr'>
     the atoms are classical{npt}. A <batch_size> above nbeads waits forever. -->
<simulation verbosity='medium'>
  <output prefix='run'>
    <properties stride='10' filename='out'> [ step, time{{picosecond}}, conserved{{electronvolt}},
      temperature{{kelvin}}, kinetic_cv{{electronvolt}}, potential{{electronvolt}},
      pressure_cv{{megapascal}} ] </properties>
    <trajectory stride='100' filename='pos' format='ase'> positions </trajectory>
    <checkpoint stride='1000'/>
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>1</seed></prng>
  <ffdirect name='reann'>
    <pes>custom</pes>
    <pes_path>driver.py</pes_path>
    <parameters> {{ model: {model}, start: start.xyz }} </parameters>
    <batch_size>{beads}</batch_size>
  </ffdirect>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase'> start.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces><force forcefield='reann'/></forces>
    <ensemble><temperature units='kelvin'> 300 </temperature></ensemble>
    <motion mode='dynamics'>{center}{fixed}
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> {timestep} </timestep>
        <thermostat mode='pile_g'><tau units='femtosecond'> 100 </tau></thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


NPT = "; with <dynamics mode='npt'> the pressure is constant"
CENTER_MOVES = """
      <fixcom> False </fixcom>"""
FIXED = """
      <fixatoms_dof> [{numbers}] </fixatoms_dof>"""


def export(model: Path, start: Path, folder: Path, *, overwrite: bool = False) -> list[str]:
    """Write `input.xml`, `driver.py`, `start.xyz` and the potential into a folder.

    Masses and fixed atoms of the structure are exported; the names of other data are returned.

    Raises
    ------
    UserError
        If the structure or the potential cannot be read or do not match, and as `write_folder`.
    """
    check_folder(folder)
    model = model_file(model)
    potential = load(model)
    atoms, origin = read_start(start)
    with at_start(origin):
        potential.predict(atoms, ["energy"])
    for axis in np.flatnonzero(~atoms.cell.array.any(1)):
        atoms.cell.array[axis, axis] = FREE
    fixed, dropped = fixed_directions(atoms, turned=_turned(atoms))
    if has_velocities(atoms):
        dropped.append("velocities, as i-PI draws those of the beads")
        del atoms.arrays["momenta"]
    name = plain_name(model)
    title = escape(title_of(model, start)).replace("--", "- -")
    numbers = ", ".join(str(n) for n in np.flatnonzero(fixed))
    text = INPUT.format(
        title=title,
        model=name,
        beads=BEADS,
        steps=STEPS,
        timestep=time_step(atoms),
        npt=NPT if atoms.pbc.all() and not fixed.any() else "",
        center=CENTER_MOVES if fixed.any() or len(atoms) == 1 else "",
        fixed=FIXED.format(numbers=numbers) if fixed.any() else "",
    )
    files = {
        "input.xml": text.encode("utf-8"),
        "driver.py": DRIVER.encode("utf-8"),
        "start.xyz": xyz_frame(atoms).encode("utf-8"),
        name: model.read_bytes(),
    }
    write_folder(folder, files, [model, start], overwrite=overwrite)
    return dropped


def _turned(atoms: ase.Atoms) -> bool:
    """Return whether i-PI rotates the structure: cell vectors along x and in the xy plane."""
    first, second, _ = atoms.cell.array
    along = first[0] > 0 and not first[1:].any() and second[1] > 0 and second[2] == 0
    return bool(atoms.pbc.all()) and not along

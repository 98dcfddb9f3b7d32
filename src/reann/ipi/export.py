"""`reann export --to i-pi`: a folder with which i-PI starts, path integrals by default."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import ase.io
import numpy as np

from reann.engines.files import at_start, copy_of, read_start, time_step
from reann.errors import UserError
from reann.potential import load

BEADS, STEPS = 8, 2000
FREE = 100.0
"""Å, edge of the cell that i-PI is told where there is none."""
DRIVER = """from reann.ipi.driver import Driver

__DRIVER_NAME__, __DRIVER_CLASS__ = "reann", Driver.__name__
"""

INPUT = """<!-- {title}
     i-pi input.xml
     Path integrals at constant volume. With nbeads='1' and <thermostat mode='svr'> the atoms are
     classical; with <dynamics mode='npt'> the pressure is constant. -->
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
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> {timestep} </timestep>
        <thermostat mode='pile_g'><tau units='femtosecond'> 100 </tau></thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def export(model: Path, start: Path, folder: Path) -> None:
    """Write `input.xml`, `driver.py`, `start.xyz` and the potential into a folder.

    Raises
    ------
    UserError
        If the structure or the potential cannot be read, or do not fit.
    """
    potential = load(model)
    atoms, origin = read_start(start)
    with at_start(origin):
        potential.predict(atoms, ["energy"])
    for axis in np.flatnonzero(~atoms.cell.array.any(1)):
        atoms.cell.array[axis, axis] = FREE
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / "start.xyz"
    if mine.exists() and mine.samefile(start):
        raise UserError(
            "The structure would be overwritten.", str(start), "Choose another folder with -o."
        )
    name = copy_of(model, folder)
    ase.io.write(mine, atoms, format="extxyz")
    (folder / "driver.py").write_text(DRIVER)
    title = escape(f"{model.name}, {start}").replace("--", "- -")
    words = {"title": title, "model": name, "beads": BEADS, "steps": STEPS}
    text = INPUT.format(**words, timestep=time_step(atoms))
    (folder / "input.xml").write_text(text)

"""Labels that no program has computed never become labels: unconverged steps, invented zeros."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import Hartree

from reann.config import DataConfig
from reann.data.check.survey import survey
from reann.data.dataset import open_dataset
from reann.data.files.program_outputs import _energies_of_gaussian, as_computed
from reann.data.files.read import iter_atoms
from reann.data.files.skipped import SkippedData
from reann.errors import UserError


def read(path: Path):
    skipped: list[SkippedData] = []
    structures = [atoms for atoms, _ in iter_atoms(str(path), report_skipped=skipped.append)]
    return structures, skipped


def labeled(**results: float) -> Atoms:
    atoms = Atoms("H")
    atoms.calc = SinglePointCalculator(atoms, forces=np.zeros((1, 3)), **results)
    return atoms


def frames_without_labels(path: Path) -> list[int]:
    """Return the structures without labels, which must be those of the remarks."""
    structures, skipped = read(path)
    bare = [i for i, atoms in enumerate(structures) if atoms.calc is None]
    assert [item.origin for item in skipped] == [f"{path}#{i}" for i in bare]
    assert all(item.kind == "not-converged" for item in skipped)
    return bare


# --- VASP -------------------------------------------------------------------------------------

OUTCAR_HEADER = """ POTCAR:    PAW_PBE H 15Jun2001
 POTCAR:    PAW_PBE H 15Jun2001
   k-points           NKPTS =      1   k-points in BZ   NKDIM =  1   number of bands  NBANDS=  4
   NELM   =     40;   NELMIN=  2; NELMDL= -5     # of ELM steps
   EDIFF  = 0.1E-03   stopping-criterion for ELM
   ISPIN  =      1    spin polarized calculation?
   ions per type =               2
 k-points in reciprocal lattice and weights: Gamma
   0.00000000  0.00000000  0.00000000       1.000
"""
REACHED = "------------------------ aborting loop because EDIFF is reached ------------------------"
NOT_REACHED = "------------------------ aborting loop EDIFF was not reached (unconverged)  ----"
HARD_STOP = "------------------------ aborting loop because hard stop was set ----------------"
OUTCAR_STEP = """------------------- Iteration    {step}(   1)  ----------------
------------------- Iteration    {step}({last:4d})  ----------------
{end}
      direct lattice vectors                 reciprocal lattice vectors
     8.000000000  0.000000000  0.000000000     0.125000000  0.000000000  0.000000000
     0.000000000  8.000000000  0.000000000     0.000000000  0.125000000  0.000000000
     0.000000000  0.000000000  8.000000000     0.000000000  0.000000000  0.125000000
 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         0.000000      0.000000      0.100000
      0.00000      0.00000      0.75000         0.000000      0.000000     -0.100000
  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =        -6.7{step}00000 eV

  energy  without entropy=       -6.7{step}00000  energy(sigma->0) =       -6.7{step}00000
"""


def outcar(folder: Path, *steps: tuple[int, str]) -> Path:
    """Write an OUTCAR whose steps end at an iteration with a line."""
    text = OUTCAR_HEADER
    for step, (last, end) in enumerate(steps, 1):
        text += OUTCAR_STEP.format(step=step, last=last, end=end)
    (folder / "OUTCAR").write_text(text)
    return folder / "OUTCAR"


VASPRUN_START = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <kpoints>
  <varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray>
 </kpoints>
 <parameters><i type="int" name="NELM">     3</i><i name="EDIFF">      0.00010000</i></parameters>
 <atominfo><atoms>1</atoms><types>1</types>
  <array name="atoms"><field type="string">element</field><field type="int">atomtype</field>
   <set><rc><c>H </c><c>1</c></rc></set></array>
 </atominfo>
 <structure name="initialpos">
  <crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v></varray>
 </structure>
"""
SC_STEP = """  <scstep>
   <energy>
    <i name="e_fr_energy">{0}</i>
    <i name="e_0_energy">{0}</i>
   </energy>
  </scstep>
"""
VASPRUN_END = """  <structure>
   <crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
   <varray name="positions"><v>0 0 0</v></varray>
  </structure>
  <varray name="forces"><v>0 0 0.5</v></varray>
  <energy><i name="e_fr_energy">-1.5</i><i name="e_0_energy">-1.5</i></energy>
 </calculation>
"""


def vasprun(folder: Path, *steps: tuple[float, ...]) -> Path:
    """Write a vasprun.xml with the energies of the electronic steps; at most 3 are allowed."""
    text = VASPRUN_START
    for energies in steps:
        inner = "".join(SC_STEP.format(energy) for energy in energies)
        text += f" <calculation>\n{inner}{VASPRUN_END}"
    (folder / "vasprun.xml").write_text(text + "</modeling>\n")
    return folder / "vasprun.xml"


@pytest.mark.parametrize(
    ("last", "end"), [(40, NOT_REACHED), (12, NOT_REACHED), (12, HARD_STOP), (40, "")]
)
def test_a_step_of_an_outcar_that_did_not_converge_has_no_labels(tmp_path, last, end):
    path = outcar(tmp_path, (12, REACHED), (last, end), (40, REACHED), (11, ""))
    assert frames_without_labels(path) == [1]


def test_a_step_of_a_vasprun_that_used_all_electronic_steps_has_no_labels(tmp_path):
    path = vasprun(tmp_path, (-1.0, -1.5), (-1.0, -1.4, -1.5), (-1.4, -1.5, -1.50001))
    assert frames_without_labels(path) == [1]


# --- Gaussian, ORCA, Quantum ESPRESSO, others -------------------------------------------------

GAUSSIAN_STEP = """                          Input orientation:
 ---------------------------------------------------------------------
 Center     Atomic      Atomic             Coordinates (Angstroms)
 Number     Number       Type             X           Y           Z
 ---------------------------------------------------------------------
      1          1           0        0.000000    0.000000    0.000000
      2          1           0        0.000000    0.000000    0.7{step}0000
 ---------------------------------------------------------------------
{warning} SCF Done:  E(UHF) =  -1.1{step}79251408     A.U. after    2 cycles
 -------------------------------------------------------------------
 Center     Atomic                   Forces (Hartrees/Bohr)
 Number     Number              X              Y              Z
 -------------------------------------------------------------------
      1        1           0.000000000    0.000000000    0.010000000
      2        1           0.000000000    0.000000000   -0.010000000
 -------------------------------------------------------------------
"""
GAUSSIAN_WARNING = " >>>>>>>>>> Convergence criterion not met.\n"


def test_a_step_of_gaussian_that_did_not_converge_has_no_labels(tmp_path):
    text = " Entering Gaussian System, Link 0=g16\n"
    for step in range(3):
        text += GAUSSIAN_STEP.format(step=step, warning=GAUSSIAN_WARNING * (step == 1))
    (tmp_path / "h2.log").write_text(text)
    assert frames_without_labels(tmp_path / "h2.log") == [1]


ORCA_STEP = """Number of atoms                             ...  2
---------------------------------
CARTESIAN COORDINATES (ANGSTROEM)
---------------------------------
  H      0.000000    0.000000    0.000000
  H      0.000000    0.000000    0.7{step}0000

ORCA SCF GRADIENT CALCULATION
-------------------------   --------------------
FINAL SINGLE POINT ENERGY {words}       -1.1{step}5
-------------------------   --------------------
CARTESIAN GRADIENT
------------------

   1   H   :    0.000000    0.000000    0.010000
   2   H   :    0.000000    0.000000   -0.010000
THE OPTIMIZATION HAS CONVERGED
{end}
"""


@pytest.mark.parametrize(
    "words", ["(Wavefunction not fully converged!)", "(SCF not fully converged!)"]
)
def test_a_step_of_orca_that_did_not_converge_has_no_labels(tmp_path, words):
    ends = ["ORCA GEOMETRY RELAXATION STEP"] * 2 + ["ORCA TERMINATED NORMALLY"]
    text = "                                 * O   R   C   A *\n"
    for step, end in enumerate(ends):
        text += ORCA_STEP.format(step=step, words=words * (step == 1), end=end)
    (tmp_path / "h2.out").write_text(text)
    assert frames_without_labels(tmp_path / "h2.out") == [1]


@pytest.mark.parametrize("line", ["convergence NOT achieved after 100 iterations: stopping", "end"])
def test_a_step_of_quantum_espresso_that_did_not_converge_has_no_labels(tmp_path, line):
    # ASE reads no energy of such a step, but its forces.
    structures = [labeled(energy=-1.0), labeled()]
    (tmp_path / "pw.out").write_text(f"     {line}\n")
    skipped: list[SkippedData] = []
    found = as_computed(structures, tmp_path / "pw.out", "pw.out", "espresso-out", skipped.append)
    failed = "NOT" in line
    assert [atoms.calc is None for atoms in found] == [False, failed]
    assert [item.origin for item in skipped] == ["pw.out#1"] * failed


def test_a_phrase_of_other_programs_leaves_out_the_labels_of_the_file(tmp_path):
    path = outcar(tmp_path, (12, REACHED))
    path.write_text(path.read_text() + "Calculation failed to converge\n")
    structures = [atoms for atoms, _ in iter_atoms(str(path))]
    skipped: list[SkippedData] = []
    found = as_computed(structures, path, "nw.out", "nwchem-out", skipped.append)
    assert [atoms.calc for atoms in found] == [None]
    assert [item.origin for item in skipped] == ["nw.out#0"]


# --- LAMMPS -----------------------------------------------------------------------------------

DUMP = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
0 5.0
0 5.0
0 5.0
ITEM: ATOMS {columns}
{first}
{second}
"""


def dump(folder: Path, columns: str, *first: str) -> Path:
    """Write a dump of two steps; the second atom is the first one, elsewhere."""
    row = " ".join(first)
    text = ""
    for step in range(2):
        rows = {"first": f"1 {row} 0 0 0 0 0 {step + 1}", "second": f"2 {row} 0 0 2 0 0 -1"}
        text += DUMP.format(step=step, columns=f"id {columns} x y z fx fy fz", **rows)
    (folder / "run.lammpstrj").write_text(text)
    return folder / "run.lammpstrj"


def test_a_dump_has_the_forces_of_the_file_and_no_energy(tmp_path):
    structures, skipped = read(dump(tmp_path, "type element", "1", "Cu"))
    assert [str(atoms.symbols) for atoms in structures] == ["Cu2", "Cu2"]
    assert [sorted(atoms.calc.results) for atoms in structures] == [["forces"], ["forces"]]
    assert structures[1].calc.results["forces"][0, 2] == 2.0
    assert [item.kind for item in skipped] == ["no-energy"]


def test_a_dump_of_types_alone_is_an_error_with_a_conversion_that_runs(tmp_path, monkeypatch):
    path = dump(tmp_path, "type", "1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as info:
        list(iter_atoms(path.name))
    assert info.value.what == "The dump contains types of atoms, not elements."
    assert "dump_modify" in info.value.fix
    code = info.value.fix.partition('python -c "')[2].rstrip('"')
    with pytest.raises(KeyError):
        exec(code)  # noqa: S102
    exec(code.replace("ELEMENT_OF_TYPE_1", "O"))  # noqa: S102
    structures, _ = read(tmp_path / "run.xyz")
    assert str(structures[0].symbols) == "O2"
    assert sorted(structures[0].calc.results) == ["forces"]


def test_a_data_file_of_lammps_without_masses_is_an_error(tmp_path):
    text = (
        "two\n\n2 atoms\n1 atom types\n0 5 xlo xhi\n0 5 ylo yhi\n0 5 zlo zhi\n{}\nAtoms # atomic\n"
    )
    text += "\n1 1 0 0 0\n2 1 0 0 2\n"
    (tmp_path / "a.lammps-data").write_text(text.format("\nMasses\n\n1 63.546\n"))
    (tmp_path / "b.lammps-data").write_text(text.format(""))
    assert str(read(tmp_path / "a.lammps-data")[0][0].symbols) == "Cu2"
    with pytest.raises(UserError, match="types of atoms, not elements"):
        read(tmp_path / "b.lammps-data")


# --- what users see ---------------------------------------------------------------------------


@pytest.fixture
def unconverged(tmp_path, monkeypatch) -> str:
    """Return an OUTCAR of four steps, two of them not converged."""
    monkeypatch.chdir(tmp_path)
    steps = [(12, REACHED), (40, NOT_REACHED), (9, REACHED), (40, NOT_REACHED)]
    return outcar(tmp_path, *steps).name


def test_a_training_stops_and_names_what_did_not_converge(unconverged):
    with pytest.raises(UserError) as info:
        open_dataset(unconverged, DataConfig(train=unconverged), 4.0, Path("cache"))
    assert "2 structures did not converge" in info.value.what
    assert info.value.where == "OUTCAR#1, OUTCAR#3"
    assert "data.missing: allow" in info.value.fix


def test_with_missing_labels_allowed_a_training_goes_on_without_them_and_says_so(unconverged):
    data = DataConfig(train=unconverged, missing="allow")
    for _ in ("read", "from the cache"):
        dataset = open_dataset(unconverged, data, 4.0, Path("cache"))
        assert np.isnan(dataset.label("energy")).tolist() == [False, True, False, True]
        assert np.isnan(dataset.label("forces")).all(axis=1).sum() == 4
        assert any("OUTCAR#1, OUTCAR#3: the electronic steps" in note for note in dataset.notes)


@pytest.mark.parametrize(("missing", "grade"), [("error", "error"), ("allow", "warning")])
def test_check_lists_what_did_not_converge(unconverged, missing, grade):
    data = DataConfig(train=unconverged, missing=missing)
    finding = next(f for f in survey([unconverged], data, 4.0).findings if "converged" in f.name)
    assert (finding.severity, finding.count) == (grade, 2)
    assert finding.examples == ("OUTCAR#1", "OUTCAR#3")


def test_energies_of_outputs_are_compared_in_ev():
    lines = [b" >>>>>>>>>> Convergence criterion not met.", b" SCF Done:  E(UHF) =  -0.5D0 A.U."]
    assert list(_energies_of_gaussian(lines)) == [-0.5 * Hartree]

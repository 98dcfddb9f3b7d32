"""Programs in C and Fortran compute what Python predicts."""

import subprocess

import ase
import numpy as np
import pytest

from c_interface import CORE, ROOT, needs

EXAMPLES = ROOT / "examples" / "c"


def box_of_water() -> ase.Atoms:
    lines = (EXAMPLES / "water.txt").read_text().splitlines()
    atoms = np.array([line.split() for line in lines[1:]], float)
    length = float(lines[0].split()[1])
    return ase.Atoms(atoms[:, 0].astype(int), atoms[:, 1:], cell=[length] * 3, pbc=True)


@pytest.mark.parametrize(
    ("compiler", "sources"),
    [
        (["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror"], ["water.c"]),
        (["gfortran", "-std=f2018", "-Wall", "-Werror"], ["reann.f90", "water.f90"]),
    ],
    ids=["C", "Fortran"],
)
def test_a_program_computes_what_python_predicts(compiled, potential, tmp_path, compiler, sources):
    needs(compiler[0])
    folder, program = compiled.parent, tmp_path / "water"
    files = [EXAMPLES / source for source in sources]
    link = [f"-L{folder}", "-lreann", "-lm", f"-Wl,-rpath,{folder}"]
    command = [*compiler, f"-I{CORE}", *files, *link, "-o", program]
    subprocess.run(command, check=True, cwd=tmp_path)
    potential.save(tmp_path / "model.reann")
    said = subprocess.run(
        [program, tmp_path / "model.reann", EXAMPLES / "water.txt"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    expected = potential.predict(box_of_water())
    assert abs(float(said[0].split()[1]) - expected["energy"]) < 1e-6
    forces = np.array([line.split() for line in said[2:]], float)
    assert np.abs(forces - expected["forces"]).max() < 1e-6
    assert np.abs(expected["forces"]).max() > 0.1

    absent = subprocess.run([program, "absent", "x"], check=False, capture_output=True, text=True)
    assert absent.returncode != 0
    assert "absent: There is no such file." in absent.stderr

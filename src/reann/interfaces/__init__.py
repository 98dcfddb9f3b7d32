"""Interfaces to programs: ASE, LAMMPS, i-PI, torch-sim, OpenMM, metatomic."""

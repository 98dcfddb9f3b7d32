"""LAMMPS: a pair style as a plugin, compiled for the LAMMPS that is there."""

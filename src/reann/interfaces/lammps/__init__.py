"""LAMMPS: a pair style as a plugin, compiled for the installed LAMMPS."""

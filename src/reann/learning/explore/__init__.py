"""Exploration: molecular dynamics with the last potential, displacements, external programs."""

"""Molecular dynamics and relaxation on the command line."""

"""Energies and forces of chosen structures: by a calculator of ASE, or by files."""

"""Energies of charges that are smeared to Gaussians: molecules by pairs, crystals by Ewald sums."""

"""What potentials run in: ASE, LAMMPS, i-PI, torch-sim, OpenMM, metatomic."""

"""Motion of atoms: starting structures, constraints, degrees of freedom, velocities."""

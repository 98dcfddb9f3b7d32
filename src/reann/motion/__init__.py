"""What moves and how: starting structures, constraints, degrees of freedom, velocities."""

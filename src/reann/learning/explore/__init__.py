"""New structures: molecular dynamics with the last potential, displacements, a program."""

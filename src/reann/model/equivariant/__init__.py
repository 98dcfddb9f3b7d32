"""The equivariant recursion: states of atoms that are scalars, vectors and tensors."""

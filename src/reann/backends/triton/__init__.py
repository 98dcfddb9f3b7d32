"""The Triton engine: GPUs of NVIDIA and AMD, with nothing to compile at installation.

What an edge adds to its center, and what a channel of an atom becomes, are formulas. Their first
and second derivatives are formulas, too, and all of them become kernels:

symbols, derivatives        formulas, and derivatives of formulas
geometry, *_sums, pair_terms, node_products     the formulas of the model
statements, source          formulas as statements, and statements as kernels
edge_kernels, channel_kernels       kernels over neighbors, and over channels
neighbor_sums, channel_products     the same as functions that PyTorch differentiates
recursions, compiled, backend       models of these functions, behind the protocol of backends
slopes              forces, virials and responses to a field, from what is differentiated
energy_flow         the heat flux
memory, toolchain   what an evaluation and Triton need of a machine
"""

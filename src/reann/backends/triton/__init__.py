"""The Triton engine for GPUs from NVIDIA and AMD; nothing is compiled during the installation.

The contribution of an edge to its center, and the products in a channel of an atom, are declared as
formulas. Their first and second derivatives are derived as formulas, and kernels are generated from
all of them:

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

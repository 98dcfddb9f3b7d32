// Plain data that the driver prepares and the kernels work on: weights, atoms, edges, scratch.
//
// Every row of numbers (moments, features, layers) is padded with zeros to a multiple of the lanes
// of a vector. If derivatives are propagated, for the gradient of the parameters, each row is followed by the
// row of its tangents, or by the rows of the first and second coefficients of its Taylor series: `planes` is
// 1, 2 or 3. A matrix product treats all of them alike.
#pragma once

#include <cstdint>

namespace reann {

// x W + b, packed for x W and for its adjoint d W^T; gradients are stored in one flat array.
template <class Real> struct Linear {
    int n_in = 0, n_out = 0;   // padded widths of the rows of x and of the result
    int rows = 0, columns = 0; // true widths
    const Real *bias = nullptr;
    const Real *forward = nullptr, *backward = nullptr;
    int64_t weight_at = 0, bias_at = 0; // (rows, n_out) and (n_out)
};

// a silu(b x), or a x / sqrt(1 + (b x)^2)
template <class Real> struct Neurons {
    int width = 0;
    bool tanh_like = false;
    const Real *a = nullptr, *b = nullptr;
    int64_t a_at = -1, b_at = -1; // -1: not trained
};

// (y - mean y) / sqrt(var y + 1e-5) weight + bias
template <class Real> struct Norm {
    int width = 0, columns = 0;
    const Real *weight = nullptr, *bias = nullptr; // NULL: none
    const Real *one = nullptr;                     // 1 in true columns, 0 in padding
    int64_t weight_at = 0, bias_at = 0;
};

template <class Real> struct Layer {
    Neurons<Real> neurons;
    Norm<Real> norm;
    Linear<Real> linear;
};

// first -> n_blocks of n_layers (neurons, norm, linear), residual -> neurons -> last
template <class Real> struct Network {
    Linear<Real> first, last;
    const Layer<Real> *layers = nullptr; // n_blocks * n_layers
    int n_blocks = 0, n_layers = 0;
    bool residual = false;
    Neurons<Real> neurons;
    int widest = 0; // padded width of the widest row between first and last
    int tape = 0;   // numbers per row that are kept for the adjoint
};

// The range of the features in the training, (elements, stride). Features are the products that the kernels
// compute or, if there is a contraction, the squares of moments contracted to orbitals.
template <class Real> struct Range {
    int stride = 0;
    const Real *low = nullptr, *high = nullptr, *per_width = nullptr;
    const Linear<Real> *contraction = nullptr; // for each l; or NULL
    bool orbitals_per_l = false;               // else one orbital is summed over l
};

// One layer of the equivariant recursion (kernels/equivariant.hpp).
template <class Real> struct EquivariantLayer {
    Linear<Real> radial;                // basis -> radial functions of each path, t > 0
    Linear<Real> mixing[4];             // of the sums of each l
    const Linear<Real> *scalars;        // (elements): products (t > 0: and own scalars) -> x
    // For the states of the next layer, or for the outputs of the last one.
    const Real *tensor_weights[2] = {}; // (elements, products, stride)
    int64_t tensor_weights_at[2] = {};
    Linear<Real> tensors[2];              // of l = 1 and 2
    const Network<Real> *gates = nullptr; // (elements)
    const Network<Real> *outputs = nullptr; // (elements), of the last layer (kernels/last_outputs.hpp)
    const Network<Real> *readout = nullptr; // (elements)
    const Real *linear = nullptr;           // (elements, stride): the linear part of the readout
    int64_t linear_at = 0;
    const Real *low = nullptr, *high = nullptr, *per_width = nullptr; // range of x, (elements, stride)
};

// An output of each atom: 2l + 1 numbers, linear in the states of all layers (kernels/state_outputs.hpp).
template <class Real> struct Output {
    int l = 0, first = 0;          // `first`: index of its first number among those of an atom
    const Real *weights = nullptr; // (layers, elements, stride)
    int64_t weights_at = 0;
    int column = 0; // its first result of the networks of the last layer: `stride` numbers, or 1 of a scalar
};

// Numbers per atom and plane that the passes of a layer keep for the backward passes.
struct KeptSizes {
    int64_t moments = 0, features = 0, tape = 0, changes = 0;
    int64_t sums = 0; // only with derivatives
};

template <class Real> struct Weights {
    int l_max = 0, n_components = 0, n_radial = 0, n_elements = 0, n_recursions = 0;
    int n_channels = 0; // in the rows that neighbors read
    int stride = 0;     // n_channels padded
    int n_features = 0; // padded
    bool directional = false; // messages
    int n_rows = 1;     // rows of an atom that neighbors read: c, then u for the components of l >= 1
    int n_changes = 0;  // width of the result of an update: for c, then a gate for each l >= 1, padded
    bool unit_vectors = true, polynomial_cutoff = false, radial_per_pair = false;
    Linear<Real> vector, matrix; // contractions for products of many moments, else no columns
    double cutoff = 0.0;
    const Real *alpha = nullptr, *center = nullptr; // (elements or pairs, stride)
    int64_t alpha_at = 0, center_at = 0, coefficients_at = 0;
    const Real *coefficients = nullptr;     // c^(0), (elements, stride)
    const Network<Real> *updates = nullptr; // (recursions, elements)
    const Linear<Real> *mixing = nullptr;   // of directional messages, (recursions, l_max)
    const Network<Real> *readout = nullptr; // (elements)
    const EquivariantLayer<Real> *layers = nullptr; // the T + 1 layers of the equivariant recursion, or NULL
    bool bessel = true;                             // its radial basis; else it has Gaussians
    int basis_stride = 0;                           // n_radial padded
    double basis_scale = 1.0;
    Real per_limit = 0;                             // 1 / limit^2 for its moments; 0 without a limit
    double field_scale = 0.0;                       // Å/V; 0 for a model without electric fields
    const Output<Real> *outputs = nullptr;
    int n_outputs = 0, outputs_width = 0; // the second: numbers per atom
    const KeptSizes *kept = nullptr; // of each t <= T
    const double *nothing = nullptr;        // readout of an atom without neighbors, (elements)
    const double *reference = nullptr;      // e_Z, (elements)
    int64_t n_parameters = 0;               // numbers in the flat array of gradients
    Range<Real> range;
};

// Repulsions of pairs of elements; the arrays of a repulsion that the model does not have are NULL.
struct PairRepulsion {
    int n_elements = 0;
    // screened nuclear repulsion
    const double *charge = nullptr;                   // (elements)
    const double *inner = nullptr, *outer = nullptr; // Å, (elements, elements)
    // repulsion of pairs closer than in the training data, each (elements, elements)
    const double *start = nullptr, *decay = nullptr, *amplitude = nullptr; // Å, 1/Å, eV
};

// The caller's system, and the order of the engine: local atoms by element, then ghosts.
struct Atoms {
    const double *position = nullptr, *shift = nullptr;
    const int64_t *first = nullptr;
    const int32_t *neighbor = nullptr, *system = nullptr;
    const int32_t *caller = nullptr;  // caller's index of an atom
    const int32_t *rank = nullptr;    // the inverse
    const int32_t *element = nullptr; // in the order of the engine
    const double *field = nullptr;    // V/Å, (systems, 3); NULL: none
    const double *force_bar = nullptr, *virial_bar = nullptr, *energy_bar = nullptr; // of a loss
    const double *dipole_bar = nullptr;                                              // (systems, 3)
};

// Pairs inside the cutoff; those of a chunk of atoms are contiguous.
template <class Real> struct Edges {
    int64_t capacity = 0; // length of a plane of the arrays below
    int64_t *begin = nullptr, *end = nullptr; // of each local atom
    int32_t *neighbor = nullptr;              // in the order of the engine
    // Direction (or vector) and distance that enter the network; log-derivative of the cutoff function;
    // planes
    Real *x = nullptr, *y = nullptr, *z = nullptr, *r = nullptr, *slope = nullptr;
    Real *distance = nullptr; // between the atoms
    Real *fc = nullptr;
    Real *radial = nullptr;   // R_k, (edges, planes, stride); or the basis, (edges, planes, basis_stride)
    Real *radial_slope = nullptr; // dB_n/dr of the basis, (edges, basis_stride), where `gradient` is
    // dE/d(direction) and dE/dr at fixed direction, (edges, 4); with tangents their rates for atoms at rest;
    // NULL: not needed
    Real *gradient = nullptr;
    Real *power = nullptr;    // dE/dc_ij . dc_j of the tangents, summed over t > 0; NULL: not needed
};

// Data of a chunk, the atoms of one thread.
template <class Real> struct Chunk {
    int64_t begin = 0, end = 0;   // atoms
    int64_t edges = 0;            // index of its first edge
    int64_t n_edges = 0;          // number of edges inside the cutoff
    int64_t gap = 0;              // numbers before its moments: vectors may reach beyond the end
    Real *coefficients_bar = nullptr; // its contribution to their adjoint, (atoms, rows, planes, stride)
    double *forces = nullptr;         // (atoms, 3)
    double *virial = nullptr;         // (systems, 9)
    double *virials = nullptr;        // (atoms, 9)
    double *dipole = nullptr;         // -dE/d(field), (systems, planes, 3); NULL: not needed
    double *parameters = nullptr;     // (n_parameters)
    Real *scratch = nullptr;          // see `scratch_size`
    int64_t closest = -1;             // an atom that coincides with another
};

template <class Real> struct Work {
    const Weights<Real> *weights = nullptr;
    const PairRepulsion *repulsion = nullptr; // NULL: none
    Atoms atoms;
    Edges<Real> edges;
    Real *const *coefficients = nullptr; // c^(t) and u^(t), each (atoms, rows, planes, stride)
    Real *const *moments = nullptr;      // s^(t), each (local, components, planes, stride), t < T
    Real *const *tape = nullptr;         // of the updates, each (local * planes * tape)
    Real *const *changes = nullptr;      // g_t with directional messages, each (local, planes, n_out)
    Real *coefficients_bar = nullptr;    // adjoint of c^(t+1) and u^(t+1), summed over the chunks
    double *energies = nullptr;          // in the order of the engine
    double *extrapolation = nullptr;     // likewise; NULL: not needed
    double *outputs = nullptr; // (local, outputs_width), likewise; with tangents their rates
    bool derivatives = false;            // forces, virials or tangents are needed
    // Tasks of `middle`: the readout, its adjoint, or both for one block after the other.
    bool readout = true, adjoint = false;
    const double *seeds = nullptr; // dE/dE_i in the caller's order; NULL: ones
    const double *output_bar = nullptr; // the same for the outputs, with the tangents of a loss; NULL: zeros
    const double *output_slopes = nullptr; // only with tangents: the same without those; NULL: zeros
    // Memory for the numbers that the adjoint of the readout needs, if it is a separate call; else NULL, and
    // they stay in scratch.
    Real *last_moments = nullptr, *last_features = nullptr, *last_tape = nullptr; // of each local atom
    Real *last_sums = nullptr; // only with tangents
};

constexpr int block_atoms = 24; // rows of a matrix product; a multiple of its tile
constexpr int most_block = 24;
// For the equivariant recursion, whose rows are wider: the data of a block then stay in the cache.
constexpr int equivariant_block(int planes) { return planes == 2 ? most_block : most_block / 2; }

} // namespace reann

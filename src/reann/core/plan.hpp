// Plain data that the driver prepares and the kernels work on: weights, atoms, edges, scratch.
//
// Every row of numbers (moments, features, layers) is padded with zeros to a multiple of the lanes
// of a vector. Where derivatives are carried along, for the gradient of the parameters, a row is
// followed by that of its tangents, or those of the first and second coefficient of its Taylor series:
// `planes` is 1, 2 or 3, and a matrix product needs not know.
#pragma once

#include <cstdint>

namespace reann {

// x W + b, packed for x W and for its adjoint d W^T; gradients go to places in one flat array.
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
    int widest = 0; // padded, of what lies between first and last
    int tape = 0;   // numbers to be kept for the adjoint, per row
};

// The range of the features in the training, (elements, stride). Features are the products that the
// kernels compute; or squares of moments contracted to orbitals, if there is a contraction.
template <class Real> struct Range {
    int stride = 0;
    const Real *low = nullptr, *high = nullptr, *per_width = nullptr;
    const Linear<Real> *contraction = nullptr; // of each l; or NULL
    bool orbitals_per_l = false;               // else summed over l
};

// One layer of the equivariant recursion (kernels/equivariant.hpp).
template <class Real> struct EquivariantLayer {
    Linear<Real> radial;                // basis -> radial functions of each path, t > 0
    Linear<Real> mixing[4];             // of the sums of each l
    const Linear<Real> *scalars;        // (elements): products, and for t > 0 own scalars -> x
    // Of the states that it makes; of the last layer, only where outputs are read off them.
    Linear<Real> tensors[2];            // of l = 1 and 2
    const Real *tensor_weights[2] = {}; // (elements, products, stride)
    int64_t tensor_weights_at[2] = {};
    const Network<Real> *gates = nullptr;   // (elements)
    const Network<Real> *readout = nullptr; // (elements)
    const Real *linear = nullptr;           // (elements, stride): the linear part of the readout
    int64_t linear_at = 0;
    const Real *low = nullptr, *high = nullptr, *per_width = nullptr; // range of x, (elements, stride)
};

// An output of atoms, 2l + 1 numbers that are linear in the states of all layers
// (kernels/state_outputs.hpp).
template <class Real> struct Output {
    int l = 0, first = 0;          // where its numbers stand among those of an atom
    const Real *weights = nullptr; // (layers, elements, stride)
    int64_t weights_at = 0;
};

// Numbers that the passes of a layer keep for the way back, per atom and plane.
struct KeptSizes {
    int64_t moments = 0, features = 0, tape = 0, changes = 0;
    int64_t sums = 0; // with derivatives only
};

template <class Real> struct Weights {
    int l_max = 0, n_components = 0, n_radial = 0, n_elements = 0, n_recursions = 0;
    int n_channels = 0; // of the rows that neighbors read
    int stride = 0;     // n_channels padded
    int n_features = 0; // padded
    bool directional = false; // messages
    int n_rows = 1;     // of an atom that neighbors read: c, then u of the components of l >= 1
    int n_changes = 0;  // a row of what an update gives: for c, then a gate for each l >= 1, padded
    bool unit_vectors = true, polynomial_cutoff = false, radial_per_pair = false;
    Linear<Real> vector, matrix; // contractions of l = 1 and 2 for products of many; or no columns
    double cutoff = 0.0;
    const Real *alpha = nullptr, *center = nullptr; // (elements or pairs, stride)
    int64_t alpha_at = 0, center_at = 0, coefficients_at = 0;
    const Real *coefficients = nullptr;     // c^(0), (elements, stride)
    const Network<Real> *updates = nullptr; // (recursions, elements)
    const Linear<Real> *mixing = nullptr;   // of directional messages, (recursions, l_max)
    const Network<Real> *readout = nullptr; // (elements)
    const EquivariantLayer<Real> *layers = nullptr; // T + 1 of the equivariant recursion, or NULL
    bool bessel = true;                             // its radial basis; else Gaussians
    int basis_stride = 0;                           // n_radial padded
    double basis_scale = 1.0;
    Real per_limit = 0;                             // 1 / limit^2 of its moments, 0 without a limit
    double field_scale = 0.0;                       // Å/V, 0 of a model that knows no electric field
    const Output<Real> *outputs = nullptr;
    int n_outputs = 0, outputs_width = 0; // and the numbers of an atom
    const KeptSizes *kept = nullptr; // of each t <= T
    const double *nothing = nullptr;        // readout of an empty neighborhood, (elements)
    const double *reference = nullptr;      // e_Z, (elements)
    int64_t n_parameters = 0;               // numbers in the flat array of gradients
    Range<Real> range;
};

// Repulsions of pairs of elements; arrays are NULL of one that the model does not have.
struct PairRepulsion {
    int n_elements = 0;
    // screened nuclear repulsion
    const double *charge = nullptr;                   // (elements)
    const double *inner = nullptr, *outer = nullptr; // Å, (elements, elements)
    // repulsion of pairs closer than those of the training, each (elements, elements)
    const double *start = nullptr, *decay = nullptr, *amplitude = nullptr; // Å, 1/Å, eV
};

// The caller's system, and the order of the engine: local atoms by element, ghosts after them.
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

// Pairs inside the cutoff; those of a chunk of atoms lie together.
template <class Real> struct Edges {
    int64_t capacity = 0; // length of a plane of the arrays below
    int64_t *begin = nullptr, *end = nullptr; // of each local atom
    int32_t *neighbor = nullptr;              // in the order of the engine
    // Direction (or vector) and distance that the network sees; log-derivative of the cutoff
    // function; planes
    Real *x = nullptr, *y = nullptr, *z = nullptr, *r = nullptr, *slope = nullptr;
    Real *distance = nullptr; // between the atoms
    Real *fc = nullptr;
    Real *radial = nullptr;   // R_k, (edges, planes, stride); or the basis, (edges, planes, basis_stride)
    Real *radial_slope = nullptr; // dB_n/dr of the basis, (edges, basis_stride), where `gradient` is
    // dE/d(direction) and dE/dr at fixed direction, (edges, 4); with tangents their rates, of atoms at
    // rest; NULL: not wanted
    Real *gradient = nullptr;
    Real *power = nullptr;    // dE/dc_ij . dc_j of the tangents, summed over t > 0; NULL: not wanted
};

// What a chunk, the atoms of one thread, owns.
template <class Real> struct Chunk {
    int64_t begin = 0, end = 0;   // atoms
    int64_t edges = 0;            // where its edges start
    int64_t n_edges = 0;          // inside the cutoff
    int64_t gap = 0;              // before its moments: vectors may reach beyond the last one
    Real *coefficients_bar = nullptr; // what it adds to their adjoint, (atoms, rows, planes, stride)
    double *forces = nullptr;         // (atoms, 3)
    double *virial = nullptr;         // (systems, 9)
    double *virials = nullptr;        // (atoms, 9)
    double *dipole = nullptr;         // -dE/d(field), (systems, planes, 3); NULL: not wanted
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
    double *extrapolation = nullptr;     // likewise; NULL: not wanted
    double *outputs = nullptr;           // (local, outputs_width), likewise
    bool derivatives = false;            // forces or virials are wanted, or tangents are carried
    // What `middle` does: the readout, its adjoint, or each block one after the other.
    bool readout = true, adjoint = false;
    const double *seeds = nullptr; // dE/dE_i in the caller's order; NULL: ones
    const double *output_bar = nullptr; // the same of the outputs, with tangents of a loss; NULL: zeros
    // Where the readout leaves what its adjoint needs, if they are apart; else NULL: in scratch.
    Real *last_moments = nullptr, *last_features = nullptr, *last_tape = nullptr; // of each local atom
};

constexpr int block_atoms = 24; // rows of a matrix product; a multiple of its tile
constexpr int most_block = 24;
// Of the equivariant recursion, whose rows are wider: what a block needs stays in the cache.
constexpr int equivariant_block(int planes) { return planes == 2 ? most_block : most_block / 2; }

} // namespace reann

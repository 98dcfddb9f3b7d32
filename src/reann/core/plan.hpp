// Plain data that the driver prepares and the kernels work on: weights, atoms, edges, scratch.
//
// Every row of numbers (moments, features, layers) is padded with zeros to a multiple of the lanes
// of a vector. Where tangents are carried along, for the gradient of the parameters, a row is
// followed by the row of its tangents: `planes` is 1 or 2, and a matrix product needs not know.
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

template <class Real> struct Weights {
    int l_max = 0, n_components = 0, n_radial = 0, n_elements = 0, n_recursions = 0;
    int stride = 0;     // n_radial padded
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
    const double *nothing = nullptr;        // readout of an empty neighborhood, (elements)
    const double *reference = nullptr;      // e_Z, (elements)
    int64_t n_parameters = 0;               // numbers in the flat array of gradients
    Range<Real> range;
};

// Screened nuclear repulsion of pairs of elements; NULL if there is none.
struct Zbl {
    int n_elements = 0;
    const double *charge = nullptr;                   // (elements)
    const double *inner = nullptr, *outer = nullptr; // Å, (elements, elements)
};

// The caller's system, and the order of the engine: local atoms by element, ghosts after them.
struct Atoms {
    const double *position = nullptr, *shift = nullptr;
    const int64_t *first = nullptr;
    const int32_t *neighbor = nullptr, *system = nullptr;
    const int32_t *caller = nullptr;  // caller's index of an atom
    const int32_t *rank = nullptr;    // the inverse
    const int32_t *element = nullptr; // in the order of the engine
    const double *force_bar = nullptr, *virial_bar = nullptr, *energy_bar = nullptr; // of a loss
};

// Pairs inside the cutoff; those of a chunk of atoms lie together.
template <class Real> struct Edges {
    int64_t capacity = 0; // length of a plane of the arrays below
    int64_t *begin = nullptr, *end = nullptr; // of each local atom
    int32_t *neighbor = nullptr;              // in the order of the engine
    // Direction (or vector) and distance; log-derivative of the cutoff function; planes
    Real *x = nullptr, *y = nullptr, *z = nullptr, *r = nullptr, *slope = nullptr;
    Real *fc = nullptr;
    Real *radial = nullptr;   // R_k, (edges, planes, stride)
    Real *gradient = nullptr; // dE/d(direction) and dE/dr at fixed direction, (edges, 4)
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
    double *parameters = nullptr;     // (n_parameters)
    Real *scratch = nullptr;          // see `scratch_size`
    int64_t closest = -1;             // an atom that coincides with another
};

template <class Real> struct Work {
    const Weights<Real> *weights = nullptr;
    const Zbl *zbl = nullptr;
    Atoms atoms;
    Edges<Real> edges;
    Real *const *coefficients = nullptr; // c^(t) and u^(t), each (atoms, rows, planes, stride)
    Real *const *moments = nullptr;      // s^(t), each (local, components, planes, stride), t < T
    Real *const *tape = nullptr;         // of the updates, each (local * planes * tape)
    Real *const *changes = nullptr;      // g_t with directional messages, each (local, planes, n_out)
    Real *coefficients_bar = nullptr;    // adjoint of c^(t+1) and u^(t+1), summed over the chunks
    double *energies = nullptr;          // in the order of the engine
    double *extrapolation = nullptr;     // likewise; NULL: not wanted
    bool derivatives = false;            // forces or virials are wanted, or tangents are carried
    // What `middle` does: the readout, its adjoint, or each block one after the other.
    bool readout = true, adjoint = false;
    const double *seeds = nullptr; // dE/dE_i in the caller's order; NULL: ones
    // Where the readout leaves what its adjoint needs, if they are apart; else NULL: in scratch.
    Real *last_moments = nullptr, *last_features = nullptr, *last_tape = nullptr; // of each local atom
};

constexpr int block_atoms = 24; // rows of a matrix product; a multiple of its tile

} // namespace reann

// The passes over the atoms of a chunk. Between two passes, threads wait for each other, and the rows of
// ghosts are exchanged.
//
//     prepare    edges, radial functions, free atoms and repulsion
//     forward    t = 0 .. T-1: moments, density, c^(t+1) = c^(t) + g_t(rho^(t)) and messages
//     middle     t = T: moments, density, readout and all their adjoints, in one call or in two
//     backward   t = T-1 .. 0: adjoints of g_t, density and moments
//
// With tangents, the same passes differentiate sum_i (1 + e eps) E_i along the displacement of the
// edges: the tangents of the adjoints are the gradient of a loss of energies, forces and virials. With
// derivatives up to second order along an electric field, the highest are the gradient of a loss of
// polarizabilities.
#pragma once

#include "embedding.hpp"
#include "network.hpp"

namespace reann {
namespace {

template <class F>
void prepare(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk) {
    using Real = typename F::Real;
    const Scratch<Real> scratch(*work.weights, F::planes, chunk.scratch);
    for (Real *k = scratch.M; k < scratch.S; ++k) *k = 0;
    for (Real *k = scratch.alpha_bar; k < chunk.scratch + scratch.size; ++k) *k = 0;
    find_edges<F>(work, chunk);
    const Edges<Real> &edges = work.edges;
    const int64_t row = F::planes * work.weights->stride;
    for (int64_t i = chunk.begin; i < chunk.end; ++i)
        radial_functions<F>(work, i, edges.radial + edges.begin[i] * row);
    begin_sums<F>(work, chunk);
}

template <class F, int l_max>
void forward(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk, int t) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const Scratch<Real> scratch(w, F::planes, chunk.scratch);
    const int64_t row = F::planes * w.stride;
    each_block(work, chunk, [&](const Block &block) {
        const Network<Real> &update = w.updates[t * w.n_elements + block.element];
        Real *moments = moments_of<F>(work, chunk, block, t), *g = changes_of<F>(work, block, t, scratch.out);
        embed<F, l_max>(work, block, t, scratch.many, moments, scratch.features);
        network<F>(update, scratch.features, block.n,
                   work.tape[t] + block.first * F::planes * update.tape, scratch.layers, g);
        for (int i = 0; i < block.n; ++i) {
            const int64_t at = (block.first + i) * w.n_rows * row;
            pass_on<F>(w, t, moments + i * w.n_components * row, g + i * F::planes * w.n_changes,
                       work.coefficients[t] + at, work.coefficients[t + 1] + at);
        }
    });
}

// Numbers that the readout of a block keeps for its adjoint: in scratch, or in memory for a later call.
template <class Real> struct Last {
    Real *moments, *features, *tape;
};

template <class F>
Last<typename F::Real> last_of(const Work<typename F::Real> &work, const Chunk<typename F::Real> &chunk,
                               const Block &block, const Scratch<typename F::Real> &scratch) {
    if (!work.last_moments) return {scratch.moments, scratch.features, scratch.tape};
    const auto &w = *work.weights;
    return {work.last_moments + block.first * w.n_components * F::planes * w.stride + chunk.gap,
            work.last_features + block.first * F::planes * w.n_features + chunk.gap,
            work.last_tape + block.first * F::planes * w.readout[0].tape};
}

template <class F>
void add_energies(const Work<typename F::Real> &work, const Block &block,
                  const Scratch<typename F::Real> &scratch, const Last<typename F::Real> &last) {
    const auto &w = *work.weights;
    const int width = w.readout[block.element].last.n_out;
    for (int i = 0; i < block.n; ++i) {
        const int64_t atom = block.first + i;
        work.energies[atom] += static_cast<double>(scratch.out[i * width]) - w.nothing[block.element];
        if (work.extrapolation)
            work.extrapolation[atom] =
                extrapolation<F>(w, block.element, last.moments + i * w.n_components * w.stride,
                                 last.features + i * w.n_features, scratch.orbitals);
    }
}

// The adjoint of the results of the readouts: their seeds and, with tangents, the derivatives of the loss.
template <class F>
void set_seeds(const Work<typename F::Real> &work, const Block &block, typename F::Real *out) {
    using Real = typename F::Real;
    const int width = work.weights->readout[block.element].last.n_out;
    for (int i = 0; i < block.n; ++i, out += F::planes * width) {
        const int64_t at = work.atoms.caller[block.first + i];
        for (int k = 0; k < F::planes * width; ++k) out[k] = 0;
        out[0] = work.seeds ? static_cast<Real>(work.seeds[at]) : Real(1);
        if (F::planes == 2 && work.atoms.energy_bar) out[width] = static_cast<Real>(work.atoms.energy_bar[at]);
    }
}

template <class F, int l_max>
void middle(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const int t = w.n_recursions;
    const Scratch<Real> scratch(w, F::planes, chunk.scratch);
    each_block(work, chunk, [&](const Block &block) {
        const Network<Real> &readout = w.readout[block.element];
        const Last<Real> last = last_of<F>(work, chunk, block, scratch);
        if (work.readout) {
            embed<F, l_max>(work, block, t, scratch.many, last.moments, last.features);
            network<F>(readout, last.features, block.n, last.tape, scratch.layers, scratch.out);
            if constexpr (F::planes == 1) add_energies<F>(work, block, scratch, last);
        }
        if (!work.adjoint) return;
        set_seeds<F>(work, block, scratch.out);
        adjoint_of_network<F>(readout, last.features, scratch.out, block.n, last.tape,
                              scratch.layers, scratch.features_bar, chunk.parameters);
        adjoint_of_embedding<F, l_max>(work, chunk, scratch, block, t, last.moments);
        if constexpr (F::planes == 2) add_radial_gradient(w, scratch, chunk);
    });
}

template <class F, int l_max>
void backward(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk, int t) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const Scratch<Real> scratch(w, F::planes, chunk.scratch);
    const int64_t row = F::planes * w.stride;
    each_block(work, chunk, [&](const Block &block) {
        const Network<Real> &update = w.updates[t * w.n_elements + block.element];
        const Real *moments = moments_of<F>(work, chunk, block, t);
        if constexpr (F::planes == 2)
            for (int i = 0; i < block.n; ++i)
                density<F>(w, moments + i * w.n_components * row, scratch.many,
                           scratch.features + i * F::planes * w.n_features);
        const Real *bar = work.coefficients_bar + block.first * w.n_rows * row;
        if (w.directional) {
            for (int i = 0; i < block.n; ++i)
                adjoint_of_gates<F>(w, t, moments + i * w.n_components * row, bar + i * w.n_rows * row,
                                    scratch.messages, scratch.out + i * F::planes * w.n_changes);
            bar = scratch.out;
        }
        adjoint_of_network<F>(update, scratch.features, bar, block.n,
                              work.tape[t] + block.first * F::planes * update.tape, scratch.layers,
                              scratch.features_bar, chunk.parameters);
        adjoint_of_embedding<F, l_max>(work, chunk, scratch, block, t, moments);
        if constexpr (F::planes == 2) add_radial_gradient(w, scratch, chunk);
    });
}

// Readout of an atom without neighbors and, with tangents, its contribution to the gradient of sum_i weight_i
// (NN(rho_i) - NN(0)) for atoms of one element.
template <class F>
double nothing(const Weights<typename F::Real> &w, int element, typename F::Real *memory, double count,
               double sum, double *parameters) {
    using Real = typename F::Real;
    const Scratch<Real> scratch(w, F::planes, memory);
    const Network<Real> &readout = w.readout[element];
    const int width = readout.last.n_out;
    for (int k = 0; k < F::planes * w.n_features; ++k) scratch.features[k] = 0;
    network<F>(readout, scratch.features, 1, scratch.tape, scratch.layers, scratch.out);
    const double energy = scratch.out[0];
    if constexpr (F::planes == 2) {
        for (int k = 0; k < 2 * width; ++k) scratch.out[k] = 0;
        scratch.out[0] = static_cast<Real>(-count);
        scratch.out[width] = static_cast<Real>(-sum);
        adjoint_of_network<F>(readout, scratch.features, scratch.out, 1, scratch.tape, scratch.layers,
                              scratch.features_bar, parameters);
    }
    return energy;
}

} // namespace
} // namespace reann

// The passes of the equivariant recursion over the atoms of a chunk; their order is that of passes.hpp. For a
// block of atoms of one element, a layer computes:
//
//     m^l = [s^l; q^l] M^l                          mixing of the sums over neighbors
//     b, v, A = products(m)                         scalars; vectors and matrices, weighted
//     x = b U (+ h0 S)                              the features of the layer
//     E += a.x + NN(x)                              readout of every layer
//     h0' = x + g0(x),  hl' = (1 + gl(x)) e_l,  e_l = [v; A] U_l     gated states
//     y += a.h'                                     outputs, if they are needed
//
// The last layer computes states only if outputs are needed, and their adjoints only if the energy or a loss
// depends on the outputs.
//
// The passes:
//
//     forward    t = 0 .. T-1: sums, products, energies of the layer, states of t + 1
//     middle     t = T: the same without states, and its adjoint, in one call or in two
//     backward   t = T-1 .. 0: from the adjoints of energies and states to those of states and edges
//
// The moments m, the features x and the states before the gates, e, of a layer are kept; products are
// computed again in the backward passes.
#pragma once

#include "basis.hpp"
#include "embedding.hpp"
#include "last_outputs.hpp"
#include "layer_field.hpp"
#include "layer_limit.hpp"
#include "layer_outputs.hpp"
#include "layer_products.hpp"
#include "state_outputs.hpp"

namespace reann {
namespace {

template <class Real> struct KeptRows { // of a block
    Real *m[4], *x, *e, *in[4];
};

// Memory of a block for the numbers that its adjoint needs.
template <class F, int l_max>
KeptRows<typename F::Real> kept_rows(const Work<typename F::Real> &work,
                                     const Chunk<typename F::Real> &chunk, const Block &block, int t,
                                     const LayerScratch<typename F::Real> &scratch) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const int64_t row = F::planes * w.stride, n = block.n;
    const bool last = t == w.n_recursions;
    KeptRows<Real> kept;
    Real *m = last ? work.last_moments : work.moments[t], *tape = last ? work.last_tape : work.tape[t];
    Real *in = last ? work.last_sums : work.changes[t]; // only with derivatives
    if (m) m += block.first * n_moments(l_max) * row + chunk.gap;
    if (tape) tape += block.first * w.kept[t].tape * F::planes;
    if (in) in += block.first * w.kept[t].sums * F::planes;
    kept.x = tape ? tape : scratch.x;
    kept.e = tape ? tape + n * row : scratch.e;
    for (int l = 0; l <= l_max; ++l) {
        const int64_t rows = n * shell_size(l), width = F::planes * w.layers[t].mixing[l].n_in;
        kept.m[l] = m ? m : scratch.m[l];
        kept.in[l] = in ? in : scratch.in[l];
        if (m) m += rows * row;
        if (in) in += rows * width;
    }
    return kept;
}

template <class F>
const typename F::Real *states_of(const Work<typename F::Real> &work, const Block &block, int t) {
    return work.coefficients[t] + block.first * work.weights->n_rows * F::planes * work.weights->stride;
}

template <class F>
void prepare_edges(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk) {
    find_edges<F>(work, chunk);
    fill_basis<F>(work, chunk);
    begin_sums<F>(work, chunk);
    if (F::planes == 1 && work.extrapolation)
        for (int64_t i = chunk.begin; i < chunk.end; ++i) work.extrapolation[i] = 0.0;
}

// The moments of a block from which products are computed, after the limit if there is one.
template <class F, int l_max>
typename F::Real *const *limited_moments(const Weights<typename F::Real> &w, int n,
                                         const KeptRows<typename F::Real> &kept,
                                         const LayerScratch<typename F::Real> &scratch) {
    if (w.per_limit == 0) return kept.m;
    limited<F, l_max>(w.per_limit, n, w.stride, kept.m, scratch.limited);
    return scratch.limited;
}

// The products of a block from its moments; vectors and matrices only if there are states.
template <class F, int l_max>
void products_of(const Work<typename F::Real> &work, const Block &block, int t, bool has_states,
                 const LayerScratch<typename F::Real> &scratch, typename F::Real *const *m) {
    const auto &w = *work.weights;
    const auto &layer = w.layers[t];
    if (has_states)
        products_of_block<F, l_max, true>(layer, block.element, block.n, w.stride, m, scratch);
    else products_of_block<F, l_max, false>(layer, block.element, block.n, w.stride, m, scratch);
    if (t > 0)
        append_own<F>(layer.scalars[block.element], block.n, w.stride, w.n_rows,
                      states_of<F>(work, block, t), scratch.b);
}

// Subtracts the readout of a free atom from the energies; without neighbors and field, the result is exactly
// zero.
template <class Real> void above_free_atoms(const Work<Real> &work, const Block &block) {
    const Edges<Real> &edges = work.edges;
    for (int64_t i = block.first; i < block.first + block.n; ++i) {
        if (edges.begin[i] == edges.end[i] && !work.atoms.field) work.energies[i] = free_energy(work, i);
        else work.energies[i] -= work.weights->nothing[block.element];
    }
}

// Moments, features, energies and states, with the outputs that are read off the states.
template <class F, int l_max>
void layer_of_block(const Work<typename F::Real> &work, const Chunk<typename F::Real> &chunk,
                    const Block &block, int t, const LayerScratch<typename F::Real> &scratch) {
    using Real = typename F::Real;
    using S = States<l_max>;
    const Weights<Real> &w = *work.weights;
    const EquivariantLayer<Real> &layer = w.layers[t];
    const int stride = w.stride, row = F::planes * stride, n = block.n;
    const bool last = t == w.n_recursions, has_states = !last || work.outputs || work.output_bar;
    const KeptRows<Real> kept = kept_rows<F, l_max>(work, chunk, block, t, scratch);
    for (int i = 0; i < n; ++i) {
        inputs_of_atom<F, l_max>(work, block.first + i, t, scratch, kept.in, i);
        field_inputs<F, l_max>(work, block.first + i, layer, kept.in, i);
    }
    for (int l = 0; l <= l_max; ++l)
        linear<F>(layer.mixing[l], kept.in[l], n * shell_size(l), kept.m[l]);
    products_of<F, l_max>(work, block, t, has_states, scratch,
                          limited_moments<F, l_max>(w, n, kept, scratch));
    linear<F>(layer.scalars[block.element], scratch.b, n, kept.x);
    if constexpr (F::planes == 1) {
        read_out<F>(layer, block.element, n, stride, kept.x, scratch, work.energies + block.first);
        if (work.extrapolation)
            for (int i = 0; i < n; ++i)
                widen(layer, block.element, stride, kept.x + i * row,
                      work.extrapolation[block.first + i]);
        if (last) above_free_atoms(work, block);
    }
    if (last) {
        if (work.outputs) read_last_outputs<F, l_max>(work, block, kept.x, scratch);
        return;
    }
    const Real *from[2] = {scratch.v, scratch.A};
    Real *e = kept.e;
    for (int l = 1; l <= S::highest; ++l) {
        linear<F>(layer.tensors[l - 1], from[l - 1], n * shell_size(l), e);
        e += n * shell_size(l) * row;
    }
    Real *next = work.coefficients[t + 1] + block.first * S::rows * row;
    next_states<F, l_max>(layer, block.element, n, stride, kept.x, kept.e, scratch, next);
    if (work.outputs) read_outputs<F, l_max>(work, block, t, next);
}

template <class F>
void set_layer_seeds(const Work<typename F::Real> &work, const Block &block, typename F::Real *seeds) {
    using Real = typename F::Real;
    for (int i = 0; i < block.n; ++i, seeds += F::planes) {
        const int64_t at = work.atoms.caller[block.first + i];
        seeds[0] = work.seeds ? static_cast<Real>(work.seeds[at]) : Real(1);
        for (int plane = 1; plane < F::planes; ++plane) seeds[plane] = Real(0);
        if (F::planes == 2 && work.atoms.energy_bar) seeds[1] = static_cast<Real>(work.atoms.energy_bar[at]);
    }
}

// From the adjoint of the states or, in the last layer, of the outputs to x_bar, and to that of the weighted
// products.
template <class F, int l_max>
void adjoint_of_layer_states(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk,
                             const Block &block, int t, const KeptRows<typename F::Real> &kept,
                             const LayerScratch<typename F::Real> &scratch) {
    using Real = typename F::Real;
    using S = States<l_max>;
    const Weights<Real> &w = *work.weights;
    const EquivariantLayer<Real> &layer = w.layers[t];
    const int row = F::planes * w.stride, n = block.n;
    if (t == w.n_recursions) {
        adjoint_of_last_outputs<F, l_max>(work, block, kept.x, scratch, chunk.parameters);
        return;
    }
    Real *bar = work.coefficients_bar + block.first * S::rows * row; // of its own atoms only
    if (work.output_bar)
        adjoint_of_outputs<F, l_max>(work, block, t, states_of<F>(work, block, t + 1), bar, chunk.parameters);
    adjoint_of_next_states<F, l_max>(layer, block.element, n, w.stride, kept.x, kept.e, bar, scratch,
                                     scratch.bar, chunk.parameters);
    Real *e_bar = scratch.bar;
    const Real *from[2] = {scratch.v, scratch.A};
    Real *to[2] = {scratch.v_bar, scratch.A_bar};
    for (int l = 1; l <= S::highest; ++l) {
        adjoint_of_linear<F>(layer.tensors[l - 1], from[l - 1], e_bar, n * shell_size(l), to[l - 1],
                             chunk.parameters);
        e_bar += n * shell_size(l) * row;
    }
}

template <class F, int l_max>
void adjoint_of_layer(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk,
                      const Block &block, int t, const LayerScratch<typename F::Real> &scratch) {
    using Real = typename F::Real;
    using S = States<l_max>;
    const Weights<Real> &w = *work.weights;
    const EquivariantLayer<Real> &layer = w.layers[t];
    const int stride = w.stride, row = F::planes * stride, n = block.n, z = block.element;
    const bool last = t == w.n_recursions, has_states = !last || work.output_bar;
    const KeptRows<Real> kept = kept_rows<F, l_max>(work, chunk, block, t, scratch);
    Real seeds[3 * most_block];
    set_layer_seeds<F>(work, block, seeds);
    adjoint_of_read_out<F>(layer, z, n, stride, kept.x, seeds, scratch, chunk.parameters);
    Real *const *m = limited_moments<F, l_max>(w, n, kept, scratch);
    // Those of the last layer are still there, unless its readout was another call.
    if (last ? !work.readout && (F::planes > 1 || has_states) : F::planes > 1)
        products_of<F, l_max>(work, block, t, has_states, scratch, m);
    if (has_states) adjoint_of_layer_states<F, l_max>(work, chunk, block, t, kept, scratch);
    adjoint_of_linear<F>(layer.scalars[z], scratch.b, scratch.x_bar, n, scratch.b_bar, chunk.parameters);
    if (t > 0) { // scalars of the atom itself
        const int64_t width = layer.scalars[z].n_in;
        for (int i = 0; i < n; ++i)
            for (int k = 0; k < row; ++k)
                chunk.coefficients_bar[(block.first + i) * S::rows * row + k] +=
                    scratch.b_bar[(i * F::planes + k / stride) * width + width - stride + k % stride];
    }
    if (has_states)
        adjoint_of_block_products<F, l_max, true>(layer, z, n, stride, m, scratch, chunk.parameters);
    else
        adjoint_of_block_products<F, l_max, false>(layer, z, n, stride, m, scratch, chunk.parameters);
    if (w.per_limit > 0)
        adjoint_of_limited<F, l_max>(w.per_limit, n, stride, kept.m, scratch.m_bar);
    for (int l = 0; l <= l_max; ++l)
        adjoint_of_linear<F>(layer.mixing[l], kept.in[l], scratch.m_bar[l], n * shell_size(l),
                             scratch.in_bar[l], chunk.parameters);
    for (int i = 0; i < n; ++i) {
        adjoint_of_inputs<F, l_max>(work, chunk, block.first + i, t, scratch, i);
        adjoint_of_field_inputs<F, l_max>(work, chunk, block.first + i, layer, scratch.in_bar, i);
        if (t == 0 && work.edges.gradient) add_forces<F>(work, chunk, block.first + i);
    }
}

// --- the passes ---------------------------------------------------------------------------------

template <class F> constexpr int block_of_layers = equivariant_block(F::planes);

template <class F, int l_max>
void forward_layer(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk, int t) {
    const LayerScratch<typename F::Real> scratch(*work.weights, F::planes, chunk.scratch);
    each_block<block_of_layers<F>>(work, chunk, [&](const Block &block) {
        layer_of_block<F, l_max>(work, chunk, block, t, scratch);
    });
}

template <class F, int l_max>
void middle_layer(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk) {
    const int t = work.weights->n_recursions;
    const LayerScratch<typename F::Real> scratch(*work.weights, F::planes, chunk.scratch);
    each_block<block_of_layers<F>>(work, chunk, [&](const Block &block) {
        if (work.readout) layer_of_block<F, l_max>(work, chunk, block, t, scratch);
        if (work.adjoint) adjoint_of_layer<F, l_max>(work, chunk, block, t, scratch);
    });
}

template <class F, int l_max>
void backward_layer(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk, int t) {
    const LayerScratch<typename F::Real> scratch(*work.weights, F::planes, chunk.scratch);
    each_block<block_of_layers<F>>(work, chunk, [&](const Block &block) {
        adjoint_of_layer<F, l_max>(work, chunk, block, t, scratch);
    });
}

} // namespace
} // namespace reann

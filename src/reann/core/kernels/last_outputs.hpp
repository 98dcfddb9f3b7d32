// Outputs of the last layer, for a block of atoms of one element. No other layer reads its states, so that
// each output is computed from x and from the weighted products p of its l without them (fold_outputs.cpp):
//
//     y += a.x + z,  a number z        y_a += p_a.z,  a row z of channels,  a = -l .. l
//
// z are results of a network of x. The adjoint is as in state_outputs.hpp.
#pragma once

#include "layer_scratch.hpp"
#include "network.hpp"
#include "state_outputs.hpp"

namespace reann {
namespace {

// Address of the first component of the weighted products of l = 1 or 2 of atom i, (components, planes, stride).
template <class Real> Real *products_at(Real *v, Real *A, int l, int i, int64_t row) {
    return l == 1 ? v + i * 3 * row : A + i * 5 * row;
}

// Stores a number and its derivatives, at distances of `stride`.
template <class F>
REANN_INLINE void set_number(typename F::Real *p, int stride, const typename F::Number &x) {
    if constexpr (F::planes == 1) p[0] = x;
    if constexpr (F::planes == 2) p[0] = x.value, p[stride] = x.tangent;
    if constexpr (F::planes == 3) p[0] = x.value, p[stride] = x.first, p[2 * stride] = x.second;
}

template <class F, int l_max>
void read_last_outputs(const Work<typename F::Real> &work, const Block &block, const typename F::Real *x,
                       const LayerScratch<typename F::Real> &scratch) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const Network<Real> &net = w.layers[w.n_recursions].outputs[block.element];
    const int64_t row = F::planes * w.stride;
    network<F>(net, x, block.n, scratch.tape, scratch.layers, scratch.g);
    const int z_stride = net.last.n_out;
    for (int i = 0; i < block.n; ++i) {
        double *to = work.outputs + (block.first + i) * w.outputs_width;
        const Real *own_z = scratch.g + int64_t(i) * F::planes * z_stride;
        each_output(w, w.n_recursions, block.element, [&](const Output<Real> &output, int64_t at, int a) {
            const Real *z = own_z + output.column;
            Vector<Real> total = {};
            if (output.l == 0) {
                const Real *own = x + (i + 1) * row - w.stride; // the last plane
                for (int k = 0; k < w.stride; k += lanes<Real>)
                    total += load_vector(output.weights + at + k) * load_vector(own + k);
                to[output.first] += sum<Real>(total) + z[(F::planes - 1) * z_stride];
                return;
            }
            const Real *p = products_at(scratch.v, scratch.A, output.l, i, row) + a * row;
            for (int k = 0; k < w.stride; k += lanes<Real>)
                total += last_plane<F>(load<F>(p + k, w.stride) * load<F>(z + k, z_stride));
            to[output.first + a] += sum<Real>(total);
        });
    }
}

// Adds to x_bar, and computes the adjoints of the weighted products.
template <class F, int l_max>
void adjoint_of_last_outputs(const Work<typename F::Real> &work, const Block &block, const typename F::Real *x,
                             const LayerScratch<typename F::Real> &scratch, double *parameters) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const Network<Real> &net = w.layers[w.n_recursions].outputs[block.element];
    const int n = block.n, z_stride = net.last.n_out, row = F::planes * w.stride;
    const int64_t z_row = F::planes * z_stride;
    network<F>(net, x, n, scratch.tape, scratch.layers, scratch.g);
    for (int64_t k = 0; k < n * z_row; ++k) scratch.g_bar[k] = 0;
    for (int64_t k = 0; k < n * 3 * row; ++k) scratch.v_bar[k] = 0;
    for (int64_t k = 0; k < n * 5 * row; ++k) scratch.A_bar[k] = 0;
    for (int i = 0; i < n; ++i) {
        const int64_t y = work.atoms.caller[block.first + i] * int64_t(w.outputs_width);
        each_output(w, w.n_recursions, block.element, [&](const Output<Real> &output, int64_t at, int a) {
            const typename F::Number seed = output_seed<F>(work, y + output.first + a);
            Real *z_bar = scratch.g_bar + i * z_row + output.column;
            if (output.l == 0) {
                set_number<F>(z_bar, z_stride, seed);
                add_constants<F>(output.weights + at, seed, w.stride, scratch.x_bar + i * row);
                add_gradient_of_weights<F>(x + i * row, seed, w.stride, parameters + output.weights_at + at);
                return;
            }
            const Real *p = products_at(scratch.v, scratch.A, output.l, i, row) + a * row;
            Real *p_bar = products_at(scratch.v_bar, scratch.A_bar, output.l, i, row) + a * row;
            add_numbers<F>(p, w.stride, seed, w.stride, z_bar, z_stride);
            add_numbers<F>(scratch.g + i * z_row + output.column, z_stride, seed, w.stride, p_bar, w.stride);
        });
    }
    // x_bar of the network, in memory that is unused here
    adjoint_of_network<F>(net, x, scratch.g_bar, block.n, scratch.tape, scratch.layers, scratch.b_bar, parameters);
    for (int64_t k = 0; k < n * row; ++k) scratch.x_bar[k] += scratch.b_bar[k];
}

} // namespace
} // namespace reann

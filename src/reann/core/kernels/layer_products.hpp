// Products of the moments of a block of atoms, weighted by element, and the own scalars behind them.
#pragma once

#include "layer_scratch.hpp"
#include "products.hpp"

namespace reann {
namespace {

// The weights of the products of an element, where the layer makes vectors and matrices.
template <class Real, int l_max, bool tensors> struct TensorWeights {
    const Real *of[2] = {};

    TensorWeights(const EquivariantLayer<Real> &layer, int element, int stride) {
        constexpr int counts[2] = {ProductCounts<l_max>::vectors, ProductCounts<l_max>::matrices};
        if constexpr (tensors)
            for (int l = 0; l < States<l_max>::highest; ++l)
                of[l] = layer.tensor_weights[l] + int64_t(element) * counts[l] * stride;
    }
};

template <class F, int l_max, bool tensors>
void products_of_block(const EquivariantLayer<typename F::Real> &layer, int element, int n, int stride,
                       typename F::Real *const *m, const LayerScratch<typename F::Real> &scratch) {
    using Real = typename F::Real;
    const int64_t row = F::planes * stride, width = layer.scalars[element].n_in;
    const TensorWeights<Real, l_max, tensors> weights(layer, element, stride);
    for (int i = 0; i < n; ++i) {
        const Real *own[l_max + 1];
        for (int l = 0; l <= l_max; ++l) own[l] = m[l] + i * shell_size(l) * row;
        products<F, l_max, tensors>(own, stride, width, weights.of[0], weights.of[1],
                                    scratch.b + i * F::planes * width, scratch.v + i * 3 * row,
                                    scratch.A + i * 5 * row);
    }
}

template <class F, int l_max, bool tensors>
void adjoint_of_block_products(const EquivariantLayer<typename F::Real> &layer, int element, int n,
                               int stride, typename F::Real *const *m,
                               const LayerScratch<typename F::Real> &scratch, double *parameters) {
    using Real = typename F::Real;
    using Counts = ProductCounts<l_max>;
    constexpr int counts[2] = {Counts::vectors, Counts::matrices};
    const int64_t row = F::planes * stride, width = layer.scalars[element].n_in;
    if constexpr (F::planes > 1 && tensors)
        for (int l = 0; l < 2; ++l)
            for (int k = 0; k < counts[l] * stride; ++k) scratch.weights_bar[l][k] = 0;
    const TensorWeights<Real, l_max, tensors> weights(layer, element, stride);
    for (int i = 0; i < n; ++i) {
        const Real *own[l_max + 1];
        Real *own_bar[l_max + 1];
        for (int l = 0; l <= l_max; ++l) {
            own[l] = m[l] + i * shell_size(l) * row;
            own_bar[l] = scratch.m_bar[l] + i * shell_size(l) * row;
        }
        adjoint_of_products<F, l_max, tensors>(
            own, stride, width, weights.of[0], weights.of[1], scratch.b_bar + i * F::planes * width,
            scratch.v_bar + i * 3 * row, scratch.A_bar + i * 5 * row, own_bar, scratch.weights_bar[0],
            scratch.weights_bar[1]);
    }
    if constexpr (F::planes > 1 && tensors)
        for (int l = 0; l < States<l_max>::highest; ++l) {
            double *to = parameters + layer.tensor_weights_at[l] + int64_t(element) * counts[l] * stride;
            for (int k = 0; k < counts[l] * stride; ++k) to[k] += scratch.weights_bar[l][k];
        }
}

// Rows of own scalars h0 behind the products; `states` holds those of the atoms, (rows, planes, stride).
template <class F>
void append_own(const Linear<typename F::Real> &scalars, int n, int stride, int n_rows,
                const typename F::Real *states, typename F::Real *b) {
    const int64_t width = scalars.n_in, at = width - stride;
    for (int i = 0; i < n; ++i)
        for (int plane = 0; plane < F::planes; ++plane)
            for (int k = 0; k < stride; ++k)
                b[(i * F::planes + plane) * width + at + k] =
                    states[(int64_t(i) * n_rows * F::planes + plane) * stride + k];
}

} // namespace
} // namespace reann

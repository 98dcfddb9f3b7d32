// An atom without neighbors in the equivariant recursion: the layers with moments of zero.
#pragma once

#include "layer_outputs.hpp"
#include "layer_products.hpp"

namespace reann {
namespace {

// Its energy relative to the reference energy. With tangents, also the contribution of -sum_i weight_i E_free
// to the gradient, for `count` atoms of an element with the total weight `sum`.
template <class F, int l_max>
double free_atom(const Weights<typename F::Real> &w, int element, typename F::Real *memory, double count,
                 double sum, double *parameters) {
    using Real = typename F::Real;
    using S = States<l_max>;
    const LayerScratch<Real> scratch(w, F::planes, memory);
    const int stride = w.stride, row = F::planes * stride, T = w.n_recursions;
    double energy = 0.0;
    Real *x = scratch.in[0], *states = scratch.in_bar[0], *bar = scratch.bar; // memory that is unused here
    const auto inputs = [&](int t) {
        const Linear<Real> &scalars = w.layers[t].scalars[element];
        for (int k = 0; k < F::planes * scalars.n_in; ++k) scratch.b[k] = 0;
        if (t > 0) append_own<F>(scalars, 1, stride, 1, states + (t - 1) * row, scratch.b);
    };
    for (int k = 0; k < 8 * row; ++k) scratch.e[k] = 0;
    for (int t = 0; t <= T; ++t) {
        const EquivariantLayer<Real> &layer = w.layers[t];
        inputs(t);
        linear<F>(layer.scalars[element], scratch.b, 1, x + t * row);
        if constexpr (F::planes == 1)
            read_out<F>(layer, element, 1, stride, x + t * row, scratch, &energy);
        if (t == T) break;
        next_states<F, l_max>(layer, element, 1, stride, x + t * row, scratch.e, scratch, scratch.m[0]);
        for (int k = 0; k < row; ++k) states[t * row + k] = scratch.m[0][k];
    }
    if constexpr (F::planes == 2) {
        const Real seeds[2] = {static_cast<Real>(-count), static_cast<Real>(-sum)};
        for (int k = 0; k < S::rows * row; ++k) bar[k] = 0;
        for (int t = T; t >= 0; --t) {
            const EquivariantLayer<Real> &layer = w.layers[t];
            const Linear<Real> &scalars = layer.scalars[element];
            adjoint_of_read_out<F>(layer, element, 1, stride, x + t * row, seeds, scratch, parameters);
            if (t < T)
                adjoint_of_next_states<F, l_max>(layer, element, 1, stride, x + t * row, scratch.e, bar,
                                                 scratch, scratch.m_bar[0], parameters);
            inputs(t);
            adjoint_of_linear<F>(scalars, scratch.b, scratch.x_bar, 1, scratch.b_bar, parameters);
            for (int k = 0; k < row; ++k)
                bar[k] = scratch.b_bar[k / stride * scalars.n_in + scalars.n_in - stride + k % stride];
        }
    }
    return energy;
}

} // namespace
} // namespace reann

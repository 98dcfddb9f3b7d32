// Converts sums over neighbors to inputs of the mixing: the components of each l one after the other, with
// five components for l = 2 instead of six products of coordinates; and the adjoint of inputs to that of
// sums.
#pragma once

#include "element_sums.hpp"
#include "layer_scratch.hpp"

namespace reann {
namespace {

// Five components from the six products of two coordinates xx, xy, xz, yy, yz, zz, and their adjoint.
template <class Real> struct Traceless {
    static constexpr Real r2 = Real(1.4142135623730950488), half = Real(0.70710678118654752440);
    static constexpr Real r6 = Real(0.40824829046386301637);

    static REANN_INLINE void forward(const Real *const *from, int k, Real *const *to) {
        to[0][k] = r2 * from[1][k];
        to[1][k] = r2 * from[2][k];
        to[2][k] = r2 * from[4][k];
        to[3][k] = half * (from[0][k] - from[3][k]);
        to[4][k] = r6 * (Real(2) * from[5][k] - from[0][k] - from[3][k]);
    }
    static REANN_INLINE void adjoint(Real *const *from_bar, int k, const Real *const *to_bar) {
        from_bar[0][k] = half * to_bar[3][k] - r6 * to_bar[4][k];
        from_bar[1][k] = r2 * to_bar[0][k];
        from_bar[2][k] = r2 * to_bar[1][k];
        from_bar[3][k] = -half * to_bar[3][k] - r6 * to_bar[4][k];
        from_bar[4][k] = r2 * to_bar[2][k];
        from_bar[5][k] = Real(2) * r6 * to_bar[4][k];
    }
};

// Copies sums of monomials, at distances of `component` numbers, to rows of the components of each l, at
// distances of `row` numbers; or copies their adjoints back.
template <class Real, int l_max>
void to_rows(const Real *sums, int64_t component, int count, Real *const *rows, const int64_t *row) {
    unrolled<0, l_max + 1>([&](auto l) {
        constexpr int n = n_components(l.value) - n_components(l.value - 1);
        const Real *from[n];
        Real *to[shell_size(l.value)];
        for (int a = 0; a < n; ++a) from[a] = sums + (n_components(l.value - 1) + a) * component;
        for (int a = 0; a < shell_size(l.value); ++a) to[a] = rows[l.value] + a * row[l.value];
        if constexpr (l.value == 2) {
            for (int k = 0; k < count; ++k) Traceless<Real>::forward(from, k, to);
        } else {
            for (int a = 0; a < n; ++a)
                for (int k = 0; k < count; ++k) to[a][k] = from[a][k];
        }
    });
}
template <class Real, int l_max>
void from_rows(Real *sums, int64_t component, int count, const Real *const *rows, const int64_t *row) {
    unrolled<0, l_max + 1>([&](auto l) {
        constexpr int n = n_components(l.value) - n_components(l.value - 1);
        Real *from[n];
        const Real *to[shell_size(l.value)];
        for (int a = 0; a < n; ++a) from[a] = sums + (n_components(l.value - 1) + a) * component;
        for (int a = 0; a < shell_size(l.value); ++a) to[a] = rows[l.value] + a * row[l.value];
        if constexpr (l.value == 2) {
            for (int k = 0; k < count; ++k) Traceless<Real>::adjoint(from, k, to);
        } else {
            for (int a = 0; a < n; ++a)
                for (int k = 0; k < count; ++k) from[a][k] = to[a][k];
        }
    });
}

// Addresses of the numbers of an atom in the inputs of the mixing.
template <class F, int l_max> struct Inputs {
    using Real = typename F::Real;
    Real *at[l_max + 1];
    int64_t row[l_max + 1]; // distance from one component to the next

    Inputs(const EquivariantLayer<Real> &layer, Real *const *in, int i) {
        for (int l = 0; l <= l_max; ++l) {
            row[l] = F::planes * layer.mixing[l].n_in;
            at[l] = in[l] + i * shell_size(l) * row[l];
        }
    }
    // Addresses for a plane, from number `first` on.
    void part(const EquivariantLayer<Real> &layer, int plane, int first, Real **to) const {
        for (int l = 0; l <= l_max; ++l) to[l] = at[l] + plane * layer.mixing[l].n_in + first;
    }
};

template <class F, int l_max>
void inputs_of_atom(const Work<typename F::Real> &work, int64_t atom, int t,
                    const LayerScratch<typename F::Real> &scratch, typename F::Real *const *in, int i) {
    using Real = typename F::Real;
    using S = States<l_max>;
    constexpr int n = n_components(l_max);
    const Weights<Real> &w = *work.weights;
    const EquivariantLayer<Real> &layer = w.layers[t];
    const Inputs<F, l_max> inputs(layer, in, i);
    Real *rows[l_max + 1];
    if (t == 0) {
        const int64_t row = F::planes * w.basis_stride;
        sum_of_elements<F, l_max>(work, atom, scratch.sums);
        for (int z = 0; z < w.n_elements; ++z)
            for (int plane = 0; plane < F::planes; ++plane) {
                inputs.part(layer, plane, z * w.n_radial, rows);
                to_rows<Real, l_max>(scratch.sums + z * n * row + plane * w.basis_stride, row,
                                     w.n_radial, rows, inputs.row);
            }
        return;
    }
    const int64_t row = F::planes * w.stride;
    sum_of_states<F, l_max>(work, atom, t, scratch.edges, scratch.sums);
    for (int plane = 0; plane < F::planes; ++plane) {
        inputs.part(layer, plane, 0, rows);
        to_rows<Real, l_max>(scratch.sums + plane * w.stride, row, w.stride, rows, inputs.row);
        const Real *q = scratch.sums + n * row + plane * w.stride;
        for (int l = 1; l <= S::highest; ++l)
            for (int a = 0; a < shell_size(l); ++a, q += row)
                for (int k = 0; k < w.stride; ++k) rows[l][a * inputs.row[l] + w.stride + k] = q[k];
    }
}

// From the adjoint of the inputs of an atom to those of neighbors, radial functions and edges.
template <class F, int l_max>
void adjoint_of_inputs(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk, int64_t atom,
                       int t, const LayerScratch<typename F::Real> &scratch, int i) {
    using Real = typename F::Real;
    using S = States<l_max>;
    constexpr int n = n_components(l_max);
    const Weights<Real> &w = *work.weights;
    const EquivariantLayer<Real> &layer = w.layers[t];
    const Inputs<F, l_max> inputs(layer, scratch.in_bar, i);
    Real *rows[l_max + 1];
    if (t == 0) { // the mixing computes the gradients of parameters
        if (!work.edges.gradient) return;
        const int64_t row = w.basis_stride;
        for (int64_t k = 0; k < w.n_elements * n * row; ++k) scratch.sums_bar[k] = 0;
        for (int z = 0; z < w.n_elements; ++z) { // with tangents those of the adjoint as well
            inputs.part(layer, F::planes - 1, z * w.n_radial, rows);
            from_rows<Real, l_max>(scratch.sums_bar + z * n * row, row, w.n_radial, rows, inputs.row);
        }
        adjoint_of_elements<F, l_max>(work, atom, scratch.sums_bar);
        return;
    }
    const int64_t row = F::planes * w.stride;
    for (int plane = 0; plane < F::planes; ++plane) {
        inputs.part(layer, plane, 0, rows);
        from_rows<Real, l_max>(scratch.sums_bar + plane * w.stride, row, w.stride, rows, inputs.row);
        Real *q = scratch.sums_bar + n * row + plane * w.stride;
        for (int l = 1; l <= S::highest; ++l)
            for (int a = 0; a < shell_size(l); ++a, q += row)
                for (int k = 0; k < w.stride; ++k) q[k] = rows[l][a * inputs.row[l] + w.stride + k];
    }
    const auto adjoint = [&](auto slopes) REANN_LAMBDA {
        adjoint_of_states<F, l_max, slopes.value>(work, chunk, atom, t, scratch.edges, scratch.sums_bar);
    };
    if constexpr (F::planes == 1) adjoint(Constant<true>{});
    else if constexpr (F::planes == 3) adjoint(Constant<false>{});
    else if (work.edges.gradient) adjoint(Constant<true>{});
    else adjoint(Constant<false>{});
}

} // namespace
} // namespace reann

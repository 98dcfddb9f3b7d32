// Products of three and four moments, for each contracted vector v (l = 1) and matrix A (l = 2)
//
//     v^c = sum_k V_kc s^{1,k},   A^c = sum_k W_kc s^{2,k}:     v A v,   tr A^3,   |A v|^2
//
// and their adjoint. The contractions are trained; without them these products hardly reduce errors.
#pragma once

#include "components.hpp"
#include "lanes.hpp"
#include "network.hpp"

namespace reann {
namespace {

constexpr int many_rows = 9; // 3 components of v, then 6 of A: xx, xy, xz, yy, yz, zz

// Scratch of an atom: v and A, their adjoints, and the adjoints of the moments; each (9, planes, columns).
template <class Real> struct ManyBody {
    Real *contracted, *contracted_bar, *moments_bar;
};

// v and A for one vector of channels c
template <class F> struct VectorAndMatrix {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    static constexpr int of[3][3] = {{3, 4, 5}, {4, 6, 7}, {5, 7, 8}};
    Lanes v[3], A[3][3], Av[3], AA[3][3];

    VectorAndMatrix(const Real *contracted, int stride) {
        for (int i = 0; i < 3; ++i) {
            v[i] = load<F>(contracted + i * F::planes * stride, stride);
            for (int j = 0; j < 3; ++j)
                A[i][j] = load<F>(contracted + of[i][j] * F::planes * stride, stride);
        }
        for (int i = 0; i < 3; ++i) {
            Av[i] = dot(A[i], v);
            for (int j = 0; j < 3; ++j) AA[i][j] = dot(A[i], A[j]); // A is symmetric
        }
    }

    static REANN_INLINE Lanes dot(const Lanes *x, const Lanes *y) {
        return x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
    }
};

template <class F>
void contract(const Weights<typename F::Real> &w, const typename F::Real *s, typename F::Real *to) {
    const int row = F::planes * w.stride;
    linear<F>(w.vector, s + row, 3, to);
    linear<F>(w.matrix, s + 4 * row, 6, to + 3 * F::planes * w.vector.n_out);
}

// s: (components, planes, stride); P: (planes, width), three products of each c
template <class F>
void products_of_many(const Weights<typename F::Real> &w, const typename F::Real *s,
                      const ManyBody<typename F::Real> &scratch, typename F::Real *P) {
    using Real = typename F::Real;
    constexpr int W = lanes<Real>;
    const int n_out = w.vector.n_out, columns = w.vector.columns;
    contract<F>(w, s, scratch.contracted);
    for (int c = 0; c < columns; c += W) {
        const VectorAndMatrix<F> m(scratch.contracted + c, n_out);
        const typename F::Lanes products[3] = {
            m.dot(m.v, m.Av),
            m.dot(m.AA[0], m.A[0]) + m.dot(m.AA[1], m.A[1]) + m.dot(m.AA[2], m.A[2]),
            m.dot(m.Av, m.Av),
        };
        const int n = columns - c < W ? columns - c : W;
        for (int p = 0; p < 3; ++p) {
            Real found[F::planes * W];
            store(found, W, products[p]);
            for (int plane = 0; plane < F::planes; ++plane)
                for (int i = 0; i < n; ++i)
                    P[plane * w.n_features + p * columns + c + i] = found[plane * W + i];
        }
    }
}

// P_bar: (planes, width); adds to S: (stride / lanes, components, planes, lanes), and to the
// gradients of the contractions
template <class F>
void adjoint_of_products_of_many(const Weights<typename F::Real> &w, const typename F::Real *s,
                                 const typename F::Real *P_bar, const ManyBody<typename F::Real> &scratch,
                                 typename F::Real *S, double *parameters) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    constexpr int W = lanes<Real>;
    const int n_out = w.vector.n_out, columns = w.vector.columns, row = F::planes * w.stride;
    contract<F>(w, s, scratch.contracted);
    for (int c = 0; c < n_out; c += W) {
        const VectorAndMatrix<F> m(scratch.contracted + c, n_out);
        const int n = columns - c < W ? columns - c : W;
        Lanes bar[3];
        for (int p = 0; p < 3; ++p) {
            Real given[F::planes * W] = {};
            for (int plane = 0; plane < F::planes; ++plane)
                for (int i = 0; i < n; ++i)
                    given[plane * W + i] = P_bar[plane * w.n_features + p * columns + c + i];
            bar[p] = load<F>(given, W);
        }
        const auto put = [&](int a, const Lanes &x) REANN_LAMBDA {
            store(scratch.contracted_bar + a * F::planes * n_out + c, n_out, x);
        };
        for (int i = 0; i < 3; ++i) {
            put(i, (bar[0] * m.Av[i] + bar[2] * m.dot(m.A[i], m.Av)) * Real(2));
            for (int j = i; j < 3; ++j) {
                const Lanes chain = m.Av[i] * m.v[j] + m.Av[j] * m.v[i];
                const Lanes one = bar[0] * (m.v[i] * m.v[j]) + bar[1] * m.AA[i][j] * Real(3) + bar[2] * chain;
                put(m.of[i][j], i == j ? one : one * Real(2)); // xy counts for yx as well
            }
        }
    }
    adjoint_of_linear<F>(w.vector, s + row, scratch.contracted_bar, 3, scratch.moments_bar, parameters);
    adjoint_of_linear<F>(w.matrix, s + 4 * row, scratch.contracted_bar + 3 * F::planes * n_out, 6,
                         scratch.moments_bar + 3 * row, parameters);
    add_to_adjoint<F>(w, scratch.moments_bar, 1, many_rows, S);
}

} // namespace
} // namespace reann

// Moments of the orbitals of neighbors, and their adjoint.
//
//     s_i^{a,k} = sum_j R_k(r_ij) [c_j^k Y_a(r_ij) + u_j^{a,k}]
//
// with the directional messages u for l >= 1, if there are any (`directed`). The lanes of a vector are values
// of the radial index k, so that an edge takes one multiply-add per component, or two with messages. With S =
// dE/ds, and P_k = sum_a S_i^{a,k} Y_a with its derivatives with respect to the direction u, an edge
// contributes
//
//     dE/dc_j^k += R_k P_k      dE/dR_k = c_j^k P_k      dE/du = sum_k c_j^k R_k dP_k/du
//
// and messages add dE/du_j^{a,k} += R_k S_i^{a,k} and sum_a u_j^{a,k} S_i^{a,k} to dE/dR_k.
#pragma once

#include "../plan.hpp"
#include "components.hpp"
#include "lanes.hpp"

namespace reann {
namespace {

// s: (components, planes, stride) of one atom; R: the radial functions of its first edge; c: (atoms,
// rows, planes, stride)
template <class F, int l_max, bool directed>
void sum_moments(const Edges<typename F::Real> edges, int64_t begin, int64_t end,
                 const typename F::Real *R, const typename F::Real *c, int n_rows, int stride,
                 typename F::Real *s) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    constexpr int n = n_components(l_max);
    const int64_t row = F::planes * stride, more = edges.capacity;
    for (int k = 0; k < stride; k += lanes<Real>) {
        Lanes sum[n];
        unrolled<0, n>([&](auto a) REANN_LAMBDA { sum[a.value] = zero<F>(); });
        for (int64_t e = begin; e < end; ++e) {
            const typename F::Number u[3] = {number<F>(edges.x + e, more), number<F>(edges.y + e, more),
                                             number<F>(edges.z + e, more)};
            const Real *c_j = c + edges.neighbor[e] * (n_rows * row) + k;
            const Lanes R_k = load<F>(R + (e - begin) * row + k, stride);
            Lanes orbital[n];
            orbital[0] = load<F>(c_j, stride) * R_k;
            sum[0] = sum[0] + orbital[0];
            unrolled<1, n>([&](auto a) REANN_LAMBDA {
                constexpr Monomial m = monomial(a.value);
                orbital[a.value] = orbital[m.parent] * u[m.coordinate];
                sum[a.value] = sum[a.value] + orbital[a.value];
                if constexpr (directed)
                    sum[a.value] = sum[a.value] + load<F>(c_j + a.value * row, stride) * R_k;
            });
        }
        unrolled<0, n>([&](auto a) REANN_LAMBDA { store(s + a.value * row + k, stride, sum[a.value]); });
    }
}

// sum_a S_a Y_a by Horner's scheme: each monomial is its parent times one coordinate.
template <class F, int l_max, class Get>
REANN_INLINE typename F::Lanes polynomial(const Get &S, const typename F::Number (&u)[3]) {
    constexpr int n = n_components(l_max);
    typename F::Lanes sum[n];
    unrolled<0, n>([&](auto a) REANN_LAMBDA { sum[a.value] = S(a.value); });
    unrolled<1, n>([&](auto i) REANN_LAMBDA {
        constexpr int a = n - i.value;
        constexpr Monomial m = monomial(a);
        sum[m.parent] = sum[m.parent] + sum[a] * u[m.coordinate];
    });
    return sum[0];
}

// The same, and its derivatives G with respect to u. The part of degree l is homogeneous, so that it is u .
// D_l / l with its derivatives D_l (Euler).
template <class Real, int l_max, class Get>
REANN_INLINE Vector<Real> polynomial_and_slope(const Get &S, const Real (&u)[3], Vector<Real> (&G)[3]) {
    constexpr int lower = n_components(l_max > 1 ? l_max - 1 : 0);
    Real Y[lower];
    Y[0] = 1;
    unrolled<1, lower>([&](auto a) REANN_LAMBDA {
        constexpr Monomial m = monomial(a.value);
        Y[a.value] = Y[m.parent] * u[m.coordinate];
    });
    Vector<Real> mean[3] = {};
    unrolled<1, l_max + 1>([&](auto l) REANN_LAMBDA {
        Vector<Real> D[3] = {};
        unrolled<n_components(l.value - 1), n_components(l.value)>([&](auto a) REANN_LAMBDA {
            constexpr Monomial m = monomial(a.value);
            const Vector<Real> S_a = S(a.value);
            unrolled<0, 3>([&](auto x) REANN_LAMBDA {
                constexpr int power = m.power[x.value];
                if constexpr (power > 0 && l.value == 1) D[x.value] = S_a;
                else if constexpr (power > 0) D[x.value] += S_a * (Y[m.lower[x.value]] * Real(power));
            });
        });
        unrolled<0, 3>([&](auto x) REANN_LAMBDA {
            G[x.value] += D[x.value];
            mean[x.value] += D[x.value] * Real(1.0 / l.value);
        });
    });
    Vector<Real> P = S(0);
    if constexpr (l_max > 0)
        for (int x = 0; x < 3; ++x) P += mean[x] * u[x];
    return P;
}

// Data of the radial functions for the adjoint of an edge.
template <class Real> struct RadialRows {
    const Real *alpha, *center;   // (rows, stride)
    Real *alpha_bar, *center_bar; // adjoints, only with tangents
    const int32_t *element;
    int row_of_center; // added to the element of the neighbor to get the row
};

// S of one atom, vector after vector of k: (stride / lanes, components, planes, lanes). Adds to c_bar of the
// neighbors unless it is NULL; and without tangents to edges.gradient, with tangents to the adjoints of alpha
// and center.
template <class F, int l_max, bool directed>
void adjoint_of_moments(const Edges<typename F::Real> edges, int64_t begin, int64_t end,
                        const typename F::Real *R, const typename F::Real *c, int n_rows, int stride,
                        const typename F::Real *S, const RadialRows<typename F::Real> rows,
                        typename F::Real *c_bar) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    using Number = typename F::Number;
    constexpr int n = n_components(l_max), W = lanes<Real>;
    const int64_t row = F::planes * stride, more = edges.capacity;
    for (int64_t e = begin; e < end; ++e, R += row) {
        const Number u[3] = {number<F>(edges.x + e, more), number<F>(edges.y + e, more),
                             number<F>(edges.z + e, more)};
        const int64_t j = edges.neighbor[e];
        const int64_t radial_row = (rows.row_of_center + rows.element[j]) * int64_t(stride);
        [[maybe_unused]] Vector<Real> gx{}, gy{}, gz{}, gr{};
        const Real *S_k = S;
        for (int k = 0; k < stride; k += W, S_k += n * F::planes * W) {
            const auto S_of = [S_k](int a) REANN_LAMBDA { return load<F>(S_k + a * F::planes * W, W); };
            const Real *c_j = c + j * (n_rows * row) + k;
            const Lanes R_k = load<F>(R + k, stride), c_k = load<F>(c_j, stride);
            Lanes P;
            [[maybe_unused]] Vector<Real> G[3] = {};
            if constexpr (F::planes == 1) P = polynomial_and_slope<Real, l_max>(S_of, u, G);
            else P = polynomial<F, l_max>(S_of, u);
            if (c_bar) {
                Real *target = c_bar + j * (n_rows * row) + k;
                store(target, stride, load<F>(target, stride) + R_k * P);
                if constexpr (directed)
                    for (int a = 1; a < n; ++a)
                        store(target + a * row, stride, load<F>(target + a * row, stride) + R_k * S_of(a));
            }
            [[maybe_unused]] Lanes Q = zero<F>(); // contribution of messages to dE/dR_k
            if constexpr (directed)
                for (int a = 1; a < n; ++a) Q = Q + load<F>(c_j + a * row, stride) * S_of(a);
            const Vector<Real> alpha = load_vector(rows.alpha + radial_row + k);
            const Vector<Real> center = load_vector(rows.center + radial_row + k);
            if constexpr (F::planes == 1) {
                // R_k' = R_k (fc'/fc - 2 alpha_k (r - rs_k))
                const Vector<Real> orbital = c_k * R_k;
                gx += orbital * G[0];
                gy += orbital * G[1];
                gz += orbital * G[2];
                Vector<Real> along = orbital * P;
                if constexpr (directed) along += R_k * Q;
                gr += along * (edges.slope[e] - (Real(2) * alpha) * (edges.r[e] - center));
            } else {
                // dR_k/dalpha_k = -(r - rs_k)^2 R_k    dR_k/drs_k = 2 alpha_k (r - rs_k) R_k
                const Number r = number<F>(edges.r + e, more);
                const Lanes d = {r.value - center, splat(r.tangent)};
                Lanes along = c_k * P;
                if constexpr (directed) along = along + Q;
                along = along * R_k * d;
                Real *alpha_bar = rows.alpha_bar + radial_row + k;
                Real *center_bar = rows.center_bar + radial_row + k;
                store_vector(alpha_bar, load_vector(alpha_bar) - (along * d).tangent);
                store_vector(center_bar, load_vector(center_bar) + Real(2) * alpha * along.tangent);
            }
        }
        if constexpr (F::planes == 1) add_sums<Real>(edges.gradient + 4 * e, gx, gy, gz, gr);
    }
}

// The rate of the energy through each edge as c_j and u_j change along the tangents, added to edges.power. S
// as above; its tangents are ignored.
template <class Real, int l_max, bool directed>
void add_power(const Edges<Real> edges, int64_t begin, int64_t end, const Real *R, const Real *c,
               int n_rows, int stride, const Real *S) {
    constexpr int n = n_components(l_max), W = lanes<Real>;
    const int64_t row = 2 * stride;
    for (int64_t e = begin; e < end; ++e, R += row) {
        const Real u[3] = {edges.x[e], edges.y[e], edges.z[e]};
        const Real *tangents = c + edges.neighbor[e] * (n_rows * row) + stride;
        Vector<Real> power{};
        for (int k = 0; k < stride; k += W) {
            const auto S_of = [S, k](int a) REANN_LAMBDA { return load_vector(S + (k * n + a * W) * 2); };
            Vector<Real> gained =
                polynomial<Field<Real, 0>, l_max>(S_of, u) * load_vector(tangents + k);
            if constexpr (directed)
                for (int a = 1; a < n; ++a) gained += S_of(a) * load_vector(tangents + a * row + k);
            power += load_vector(R + k) * gained;
        }
        for (int k = 0; k < W; ++k) edges.power[e] += power[k];
    }
}

} // namespace
} // namespace reann

// Moments of the neighbors' orbitals, and their adjoint.
//
//     s_i^{a,k} = sum_j c_j^k R_k(r_ij) Y_a(r_ij)
//
// All lanes of a vector are the radial index k, so an edge costs one multiply-add per component.
// With S = dE/ds, P_k = sum_a S_i^{a,k} Y_a and its derivatives along the direction u, an edge gives
//
//     dE/dc_j^k += R_k P_k      dE/dR_k = c_j^k P_k      dE/du = sum_k c_j^k R_k dP_k/du
#pragma once

#include "../plan.hpp"
#include "components.hpp"
#include "lanes.hpp"

namespace reann {
namespace {

// s: (components, planes, stride) of one atom; R: the radial functions of its first edge
template <class F, int l_max>
void sum_moments(const Edges<typename F::Real> &edges, int64_t begin, int64_t end,
                 const typename F::Real *R, const typename F::Real *c, int stride,
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
            Lanes orbital[n];
            orbital[0] = load<F>(c + edges.neighbor[e] * row + k, stride) *
                         load<F>(R + (e - begin) * row + k, stride);
            sum[0] = sum[0] + orbital[0];
            unrolled<1, n>([&](auto a) REANN_LAMBDA {
                constexpr Monomial m = monomial(a.value);
                orbital[a.value] = orbital[m.parent] * u[m.coordinate];
                sum[a.value] = sum[a.value] + orbital[a.value];
            });
        }
        unrolled<0, n>([&](auto a) REANN_LAMBDA { store(s + a.value * row + k, stride, sum[a.value]); });
    }
}

// What the adjoint of an edge needs of the radial functions.
template <class Real> struct RadialRows {
    const Real *alpha, *center; // (rows, stride)
    Real *alpha_bar, *center_bar; // adjoints, with tangents only
    const int32_t *element;
    int row_of_center; // added to the element of the neighbor

    int64_t of(int32_t neighbor) const { return row_of_center + element[neighbor]; }
};

// S: (components, planes, stride) of one atom. Adds to c_bar of the neighbors if it is given, and
// to edges.gradient without tangents, or to the adjoints of alpha and center with tangents.
template <class F, int l_max>
void adjoint_of_moments(const Edges<typename F::Real> &edges, int64_t begin, int64_t end,
                        const typename F::Real *R, const typename F::Real *c, int stride,
                        const typename F::Real *S, const RadialRows<typename F::Real> &rows,
                        typename F::Real *c_bar) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    using Number = typename F::Number;
    constexpr int n = n_components(l_max);
    const int64_t row = F::planes * stride, more = edges.capacity;
    for (int64_t e = begin; e < end; ++e) {
        const Number u[3] = {number<F>(edges.x + e, more), number<F>(edges.y + e, more),
                             number<F>(edges.z + e, more)};
        Number Y[n];
        Y[0] = one<F>();
        unrolled<1, n>([&](auto a) REANN_LAMBDA {
            constexpr Monomial m = monomial(a.value);
            if constexpr (m.l == 1) Y[a.value] = u[m.coordinate];
            else Y[a.value] = Y[m.parent] * u[m.coordinate];
        });
        const int64_t j = edges.neighbor[e], radial_row = rows.of(edges.neighbor[e]) * stride;
        [[maybe_unused]] Vector<Real> gx{}, gy{}, gz{}, gr{};
        for (int k = 0; k < stride; k += lanes<Real>) {
            const Lanes R_k = load<F>(R + (e - begin) * row + k, stride);
            const Lanes c_k = load<F>(c + j * row + k, stride);
            Lanes P = load<F>(S + k, stride);
            [[maybe_unused]] Vector<Real> Px{}, Py{}, Pz{};
            unrolled<1, n>([&](auto a) REANN_LAMBDA {
                constexpr Monomial m = monomial(a.value);
                const Lanes S_a = load<F>(S + a.value * row + k, stride);
                P = P + S_a * Y[a.value];
                if constexpr (F::planes == 1) {
                    if constexpr (m.power[0] > 0) Px += S_a * (Y[m.lower[0]] * Real(m.power[0]));
                    if constexpr (m.power[1] > 0) Py += S_a * (Y[m.lower[1]] * Real(m.power[1]));
                    if constexpr (m.power[2] > 0) Pz += S_a * (Y[m.lower[2]] * Real(m.power[2]));
                }
            });
            if (c_bar) {
                Real *target = c_bar + j * row + k;
                store(target, stride, load<F>(target, stride) + R_k * P);
            }
            const Vector<Real> alpha = load_vector(rows.alpha + radial_row + k);
            const Vector<Real> center = load_vector(rows.center + radial_row + k);
            if constexpr (F::planes == 1) {
                // R_k' = R_k (fc'/fc - 2 alpha_k (r - rs_k))
                const Vector<Real> orbital = c_k * R_k;
                gx += orbital * Px;
                gy += orbital * Py;
                gz += orbital * Pz;
                gr += orbital * P *
                      (edges.slope[e] - (Real(2) * alpha) * (edges.r[e] - center));
            } else {
                // dR_k/dalpha_k = -(r - rs_k)^2 R_k    dR_k/drs_k = 2 alpha_k (r - rs_k) R_k
                const Number r = number<F>(edges.r + e, more);
                const Lanes d = {r.value - center, splat(r.tangent)};
                const Lanes along = c_k * P * R_k * d;
                Real *alpha_bar = rows.alpha_bar + radial_row + k;
                Real *center_bar = rows.center_bar + radial_row + k;
                store_vector(alpha_bar, load_vector(alpha_bar) - (along * d).tangent);
                store_vector(center_bar, load_vector(center_bar) + Real(2) * alpha * along.tangent);
            }
        }
        if constexpr (F::planes == 1) add_sums<Real>(edges.gradient + 4 * e, gx, gy, gz, gr);
    }
}

} // namespace
} // namespace reann

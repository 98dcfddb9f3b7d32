// Sums over the neighbors of an atom in the layers above the first of the equivariant recursion, with their
// adjoint.
//
//     w_j = R0 h0_j + R1 u.h1_j + R2 T(u).h2_j            weight of a neighbor in direction u
//     s_a = sum_j w_j Y_a(u)      q1 = sum_j R3 h1_j      q2 = sum_j R4 h2_j
//
// for each channel k, the lanes of all vectors. Y_a are the monomials of components.hpp, T the five
// components of l = 2, sqrt3 (xy, xz, yz, (xx - yy)/2, (2zz - xx - yy)/(2 sqrt3)). The radial functions R
// of a tile of edges are a matrix product of their basis.
#pragma once

#include "directions.hpp"
#include "matrix.hpp"

namespace reann {
namespace {

constexpr int edge_tile = 16;
constexpr double sqrt3 = 1.7320508075688772935;

// Memory for a tile of edges.
template <class Real> struct EdgeScratch {
    Real *R, *R_slope, *R_bar; // (edges, planes, paths, stride)
};

// The states of a neighbor projected on a direction: u.h1, and T(u).h2 with its derivatives with respect to
// u.
template <class F, int l_max> struct Along {
    typename F::Lanes h0, vector, matrix, slope[3], h[States<l_max>::rows];

    REANN_INLINE Along(const typename F::Real *h_j, int stride, const typename F::Number (&u)[3]) {
        using Real = typename F::Real;
        const int row = F::planes * stride;
        unrolled<0, States<l_max>::rows>(
            [&](auto a) REANN_LAMBDA { h[a.value] = load<F>(h_j + a.value * row, stride); });
        h0 = h[0];
        vector = h[1] * u[0] + h[2] * u[1] + h[3] * u[2];
        if constexpr (States<l_max>::highest == 2) {
            const Real c = Real(sqrt3);
            slope[0] = (h[4] * u[1] + h[5] * u[2] + h[7] * u[0]) * c - h[8] * u[0];
            slope[1] = (h[4] * u[0] + h[6] * u[2] - h[7] * u[1]) * c - h[8] * u[1];
            slope[2] = (h[5] * u[0] + h[6] * u[1]) * c + h[8] * u[2] * Real(2);
            matrix = (slope[0] * u[0] + slope[1] * u[1] + slope[2] * u[2]) * Real(0.5); // Euler
        }
    }
};

// The radial functions of the next edges of an atom, from `first` on, and with `slopes` their derivatives;
// returns the number of edges in the tile.
template <class F>
int radial_of_tile(const Work<typename F::Real> &work, const Linear<typename F::Real> &radial, int64_t i,
                   int64_t first, bool slopes, const EdgeScratch<typename F::Real> &tile) {
    using Real = typename F::Real;
    const Edges<Real> &edges = work.edges;
    const int stride = work.weights->basis_stride;
    const int64_t left = edges.end[i] - first;
    const int n = left < edge_tile ? static_cast<int>(left) : edge_tile;
    const auto of = [&](const Real *basis, int rows, Real *to) {
        multiply(basis, stride, rows, radial.rows, radial.forward, radial.n_out, to, radial.n_out,
                 static_cast<const Real *>(nullptr), 1);
    };
    of(edges.radial + first * F::planes * stride, n * F::planes, tile.R);
    if (slopes) of(edges.radial_slope + first * stride, n, tile.R_slope);
    return n;
}

// sums: s of the monomials, then q1 and q2, each row (planes, stride)
template <class F, int l_max>
void sum_of_states(const Work<typename F::Real> &work, int64_t i, int t,
                   const EdgeScratch<typename F::Real> &tile, typename F::Real *sums) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    using S = States<l_max>;
    constexpr int n = n_components(l_max), W = lanes<Real>;
    const Weights<Real> &w = *work.weights;
    const Linear<Real> &radial = w.layers[t].radial;
    const Edges<Real> &edges = work.edges;
    const int stride = w.stride, row = F::planes * stride, paths = radial.n_out;
    for (int k = 0; k < (n + S::passed) * row; ++k) sums[k] = 0;
    for (int64_t first = edges.begin[i]; first < edges.end[i]; first += edge_tile) {
        const int n_edges = radial_of_tile<F>(work, radial, i, first, false, tile);
        for (int k = 0; k < stride; k += W) {
            Lanes sum[n + S::passed];
            unrolled<0, n + S::passed>(
                [&](auto a) REANN_LAMBDA { sum[a.value] = load<F>(sums + a.value * row + k, stride); });
            for (int e = 0; e < n_edges; ++e) {
                typename F::Number u[3], Y[n];
                direction<F>(edges, first + e, u);
                monomials<F, l_max>(u, Y);
                const Real *R = tile.R + int64_t(e) * F::planes * paths + k;
                const Real *h_j =
                    work.coefficients[t] + int64_t(edges.neighbor[first + e]) * S::rows * row + k;
                const Along<F, l_max> along(h_j, stride, u);
                Lanes weight = load<F>(R, paths) * along.h0 + load<F>(R + stride, paths) * along.vector;
                if constexpr (S::highest == 2)
                    weight = weight + load<F>(R + 2 * stride, paths) * along.matrix;
                unrolled<0, n>([&](auto a)
                                   REANN_LAMBDA { sum[a.value] = sum[a.value] + weight * Y[a.value]; });
                const Lanes R_v = load<F>(R + (S::highest + 1) * stride, paths);
                unrolled<1, 4>([&](auto a) REANN_LAMBDA {
                    sum[n + a.value - 1] = sum[n + a.value - 1] + R_v * along.h[a.value];
                });
                if constexpr (S::highest == 2) {
                    const Lanes R_A = load<F>(R + 4 * stride, paths);
                    unrolled<4, 9>([&](auto a) REANN_LAMBDA {
                        sum[n + a.value - 1] = sum[n + a.value - 1] + R_A * along.h[a.value];
                    });
                }
            }
            unrolled<0, n + S::passed>(
                [&](auto a) REANN_LAMBDA { store(sums + a.value * row + k, stride, sum[a.value]); });
        }
    }
}

// P and its derivatives G with respect to the direction of an edge, which has no tangents.
template <class F, int l_max, class Get>
REANN_INLINE typename F::Lanes along_direction(const Get &of, const typename F::Number (&u)[3],
                                               typename F::Lanes (&G)[3]) {
    using Real = typename F::Real;
    if constexpr (F::planes == 1) {
        return polynomial_and_slope<Real, l_max>(of, u, G);
    } else {
        const Real fixed[3] = {u[0].value, u[1].value, u[2].value};
        Vector<Real> slope[2][3] = {};
        const Vector<Real> value = polynomial_and_slope<Real, l_max>(
            [&](int a) REANN_LAMBDA { return of(a).value; }, fixed, slope[0]);
        const Vector<Real> tangent = polynomial_and_slope<Real, l_max>(
            [&](int a) REANN_LAMBDA { return of(a).tangent; }, fixed, slope[1]);
        for (int x = 0; x < 3; ++x) G[x] = {slope[0][x], slope[1][x]};
        return {value, tangent};
    }
}

// bar: the adjoint of `sums`. Adds to the adjoint of the neighbors' states and, without tangents, to
// edges.gradient; with tangents, to the gradient of the weights of radial functions. With tangents and
// `slopes`, the rates of the derivatives of edges are added to edges.gradient.
template <class F, int l_max, bool slopes>
void adjoint_of_states(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk, int64_t i,
                       int t, const EdgeScratch<typename F::Real> &tile, const typename F::Real *bar) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    using S = States<l_max>;
    constexpr int n = n_components(l_max), W = lanes<Real>;
    const Weights<Real> &w = *work.weights;
    const Linear<Real> &radial = w.layers[t].radial;
    const Edges<Real> &edges = work.edges;
    const int stride = w.stride, row = F::planes * stride, paths = radial.n_out;
    for (int64_t first = edges.begin[i]; first < edges.end[i]; first += edge_tile) {
        const int n_edges = radial_of_tile<F>(work, radial, i, first, slopes, tile);
        for (int e = 0; e < n_edges; ++e) {
            typename F::Number u[3];
            direction<F>(edges, first + e, u);
            const int64_t at = int64_t(edges.neighbor[first + e]) * S::rows * row;
            [[maybe_unused]] Vector<Real> gx{}, gy{}, gz{}, gr{}, power{};
            for (int k = 0; k < stride; k += W) {
                const auto of = [bar, k, stride, row](int a)
                                    REANN_LAMBDA { return load<F>(bar + a * row + k, stride); };
                const Real *R = tile.R + int64_t(e) * F::planes * paths + k;
                const Along<F, l_max> along(work.coefficients[t] + at + k, stride, u);
                const Lanes R_0 = load<F>(R, paths), R_1 = load<F>(R + stride, paths);
                [[maybe_unused]] Lanes R_2, R_A;
                const Lanes R_v = load<F>(R + (S::highest + 1) * stride, paths);
                Lanes P;
                [[maybe_unused]] Lanes G[3] = {};
                if constexpr (slopes) P = along_direction<F, l_max>(of, u, G);
                else P = polynomial<F, l_max>(of, u);
                Lanes R_bar[S::paths], h_bar[S::rows];
                R_bar[0] = P * along.h0;
                R_bar[1] = P * along.vector;
                h_bar[0] = R_0 * P;
                const Lanes turn = R_1 * P;
                Lanes passed = zero<F>();
                unrolled<1, 4>([&](auto a) REANN_LAMBDA {
                    const Lanes q_bar = of(n + a.value - 1);
                    h_bar[a.value] = turn * u[a.value - 1] + R_v * q_bar;
                    passed = passed + along.h[a.value] * q_bar;
                });
                R_bar[S::highest + 1] = passed;
                if constexpr (S::highest == 2) {
                    R_2 = load<F>(R + 2 * stride, paths);
                    R_A = load<F>(R + 4 * stride, paths);
                    R_bar[2] = P * along.matrix;
                    const Lanes bend = R_2 * P, c = bend * Real(sqrt3);
                    h_bar[4] = c * (u[0] * u[1]);
                    h_bar[5] = c * (u[0] * u[2]);
                    h_bar[6] = c * (u[1] * u[2]);
                    h_bar[7] = c * ((u[0] * u[0] - u[1] * u[1]) * Real(0.5));
                    h_bar[8] = bend * (u[2] * u[2] - (u[0] * u[0] + u[1] * u[1]) * Real(0.5));
                    passed = zero<F>();
                    unrolled<4, 9>([&](auto a) REANN_LAMBDA {
                        const Lanes q_bar = of(n + a.value - 1);
                        h_bar[a.value] = h_bar[a.value] + R_A * q_bar;
                        passed = passed + along.h[a.value] * q_bar;
                    });
                    R_bar[4] = passed;
                }
                Real *target = chunk.coefficients_bar + at + k;
                unrolled<0, S::rows>([&](auto a) REANN_LAMBDA {
                    store(target + a.value * row, stride,
                          load<F>(target + a.value * row, stride) + h_bar[a.value]);
                });
                if constexpr (slopes) {
                    Lanes weight = R_0 * along.h0 + R_1 * along.vector;
                    if constexpr (S::highest == 2) weight = weight + R_2 * along.matrix;
                    Lanes slope[3] = {turn * along.h[1], turn * along.h[2], turn * along.h[3]};
                    if constexpr (S::highest == 2)
                        for (int x = 0; x < 3; ++x) slope[x] = slope[x] + R_2 * P * along.slope[x];
                    gx += last_plane<F>(weight * G[0] + slope[0]);
                    gy += last_plane<F>(weight * G[1] + slope[1]);
                    gz += last_plane<F>(weight * G[2] + slope[2]);
                    const Real *R_slope = tile.R_slope + int64_t(e) * paths + k;
                    unrolled<0, S::paths>([&](auto p) REANN_LAMBDA {
                        gr += load_vector(R_slope + p.value * stride) * last_plane<F>(R_bar[p.value]);
                    });
                }
                if constexpr (F::planes > 1) {
                    Real *to = tile.R_bar + int64_t(e) * F::planes * paths + k;
                    unrolled<0, S::paths>([&](auto p) REANN_LAMBDA {
                        store(to + p.value * stride, paths, R_bar[p.value]);
                    });
                    if constexpr (F::planes == 2)
                        if (edges.power)
                            unrolled<0, S::rows>([&](auto a) REANN_LAMBDA {
                                power += h_bar[a.value].value * along.h[a.value].tangent;
                            });
                }
            }
            if constexpr (slopes)
                add_sums<Real>(edges.gradient + 4 * (first + e), gx, gy, gz, gr);
            if (F::planes == 2 && edges.power) edges.power[first + e] += sum<Real>(power);
        }
        if constexpr (F::planes > 1)
            add_gradient<F::planes>(edges.radial + first * F::planes * w.basis_stride, w.basis_stride,
                                    radial.rows, tile.R_bar, paths, F::planes * n_edges, chunk.parameters + radial.weight_at, paths);
    }
}

} // namespace
} // namespace reann
